//! What things cost: exact sums of money, and the six lines of a bill.
//!
//! Pure: prices come in as data, usage comes from events. Who may spend how much is `budget`'s.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

mod prices;

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

    pub fn dollars(self) -> f64 {
        self.0 as f64 / Self::DOLLAR.0 as f64
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
}
