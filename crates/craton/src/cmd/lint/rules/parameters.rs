//! Whether the arguments of a tool are described, typed and bounded.

use super::super::subject::{Parameter, Tool};
use super::super::words;
use super::descriptions::repeats;
use super::{
    ENUM_MISSING, FORMAT_UNSAID, Finding, NOTHING_REQUIRED, PARAMETER_EMPTY_DESCRIPTION,
    PARAMETER_UNDESCRIBED, Severity, VAGUE_PARAMETER, WRONG_TYPE, shown,
};

const VAGUE: &[&str] = &[
    "arg",
    "args",
    "argument",
    "body",
    "data",
    "field",
    "foo",
    "info",
    "input",
    "json",
    "obj",
    "object",
    "option",
    "options",
    "param",
    "parameter",
    "parameters",
    "params",
    "payload",
    "request",
    "string",
    "text",
    "thing",
    "val",
    "value",
    "var",
    "x",
    "y",
    "z",
];
/// Last words of what is counted or measured. Not `number`: an order's is a name.
const COUNTED: &[&str] = &[
    "age",
    "amount",
    "cents",
    "count",
    "days",
    "hours",
    "latitude",
    "limit",
    "longitude",
    "minutes",
    "percent",
    "percentage",
    "price",
    "qty",
    "quantity",
    "seconds",
    "total",
    "usd",
    "eur",
];
const CHOSEN: &[&str] = &[
    "category", "channel", "currency", "kind", "level", "mode", "priority", "severity", "state",
    "status", "tier", "type", "unit", "units",
];
const TIMES: &[&str] =
    &["date", "datetime", "day", "time", "timestamp", "birthday", "deadline", "dob"];

pub(super) fn examine(tool: &Tool, found: &mut Vec<Finding>) {
    for parameter in &tool.parameters {
        described(tool, parameter, found);
        typed(tool, parameter, found);
        chosen(tool, parameter, found);
    }
    required(tool, found);
}

fn line(tool: &Tool, parameter: &Parameter, text: &str) -> String {
    format!("in {}, {}: {text}", tool.at(), parameter.path)
}

fn described(tool: &Tool, parameter: &Parameter, found: &mut Vec<Finding>) {
    let (path, said) = (&parameter.path, parameter.description());
    let name = words::of_name(parameter.name());
    let example =
        || line(tool, parameter, &format!("\"description\": \"{}, such as …\"", told(&name)));
    if said.is_empty() {
        if parameter.choices().is_some() {
            return;
        }
        let severity = if parameter.is_nested() { Severity::Advice } else { Severity::Warning };
        let what = format!("{path} has no description");
        return found.push(tool.finding(&PARAMETER_UNDESCRIBED, severity, what, example()));
    }
    let speaks = parameter.is("boolean") || parameter.choices().is_some() || has_form(parameter);
    if repeats(said, &name) && !speaks && !parameter.is_nested() {
        let what = format!("{path} is described as {}", shown(said));
        let rule = &PARAMETER_EMPTY_DESCRIPTION;
        return found.push(tool.finding(rule, Severity::Advice, what, example()));
    }
    let vague = name
        .iter()
        .all(|word| VAGUE.contains(&word.as_str()) || word.chars().all(char::is_numeric));
    if vague && !parameter.is_nested() {
        let what = format!("{path} could be anything");
        let fix = line(tool, parameter, "name it after what it holds, such as \"order_id\"");
        found.push(tool.finding(&VAGUE_PARAMETER, Severity::Advice, what, fix));
    }
}

/// The schema itself says how it is written.
fn has_form(parameter: &Parameter) -> bool {
    ["format", "pattern", "example", "examples"].iter().any(|key| !parameter.schema[*key].is_null())
}

fn told(name: &[String]) -> String {
    let text = name.join(" ");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn typed(tool: &Tool, parameter: &Parameter, found: &mut Vec<Finding>) {
    if !parameter.is("string") || parameter.choices().is_some() {
        return;
    }
    let name = words::of_name(parameter.name());
    let (first, last) =
        (name.first().map_or("", String::as_str), name.last().map_or("", String::as_str));
    let said = parameter.description().to_lowercase();
    let path = &parameter.path;
    let wrong = |kind: &str| {
        let fix = line(tool, parameter, &format!("\"type\": \"{kind}\""));
        tool.finding(
            &WRONG_TYPE,
            Severity::Warning,
            format!("{path} is a string that means a {kind}"),
            fix,
        )
    };
    let worded = ["true or false", "true/false", "yes or no", "yes/no"]
        .iter()
        .any(|form| said.contains(form));
    if worded || (name.len() > 1 && ["is", "has", "should"].contains(&first)) {
        return found.push(wrong("boolean"));
    }
    if COUNTED.contains(&last) && !has_form(parameter) {
        return found.push(wrong("number"));
    }
    let timely = TIMES.contains(&last) && !["zone", "slot"].contains(&first);
    if timely && !has_form(parameter) && !said.contains(|char: char| char.is_ascii_digit()) {
        let spelt =
            ["yyyy", "iso", "rfc", "unix", "epoch", "hh:mm", "such as", "e.g", "format", "today"];
        if !spelt.iter().any(|form| said.contains(form)) {
            let what = format!("nothing says how {path} is written");
            let form = match tool.api {
                Some(_) => "\"format\": \"date\" (YYYY-MM-DD) or \"date-time\"",
                None => "\"description\": \"…, as YYYY-MM-DD\"",
            };
            found.push(tool.finding(
                &FORMAT_UNSAID,
                Severity::Advice,
                what,
                line(tool, parameter, form),
            ));
        }
    }
}

fn chosen(tool: &Tool, parameter: &Parameter, found: &mut Vec<Finding>) {
    if !parameter.is("string") || parameter.choices().is_some() || has_form(parameter) {
        return;
    }
    let name = words::of_name(parameter.name());
    let is_choice = name.last().is_some_and(|last| CHOSEN.contains(&last.as_str()));
    let listed = listed(parameter.description());
    let path = &parameter.path;
    let values =
        |all: &[String]| all.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
    match (&tool.api, listed) {
        (Some(_), Some(all)) => {
            let fix = line(tool, parameter, &format!("\"enum\": [{}]", values(&all)));
            let what = format!("the values of {path} stand in its description alone");
            found.push(tool.finding(&ENUM_MISSING, Severity::Warning, what, fix));
        }
        (None, None) if is_choice => {
            let fix = line(
                tool,
                parameter,
                "\"description\": \"One of …, …\"; an OpenAPI schema, or `arguments.schema` of [tools] in craton.toml, can make it an enum",
            );
            let what = format!("nothing says which values {path} takes");
            found.push(tool.finding(&ENUM_MISSING, Severity::Advice, what, fix));
        }
        (Some(_), None) if is_choice => {
            let fix = line(tool, parameter, "\"enum\": [\"…\", \"…\"], if its values are known");
            let what = format!("{path} takes any text");
            found.push(tool.finding(&ENUM_MISSING, Severity::Advice, what, fix));
        }
        _ => {}
    }
}

/// The values that a description lists: `one of open, closed`, `either day or week`.
pub(super) fn listed(said: &str) -> Option<Vec<String>> {
    let lower = said.to_ascii_lowercase();
    let opening =
        ["one of", "either", "possible values", "allowed values", "valid values", "must be"]
            .into_iter()
            .find_map(|opening| lower.find(opening).map(|at| at + opening.len()))?;
    let rest = lower[opening..].trim_start_matches([':', ' ', '(', '[']);
    let rest = rest.strip_prefix("are").unwrap_or(rest).trim_start_matches([':', ' ', '(', '[']);
    let end = rest.find(['.', ';', ')', ']', '\n']).unwrap_or(rest.len());
    let parts = rest[..end].replace(" or ", ",").replace(" and ", ",").replace(['|', '/'], ",");
    let mark = |char: char| matches!(char, '"' | '\'' | '`' | '“' | '”' | ' ');
    let all: Vec<String> = parts
        .split(',')
        .map(|part| part.trim_matches(mark).to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    let single = |one: &String| !one.contains(' ');
    (all.len() >= 2 && all.iter().all(single)).then_some(all)
}

fn required(tool: &Tool, found: &mut Vec<Finding>) {
    let mut top = tool.parameters.iter().filter(|parameter| !parameter.is_nested()).peekable();
    let Some(first) = top.peek().map(|parameter| parameter.path.clone()) else { return };
    // A search may have nothing but filters.
    if !tool.changes() || top.any(|parameter| parameter.required) {
        return;
    }
    let what = "it changes something, and none of its parameters is required";
    let text = match tool.api {
        Some(_) => format!("\"required\": [\"{first}\", …]"),
        None => format!("\"{first}\": {{…, \"required\": true}}"),
    };
    let fix = format!("in {}: {text}", tool.at());
    found.push(tool.finding(&NOTHING_REQUIRED, Severity::Warning, what, fix));
}
