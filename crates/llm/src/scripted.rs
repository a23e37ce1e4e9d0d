//! Answers from a file: a provider for tests and demos that must say exactly this.
//!
//! A script is YAML or JSON: rules, of which the first that fits answers.
//!
//! ```yaml
//! rules:
//!   - when: { said: "order (\\w+)" }        # a regular expression over the user's last words
//!     then:                                 # one reply per model call of the turn
//!       - toolUse: [{ name: get_order, input: { id: "{{match.1}}" } }]
//!       - toolUse: [{ name: get_parcel, input: { parcel: "{{result.parcel}}" } }]
//!       - text: "Order {{match.1}} is {{result.state}}."
//!   - when: { results: 0 }
//!     reply: { text: "Which order?" }
//! ```
//!
//! **when** (all that is given must hold; nothing given always holds)
//! - `said`: a regular expression, any case, over the text of the last user message that has text.
//! - `results`: how many tool results have come since that message.
//! - `result`: a regular expression over the last of these results.
//! - `system`: a regular expression over the system prompt.
//! - `model`: a model id, `*` and `?` allowed; the name the model map gave.
//! - `tool`: the name of a tool that must be on offer.
//!
//! **then** is a list of replies, one for each model call since that message; past its end the rule
//! does not fit. **reply** is a single reply for whenever the rule fits.
//!
//! **A reply** has any of
//! - `thinking`, `text`: reasoning and words.
//! - `toolUse`: a list of `{ name, input }`; `id` if it matters, else `tooluse_N`; `inputText` in place
//!   of `input` for input that is no JSON.
//! - `stop`: `end_turn`, `tool_use`, `max_tokens`, …; what fits the content if left out.
//! - `usage`: `{ inputTokens, outputTokens }`; zero if left out.
//! - `delayMs` before the reply; `chunk`: characters per piece of a streamed text (16); `chunkDelayMs`.
//! - `error`: `{ kind, message }` instead of all that; kinds `refused`, `throttled`, `unavailable`,
//!   `timed_out`, `malformed`.
//!
//! **Placeholders** in texts and tool inputs: `{{said}}`, `{{match.N}}` (a group of `said`),
//! `{{result}}` (the last result), `{{results.N}}` (the Nth, from 0); a path reaches into JSON:
//! `{{result.items.0.sku}}`. An input that is nothing but a placeholder takes the value as it is, so
//! numbers stay numbers.
//!
//! The choice depends on the call alone: the same call, made again after a crash, gets the same reply.

mod file;
mod turn;

use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::Value as Json;
use wire::converse::{Block, Call, Delta, Reply, StopReason, ToolUse};

use crate::collect::deltas;
use crate::limits::SCRIPT_BYTES;
use crate::models::ConfigError;
use crate::provider::{BoxFuture, Deltas, ModelError, Provider};
use file::{Script, ScriptedReply};
use turn::Turn;

pub use file::Step;

/// A loaded script.
pub struct Scripted {
    /// The file, for messages.
    origin: String,
    script: Script,
}

impl Scripted {
    /// Reads a script; relative to nothing but the current directory.
    pub fn open(path: &Path) -> Result<Scripted, ConfigError> {
        let origin = path.display().to_string();
        let wrong = |why: String| ConfigError(format!("script {origin}: {why}"));
        let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if size > SCRIPT_BYTES {
            return Err(wrong(format!("{size} bytes are more than the {SCRIPT_BYTES} allowed")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let script = Script::parse(&text).map_err(wrong)?;
        Ok(Scripted { origin, script })
    }

    /// A script in code that answers the calls of every turn with these steps, in order.
    pub fn from_steps(steps: impl IntoIterator<Item = Step>) -> Scripted {
        Scripted { origin: "in code".to_owned(), script: Script::of_steps(steps) }
    }

    fn choose(&self, call: &Call) -> Result<Chosen, ModelError> {
        let turn = Turn::of(call);
        let Some((reply, groups)) = self.script.find(call, &turn) else {
            return Err(ModelError::refused(format!(
                "script {}: no rule answers {:?} after {} model calls and {} tool results",
                self.origin,
                turn.said,
                turn.step,
                turn.results.len()
            )));
        };
        if let Some(error) = &reply.error {
            return Err(ModelError::new(error.kind.into(), error.message.clone()));
        }
        Ok(chosen(reply, &turn, &groups))
    }
}

impl Provider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        Box::pin(async move {
            let chosen = self.choose(call)?;
            wait(chosen.delay).await;
            let deltas = deltas(chosen.reply, if call.stream { chosen.chunk } else { 0 });
            Ok(paced(deltas, chosen.chunk_delay))
        })
    }
}

struct Chosen {
    reply: Reply,
    delay: Duration,
    chunk: usize,
    chunk_delay: Duration,
}

fn chosen(reply: &ScriptedReply, turn: &Turn<'_>, groups: &[String]) -> Chosen {
    let mut content = Vec::new();
    if let Some(text) = &reply.thinking {
        let text = turn.fill(text, groups);
        content.push(Block::ReasoningContent(
            serde_json::json!({ "reasoningText": { "text": text } }),
        ));
    }
    content.extend(reply.text.as_ref().map(|text| Block::Text(turn.fill(text, groups))));
    for (place, tool) in reply.tool_use.iter().enumerate() {
        let input = match &tool.input_text {
            Some(raw) => Json::String(turn.fill(raw, groups)),
            None => turn.fill_json(&tool.input, groups),
        };
        let tool_use_id =
            tool.id.clone().unwrap_or_else(|| format!("tooluse_{}", turn.tool_uses + place));
        content.push(Block::ToolUse(ToolUse { tool_use_id, name: tool.name.clone(), input }));
    }
    let natural = if reply.tool_use.is_empty() { StopReason::EndTurn } else { StopReason::ToolUse };
    Chosen {
        reply: Reply {
            native: Json::Null,
            content,
            stop_reason: reply.stop.unwrap_or(natural),
            usage: reply.usage.unwrap_or_default(),
        },
        delay: Duration::from_millis(reply.delay_ms),
        chunk: reply.chunk,
        chunk_delay: Duration::from_millis(reply.chunk_delay_ms),
    }
}

/// The deltas with a pause before each.
fn paced(deltas: Vec<Delta>, pause: Duration) -> Deltas {
    let deltas = stream::iter(deltas.into_iter().map(Ok));
    if pause.is_zero() {
        return Box::pin(deltas);
    }
    Box::pin(deltas.then(move |delta| async move {
        wait(pause).await;
        delta
    }))
}

async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

#[cfg(test)]
mod tests;
