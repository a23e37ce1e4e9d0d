//! A file of scenarios, as people write it.
//!
//! Reading it finds every mistake that can be found without running anything: unknown keys,
//! expectations that are none, scenarios without a word to say. docs/testing.md is the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use craton_core::yaml;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::answer::Answer;
use super::calls::{Expected, Wanted};
use super::simulated::Simulated;
use super::tools::Tools;
use super::{limits, members};
use crate::aws;

/// A file's scenarios with what they share filled in.
pub(crate) struct Suite {
    /// As it was named.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) scenarios: Vec<Scenario>,
}

#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) agent: Agent,
    pub(crate) tools: BTreeMap<String, Simulated>,
    pub(crate) confirm: Confirm,
    pub(crate) session: Session,
    pub(crate) turns: Vec<Turn>,
    pub(crate) budget: Budget,
    pub(crate) seconds: u64,
    /// What may be a slip of the pen, and is none for sure.
    pub(crate) notes: Vec<String>,
}

/// Whom a scenario talks with.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping")]
pub(crate) struct Agent {
    /// An agent's name or id; with `deploy` one of that file.
    pub(crate) name: Option<String>,
    pub(crate) alias: Option<String>,
    /// A file of `craton deploy`, relative to this one.
    pub(crate) deploy: Option<PathBuf>,
    /// All tools of the deploy file are answered here, its functions never run.
    pub(crate) simulate: bool,
    /// What `${NAME}` in the deploy file is.
    pub(crate) variables: BTreeMap<String, String>,
    /// An agent of its own: what stands here is what a deploy file says of an agent.
    pub(crate) instruction: Option<String>,
    pub(crate) model: Option<String>,
    /// Its tools, as a deploy file describes them, and with `responses`.
    pub(crate) tools: Map<String, Json>,
    /// Members of `InvokeInlineAgent`, as they are sent.
    pub(crate) inline: Option<Json>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "confirm is neither true, false nor {TOOL: true}")]
pub(crate) enum Confirm {
    All(bool),
    Tools(BTreeMap<String, bool>),
}

impl Confirm {
    pub(crate) fn of(&self, is: impl Fn(&str) -> bool) -> bool {
        match self {
            Confirm::All(word) => *word,
            Confirm::Tools(words) => words.iter().any(|(name, word)| *word && is(name)),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`attributes` and `prompt_attributes`")]
pub(crate) struct Session {
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) prompt_attributes: BTreeMap<String, String>,
}

/// What a scenario may use, all its turns together.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping such as {tokens: 4000}")]
pub(crate) struct Budget {
    pub(crate) tokens: Option<u64>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) usd: Option<f64>,
    /// Calls of models.
    pub(crate) steps: Option<u64>,
    /// Calls of tools.
    pub(crate) calls: Option<u64>,
    pub(crate) ms: Option<u64>,
}

#[derive(Clone, Default)]
pub(crate) struct Turn {
    pub(crate) input: String,
    pub(crate) calls: Option<Expected>,
    pub(crate) never: Vec<Wanted>,
    pub(crate) at_most: BTreeMap<String, usize>,
    pub(crate) answer: Option<Answer>,
    /// The exception that the turn must end with, by name.
    pub(crate) fails: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `scenarios`")]
struct File {
    #[serde(default)]
    agent: Option<Json>,
    #[serde(default)]
    tools: BTreeMap<String, Json>,
    confirm: Option<Confirm>,
    session: Option<Session>,
    budget: Option<Budget>,
    time_limit_seconds: Option<u64>,
    scenarios: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `name` and `input` or `turns`")]
struct Written {
    name: String,
    agent: Option<Json>,
    #[serde(default)]
    tools: BTreeMap<String, Json>,
    confirm: Option<Confirm>,
    session: Option<Session>,
    budget: Option<Budget>,
    time_limit_seconds: Option<u64>,
    turns: Option<Vec<WrittenTurn>>,
    input: Option<String>,
    calls: Option<Vec<Json>>,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    others: bool,
    #[serde(default)]
    never: Vec<Json>,
    #[serde(default)]
    at_most: BTreeMap<String, usize>,
    answer: Option<Json>,
    fails: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `input`")]
struct WrittenTurn {
    input: String,
    calls: Option<Vec<Json>>,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    others: bool,
    #[serde(default)]
    never: Vec<Json>,
    #[serde(default)]
    at_most: BTreeMap<String, usize>,
    answer: Option<Json>,
    fails: Option<String>,
}

impl Suite {
    pub(crate) fn read(path: &Path) -> Result<Suite, String> {
        let name = path.display().to_string();
        let unread = |e: std::io::Error| format!("{name} cannot be read: {e} (CR0045)");
        let bytes = std::fs::metadata(path).map_err(unread)?.len();
        if bytes > limits::FILE_BYTES {
            let most = limits::FILE_BYTES >> 20;
            return Err(format!("{name} is larger than {most} MB; divide it (CR0045)"));
        }
        let text = std::fs::read_to_string(path).map_err(unread)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Suite::parse(&name, folder, &text).map_err(|why| format!("{name}: {why} (CR0045)"))
    }

    pub(crate) fn parse(name: &str, folder: PathBuf, text: &str) -> Result<Suite, String> {
        let mut file: File = yaml::read(text).map_err(|e| e.to_string())?;
        if file.scenarios.is_empty() {
            return Err("it has no scenarios; give at least one".to_owned());
        }
        let (mut seen, mut scenarios) = (BTreeSet::new(), Vec::new());
        for (place, written) in std::mem::take(&mut file.scenarios).into_iter().enumerate() {
            let called = written.name.clone();
            let read = match seen.insert(called.clone()) {
                true => scenario(&file, written),
                false => Err("another one has this name; name each otherwise".to_owned()),
            };
            scenarios.push(read.map_err(|why| {
                let line = line(text, place, &why).map(|line| format!("line {line}: "));
                format!("{}scenario {called:?}: {why}", line.unwrap_or_default())
            })?);
        }
        Tools::default().look(&folder, &mut scenarios);
        Ok(Suite { name: name.to_owned(), folder, scenarios })
    }
}

/// Where a mistake in a scenario stands: at the key that the mistake begins with, else at the scenario.
fn line(text: &str, place: usize, why: &str) -> Option<usize> {
    let key = why.split([':', '.']).next().unwrap_or_default();
    crate::cmd::deploy::line_of(text, &["scenarios", &place.to_string(), key])
}

fn scenario(file: &File, written: Written) -> Result<Scenario, String> {
    let agent = written.agent.as_ref().or(file.agent.as_ref());
    let agent = agent.ok_or("it names no agent; give `agent`, here or for the whole file")?;
    let mut agent = Agent::read(agent).map_err(|why| format!("agent: {why}"))?;
    let mut tools = BTreeMap::new();
    agent.take_responses(&mut tools)?;
    for (name, given) in file.tools.iter().chain(&written.tools) {
        let read = Simulated::read(given).map_err(|why| format!("tools.{name}: {why}"))?;
        tools.insert(name.clone(), read);
    }
    let seconds = written.time_limit_seconds.or(file.time_limit_seconds);
    Ok(Scenario {
        agent,
        tools,
        confirm: written
            .confirm
            .clone()
            .or_else(|| file.confirm.clone())
            .unwrap_or(Confirm::All(false)),
        session: written.session.clone().or_else(|| file.session.clone()).unwrap_or_default(),
        budget: written.budget.clone().or_else(|| file.budget.clone()).unwrap_or_default(),
        seconds: seconds.unwrap_or(limits::SCENARIO_SECONDS),
        name: written.name.clone(),
        turns: turns(written)?,
        notes: Vec::new(),
    })
}

/// A scenario of one turn says it beside its name, one of several as a list.
fn turns(written: Written) -> Result<Vec<Turn>, String> {
    let Written { turns, input, calls, ordered, others, never, at_most, answer, fails, .. } =
        written;
    match (turns, input) {
        (None, Some(input)) => {
            let one = WrittenTurn { input, calls, ordered, others, never, at_most, answer, fails };
            Ok(vec![turn(one)?])
        }
        (Some(turns), None) => {
            let beside =
                calls.is_some() || answer.is_some() || fails.is_some() || !never.is_empty();
            if beside || !at_most.is_empty() || ordered || others {
                return Err("what is expected stands in its turns, not beside them".to_owned());
            }
            if turns.is_empty() {
                return Err("turns is empty".to_owned());
            }
            let all = (1..).zip(turns);
            all.map(|(n, one): (usize, _)| turn(one).map_err(|why| format!("turn {n}: {why}")))
                .collect()
        }
        _ => Err("give either `input` or `turns`".to_owned()),
    }
}

fn turn(written: WrittenTurn) -> Result<Turn, String> {
    let WrittenTurn { input, calls, ordered, others, never, at_most, answer, fails } = written;
    let read = |all: Vec<Json>, what: &str| {
        let read = all.iter().map(Wanted::read).collect::<Result<Vec<Wanted>, String>>();
        read.map_err(|why| format!("{what}: {why}"))
    };
    let calls = match calls {
        None if ordered || others => {
            return Err("`ordered` and `others` need `calls` beside them".to_owned());
        }
        None => None,
        Some(calls) => Some(Expected { calls: read(calls, "calls")?, ordered, others }),
    };
    // AWS: all exceptions of streams are called so (API reference, InvokeAgent).
    if let Some(wrong) = fails.as_ref().filter(|name| !name.ends_with("Exception")) {
        return Err(format!("fails: {wrong} names no exception such as ValidationException"));
    }
    let answer = answer.as_ref().map(Answer::read).transpose();
    Ok(Turn {
        input,
        calls,
        never: read(never, "never")?,
        at_most,
        answer: answer.map_err(|why| format!("answer: {why}"))?,
        fails,
    })
}

impl Agent {
    fn read(given: &Json) -> Result<Agent, String> {
        if let Some(name) = given.as_str() {
            return Ok(Agent { name: Some(name.to_owned()), ..Agent::default() });
        }
        let agent: Agent = members(given)?;
        agent.check()?;
        Ok(agent)
    }

    fn check(&self) -> Result<(), String> {
        let own = self.instruction.is_some();
        let kinds = [own, self.deploy.is_some(), self.inline.is_some()];
        if kinds.iter().filter(|is| **is).count() > 1 {
            return Err("give one of `deploy`, `instruction` and `inline`".to_owned());
        }
        if !kinds.contains(&true) && self.name.is_none() {
            return Err("give `name`, `deploy`, `instruction` or `inline`".to_owned());
        }
        if self.deploy.is_none() && (self.simulate || !self.variables.is_empty()) {
            return Err("`simulate` and `variables` are for `deploy`".to_owned());
        }
        if !own && !self.tools.is_empty() {
            return Err(
                "`tools` of an agent are for one with `instruction`; responses for others \
                        stand beside `agent`"
                    .to_owned(),
            );
        }
        if self.model.is_some() && self.inline.is_some() {
            return Err("an inline agent's model is its `foundationModel`".to_owned());
        }
        if let Some(inline) = &self.inline {
            if !inline.is_object() {
                return Err("`inline` is an object".to_owned());
            }
            let unknown = aws::unknown_member("bedrock-agent-runtime", "InvokeInlineAgent", inline);
            unknown.map_or(Ok(()), |why| Err(format!("inline{why}")))?;
        }
        Ok(())
    }

    /// Responses stand beside a tool's description; the agent is made without them.
    fn take_responses(&mut self, tools: &mut BTreeMap<String, Simulated>) -> Result<(), String> {
        for (name, tool) in &mut self.tools {
            let responses = tool.as_object_mut().and_then(|tool| tool.remove("responses"));
            let Some(responses) = responses else { continue };
            let read = Simulated::of(&responses);
            tools.insert(name.clone(), read.map_err(|why| format!("agent.tools.{name}: {why}"))?);
        }
        Ok(())
    }
}
