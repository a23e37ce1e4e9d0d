//! Whether a tool may be repeated, and whether a person has a say where it matters.

use craton_core::agent::tool::Effect;
use craton_core::policy::ToolPolicy;

use super::super::subject::{Subject, Tool};
use super::super::words::{self, Impact, Nature};
use super::{
    EFFECT_CONTRADICTED, EFFECT_UNDECLARED, Finding, HIGH_IMPACT, POLICY_BROKEN, Severity,
};

pub(super) fn examine(tool: &Tool, subject: &Subject, found: &mut Vec<Finding>) {
    // What control is returned for is the client's to repeat and to ask about.
    let Some(function) = &tool.function else { return };
    declared(tool, function, found);
    named(tool, subject, found);
    handed_off(tool, function, found);
}

fn declared(tool: &Tool, function: &str, found: &mut Vec<Finding>) {
    let tag = |effect: &str| {
        format!("tag the function {function} with craton:effect:{}={effect}", tool.own)
    };
    let acts = words::surely_changes(&tool.words());
    match (tool.effect(), tool.nature()) {
        (Some(Effect::Read), _) if acts => {
            let by = match (tool.policy.effect, &tool.api) {
                (None, Some(api)) => format!("{} {} counts as a read", api.verb, api.path),
                _ => "it is declared as a read".to_owned(),
            };
            let what = format!("{by}, and {:?} changes something", tool.own);
            let fix = match (tool.policy.effect, &tool.api) {
                (None, Some(_)) => format!("describe it as a POST or DELETE, or {}", tag("once")),
                _ => tag("once"),
            };
            found.push(tool.finding(&EFFECT_CONTRADICTED, Severity::Error, what, fix));
        }
        (None, Nature::Reads) => {
            let what = "it looks things up, and counts as a call that must not be repeated";
            found.push(tool.finding(&EFFECT_UNDECLARED, Severity::Advice, what, tag("read")));
        }
        (None, _) => {
            let fix =
                format!("{}, if it knows its idempotency key again; else =once", tag("keyed"));
            let what = "nothing says whether a call may be repeated";
            found.push(tool.finding(&EFFECT_UNDECLARED, Severity::Warning, what, fix));
        }
        (Some(_), _) => {}
    }
}

/// The tools that a policy names have to be there.
fn named(tool: &Tool, subject: &Subject, found: &mut Vec<Finding>) {
    let ToolPolicy { undo, probe, .. } = &tool.policy;
    let there =
        |name: &str| subject.tools.iter().any(|one| one.group == tool.group && one.own == name);
    for (key, name) in [("undo", undo), ("probe", probe)] {
        if let Some(name) = name.as_ref().filter(|name| !there(name)) {
            let what = format!("its {key} {name:?} is no tool of the group {}", tool.group);
            let fix = format!("name a tool of that group: {key} = \"…\"");
            found.push(tool.finding(&POLICY_BROKEN, Severity::Error, what, fix));
        }
    }
    if tool.policy.effect == Some(Effect::Compensable) && undo.is_none() {
        let what = "it is compensable, and nothing says which tool takes it back";
        let fix = format!(
            "[tools.\"{}:{}\"] undo = \"…\"",
            tool.function.as_deref().unwrap_or_default(),
            tool.own
        );
        found.push(tool.finding(&POLICY_BROKEN, Severity::Error, what, fix));
    }
}

fn handed_off(tool: &Tool, function: &str, found: &mut Vec<Finding>) {
    let impact = words::impact(&tool.words());
    let looks = tool.nature() == Nature::Reads;
    if impact == Impact::Usual || looks || tool.confirm || !tool.policy.hand_off.is_empty() {
        return;
    }
    let severity = match impact {
        // The tool is trusted to keep to the bound that it states.
        Impact::Gravest if !is_bounded(tool) => Severity::Error,
        Impact::Gravest | Impact::High | Impact::Usual => Severity::Warning,
    };
    let line = match tool.api {
        Some(_) => "\"x-requireConfirmation\": \"ENABLED\"",
        None => "\"requireConfirmation\": \"ENABLED\"",
    };
    let amount = tool.parameters.iter().find(|one| one.is("number") || one.is("integer"));
    let policy = amount.map_or_else(String::new, |amount| {
        format!(
            ", or in craton.toml [tools.\"{function}:{}\"] hand_off = [\"{} > 100\"]",
            tool.own, amount.path
        )
    });
    let what = match severity {
        Severity::Error => "nobody is asked before it is done, and it is not bounded",
        Severity::Warning | Severity::Advice => "nobody is asked before it is done",
    };
    let fix = format!("in {}: {line}{policy}", tool.at());
    found.push(tool.finding(&HIGH_IMPACT, severity, what, fix));
}

/// A maximum in its schema or its policy, or a sum in its description up to which it goes.
fn is_bounded(tool: &Tool) -> bool {
    let capped = |one: &super::super::subject::Parameter| !one.schema["maximum"].is_null();
    let said = tool.description.to_lowercase();
    let told =
        ["up to", "at most", "no more than", "maximum"].iter().any(|words| said.contains(words));
    let numbered = said.contains(|char: char| char.is_ascii_digit());
    tool.parameters.iter().any(capped)
        || tool.policy.arguments.schema.is_some()
        || (told && numbered)
}
