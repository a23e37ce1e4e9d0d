//! Numbers as people write them: signs, thousands, currency, per cent, ordinals, units, words.

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    /// Lower-case unit glued to it, such as `km`.
    pub(super) unit: String,
    pub(super) money: bool,
    pub(super) percent: bool,
    pub(super) ordinal: bool,
    /// Written as a word, which is often no value: "between two cities".
    pub(super) spelled: bool,
    /// For an amount of time: the seconds of its unit.
    pub(super) seconds: Option<f64>,
}

impl Number {
    pub(super) fn parse(text: &str) -> Option<Number> {
        let money = text.starts_with(['$', '€', '£', '¥', '₹']) || text.ends_with('€');
        let bare = text.trim_start_matches(['$', '€', '£', '¥', '₹']).trim_end_matches('€');
        if let Some(value) = word(&bare.to_lowercase()) {
            return Some(Number::plain(value));
        }
        let (digits, tail) = split(bare)?;
        // "3-day", but not the id "3-b".
        let joined = tail.strip_prefix('-').filter(|unit| seconds(unit).is_some());
        let tail = joined.unwrap_or(tail);
        let clean = digits.replace(',', "");
        let mut value: f64 = clean.parse().ok()?;
        value *= if tail == "k" || tail == "K" && money { 1000.0 } else { 1.0 };
        let tail = tail.to_lowercase();
        let ordinal = matches!(tail.as_str(), "st" | "nd" | "rd" | "th");
        if tail.len() > 5
            || !tail.chars().all(|c| {
                c.is_alphabetic() || "%/²³°^".contains(c) || c == '2' && tail.contains('^')
            })
        {
            return None;
        }
        if matches!(tail.as_str(), "am" | "pm") {
            return None;
        }
        let seconds = seconds(&tail);
        let unit = if ordinal || tail == "%" { String::new() } else { tail.clone() };
        Some(Number { value, unit, money, percent: tail == "%", ordinal, spelled: false, seconds })
    }

    fn plain(value: f64) -> Number {
        Number {
            value,
            unit: String::new(),
            money: false,
            percent: false,
            ordinal: false,
            spelled: true,
            seconds: None,
        }
    }

    pub(super) fn is_integer(&self) -> bool {
        self.value.fract() == 0.0 && self.value.abs() < 9e15
    }

    /// The number in a unit of so many seconds, where it is an amount of time in another one.
    pub(super) fn over(&self, unit: Option<f64>) -> Number {
        match (self.seconds, unit) {
            (Some(own), Some(unit)) => Number { value: self.value * own / unit, ..self.clone() },
            _ => self.clone(),
        }
    }

    /// The number as JSON: an integer where it is one.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by is_integer")]
    pub(super) fn json(&self) -> serde_json::Value {
        if self.is_integer() { (self.value as i64).into() } else { self.value.into() }
    }
}

/// The longest numeric head, and what follows it.
fn split(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut end = 0;
    while end < bytes.len() {
        let b = bytes[end];
        let sign = (b == b'-' || b == b'+') && (end == 0 || bytes[end - 1] == b'e');
        let exponent =
            b == b'e' && bytes.get(end + 1).is_some_and(|n| n.is_ascii_digit() || *n == b'-');
        if !(b.is_ascii_digit() || b == b'.' || b == b',' || sign || exponent && end > 0) {
            break;
        }
        end += 1;
    }
    let digits = text.get(..end)?;
    digits.bytes().any(|b| b.is_ascii_digit()).then_some((digits, &text[end..]))
}

pub(super) fn word(lower: &str) -> Option<f64> {
    const WORDS: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    const TENS: [(&str, f64); 7] = [
        ("thirty", 30.0),
        ("forty", 40.0),
        ("fifty", 50.0),
        ("sixty", 60.0),
        ("seventy", 70.0),
        ("eighty", 80.0),
        ("ninety", 90.0),
    ];
    let small =
        WORDS.iter().position(|w| *w == lower).and_then(|i| u32::try_from(i).ok()).map(f64::from);
    small.or_else(|| TENS.iter().find(|(w, _)| *w == lower).map(|(_, v)| *v))
}

/// How many seconds a unit of time has, by its name or sign. Months and years have no number.
pub(super) fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "day" | "days" => 86_400.0,
        "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

/// The ISO 4217 code of a currency's sign, name or code, where the sign or name is of one currency by
/// common use.
pub(super) fn currency(text: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &[&str])] = &[
        ("USD", &["$", "usd", "dollar", "dollars"]),
        ("EUR", &["€", "eur", "euro", "euros"]),
        ("GBP", &["£", "gbp"]),
        ("JPY", &["jpy", "yen"]),
        ("INR", &["₹", "inr", "rupee", "rupees"]),
        ("CHF", &["chf"]),
    ];
    let lower = text.to_lowercase();
    let sign = |name: &str| !name.is_ascii() || name == "$";
    let is = |name: &&str| {
        lower == **name || sign(name) && (lower.starts_with(*name) || lower.ends_with(*name))
    };
    NAMES.iter().find(|(_, names)| names.iter().any(is)).map(|(code, _)| *code)
}

/// What a word after a number multiplies it by.
pub(super) fn multiplier(lower: &str) -> Option<f64> {
    Some(match lower {
        "hundred" => 1e2,
        "thousand" => 1e3,
        "million" => 1e6,
        "billion" => 1e9,
        "dozen" => 12.0,
        _ => return None,
    })
}
