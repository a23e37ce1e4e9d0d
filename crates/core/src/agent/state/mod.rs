//! The state of an agent turn: what its events add up to.
//!
//! [`apply`] is what happened and never fails; nothing here decides what to do next.

mod budget;
mod hand_off;
mod stages;
mod team;
mod uses;
mod window;

use wire::converse::{Block, Role, StopReason, ToolStatus};

pub use self::budget::Budget;
pub use self::hand_off::denied;
pub use self::stages::{Heard, Stages};
pub use self::team::{Member, ROUTE, Routing, Spent, Team, within};
pub use self::uses::{Progress, Use};
pub use self::window::{Overflow, Window};
use crate::agent::event::{
    Accepted, Ask, Attributes, Cause, Event, Intent, ModelSaid, Parked, Purpose, Refusal, Started,
    Task, UnknownEffect,
};
use crate::agent::history::{self, Past};
use crate::agent::origin::{Origin, Utterance, push};
use crate::cost::{Bill, Money, Paid};
use crate::policy::looping::Rounds;
use crate::route::{Route, Wishes};

/// The state of one turn: a fold of its events.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    pub accepted: Option<Accepted>,
    /// The request that the turn answers now: the one that began it, or brought results.
    pub request: String,
    pub system: Vec<String>,
    /// What a collaborator reads of its supervisor's conversation, before all else.
    pub relayed: Vec<Utterance>,
    /// Its start is recorded: the session's lane is its own.
    pub begun: bool,
    /// The memory that the session belongs to.
    pub memory_id: Option<String>,
    /// Summaries of earlier sessions, the oldest first.
    pub memory: Vec<String>,
    /// The session's exchanges that the turn reads.
    pub past: Past,
    /// What was said after them and is not kept there yet, such as what the client brought along.
    pub carried: Vec<Utterance>,
    /// What this turn adds.
    pub messages: Vec<Utterance>,
    /// Where in them the turn's question stands: its message, and the block of that.
    pub question: (usize, usize),
    /// Whose words began the turn.
    pub asker: Origin,
    pub session_attributes: Attributes,
    pub prompt_attributes: Attributes,
    pub unknown: Vec<UnknownEffect>,
    /// How many of them the session held already.
    pub inherited: usize,
    /// Model calls asked for so far.
    pub steps: u32,
    /// What was left out because the model could not read all.
    pub window: Window,
    /// What the model is being asked for right now.
    pub asking: Option<Purpose>,
    /// Which model is asked for it; the stage's own where nothing was said of routes.
    pub route: Option<Box<Route>>,
    /// What budgets said of its calls.
    pub budget: Budget,
    /// The tool uses of the last reply.
    pub uses: Vec<Use>,
    /// The collaborators that work for this one.
    pub team: Team,
    /// The client heard the beginning of an answer that nobody ends.
    pub broke_off: bool,
    /// Replies in a row with nothing but refused tool uses.
    pub repairs: u32,
    /// What its calls have brought, to see that it goes round in a loop.
    pub rounds: Rounds,
    /// It did.
    pub looped: bool,
    pub parked: Option<Parked>,
    /// An operator holds it.
    pub paused: bool,
    pub end: Option<End>,
    /// The text of the last reply, if it asked for no tool.
    pub said: Option<String>,
    /// How far the stages around the orchestration are.
    pub stages: Stages,
    /// A content filter ended the last reply.
    pub filtered: bool,
    pub stream: bool,
    pub trace: bool,
    pub usage: wire::converse::Usage,
    /// What it cost without its collaborators.
    pub bill: Bill,
    /// What is paid once it has summed a session up.
    pub keeping: Money,
    /// Providers that answered, in order of first appearance.
    pub providers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Answered(String),
    GaveUp(Cause, String),
    Failed { code: String, message: String },
    Cancelled(String),
}

/// What happened: total, and tolerant of events that make no sense any more.
pub fn apply(turn: &mut Turn, event: &Event) {
    turn.bill.wasted(event.wasted());
    match event {
        Event::Accepted(accepted) => turn.accept(accepted),
        Event::Started(started) => turn.start(started),
        Event::Asked(Intent::AskModel(Ask { purpose, step, route, reserved })) => {
            turn.ask(*purpose, *step);
            turn.route.clone_from(route);
            turn.budget.hold(reserved.as_deref());
        }
        Event::Asked(Intent::Parse(parse)) => turn.stages.parsing = Some(parse.clone()),
        Event::Asked(Intent::Call(call)) => turn.open(call),
        Event::ModelSaid(said) => turn.hear(said),
        Event::Parsed(parsed) => {
            turn.bill.tool(u32::from(parsed.cost.is_some()), parsed.cost);
            turn.read(parsed);
        }
        // The supervisor answers where nobody could be chosen.
        Event::ModelFailed(_) if turn.asking == Some(Purpose::Route) => {
            turn.asking = None;
            turn.team.routing = Routing::Over;
        }
        Event::ModelFailed(failed) => {
            turn.broke_off = failed.heard;
            turn.fail(&failed.code, &failed.message);
        }
        Event::ModelOverflowed(overflowed) => turn.overflow(overflowed),
        Event::Shrunk(shrunk) => turn.shrink(shrunk),
        Event::ToolReturned(returned) => {
            turn.take_route(returned);
            turn.absorb(&returned.tool_use_id);
            turn.bill.tool(returned.attempts(), returned.cost);
            turn.take(returned);
        }
        Event::Refused(refused) => {
            let status = Some(ToolStatus::Error);
            turn.looped |= refused.reason == Refusal::ToolLoop;
            turn.close(&refused.tool_use_id, refused.message.clone(), status, true);
        }
        Event::Parked(parked) => turn.parked = Some(parked.clone()),
        Event::Resumed(resumed) => turn.resume(resumed),
        Event::Deferred(deferred) => {
            turn.bill.tool(u32::from(deferred.cost.is_some()), deferred.cost);
            turn.defer(deferred);
        }
        Event::AskedUser(asked) => turn.ask_user(asked),
        Event::Delegated(delegated) => turn.delegate(delegated),
        Event::Within(within) => turn.apply_within(&within.tool_use_id, &within.event),
        Event::Cancelled { reason } => {
            turn.close_all(&format!("cancelled: {reason}"));
            turn.leave_words();
            turn.end = Some(End::Cancelled(reason.clone()));
        }
        Event::Paused => turn.paused = true,
        Event::Continued => turn.paused = false,
        Event::GaveUp(cause) => turn.give_up(*cause),
        Event::Finished { text } => {
            turn.bill.stack.memory += turn.keeping;
            turn.end = Some(End::Answered(text.clone()));
        }
        Event::Failed { code, message } => turn.fail(code, message),
        Event::Exhausted(exhausted) => turn.budget.exhausted = Some(exhausted.as_ref().clone()),
        Event::Halted { text } => turn.budget.halted = Some(text.clone()),
        Event::Replenished(replenished) => turn.replenish(replenished),
        Event::Lost => turn.lose(),
    }
}

impl Turn {
    /// Folds a journal from its beginning.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut turn = Turn::default();
        for event in events {
            apply(&mut turn, event);
        }
        turn
    }

    /// All that was said, from the first exchange that the turn reads.
    pub fn said_so_far(&self) -> impl Iterator<Item = &Utterance> {
        let past = self.past.exchanges.iter().flat_map(|exchange| &exchange.messages);
        self.relayed.iter().chain(past).chain(&self.carried).chain(&self.messages)
    }

    /// Whether it is to sum a session up instead of answering.
    pub fn sums_up(&self) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| accepted.task == Task::Summarize)
    }

    /// What the session keeps of the turn once it is over.
    pub fn leaves(&self) -> Vec<Utterance> {
        let said = self.carried.iter().chain(&self.messages).cloned();
        match &self.end {
            Some(End::Failed { .. }) => said.map(|one| one.with(history::without_file)).collect(),
            _ => said.collect(),
        }
    }

    fn accept(&mut self, accepted: &Accepted) {
        self.request = accepted.run.clone();
        self.prompt_attributes = accepted.prompt_session_attributes.clone();
        self.stream = accepted.stream;
        self.trace = accepted.trace;
        self.accepted = Some(accepted.clone());
    }

    /// Restricted data that was said stays so, whatever attributes say later.
    pub(super) fn heed_data_class(&mut self) {
        let said = Wishes::default().and(&self.session_attributes).and(&self.prompt_attributes);
        self.past.restricted |= said.restricted;
    }

    fn start(&mut self, started: &Started) {
        let Some(accepted) = self.accepted.clone() else { return };
        self.begun = true;
        self.bill.stack.memory += started.cost.unwrap_or_default();
        self.keeping = started.keeping.unwrap_or_default();
        self.system = started.system.clone();
        self.memory_id = started.memory_id.clone().or(accepted.memory_id);
        self.memory = started.memory.iter().map(|recalled| recalled.text.clone()).collect();
        self.past = started.past.clone();
        self.carried = started.history.clone();
        if self.past.is_empty() && self.carried.is_empty() {
            let given = accepted.conversation.into_iter();
            self.carried = given.map(|m| Utterance::new(m, &Origin::User)).collect();
        }
        self.inherit(&started.unknown);
        self.session_attributes =
            accepted.session_attributes.unwrap_or_else(|| started.session_attributes.clone());
        self.heed_data_class();
        self.team.threads = started.threads.clone();
        self.team.routed = started.routed.clone();
        if accepted.task == Task::Summarize {
            return;
        }
        let words = (Block::Text(accepted.input_text), self.asker.clone());
        push(&mut self.messages, Role::User, vec![words]);
        let blocks = self.messages.last().map_or(0, |message| message.content.len());
        self.question = (self.messages.len().saturating_sub(1), blocks.saturating_sub(1));
        let files = accepted.files.into_iter().map(|block| (block, Origin::Document));
        push(&mut self.messages, Role::User, files.collect());
    }

    fn hear(&mut self, said: &ModelSaid) {
        let purpose = self.asking.take().unwrap_or(Purpose::Plan);
        if !said.reused {
            self.usage += said.reply.usage;
            let paid = Paid { cost: said.cost, saved: said.saved };
            self.bill.model(&said.model, &said.reply.usage, paid);
        }
        if !self.providers.contains(&said.provider) {
            self.providers.push(said.provider.clone());
        }
        self.stages.heard = Some(Heard { purpose, said: said.clone() });
        match purpose {
            Purpose::Plan | Purpose::Summarize => self.plan(said),
            Purpose::Route => self.team.routing = Routing::Said(text_of(&said.reply.content)),
            Purpose::PreProcess | Purpose::PostProcess => {}
        }
    }

    fn plan(&mut self, said: &ModelSaid) {
        let mut content = said.reply.content.clone();
        content.retain(|block| !is_blank(block));
        self.take_uses(&mut content);
        self.said = self.uses.is_empty().then(|| text_of(&content));
        self.filtered = said.reply.stop_reason == StopReason::ContentFiltered;
        if !content.is_empty() {
            self.say(content, &Origin::Model);
        }
    }

    /// What the session holds now; a turn that parked has left its own there.
    fn inherit(&mut self, unknown: &[UnknownEffect]) {
        self.unknown = unknown.to_vec();
        self.inherited = self.unknown.len();
    }

    /// The unknown outcomes of this turn's own calls.
    pub fn own_unknown(&self) -> &[UnknownEffect] {
        self.unknown.get(self.inherited..).unwrap_or_default()
    }

    fn give_up(&mut self, cause: Cause) {
        let text = farewell(cause);
        self.say(vec![Block::Text(text.to_owned())], &Origin::Developer);
        self.end = Some(End::GaveUp(cause, text.to_owned()));
    }

    fn fail(&mut self, code: &str, message: &str) {
        self.close_all("failed: the turn ended before this call was made or answered");
        self.end = Some(End::Failed { code: code.to_owned(), message: message.to_owned() });
    }

    fn say(&mut self, content: Vec<Block>, origin: &Origin) {
        let blocks = content.into_iter().map(|block| (block, origin.clone())).collect();
        push(&mut self.messages, Role::Assistant, blocks);
    }
}

/// What the user reads when a turn ends without the model's own answer.
pub fn farewell(cause: Cause) -> &'static str {
    match cause {
        Cause::TooManySteps => {
            "I could not finish this within the number of steps I am allowed. Please narrow the \
             request or try again."
        }
        Cause::TooManyRepairs => {
            "I could not work out a valid way to do this with my tools. Please rephrase the \
             request."
        }
        Cause::NoAnswer => "I have no answer to that. Please rephrase the request or try again.",
        Cause::Withheld => "I cannot answer that: a content filter withheld the answer.",
        Cause::ToolLoop => {
            "I kept asking for the same thing and learnt nothing new, so I stopped. Please rephrase \
             the request or try again later."
        }
    }
}

/// The same for the failure trace.
pub fn failure_reason(cause: Cause) -> &'static str {
    match cause {
        Cause::TooManySteps => "the turn reached its limit of model calls",
        Cause::TooManyRepairs => "the model kept asking for calls that are not valid",
        Cause::NoAnswer => "the model ended without an answer",
        Cause::Withheld => "the model's content filter withheld the answer",
        Cause::ToolLoop => "the model called a tool in a loop, with nothing new in its results",
    }
}

/// Models' services refuse blank texts in what they are sent.
fn is_blank(block: &Block) -> bool {
    matches!(block, Block::Text(text) if text.trim().is_empty())
}

/// All text blocks of a message.
pub fn text_of(content: &[Block]) -> String {
    let texts = content.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}
