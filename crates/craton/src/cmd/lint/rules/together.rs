//! What is seen only when all tools are looked at: too many, too alike, reads beside writes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::subject::{Subject, Tool};
use super::super::words;
use super::role::writes_with;
use super::{
    Finding, MIXED_READS_AND_WRITES, SHARED_ROLE, SIMILAR_TOOLS, Severity, TOO_MANY_TOOLS,
};

/// From here on models choose visibly worse.
const MANY: usize = 10;
const TOO_MANY: usize = 15;
/// Share of words that two descriptions have in common from which on they are one.
const ALIKE: f64 = 0.85;
/// Shorter descriptions are alike by chance.
const WORDS: usize = 4;

pub(super) fn examine(subject: &Subject, found: &mut Vec<Finding>) {
    similar(&subject.tools, found);
    mixed(&subject.tools, found);
    let count = subject.tools.len();
    if count > MANY {
        found.push(Finding {
            rule: &TOO_MANY_TOOLS,
            severity: if count > TOO_MANY { Severity::Warning } else { Severity::Advice },
            tools: vec![],
            what: format!("the agent has {count} tools"),
            fix: "three to five for one purpose do; give the others to collaborators, or disable groups".to_owned(),
        });
    }
}

fn similar(tools: &[Tool], found: &mut Vec<Finding>) {
    for (at, a) in tools.iter().enumerate() {
        for b in &tools[at + 1..] {
            let names = words::meaning(&a.words()) == words::meaning(&b.words());
            let says = likeness(&a.description, &b.description) >= ALIKE;
            let what = match (names, says) {
                (false, false) => continue,
                (true, _) => format!("{:?} and {:?} mean the same", a.own, b.own),
                (false, true) => format!("{:?} and {:?} are described alike", a.own, b.own),
            };
            let fix = format!(
                "keep one of {} and {}, or say in each description when it is the one and when the other is",
                a.name, b.name
            );
            let tools = vec![a.name.clone(), b.name.clone()];
            found.push(Finding {
                rule: &SIMILAR_TOOLS,
                severity: Severity::Warning,
                tools,
                what,
                fix,
            });
        }
    }
}

fn likeness(a: &str, b: &str) -> f64 {
    let set = |text: &str| {
        words::of_text(text).iter().map(|word| words::stem(word)).collect::<BTreeSet<_>>()
    };
    let (a, b) = (set(a), set(b));
    if a.len().min(b.len()) < WORDS {
        return 0.0;
    }
    a.intersection(&b).count() as f64 / a.union(&b).count() as f64
}

fn mixed(tools: &[Tool], found: &mut Vec<Finding>) {
    let mut by_function: BTreeMap<&str, Vec<&Tool>> = BTreeMap::new();
    let mut by_role: BTreeMap<&str, Vec<&Tool>> = BTreeMap::new();
    for tool in tools {
        if let Some(function) = &tool.function {
            by_function.entry(function).or_default().push(tool);
        }
        if let Some(role) = &tool.role {
            by_role.entry(&role.name).or_default().push(tool);
        }
    }
    for (function, tools) in &by_function {
        let Some((read, write)) = both(tools) else { continue };
        found.push(Finding {
            rule: &MIXED_READS_AND_WRITES,
            severity: Severity::Advice,
            tools: vec![],
            what: format!("the function {function} performs {} and {}", read.own, write.own),
            fix: format!("a function of its own for what only looks, such as {function}-read, with a group of its own"),
        });
    }
    for (role, tools) in &by_role {
        let allows = tools.first().and_then(|tool| writes_with(tool.role.as_ref()?));
        let reader = tools.iter().find(|tool| !tool.changes());
        if let (Some(action), Some(read)) = (allows, reader) {
            found.push(Finding {
                rule: &SHARED_ROLE,
                severity: Severity::Warning,
                tools: tools
                    .iter()
                    .filter(|tool| !tool.changes())
                    .map(|tool| tool.name.clone())
                    .collect(),
                what: format!("{} only looks, and its role {role} allows {action}", read.own),
                fix: format!(
                    "a function with a role of its own for {}, without {action}",
                    read.own
                ),
            });
        }
    }
}

fn both<'a>(tools: &[&'a Tool]) -> Option<(&'a Tool, &'a Tool)> {
    let read = tools.iter().find(|tool| !tool.changes())?;
    let write = tools.iter().find(|tool| tool.changes())?;
    Some((read, write))
}
