//! Steps as rows of a waterfall, each unfolding to its exact prompt, arguments and result.

use engine::ledger::State;
use engine::steps::{Digest, Kind, Step, StepEffect, Verdict};
use maud::{Markup, html};
use serde_json::Value as Json;

use super::duration;

/// The run's time, which the waterfall is as wide as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    /// Thousandths of the width: where a stretch begins, and how long it is. Always to be seen.
    fn place(self, from: i64, to: i64) -> (i64, i64) {
        let whole = (self.to - self.from).max(1);
        let at = |moment: i64| (moment - self.from).clamp(0, whole) * 1000 / whole;
        let begin = at(from).min(997);
        (begin, (at(to) - begin).max(3))
    }
}

pub(super) fn steps(steps: &[Step], span: Span) -> Markup {
    html! { @for step in steps { (one(step, span)) } }
}

fn one(step: &Step, span: Span) -> Markup {
    let end = step.ended_at.unwrap_or(span.to);
    let (begin, width) = span.place(step.begun_at, end);
    let class = format!("step {}", word(step.kind));
    let bad = !matches!(step.outcome.as_deref(), None | Some("answered" | "resumed" | "continued"));
    html! {
        details class=(class) id={ "event-" (step.event) } open[!step.steps.is_empty()] {
            summary {
                span { (word(step.kind)) @if let Some(aim) = aim(step) { " (" (aim) ")" } }
                span { (step.name) }
                svg viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true" {
                    rect x=(begin) y="0" width=(width) height="12" {}
                }
                span.number { (duration(end - step.begun_at)) }
                span.number {
                    @if let Some(usage) = &step.usage {
                        (usage.input_tokens) " / " (usage.output_tokens) " tokens"
                    }
                }
                span.bad[bad] { (step.outcome.as_deref().unwrap_or("under way")) }
            }
            div {
                @if let Some(prompt) = &step.prompt { (sent(prompt, step.digest.as_ref())) }
                @if let Some(input) = &step.input { h3 { (input_word(step.kind)) } (value(input)) }
                (steps(&step.steps, span))
                @if let Some(output) = &step.output { h3 { (output_word(step.kind)) } (output_of(output)) }
                @if let Some(effect) = &step.effect { (effect_of(effect)) }
                @if let (Some(provider), Some(model)) = (&step.provider, &step.model) {
                    p { "by " (model) " of " (provider) }
                }
            }
        }
    }
}

/// How often a call may take effect, and what the ledger has of it.
fn effect_of(effect: &StepEffect) -> Markup {
    let doubt = effect.state == Some(State::Ambiguous);
    html! {
        p {
            "effect " (effect.class.word())
            @if let Some(state) = effect.state { ", " span.bad[doubt] { (state.word()) } ", key " (effect.key) }
        }
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Model => "model",
        Kind::Tool => "tool",
        Kind::Parser => "parser",
        Kind::Collaborator => "collaborator",
        Kind::Wait => "wait",
    }
}

/// What a model is asked for, where that is not the next step.
fn aim(step: &Step) -> Option<String> {
    let purpose = serde_json::to_value(step.purpose?).ok()?;
    purpose.as_str().filter(|purpose| *purpose != "plan").map(str::to_owned)
}

fn input_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Model | Kind::Tool | Kind::Parser => "arguments",
        Kind::Collaborator => "task",
        Kind::Wait => "waits with",
    }
}

fn output_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Model => "reply",
        Kind::Tool | Kind::Parser | Kind::Wait => "result",
        Kind::Collaborator => "answer",
    }
}

/// What a model was sent, in parts that can be read; the rest as JSON.
fn sent(prompt: &Json, digest: Option<&Digest>) -> Markup {
    let items = |name: &str| prompt[name].as_array().cloned().unwrap_or_default();
    html! {
        h3 { "prompt" }
        @if let Some(digest) = digest { p { (verdict(digest)) } }
        @for text in items("system") { div.role { "system" } (value(&text)) }
        @for message in items("messages") {
            div.role { (message["role"].as_str().unwrap_or_default()) }
            @for block in message["content"].as_array().into_iter().flatten() { (block_of(block)) }
        }
        @for name in ["tools", "inference", "additional"] {
            @if !is_empty(&prompt[name]) {
                details { summary { (name) } (value(&prompt[name])) }
            }
        }
    }
}

fn verdict(digest: &Digest) -> Markup {
    let word = match digest.verdict {
        Verdict::Ok => "byte for byte what was sent",
        Verdict::Differs => "not what was sent",
        Verdict::Unknown => "not proven to be what was sent",
    };
    html! {
        span.bad[digest.verdict == Verdict::Differs] { (word) }
        @if let Some(why) = &digest.why { ": " (why) }
        " (sha256 " (digest.sha256) ")"
    }
}

fn block_of(block: &Json) -> Markup {
    match (&block["text"], &block["toolResult"]["content"][0]["text"]) {
        (text @ Json::String(_), _) => value(text),
        (_, text @ Json::String(_)) if block["toolResult"]["content"][1].is_null() => html! {
            div { "result of " (block["toolResult"]["toolUseId"].as_str().unwrap_or_default()) }
            (value(text))
        },
        _ => value(block),
    }
}

/// A reply's content block by block, all else as it is.
fn output_of(output: &Json) -> Markup {
    match output["content"].as_array() {
        Some(blocks) => html! { @for block in blocks { (block_of(block)) } },
        None => value(output),
    }
}

fn value(value: &Json) -> Markup {
    let text = match value {
        Json::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    // HTML drops a line break that comes first.
    html! { pre { "\n" (text) } }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.is_empty(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}
