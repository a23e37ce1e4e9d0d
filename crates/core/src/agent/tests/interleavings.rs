//! Whatever happens to a turn, in whatever order, a model can read on.
//!
//! Agents with every kind of tool, alone and in teams, with stages and parser functions, live through
//! turns of one session in which a list of numbers picks what happens next: replies of models,
//! results, results that come later, the client's results and its user's word, failures, an operator's
//! orders, new input, events that make no sense, and deaths of the process at any point. After each
//! step every conversation that a model is asked with keeps Converse's rules, and what is folded
//! again from the journal is the same state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use wire::converse::{Block, Message, Reply, ResultBlock, Role, StopReason, ToolUse, Usage};

use super::script::{begin, check_history, config, kept, results, uses};
use crate::agent::call;
use crate::agent::config::{AgentConfig, Collaboration, Collaborator, Schema, Stage, StageConfig};
use crate::agent::event::{
    Ask, Call, Cuts, Deferred, Event, HandBack, HandBackState, Intent, ModelConduct, ModelFailed,
    ModelOverflowed, ModelSaid, Outcome, Parsed, Purpose, Resumed, ToolReturned, Verdict,
};
use crate::agent::history;
use crate::agent::limits::Limits;
use crate::agent::state::{self, Member, Progress, Turn, within};
use crate::agent::team;
use crate::agent::tool::{Effect, HandOff, Tool};
use crate::agent::turn::ask_user::ASK_USER;
use crate::agent::turn::{self, Agent, Facts};
use crate::cost::Money;
use crate::policy::{Condition, ToolPolicy};

/// What happens next, as numbers; once they are used up nothing does.
struct Draws(std::vec::IntoIter<u16>);

impl Draws {
    fn below(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().unwrap_or(0)) % sides
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn is_over(&self) -> bool {
        self.0.len() == 0
    }
}

/// Every kind of tool: here and the client's, with and without the user's word, and the question.
fn with_all_tools(draws: &mut Draws) -> AgentConfig {
    let mut config = AgentConfig { user_input: draws.one_in(2), ..config() };
    for group in config.groups.clone() {
        let mut asks = group;
        asks.name = format!("sure-{}", asks.name);
        asks.id = asks.name.clone();
        if let Schema::Functions(functions) = &mut asks.schema {
            functions.iter_mut().for_each(|function| function.confirm = true);
        }
        config.groups.push(asks);
    }
    let stage = |stage, parser| StageConfig {
        stage,
        enabled: true,
        template: None,
        inference: None,
        model: None,
        additional: serde_json::Value::Null,
        parser,
    };
    for wanted in [Stage::PreProcessing, Stage::PostProcessing, Stage::Orchestration] {
        if draws.one_in(4) {
            config.stages.push(stage(wanted, draws.one_in(2)));
        }
    }
    config.parser = config.stages.iter().any(|s| s.parser).then(|| "parser".to_owned());
    config
}

/// An agent, and below it up to two levels of collaborators.
fn agent(draws: &mut Draws, levels: usize) -> Agent {
    let mut config = with_all_tools(draws);
    let mut members = BTreeMap::new();
    if levels > 0 && draws.one_in(2) {
        let modes = [Collaboration::Supervisor, Collaboration::SupervisorRouter];
        config.collaboration = *draws.of(&modes);
        for name in ["billing", "orders"] {
            config.collaborators.push(Collaborator {
                name: name.to_owned(),
                instruction: "does things".to_owned(),
                relay: draws.one_in(2),
                agent_id: name.to_uppercase(),
                alias_id: "B".to_owned(),
                alias_arn: format!("arn:{name}"),
                config: "c".to_owned(),
            });
            members.insert(name.to_owned(), Arc::new(agent(draws, levels - 1)));
        }
    }
    Agent::with_members(config, members).expect("it compiles")
}

/// A session as it is lived, and what must hold of it.
struct Life {
    agent: Agent,
    draws: Draws,
    turn: Turn,
    /// Of this turn.
    journal: Vec<Event>,
    turns: usize,
    replies: usize,
    reads: Option<usize>,
    /// Calls that were asked for, by path and tool use.
    called: BTreeSet<(Vec<String>, String)>,
    confirmed: BTreeSet<(Vec<String>, String)>,
}

impl Life {
    fn new(numbers: Vec<u16>) -> Self {
        let mut draws = Draws(numbers.into_iter());
        let agent = agent(&mut draws, 2);
        let reads = draws.one_in(4).then(|| 400 + draws.below(4_000));
        Life {
            agent,
            draws,
            turn: Turn::default(),
            journal: Vec::new(),
            turns: 0,
            replies: 0,
            reads,
            called: BTreeSet::new(),
            confirmed: BTreeSet::new(),
        }
    }

    fn live(&mut self) {
        while !self.draws.is_over() {
            if self.turn.end.is_some() || self.turns == 0 {
                self.begin();
            } else {
                self.happen();
            }
        }
        if self.turn.end.is_none() && self.turns > 0 {
            self.take(Event::Cancelled { reason: "the session ended".to_owned() });
        }
    }

    /// The next turn of the session starts from what the last one left.
    fn begin(&mut self) {
        self.turns += 1;
        let before = std::mem::take(&mut self.turn);
        let mut past = before.past.clone();
        if self.turns > 1 {
            past = kept(past, &before.messages);
        }
        let mut events = begin(&format!("question {}", self.turns), past);
        if let (Some(Event::Accepted(accepted)), run) = (events.first_mut(), self.turns) {
            accepted.run = format!("run{run}");
            accepted.stream = self.draws.one_in(2);
        }
        if let Some(Event::Started(started)) = events.last_mut() {
            started.unknown = before.unknown.clone();
            started.threads = before.team.threads.clone();
            for (path, added) in &before.team.added {
                let thread = started.threads.remove(path).unwrap_or_default();
                started.threads.insert(path.clone(), kept(thread, added));
            }
            started.routed = before.team.routed;
        }
        (self.journal, self.called, self.confirmed) = Default::default();
        for event in events {
            self.apply(event);
        }
        self.settle();
    }

    fn apply(&mut self, event: Event) {
        self.watch(&event);
        state::apply(&mut self.turn, &event);
        self.journal.push(event);
    }

    /// Something happened: the turn takes it in and decides, as the engine does it.
    fn take(&mut self, event: Event) {
        self.apply(event);
        self.settle();
    }

    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 100, "it decides for ever");
            let events = self.decided();
            if events.is_empty() {
                break;
            }
            for event in events {
                self.apply(event);
            }
        }
        self.check();
    }

    fn decided(&self) -> Vec<Event> {
        let limits = Limits { model_calls: 6, repairs: 2, tool_uses: 4, ..Limits::default() };
        let policy = |tool: &Tool| {
            let effect = Some(match tool.name.rsplit("__").next() {
                Some("read") => Effect::Read,
                Some("keyed") => Effect::Keyed,
                _ => Effect::Once,
            });
            let hand_off = vec![Condition::parse("x > 2").expect("a condition")];
            Arc::new(ToolPolicy { effect, hand_off, ..ToolPolicy::default() })
        };
        let reads = self.reads;
        let window = |_: &str| reads;
        let facts = Facts {
            agent: &self.agent,
            limits: &limits,
            fresh_id: &|| "id".to_owned(),
            policy: &policy,
            window: reads.is_some().then_some(&window),
            provider: &|_| "p".to_owned(),
            route: None,
            budget: None,
            now: 0,
        };
        turn::decide(&self.turn, &facts)
    }

    /// One of the things that can happen now.
    fn happen(&mut self) {
        match self.draws.below(16) {
            0 => self.take(Event::Cancelled { reason: "by somebody".to_owned() }),
            1 => self.take(if self.turn.paused { Event::Continued } else { Event::Paused }),
            2 => self.restart(),
            3 => self.confuse(),
            _ if self.turn.paused => self.take(Event::Continued),
            _ if self.turn.parked.is_some() => self.resume(),
            _ => self.progress(),
        }
    }

    /// Something that is under way somewhere in the tree goes on.
    fn progress(&mut self) {
        let mut moves: Vec<(Vec<String>, Move)> = Vec::new();
        self.turn.walk(&mut |path, turn| {
            let mut add = |step| moves.push((path.to_vec(), step));
            turn.asking.into_iter().for_each(|purpose| add(Move::Model(purpose)));
            turn.stages.parsing.iter().for_each(|parse| add(Move::Parse(parse.purpose)));
            turn.open_calls().for_each(|call| add(Move::Tool(call.clone())));
            turn.pending().for_each(|(call, _)| add(Move::Tool(call.clone())));
        });
        assert!(!moves.is_empty(), "nothing can move this turn any more: {:?}", self.turn);
        let (path, step) = moves.swap_remove(self.draws.below(moves.len()));
        let event = match step {
            Move::Model(purpose) => self.model(&path, purpose),
            Move::Parse(purpose) => self.parsed(&path, purpose),
            Move::Tool(call) => self.tool(&call),
        };
        self.take(within(&path, event));
    }

    fn model(&mut self, path: &[String], purpose: Purpose) -> Event {
        let step = self.turn.at(path).map_or(0, |turn| turn.steps);
        let (provider, message) = ("p".to_owned(), "no".to_owned());
        match self.draws.below(24) {
            0 => {
                return Event::ModelFailed(ModelFailed {
                    step,
                    code: "E".to_owned(),
                    message,
                    heard: false,
                    said: Vec::new(),
                    consumed: false,
                    wasted: Vec::new(),
                });
            }
            1 => {
                return Event::ModelOverflowed(ModelOverflowed {
                    step,
                    provider,
                    message,
                    wasted: Vec::new(),
                });
            }
            _ => {}
        }
        self.replies += 1;
        let mut content = Vec::new();
        if self.draws.one_in(3) {
            let words = ["<answer>fine</answer>", "billing", "undecided", " ", "B", "yes"];
            content.push(Block::Text((*self.draws.of(&words)).to_owned()));
        }
        if purpose == Purpose::Plan {
            for place in 0..self.draws.below(5) {
                content.push(Block::ToolUse(self.tool_use(place)));
            }
        }
        let stops = [StopReason::EndTurn, StopReason::ToolUse, StopReason::ContentFiltered];
        let stop_reason = *self.draws.of(&stops);
        Event::ModelSaid(Box::new(ModelSaid {
            reused: false,
            step,
            reply: Reply {
                content,
                stop_reason,
                usage: Usage::default(),
                native: serde_json::Value::Null,
            },
            provider,
            model: "m".to_owned(),
            millis: 0,
            prompt_digest: None,
            conduct: ModelConduct::default(),
            cuts: Cuts::default(),
            cost: None,
            saved: Money::ZERO,
        }))
    }

    /// Of any tool that some agent has or nobody has, with arguments that may be wrong, under an id
    /// that may have been used.
    fn tool_use(&mut self, place: usize) -> ToolUse {
        let names = [
            "g__read",
            "g__keyed",
            "g__once",
            "client__ask",
            "sure-g__read",
            "sure-g__once",
            "sure-client__ask",
            ASK_USER,
            team::SEND_MESSAGE,
            team::SEND_MESSAGE,
            "nobody__has",
        ];
        let name = *self.draws.of(&names);
        let recipient = *self.draws.of(&["billing", "orders", "nobody"]);
        let input = match (name, self.draws.below(8)) {
            (_, 0) => json!({"x": "wrong"}),
            (ASK_USER, _) => json!({"question": "Which one?"}),
            (team::SEND_MESSAGE, _) => json!({"recipient": recipient, "content": "do it"}),
            (_, x) => json!({"x": x}),
        };
        let id = match self.draws.below(12) {
            0 => String::new(),
            1 => "again".to_owned(),
            _ => format!("u{}-{place}", self.replies),
        };
        ToolUse { tool_use_id: id, name: name.to_owned(), input }
    }

    fn parsed(&mut self, path: &[String], purpose: Purpose) -> Event {
        let step = self.turn.at(path).map_or(0, |turn| turn.steps);
        let (rationale, text) = (None, (*self.draws.of(&["read", "billing"])).to_owned());
        let verdict = match (purpose, self.draws.below(6)) {
            (_, 0) => Verdict::Failed { message: text },
            (Purpose::PreProcess, n) => Verdict::Judged { valid: n > 1, rationale },
            (Purpose::Plan, 1) => {
                let calls = (0..=self.draws.below(2)).map(|place| self.tool_use(place)).collect();
                Verdict::Calls { rationale, calls }
            }
            (Purpose::Plan, 2) => Verdict::Again { rationale, message: "again".to_owned() },
            (Purpose::Plan, 3) => Verdict::Said { rationale, text, asks: true },
            _ => Verdict::Said { rationale, text, asks: false },
        };
        Event::Parsed(Box::new(Parsed { purpose, step, verdict, millis: 0, cost: None }))
    }

    fn tool(&mut self, call: &Call) -> Event {
        let (tool_use_id, message) = (call.tool_use_id.clone(), "said".to_owned());
        let answered = Outcome::Answered {
            body: (*self.draws.of(&["said", ""])).to_owned(),
            session_attributes: None,
            prompt_session_attributes: None,
            ignored: Vec::new(),
        };
        let outcome = match self.draws.below(10) {
            0 => {
                let (token, poll_seconds) = ("job".to_owned(), None);
                let deferred = Deferred {
                    tool_use_id,
                    token,
                    poll_seconds,
                    since: 0,
                    due: 1,
                    doubt: None,
                    fallback: None,
                    cost: None,
                };
                return Event::Deferred(deferred);
            }
            1 => Outcome::Reprompt { body: message },
            2 => Outcome::Error { message },
            3 => Outcome::Failure { message },
            4 => Outcome::Unknown { message },
            _ => answered,
        };
        Event::ToolReturned(ToolReturned::new(&tool_use_id, outcome, 0))
    }

    /// The client brings all results of its hand-off, with its user's word where that was asked for.
    fn resume(&mut self) {
        let held: Vec<(Vec<String>, Vec<ToolUse>)> = self
            .turn
            .handed_turns()
            .into_iter()
            .map(|(path, turn)| (path, turn.handed_off().into_iter().cloned().collect()))
            .collect();
        let mut brought = Vec::new();
        for (path, handed) in held {
            let back: Vec<HandBack> =
                handed.iter().map(|used| self.hand_back(&path, used)).collect();
            let agreed = back.iter().filter(|back| back.state == HandBackState::Confirmed);
            self.confirmed.extend(agreed.map(|back| (path.clone(), back.tool_use_id.clone())));
            brought.push((path, back));
        }
        for (path, results) in brought {
            let resumed = Resumed {
                request: "second".to_owned(),
                results,
                session_attributes: None,
                prompt_session_attributes: None,
                unknown: None,
                policies: Vec::new(),
                stream: false,
                trace: true,
            };
            self.apply(within(&path, Event::Resumed(Box::new(resumed))));
        }
        self.settle();
    }

    fn hand_back(&mut self, path: &[String], used: &ToolUse) -> HandBack {
        let tool = self.agent_at(path).tool(&used.name).cloned().expect("it was handed off");
        let parked = self.turn.at(path).and_then(|turn| turn.parked.clone());
        let asked = parked.expect("it is parked").asks(&tool, &used.tool_use_id);
        let state = match (asked, self.draws.below(6)) {
            (_, 0) => HandBackState::Failure,
            (_, 1) => HandBackState::Reprompt,
            (HandOff::Result, _) => HandBackState::Success,
            (HandOff::Confirmation | HandOff::ConfirmationAndResult, 2) => HandBackState::Denied,
            (HandOff::Confirmation, _) => HandBackState::Confirmed,
            (HandOff::ConfirmationAndResult, _) => HandBackState::Success,
        };
        let body = (*self.draws.of(&["by hand", ""])).to_owned();
        HandBack { tool_use_id: used.tool_use_id.clone(), body, state }
    }

    /// The process dies: what stands is folded from the journal, and what was under way is taken up
    /// or closed, as the engine does it.
    fn restart(&mut self) {
        let again = Turn::replay(&self.journal);
        assert_eq!(format!("{again:?}"), format!("{:?}", self.turn));
        self.turn = again;
        for (path, call) in self.turn.calls_under_way() {
            if !call.effect.may_repeat() {
                let outcome = Outcome::Unknown { message: "unknown_outcome".to_owned() };
                let tool_use_id = call.tool_use_id;
                let event = ToolReturned::new(&tool_use_id, outcome, 0);
                self.apply(within(&path, Event::ToolReturned(event)));
            }
        }
        self.settle();
    }

    /// Events that make no sense here, such as those of another version.
    fn confuse(&mut self) {
        let tool_use_id = (*self.draws.of(&["u0", "u1-0", "again"])).to_owned();
        let deferred = Deferred {
            tool_use_id: tool_use_id.clone(),
            token: "t".to_owned(),
            poll_seconds: None,
            since: 0,
            due: 1,
            doubt: None,
            fallback: None,
            cost: None,
        };
        let path = if self.draws.one_in(2) { vec!["u9-9".to_owned()] } else { Vec::new() };
        let event = match self.draws.below(2) {
            0 => Event::Deferred(deferred),
            _ => Event::Within(Box::new(crate::agent::event::Within {
                tool_use_id,
                event: Event::Continued,
            })),
        };
        self.take(within(&path, event));
    }

    fn agent_at(&self, path: &[String]) -> &Agent {
        let (mut agent, mut turn) = (&self.agent, &self.turn);
        for id in path {
            let member = turn.team.members.get(id);
            let member = member.unwrap_or_else(|| panic!("{path:?} has no turn"));
            (agent, turn) = (&agent.members[&member.collaborator], &member.turn);
        }
        agent
    }

    /// What must hold of an event as it comes.
    fn watch(&mut self, event: &Event) {
        let (mut path, mut inner) = (Vec::new(), event);
        while let Event::Within(within) = inner {
            path.push(within.tool_use_id.clone());
            inner = &within.event;
        }
        match inner {
            Event::Asked(Intent::Call(call)) => {
                let id = (path.clone(), call.tool_use_id.clone());
                let tool = self.agent_at(&path).tool(&call.tool).expect("it has the tool");
                let sure = !tool.confirm || self.confirmed.contains(&id);
                assert!(sure, "{} is called and nobody agreed", call.tool);
                assert!(self.called.insert(id), "{} is called twice", call.tool);
            }
            Event::Parked(parked) if path.is_empty() => {
                let members = parked.members.iter().filter_map(|id| self.turn.team.members.get(id));
                let handed =
                    parked.tool_uses.len() + members.map(Member::handed_off).sum::<usize>();
                assert!((1..=5).contains(&handed), "{handed} calls are handed over at once");
            }
            Event::Asked(Intent::AskModel(Ask { purpose, .. })) => self.check_call(&path, *purpose),
            _ => {}
        }
    }

    /// What the model is about to read is a conversation.
    fn check_call(&self, path: &[String], purpose: Purpose) {
        let turn = self.turn.at(path).expect("a turn that asks");
        let call = call::model_call(turn, self.agent_at(path), purpose);
        check_messages(&call.messages);
    }

    /// What must hold between any two events.
    fn check(&self) {
        self.turn.walk(&mut |_, turn| {
            let closed = turn.uses.iter().all(|u| matches!(u.progress, Progress::Closed(..)));
            if closed || turn.end.is_some() {
                check_history(&turn.messages);
            }
        });
        if self.turn.end.is_some() {
            assert!(self.turn.team.members.is_empty(), "a collaborator outlives the turn");
            assert!(self.turn.uses.iter().all(|u| matches!(u.progress, Progress::Closed(..))));
            let threads = self.turn.team.added.values();
            let exchanges = threads.flat_map(|thread| history::exchanges("run", 0, thread));
            exchanges.for_each(|exchange| check_history(&exchange.messages));
        }
    }
}

enum Move {
    Model(Purpose),
    Parse(Purpose),
    Tool(Call),
}

/// Converse's rules for what it is sent: roles take turns from the user on, each use of a tool has its
/// result in the next message and each result its use in the one before, no id comes twice, nothing
/// is blank.
fn check_messages(messages: &[Message]) {
    let mut ids = BTreeSet::new();
    assert_eq!(messages.last().map(|last| last.role), Some(Role::User), "{messages:?}");
    for (at, message) in messages.iter().enumerate() {
        assert_eq!(message.role, if at % 2 == 0 { Role::User } else { Role::Assistant });
        assert!(
            !message.content.is_empty() && message.content.iter().all(has_words),
            "{message:?}"
        );
        let before = at.checked_sub(1).map(|at| uses(&messages[at])).unwrap_or_default();
        assert_eq!(before, results(message), "uses and results");
        assert!(uses(message).into_iter().all(|id| ids.insert(id)), "an id comes twice");
    }
}

fn has_words(block: &Block) -> bool {
    match block {
        Block::Text(text) => !text.trim().is_empty(),
        Block::ToolResult(result) => result.content.iter().all(|part| match part {
            ResultBlock::Text(text) => !text.trim().is_empty(),
            _ => true,
        }),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_in_whatever_order_a_model_can_read_on(
        numbers in prop::collection::vec(any::<u16>(), 40..400)
    ) {
        Life::new(numbers).live();
    }
}
