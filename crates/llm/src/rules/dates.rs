//! Dates: the written forms of a full date, and the form that a parameter asks for.
//!
//! A relative date ("tomorrow") stays as it is: there is no clock here.

use super::schema::Param;

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
