//! The form of a script, and the choice of the reply.

use regex::Regex;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;
use wire::converse::{Call, StopReason, Usage};

use super::turn::Turn;
use crate::models::matches;
use crate::provider::ModelErrorKind;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    when: When,
    #[serde(default)]
    then: Vec<ScriptedReply>,
    reply: Option<ScriptedReply>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct When {
    said: Option<Pattern>,
    results: Option<usize>,
    result: Option<Pattern>,
    system: Option<Pattern>,
    model: Option<String>,
    tool: Option<String>,
}

#[derive(Debug)]
struct Pattern(Regex);

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct ScriptedReply {
    pub(super) thinking: Option<String>,
    pub(super) text: Option<String>,
    pub(super) tool_use: Vec<ScriptedTool>,
    pub(super) stop: Option<StopReason>,
    pub(super) usage: Option<Usage>,
    pub(super) delay_ms: u64,
    #[serde(default = "chunk")]
    pub(super) chunk: usize,
    pub(super) chunk_delay_ms: u64,
    pub(super) error: Option<ScriptedError>,
}

fn chunk() -> usize {
    16
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ScriptedTool {
    pub(super) name: String,
    #[serde(default = "no_input")]
    pub(super) input: Json,
    pub(super) input_text: Option<String>,
    pub(super) id: Option<String>,
}

fn no_input() -> Json {
    Json::Object(serde_json::Map::new())
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScriptedError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ErrorKind {
    Refused,
    TooLong,
    Throttled,
    Unavailable,
    TimedOut,
    Malformed,
}

/// One reply of a script in code.
#[derive(Debug, Clone, Default)]
pub struct Step(ScriptedReply);

impl Step {
    /// Says `text`, in which placeholders are filled as in a file.
    pub fn text(text: impl Into<String>) -> Step {
        Step(ScriptedReply { text: Some(text.into()), chunk: chunk(), ..Default::default() })
    }

    /// Uses a tool. [`Step::and_tool`] adds more of the same reply.
    pub fn tool(name: impl Into<String>, input: Json) -> Step {
        Step(ScriptedReply { chunk: chunk(), ..Default::default() }).and_tool(name, input)
    }

    #[must_use]
    pub fn and_tool(mut self, name: impl Into<String>, input: Json) -> Step {
        let (name, id) = (name.into(), None);
        self.0.tool_use.push(ScriptedTool { name, input, input_text: None, id });
        self
    }

    #[must_use]
    pub fn usage(mut self, input_tokens: u64, output_tokens: u64) -> Step {
        self.0.usage = Some(Usage { input_tokens, output_tokens, ..Usage::default() });
        self
    }
}

impl Script {
    /// JSON is YAML too.
    pub(super) fn parse(text: &str) -> Result<Script, String> {
        let script: Script = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        for (place, rule) in script.rules.iter().enumerate() {
            if rule.then.is_empty() == rule.reply.is_none() {
                return Err(format!("rules[{place}] needs either `then` or `reply`"));
            }
        }
        Ok(script)
    }

    pub(super) fn of_steps(steps: impl IntoIterator<Item = Step>) -> Script {
        let then = steps.into_iter().map(|step| step.0).collect();
        Script { rules: vec![Rule { when: When::default(), then, reply: None }] }
    }

    /// The reply of the first rule that fits, and the groups that its `said` matched.
    pub(super) fn find(
        &self,
        call: &Call,
        turn: &Turn<'_>,
    ) -> Option<(&ScriptedReply, Vec<String>)> {
        self.rules.iter().find_map(|rule| {
            let groups = rule.when.holds(call, turn)?;
            let reply = rule.reply.as_ref().or_else(|| rule.then.get(turn.step))?;
            Some((reply, groups))
        })
    }
}

impl When {
    fn holds(&self, call: &Call, turn: &Turn<'_>) -> Option<Vec<String>> {
        let last = turn.results.last().map(String::as_str).unwrap_or_default();
        let fits = self.results.is_none_or(|count| count == turn.results.len())
            && self.result.as_ref().is_none_or(|pattern| pattern.0.is_match(last))
            && self.system.as_ref().is_none_or(|p| p.0.is_match(&call.system.join("\n")))
            && self.model.as_ref().is_none_or(|p| matches(p.as_bytes(), call.model.as_bytes()))
            && self.tool.as_ref().is_none_or(|name| call.tools.iter().any(|t| t.name == *name));
        match &self.said {
            _ if !fits => None,
            None => Some(Vec::new()),
            Some(pattern) => {
                let found = pattern.0.captures(&turn.said)?;
                let text = |group: Option<regex::Match<'_>>| {
                    group.map(|group| group.as_str().to_owned()).unwrap_or_default()
                };
                Some(found.iter().map(text).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let built = regex::RegexBuilder::new(&text).case_insensitive(true).build();
        built.map(Pattern).map_err(de::Error::custom)
    }
}

impl From<ErrorKind> for ModelErrorKind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Refused => ModelErrorKind::Refused,
            ErrorKind::TooLong => ModelErrorKind::TooLong,
            ErrorKind::Throttled => ModelErrorKind::Throttled,
            ErrorKind::Unavailable => ModelErrorKind::Unavailable,
            ErrorKind::TimedOut => ModelErrorKind::TimedOut,
            ErrorKind::Malformed => ModelErrorKind::Malformed,
        }
    }
}
