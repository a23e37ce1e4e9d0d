//! What things cost: exact sums of money, and the six lines of a bill.
//!
//! Pure: prices come in as data, usage comes from events. Who may spend how much is `budget`'s.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod bill;
pub mod lever;
pub mod plan;
mod prices;

pub use bill::{Bill, Paid, Share};
pub use prices::{ModelPrice, Prices, Rates};

/// Picodollars, 10⁻¹² of a US dollar, so that the price of one token is a whole number. What leaves
/// the range of 9.2 million dollars stays at its end.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(pub i64);

impl Money {
    pub const ZERO: Money = Money(0);
    pub const DOLLAR: Money = Money(1_000_000_000_000);

    /// To the nearest picodollar: what a float cannot say of one is far below the price of a token.
    pub fn of_dollars(dollars: f64) -> Money {
        Money((dollars * Self::DOLLAR.0 as f64).round() as i64)
    }

    pub fn dollars(self) -> f64 {
        self.0 as f64 / Self::DOLLAR.0 as f64
    }

    pub(crate) fn is_zero(&self) -> bool {
        *self == Money::ZERO
    }

    /// So many of it.
    pub fn times(self, count: u64) -> Money {
        Money(self.0.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

impl Add for Money {
    type Output = Money;

    fn add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }
}

impl Sub for Money {
    type Output = Money;

    fn sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        *self = *self + other;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(all: I) -> Money {
        all.fold(Money::ZERO, Money::add)
    }
}

/// Why a text is no sum of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write dollars as 0.25, with at most 12 places")]
pub struct NoMoney;

/// Dollars such as `0.25` or `$0.25`, exactly; never below zero.
impl FromStr for Money {
    type Err = NoMoney;

    fn from_str(text: &str) -> Result<Money, NoMoney> {
        let text = text.strip_prefix('$').unwrap_or(text);
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 12 {
            return Err(NoMoney);
        }
        let whole: i64 = whole.parse().map_err(|_| NoMoney)?;
        let part: i64 = format!("{part:0<12}").parse().map_err(|_| NoMoney)?;
        let sum = whole.checked_mul(Money::DOLLAR.0).and_then(|sum| sum.checked_add(part));
        sum.map(Money).ok_or(NoMoney)
    }
}

/// `$0.0045`: at least two places, and as many as it takes.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / Self::DOLLAR.0.unsigned_abs();
        let part = format!("{:012}", self.0.unsigned_abs() % Self::DOLLAR.0.unsigned_abs());
        let part = part.trim_end_matches('0');
        write!(f, "{sign}${whole}.{part:0<2}")
    }
}

/// The six lines of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stack {
    pub model: Money,
    pub tools: Money,
    pub knowledge: Money,
    pub memory: Money,
    pub guardrails: Money,
    pub transitions: Money,
}

impl Stack {
    pub fn total(&self) -> Money {
        [self.model, self.tools, self.knowledge, self.memory, self.guardrails, self.transitions]
            .into_iter()
            .sum()
    }
}

impl Stack {
    /// So many of it.
    pub fn times(&self, count: u64) -> Stack {
        Stack {
            model: self.model.times(count),
            tools: self.tools.times(count),
            knowledge: self.knowledge.times(count),
            memory: self.memory.times(count),
            guardrails: self.guardrails.times(count),
            transitions: self.transitions.times(count),
        }
    }

    /// The lines by their names, in the order of a bill.
    pub fn lines(&self) -> [(&'static str, Money); 6] {
        [
            ("model", self.model),
            ("tools", self.tools),
            ("knowledge", self.knowledge),
            ("memory", self.memory),
            ("guardrails", self.guardrails),
            ("transitions", self.transitions),
        ]
    }
}

impl AddAssign for Stack {
    fn add_assign(&mut self, other: Stack) {
        self.model += other.model;
        self.tools += other.tools;
        self.knowledge += other.knowledge;
        self.memory += other.memory;
        self.guardrails += other.guardrails;
        self.transitions += other.transitions;
    }
}

#[cfg(test)]
mod tests {
    use super::Money;

    #[test]
    fn money_reads_as_dollars_with_the_places_it_takes() {
        let said: Vec<String> = [0, 4_500_000_000, 1_449_000_000_000_000, -10, 3_000_000]
            .into_iter()
            .map(|pico| Money(pico).to_string())
            .collect();
        assert_eq!(said, ["$0.00", "$0.0045", "$1449.00", "-$0.00000000001", "$0.000003"]);
    }

    #[test]
    fn dollars_are_read_exactly_or_refused() {
        let read = |text: &str| text.parse::<Money>().ok().map(|money| money.0);
        assert_eq!(read("0.25"), Some(250_000_000_000));
        assert_eq!(read("$1449"), Some(1_449_000_000_000_000));
        assert_eq!(read("0.000000000001"), Some(1));
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000000001", "10000000", "ten"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
