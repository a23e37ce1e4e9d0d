//! The small language of the turn tests, and how a turn is printed.
//!
//! Steps are parted by `; `. `user: TEXT` begins the turn, `user streams: TEXT` one whose answer is
//! read while it is made. `model: TEXT`, or parts parted by `, `
//! of which `use TOOL{ARGUMENTS}` (`use TOOL#ID{…}`) asks for a tool: ids are u1, u2, … in order.
//! A part `think TEXT` is signed reasoning, and `model withheld: TEXT` ends by a content filter.
//! `tool u1: BODY` is an answer; `tool u1 error|reprompt|fails|lost: TEXT` are the other outcomes.
//! `earlier: 40 8` are exchanges of the session by the length of their questions, `reads: 90` the tokens
//! that the model reads, `model overflows: TEXT` its refusal of more. `LONG` in a tool's answer is 9,000 bytes.
//! `client: u1 = BODY, u2 fails = BODY` brings results; `agrees`, `denies` and `reprompts` are the
//! other states. `defer u1: TOKEN` is a tool that answers later. `cancel: REASON`,
//! `model fails: TEXT`, `policy: JSON` what is set for all tools but their effects, and
//! `model breaks: TEXT` once the client has heard the beginning.
//!
//! A supervisor's part `tell NAME TEXT`, or `tell NAME#ID TEXT`, is a message to a collaborator. What happens in the turn
//! that it begins has the tool use's id in front: `u1/model: TEXT`, `u1/u2/tool u3: BODY`,
//! `client: u4 = BODY, u1/u5 = BODY`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::Expect;
use wire::converse::{Block, Message, Reply, ResultBlock, Role, StopReason, ToolUse, Usage};

use crate::agent::config::{
    ActionGroup, AgentConfig, Executor, Function, Parameter, ParameterKind, Schema, Stage,
    StageConfig,
};
use crate::agent::event::{
    Accepted, Ask, Attributes, Cuts, Deferred, Event, HandBack, HandBackState, Intent, Lineage,
    ModelConduct, ModelFailed, ModelOverflowed, ModelSaid, Outcome, Parked, Parse, Parsed, Purpose,
    Resumed, Shrunk, Started, Task, ToolReturned,
};
use crate::agent::history::{self, Exchange, Past};
use crate::agent::limits::Limits;
use crate::agent::origin::{Origin, Utterance};
use crate::agent::state::{self, End, Turn};
use crate::agent::team;
use crate::agent::tool::{Effect, Tool, canonical};
use crate::agent::turn::{self, Agent, Facts};
use crate::cost::Money;
use crate::policy::ToolPolicy;

#[track_caller]
pub(super) fn check(script: &str, expected: &Expect) {
    check_of(config(), script, expected);
}

/// The same with an agent of one's own.
#[track_caller]
pub(super) fn check_of(config: AgentConfig, script: &str, expected: &Expect) {
    let agent = Agent::new(config).expect("the configuration compiles");
    expected.assert_eq(&play(script, agent, None).told());
}

pub(super) fn play(script: &str, agent: Agent, before: Option<Turn>) -> Play {
    let (turn, past) = (Turn::default(), Past::default());
    let (events, out) = (Vec::new(), String::new());
    let policy = ToolPolicy::default();
    let mut play = Play { agent, turn, events, uses: 0, reads: None, policy, past, out, before };
    for step in script.split("; ") {
        play.step(step);
    }
    play
}

pub(super) struct Play {
    agent: Agent,
    pub(super) turn: Turn,
    /// What the journal holds.
    pub(super) events: Vec<Event>,
    uses: usize,
    /// The tokens that the model reads, if that is known.
    reads: Option<usize>,
    policy: ToolPolicy,
    past: Past,
    out: String,
    /// The session's turn before.
    before: Option<Turn>,
}

impl Play {
    fn step(&mut self, step: &str) {
        writeln!(self.out, "{step}").expect("a string takes it");
        let (who, text) = step.split_once(": ").expect("a step is WHO: WHAT");
        let (path, who) = who.rsplit_once('/').unwrap_or(("", who));
        let path: Vec<String> = path.split_terminator('/').map(str::to_owned).collect();
        let events = match who.split(' ').collect::<Vec<_>>()[..] {
            ["reads"] => {
                self.reads = Some(text.parse().expect("tokens"));
                return;
            }
            ["policy"] => {
                self.policy = serde_json::from_str(text).expect("a policy");
                return;
            }
            ["earlier"] => {
                self.past = past(text);
                return;
            }
            ["stages"] => {
                self.agent = Agent::new(staged(text)).expect("the configuration compiles");
                return;
            }
            ["parser"] => vec![self.parsed(text)],
            ["user"] => self.begin(text, false),
            ["user", "streams"] => self.begin(text, true),
            ["model"] => vec![self.said(&path, text, StopReason::EndTurn)],
            ["model", "withheld"] => vec![self.said(&path, text, StopReason::ContentFiltered)],
            ["model", "overflows"] => vec![overflowed(text)],
            ["model", "fails"] => vec![model_failed(text, false)],
            ["model", "breaks"] => vec![model_failed(text, true)],
            ["tool", id] => vec![returned(id, "", &text.replace("LONG", &"l".repeat(9_000)))],
            ["tool", id, how] => vec![returned(id, how, text)],
            ["client"] => resumed(text, &self.turn),
            ["defer", id] => vec![deferred(id, text)],
            ["cancel"] => vec![Event::Cancelled { reason: text.to_owned() }],
            _ => panic!("{who} is no word of the language"),
        };
        for event in events {
            let event = self.turn.named(state::within(&path, event));
            state::apply(&mut self.turn, &event);
            self.events.push(event);
        }
        self.decide();
    }

    /// In a fresh session, or in one that an earlier turn left.
    fn begin(&self, text: &str, stream: bool) -> Vec<Event> {
        let mut events = begin(text, self.past.clone());
        if let Some(Event::Accepted(accepted)) = events.first_mut() {
            accepted.stream = stream;
        }
        if let (Some(Event::Started(started)), Some(before)) = (events.last_mut(), &self.before) {
            started.past = kept(before.past.clone(), &before.messages);
            started.threads = before.team.threads.clone();
            for (path, added) in &before.team.added {
                let thread = started.threads.remove(path).unwrap_or_default();
                started.threads.insert(path.clone(), kept(thread, added));
            }
            started.routed = before.team.routed.clone();
        }
        events
    }

    /// As the engine does it: until nothing more is to be decided now.
    fn decide(&mut self) {
        let limits = Limits { model_calls: 5, repairs: 2, tool_uses: 3, ..Limits::default() };
        let policy = |tool: &Tool| {
            let effect = Some(match tool.name.as_str() {
                "g__read" => Effect::Read,
                "g__keyed" => Effect::Keyed,
                _ => Effect::Once,
            });
            Arc::new(ToolPolicy { effect, ..self.policy.clone() })
        };
        for round in 0.. {
            assert!(round < 10, "it decides for ever");
            let (agent, reads) = (&self.agent, self.reads);
            let window = |_: &str| reads;
            let facts = Facts {
                agent,
                limits: &limits,
                fresh_id: &|| "id".to_owned(),
                policy: &policy,
                window: self.reads.is_some().then_some(&window),
                provider: &|_| "p".to_owned(),
                route: None,
                budget: None,
                now: 0,
            };
            let events = turn::decide(&self.turn, &facts);
            if events.is_empty() {
                return;
            }
            for event in &events {
                writeln!(self.out, "  -> {}", decided(event)).expect("a string takes it");
                state::apply(&mut self.turn, event);
                self.events.push(event.clone());
            }
        }
    }

    fn said(&mut self, path: &[String], text: &str, stop_reason: StopReason) -> Event {
        let parts = text.split(", ").map(|part| match part.split_once(' ') {
            Some(("use", tool)) => self.tool_use(tool),
            Some(("tell", letter)) => self.letter(letter),
            Some(("think", text)) => thought(text),
            _ => Block::Text(part.to_owned()),
        });
        let content = parts.collect();
        let reply = Reply {
            content,
            stop_reason,
            usage: Usage::default(),
            native: serde_json::Value::Null,
        };
        Event::ModelSaid(Box::new(ModelSaid {
            reused: false,
            step: self.turn.at(path).expect("a turn at this path").steps,
            reply,
            provider: "p".to_owned(),
            model: "m".to_owned(),
            millis: 0,
            prompt_digest: None,
            conduct: ModelConduct::default(),
            cuts: Cuts::default(),
            cost: None,
            saved: Money::ZERO,
        }))
    }

    /// What a parser function makes of the last reply, as the journal has it.
    fn parsed(&self, verdict: &str) -> Event {
        let parse = self.turn.stages.parsing.clone().expect("a parser was asked");
        let verdict = serde_json::from_str(verdict).expect("a verdict");
        let Parse { purpose, step, .. } = parse;
        Event::Parsed(Box::new(Parsed { purpose, step, verdict, millis: 0, cost: None }))
    }

    fn tool_use(&mut self, text: &str) -> Block {
        self.uses += 1;
        let (name, arguments) = text.split_once('{').expect("a tool use has arguments");
        let (name, id) = match name.split_once('#') {
            Some((name, id)) => (name, id.to_owned()),
            None => (name, format!("u{}", self.uses)),
        };
        let arguments = format!("{{{}", arguments.replace(':', ": "));
        let input = serde_yaml_ng::from_str(&arguments).expect("flow style");
        Block::ToolUse(ToolUse { tool_use_id: id, name: name.to_owned(), input })
    }

    fn letter(&mut self, text: &str) -> Block {
        self.uses += 1;
        let (recipient, content) = text.split_once(' ').expect("a name and a text");
        let (recipient, id) = match recipient.split_once('#') {
            Some((recipient, id)) => (recipient, id.to_owned()),
            None => (recipient, format!("u{}", self.uses)),
        };
        let input = serde_json::json!({"recipient": recipient, "content": content});
        let name = team::SEND_MESSAGE.to_owned();
        Block::ToolUse(ToolUse { tool_use_id: id, name, input })
    }

    pub(super) fn told(mut self) -> String {
        let out = &mut self.out;
        out.push_str("history\n");
        let earlier = self.turn.past.exchanges.len();
        if earlier > 0 {
            writeln!(out, "  {earlier} earlier exchanges").expect("a string takes it");
        }
        for message in &self.turn.messages {
            writeln!(out, "  {}", spoken(message)).expect("a string takes it");
        }
        for (path, thread) in &self.turn.team.added {
            writeln!(out, "thread {path}").expect("a string takes it");
            for message in thread {
                writeln!(out, "  {}", spoken(message)).expect("a string takes it");
            }
            check_history(thread);
        }
        for effect in &self.turn.unknown {
            writeln!(out, "unknown {}{}", effect.tool, effect.arguments).expect("takes it");
        }
        if let Some(End::Failed { code, message }) = &self.turn.end {
            writeln!(out, "failed {code}: {message}").expect("a string takes it");
        }
        if self.turn.end.is_some() {
            check_history(&self.turn.messages);
            check_origins(&self.turn.messages);
        }
        self.out
    }
}

/// Roles take turns, every tool use has one result in the next message, no id comes twice.
pub(super) fn check_history(messages: &[Utterance]) {
    let mut ids = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = if at % 2 == 0 { Role::User } else { Role::Assistant };
        assert_eq!(message.role, role, "roles take turns: {messages:?}");
        let next = messages.get(at + 1).map(|next| results(next.message())).unwrap_or_default();
        let used = uses(message);
        assert!(used.is_empty() || used == next, "{used:?} closed by {next:?}");
        ids.extend(used);
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "each tool use has an id of its own");
}

/// Every block says where it comes from, and tells the truth.
fn check_origins(messages: &[Utterance]) {
    for message in messages {
        assert_eq!(message.origins().len(), message.content.len());
        for (block, origin) in message.content.iter().zip(message.origins()) {
            let expected = match (message.role, block) {
                (_, Block::ToolResult(_)) => matches!(origin, Origin::Tool(_)),
                (Role::User, _) => matches!(origin, Origin::User | Origin::Developer),
                (Role::Assistant, _) => matches!(origin, Origin::Model | Origin::Developer),
            };
            assert!(expected, "{block:?} comes from {origin:?}");
        }
    }
}

pub(super) fn uses(message: &Message) -> Vec<String> {
    let ids = message.content.iter().filter_map(|block| match block {
        Block::ToolUse(used) => Some(used.tool_use_id.clone()),
        _ => None,
    });
    ids.collect()
}

pub(super) fn results(message: &Message) -> Vec<String> {
    let ids = message.content.iter().filter_map(|block| match block {
        Block::ToolResult(result) => Some(result.tool_use_id.clone()),
        _ => None,
    });
    ids.collect()
}

fn decided(event: &Event) -> String {
    match event {
        Event::Within(within) => format!("{}/{}", within.tool_use_id, decided(&within.event)),
        Event::Delegated(d) => {
            let accepted = &d.accepted;
            format!("{} begins as {} on {:?}", d.collaborator, accepted.run, accepted.input_text)
        }
        Event::Asked(Intent::AskModel(Ask { purpose: Purpose::Route, step, .. })) => {
            format!("ask model {step} whom to route to")
        }
        Event::ToolReturned(ToolReturned { tool_use_id, outcome, .. }) => match outcome {
            Outcome::Answered { body, session_attributes, .. } => match session_attributes {
                None => format!("{tool_use_id} reports {body:?}"),
                Some(attributes) => format!("{tool_use_id} reports {body:?} and {attributes:?}"),
            },
            other => format!("{tool_use_id} reports {other:?}"),
        },
        Event::Asked(Intent::AskModel(Ask { purpose: Purpose::Plan, step, .. })) => {
            format!("ask model {step}")
        }
        Event::Asked(Intent::AskModel(Ask { purpose, step, .. })) => {
            format!("ask model {step} {purpose:?}")
        }
        Event::Asked(Intent::Parse(parse)) => format!("ask parser {:?}", parse.purpose),
        Event::Parsed(parsed) => format!("read {:?}", parsed.verdict),
        Event::Asked(Intent::Call(call)) => {
            format!("call {} {}{}", call.tool_use_id, call.tool, canonical(&call.input))
        }
        Event::Refused(refused) => {
            format!("refuse {} {:?}: {}", refused.tool_use_id, refused.reason, refused.message)
        }
        Event::Parked(parked) if parked.members.is_empty() => {
            let why: Vec<_> =
                parked.escalated.iter().map(|(id, why)| format!(" ({id}: {why})")).collect();
            format!("hand off {}{}", parked.tool_uses.join(" "), why.concat())
        }
        Event::Parked(Parked { tool_uses, members, .. }) => {
            format!("hand off [{}] and those of {}", tool_uses.join(" "), members.join(" "))
        }
        Event::AskedUser(asked) => format!("ask user {:?}", asked.question),
        Event::GaveUp(cause) => format!("give up {cause:?}"),
        Event::Failed { .. } => "fail".to_owned(),
        Event::Shrunk(Shrunk { exchanges, results }) => {
            let cuts =
                results.iter().map(|cut| format!(", cut {} to {}", cut.tool_use_id, cut.keep));
            format!("leave out {exchanges} exchanges{}", cuts.collect::<String>())
        }
        Event::Finished { text } => format!("finish {text:?}"),
        other => panic!("nobody decides {other:?}"),
    }
}

/// The same agent with these stages on; one in capitals is read by a parser function.
pub(super) fn staged(text: &str) -> AgentConfig {
    let stage = |name: &str| StageConfig {
        stage: match name.to_lowercase().as_str() {
            "pre" => Stage::PreProcessing,
            "post" => Stage::PostProcessing,
            _ => Stage::Orchestration,
        },
        enabled: true,
        template: None,
        inference: None,
        model: None,
        additional: serde_json::Value::Null,
        parser: name == name.to_uppercase(),
    };
    let stages = text.split(' ').map(stage).collect();
    AgentConfig { stages, parser: Some("f".to_owned()), ..config() }
}

fn spoken(message: &Message) -> String {
    let blocks = message.content.iter().map(|block| match block {
        Block::ReasoningContent(thought) => thought.to_string(),
        Block::Text(text) => format!("{text:?}"),
        Block::ToolUse(used) => {
            format!("{} {}{}", used.tool_use_id, used.name, canonical(&used.input))
        }
        Block::ToolResult(result) => {
            let sign = if result.status.is_some() { "!" } else { "=" };
            let text = result.content.iter().map(|part| match part {
                ResultBlock::Text(text) if text.len() > 500 => {
                    let note = text.trim_start_matches('l').trim_start();
                    format!("{} bytes {note}", text.len())
                }
                ResultBlock::Text(text) => {
                    text.split([':', ';']).next().unwrap_or_default().to_owned()
                }
                _ => "?".to_owned(),
            });
            format!("{} {sign} {}", result.tool_use_id, text.collect::<String>())
        }
        other => panic!("{other:?} is not expected"),
    });
    let role = if message.role == Role::User { "user" } else { "assistant" };
    format!("{role}: {}", blocks.collect::<Vec<_>>().join(", "))
}

/// Exchanges by the length of their questions.
fn past(text: &str) -> Past {
    let lengths = text.split(' ').map(|length| length.parse().expect("a length"));
    let said = |role, text: String, origin| {
        Utterance::new(Message { role, content: vec![Block::Text(text)] }, origin)
    };
    let exchange = |length| {
        let question = said(Role::User, "q".repeat(length), &Origin::User);
        let answer = said(Role::Assistant, "a".to_owned(), &Origin::Model);
        Arc::new(Exchange::new("earlier", 0, vec![question, answer]))
    };
    let exchanges: Vec<_> = lengths.map(exchange).collect();
    let end = u32::try_from(exchanges.len()).expect("few");
    Past { thread: "t".to_owned(), end, exchanges, ..Past::default() }
}

fn overflowed(text: &str) -> Event {
    let (provider, message) = ("p".to_owned(), text.to_owned());
    Event::ModelOverflowed(ModelOverflowed { step: 1, provider, message, wasted: Vec::new() })
}

pub(super) fn begin(text: &str, past: Past) -> Vec<Event> {
    let accepted = Accepted {
        tenant: "1/r".to_owned(),
        run: "run".to_owned(),
        lineage: Lineage::root("run"),
        session_id: "s".to_owned(),
        alias_id: "a".to_owned(),
        config: "c".to_owned(),
        provider: "p".to_owned(),
        input_text: text.to_owned(),
        session_attributes: None,
        prompt_session_attributes: Attributes::new(),
        recall: Default::default(),
        conversation: Vec::new(),
        files: Vec::new(),
        memory_id: None,
        task: Task::Answer,
        stream: false,
        trace: true,
        provisioned: None,
        max_cost: None,
    };
    vec![
        Event::Accepted(Box::new(accepted)),
        Event::Started(Box::new(Started { past, ..Started::default() })),
    ]
}

/// A conversation once more was said in it.
pub(super) fn kept(mut past: Past, added: &[Utterance]) -> Past {
    past.thread = "kept".to_owned();
    past.exchanges.extend(history::exchanges("run", 0, added).into_iter().map(Arc::new));
    past
}

fn thought(text: &str) -> Block {
    let signature = format!("signature of {text}");
    Block::ReasoningContent(
        serde_json::json!({"reasoningText": {"text": text, "signature": signature}}),
    )
}

fn model_failed(text: &str, heard: bool) -> Event {
    let code = "ThrottlingException".to_owned();
    Event::ModelFailed(ModelFailed {
        step: 1,
        code,
        message: text.to_owned(),
        heard,
        said: Vec::new(),
        consumed: false,
        wasted: Vec::new(),
    })
}

fn returned(id: &str, how: &str, text: &str) -> Event {
    let message = text.to_owned();
    let outcome = match how {
        "" => Outcome::Answered {
            body: message,
            session_attributes: None,
            prompt_session_attributes: None,
            ignored: Vec::new(),
        },
        "error" => Outcome::Error { message },
        "reprompt" => Outcome::Reprompt { body: message },
        "fails" => Outcome::Failure { message },
        "lost" => Outcome::Unknown { message },
        _ => panic!("{how} is no outcome"),
    };
    Event::ToolReturned(ToolReturned::new(id, outcome, 0))
}

/// The results, each in the turn that it belongs to, as the engine records them.
fn resumed(text: &str, turn: &Turn) -> Vec<Event> {
    let results = text.split(", ").map(|result| {
        let (id, body) = result.split_once(" = ").expect("ID = BODY");
        let (id, state) = match id.split_once(' ') {
            None => (id, HandBackState::Success),
            Some((id, "fails")) => (id, HandBackState::Failure),
            Some((id, "agrees")) => (id, HandBackState::Confirmed),
            Some((id, "denies")) => (id, HandBackState::Denied),
            Some((id, _)) => (id, HandBackState::Reprompt),
        };
        let (path, id) = id.rsplit_once('/').unwrap_or(("", id));
        let back = HandBack { tool_use_id: id.to_owned(), body: body.to_owned(), state };
        (path.to_owned(), back)
    });
    let results: Vec<(String, HandBack)> = results.collect();
    let of = |path: &[String]| {
        let own = results.iter().filter(|(at, _)| *at == path.join("/"));
        own.map(|(_, result)| result.clone()).collect()
    };
    let turns = turn.handed_turns().into_iter();
    turns.map(|(path, _)| state::within(&path, resumed_with(of(&path)))).collect()
}

fn resumed_with(results: Vec<HandBack>) -> Event {
    Event::Resumed(Box::new(Resumed {
        request: "second".to_owned(),
        results,
        session_attributes: None,
        prompt_session_attributes: None,
        unknown: None,
        policies: Vec::new(),
        stream: false,
        trace: true,
    }))
}

fn deferred(id: &str, token: &str) -> Event {
    let (tool_use_id, token) = (id.to_owned(), token.to_owned());
    Event::Deferred(Deferred {
        tool_use_id,
        token,
        poll_seconds: None,
        since: 0,
        due: 1,
        doubt: None,
        fallback: None,
        cost: None,
    })
}

pub(super) fn config() -> AgentConfig {
    let parameter = Parameter { kind: ParameterKind::Integer, description: None, required: true };
    let function = |name: &&str| Function {
        name: (*name).to_owned(),
        description: None,
        parameters: BTreeMap::from([("x".to_owned(), parameter.clone())]),
        confirm: false,
    };
    let group = |name: &str, executor, functions: &[&str]| ActionGroup {
        id: name.to_owned(),
        name: name.to_owned(),
        description: None,
        executor,
        schema: Schema::Functions(functions.iter().map(function).collect()),
    };
    let lambda = Executor::Lambda("f".to_owned());
    AgentConfig {
        agent_id: "A".to_owned(),
        agent_name: "agent".to_owned(),
        agent_version: "DRAFT".to_owned(),
        model: "m".to_owned(),
        instruction: "do it".to_owned(),
        groups: vec![
            group("g", lambda, &["read", "keyed", "once"]),
            group("client", Executor::ReturnControl, &["ask"]),
        ],
        idle_session_ttl_seconds: 600,
        ..AgentConfig::default()
    }
}
