//! Dates: the written forms of a full date, and the form that a parameter asks for.
//!
//! There is no clock here: a relative date ("tomorrow") is one only where the system text says which
//! day today is; else it stays as it is.

use jiff::civil::{Date, Weekday};

use super::schema::Param;
use super::words::{split_name, tokens};

pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The date in the form that the schema's format or the description names, if the text is one.
pub(super) fn formed(param: &Param, text: &str) -> Option<String> {
    let told = param.description.to_lowercase();
    let iso = param.schema["format"].as_str() == Some("date");
    let forms =
        ["yyyy-mm-dd", "dd-mm-yyyy", "mm-dd-yyyy", "dd/mm/yyyy", "mm/dd/yyyy", "yyyy/mm/dd"];
    let form = if iso { Some("yyyy-mm-dd") } else { forms.into_iter().find(|f| told.contains(f)) }?;
    let (year, month, day) = parse(text)?;
    Some(
        form.replace("yyyy", &format!("{year:04}"))
            .replace("mm", &format!("{month:02}"))
            .replace("dd", &format!("{day:02}")),
    )
}

/// The day that the system text calls today: "Today is 2026-03-11", `current_date: 2026-03-11`.
pub(super) fn today(system: &[String]) -> Option<Date> {
    system.iter().flat_map(|s| s.lines()).filter(|line| line.len() <= TODAY_LINE).find_map(|line| {
        let words = split_name(line);
        let at = words.windows(2).position(|w| {
            w[0] == "today" || w[0] == "current" && w[1] == "date" || w[0] == "date" && w[1] == "is"
        })?;
        let rest =
            tokens(line).into_iter().skip_while(|t| !split_name(&t.text).contains(&words[at]));
        let rest: Vec<String> = rest.map(|t| t.text).collect();
        (1..rest.len())
            .find_map(|from| (1..=4).find_map(|len| civil(&rest.get(from..from + len)?.join(" "))))
    })
}

/// A line of the system text that is longer tells a story.
const TODAY_LINE: usize = 200;

fn civil(text: &str) -> Option<Date> {
    let (year, month, day) = parse(text)?;
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// The day that a relative date means. "Next Friday" is not one: people disagree which it is.
pub(super) fn relative(text: &str, today: Date) -> Option<String> {
    let lower = text.to_lowercase();
    let bare = lower.strip_prefix("this ").unwrap_or(&lower);
    let date = match bare {
        "today" | "tonight" => today,
        "tomorrow" => today.tomorrow().ok()?,
        "yesterday" => today.yesterday().ok()?,
        _ => match lower.strip_prefix("last ") {
            Some(day) => today.nth_weekday(-1, weekday(day)?).ok()?,
            None if weekday(bare)? == today.weekday() => today,
            None => today.nth_weekday(1, weekday(bare)?).ok()?,
        },
    };
    Some(date.to_string())
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

/// "3pm" and "9:30 am" as `HH:MM`, where the description asks for that.
pub(super) fn clock(param: &Param, text: &str) -> Option<String> {
    let told = param.description.to_lowercase();
    if !(told.contains("hh:mm") || told.contains("24-hour") || told.contains("24 hour")) {
        return None;
    }
    let lower = text.to_lowercase().replace(['.', ' '], "");
    let (digits, half) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(digits), _) => (digits, Some(0)),
        (_, Some(digits)) => (digits, Some(12)),
        _ => (lower.as_str(), None),
    };
    let (hour, minute) = digits.split_once(':').unwrap_or((digits, "0"));
    let minute: u8 = minute.parse().ok().filter(|m| *m < 60)?;
    let hour: u8 = hour.parse().ok().filter(|h| *h < 24)?;
    let hour = match half {
        Some(_) if hour > 12 => return None,
        Some(half) => hour % 12 + half,
        None => hour,
    };
    Some(format!("{hour:02}:{minute:02}"))
}

/// Year, month and day of "1 June 2022", "June 1st, 2022", "2022-06-01". Two bare numbers of
/// unclear order are no date.
fn parse(text: &str) -> Option<(usize, usize, usize)> {
    let parts: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|p| !p.is_empty())
        .map(str::to_lowercase)
        .collect();
    let month = parts
        .iter()
        .find_map(|p| MONTHS.iter().position(|m| p.len() >= 3 && m.starts_with(p.as_str())));
    let numbers: Vec<usize> = parts
        .iter()
        .filter_map(|p| p.trim_end_matches(|c: char| c.is_alphabetic()).parse().ok())
        .collect();
    let year = *numbers.iter().find(|n| (1000..=2200).contains(*n))?;
    let rest: Vec<usize> = numbers.iter().copied().filter(|n| *n != year).collect();
    match (month, rest.as_slice()) {
        (Some(month), [day]) if (1..=31).contains(day) => Some((year, month + 1, *day)),
        (None, [month, day]) if numbers.first() == Some(&year) && *month <= 12 && *day <= 31 => {
            Some((year, *month, *day))
        }
        _ => None,
    }
}
