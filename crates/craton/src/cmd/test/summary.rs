//! A summary in Markdown, for pull requests, and what is otherwise than in an earlier run.
//!
//! Pure. What agents said is shown as code, so that it cannot pass for the report's own words.

use super::results::{Results, Scene};

/// `parted` has, from the server, where runs part from those of the baseline.
pub(super) fn report(now: &Results, before: Option<&Results>, parted: &[String]) -> String {
    let total = now.total();
    let bad = now.count("failed") + now.count("broke");
    let mut lines = vec![
        "# Scenarios".to_owned(),
        String::new(),
        format!(
            "**{} passed, {bad} failed, {} left out** of {}; {} tokens, ${:.6}{}",
            now.count("passed"),
            now.count("skipped"),
            now.scenarios.len(),
            total.tokens(),
            total.usd,
            before.map(|before| delta(total.usd, before.total().usd)).unwrap_or_default(),
        ),
        String::new(),
        "| scenario | | steps | tokens | ms | cost |".to_owned(),
        "|---|---|--:|--:|--:|--:|".to_owned(),
    ];
    lines.extend(now.scenarios.iter().map(|one| row(one, before.and_then(|b| b.find(one)))));
    for one in now.scenarios.iter().filter(|one| !one.wrong.is_empty()) {
        lines.extend([String::new(), format!("## {}", cell(&one.name)), String::new()]);
        lines.extend(one.wrong.iter().map(|why| format!("- {}", code(why))));
        lines.extend([String::new(), "What it did:".to_owned(), String::new()]);
        lines.extend(one.did.iter().map(|line| format!("1. {}", code(line))));
    }
    if let Some(before) = before {
        let found = differences(now, before);
        lines.extend([String::new(), "## Against the baseline".to_owned(), String::new()]);
        lines.extend(found.iter().chain(parted).map(|line| format!("- {}", code(line))));
    }
    lines.join("\n") + "\n"
}

/// What is otherwise than it was: outcomes, the first thing that a scenario did otherwise, costs.
pub(super) fn differences(now: &Results, before: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &now.scenarios {
        let Some(was) = before.find(one) else {
            lines.push(format!("{}: new, {}", one.name, one.outcome));
            continue;
        };
        if was.outcome != one.outcome {
            lines.push(format!("{}: {}, was {}", one.name, one.outcome, was.outcome));
        }
        if let Some((at, a, b)) = parting(&was.did, &one.did) {
            lines.push(format!("{}: otherwise from step {at} on: {b}, was {a}", one.name));
        }
    }
    let gone = before.scenarios.iter().filter(|was| now.find(was).is_none());
    lines.extend(gone.map(|was| format!("{}: not there any more", was.name)));
    let (now, was) = (now.total(), before.total());
    lines.push(format!(
        "cost ${:.6}{}; tokens {}, were {}",
        now.usd,
        delta(now.usd, was.usd),
        now.tokens(),
        was.tokens()
    ));
    lines
}

/// The first thing that is not the same, counted from one, with both.
fn parting<'a>(was: &'a [String], now: &'a [String]) -> Option<(usize, &'a str, &'a str)> {
    let line = |lines: &'a [String], at: usize| lines.get(at).map_or("nothing", String::as_str);
    let at = (0..was.len().max(now.len())).find(|at| was.get(*at) != now.get(*at))?;
    Some((at + 1, line(was, at), line(now, at)))
}

fn row(one: &Scene, was: Option<&Scene>) -> String {
    let used = &one.usage;
    let delta = was.map(|was| delta(used.usd, was.usage.usd)).unwrap_or_default();
    format!(
        "| {} | {} | {} | {} | {} | ${:.6}{delta} |",
        cell(&one.name),
        one.outcome,
        used.steps,
        used.tokens(),
        used.ms,
        used.usd
    )
}

fn delta(now: f64, was: f64) -> String {
    let change = now - was;
    let sign = if change < 0.0 { '-' } else { '+' };
    let share = match was > 0.0 {
        true => format!(", {sign}{:.0} %", (change / was * 100.0).abs()),
        false => String::new(),
    };
    format!(" ({sign}${:.6}{share})", change.abs())
}

fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|")
}

/// Longer than any run of backquotes inside, as CommonMark asks for.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match longest {
        0 => format!("{fence}{text}{fence}"),
        _ => format!("{fence} {text} {fence}"),
    }
}
