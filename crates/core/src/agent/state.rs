//! The state of an agent turn: what its events add up to.
//!
//! [`apply`] is what happened and never fails; nothing here decides what to do next.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use wire::converse::{Block, ResultBlock, Role, StopReason, ToolResult, ToolStatus, ToolUse};

use super::event::{
    Accepted, Attributes, Call, Cause, Event, HandBackState, Intent, ModelSaid, Outcome, Parked,
    Resumed, Started, ToolReturned, UnknownEffect,
};
use super::origin::{Origin, Utterance, push};
use super::tool::{self, Effect};

/// The state of one turn: a fold of its events.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    pub accepted: Option<Accepted>,
    /// The request that the turn answers now: the one that began it, or brought results.
    pub request: String,
    pub system: Vec<String>,
    /// The session's messages, then this turn's.
    pub messages: Vec<Utterance>,
    pub session_attributes: Attributes,
    pub prompt_attributes: Attributes,
    pub unknown: Vec<UnknownEffect>,
    /// How many of them the session held already.
    pub inherited: usize,
    /// Model calls asked for so far.
    pub steps: u32,
    pub waits_for_model: bool,
    /// The tool uses of the last reply.
    pub uses: Vec<Use>,
    /// Replies in a row with nothing but refused tool uses.
    pub repairs: u32,
    pub parked: Option<Parked>,
    pub end: Option<End>,
    /// The text of the last reply, if it asked for no tool.
    pub said: Option<String>,
    /// A content filter ended the last reply.
    pub filtered: bool,
    pub stream: bool,
    pub trace: bool,
    pub usage: wire::converse::Usage,
    /// Providers that answered, in order of first appearance.
    pub providers: Vec<String>,
}

/// One tool use of a reply and how far it is.
#[derive(Debug, Clone)]
pub struct Use {
    pub tool_use: ToolUse,
    pub stage: Stage,
    pub call: Option<Call>,
}

impl Use {
    fn may_have_changed_something(&self) -> bool {
        let call = self.call.as_ref().filter(|_| self.stage == Stage::Asked);
        call.is_some_and(|call| call.effect != Effect::Read)
    }
}

/// What the model reads of a call whose reply nobody waited for.
const LEFT_UNDER_WAY: &str = "unknown_outcome: the turn ended while this call was under way; do \
                              not repeat it, tell the user that a person has to look";
/// What the model reads where a tool said nothing.
const EMPTY_RESULT: &str = "(the tool returned nothing)";

#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    New,
    Asked,
    /// Closed with a result; `bool` is whether it was refused.
    Closed(ToolResult, bool),
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
    match event {
        Event::Accepted(accepted) => turn.accept(accepted),
        Event::Started(started) => turn.start(started),
        Event::Asked(Intent::AskModel { step, .. }) => {
            turn.steps = *step;
            turn.waits_for_model = true;
            turn.said = None;
            turn.uses.clear();
        }
        Event::Asked(Intent::Call(call)) => turn.open(call),
        Event::ModelSaid(said) => turn.hear(said),
        Event::ModelFailed(failed) => turn.fail(&failed.code, &failed.message),
        Event::ToolReturned(returned) => turn.take(returned),
        Event::Refused(refused) => {
            let status = Some(ToolStatus::Error);
            turn.close(&refused.tool_use_id, refused.message.clone(), status, true);
        }
        Event::Parked(parked) => turn.parked = Some(parked.clone()),
        Event::Resumed(resumed) => turn.resume(resumed),
        Event::Cancelled { reason } => {
            turn.close_all(&format!("cancelled: {reason}"));
            turn.end = Some(End::Cancelled(reason.clone()));
        }
        Event::GaveUp(cause) => turn.give_up(*cause),
        Event::Finished { text } => turn.end = Some(End::Answered(text.clone())),
        Event::Failed { code, message } => turn.fail(code, message),
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

    /// The calls that were asked for and have no outcome yet.
    pub fn open_calls(&self) -> impl Iterator<Item = &Call> {
        self.uses.iter().filter(|u| u.stage == Stage::Asked).filter_map(|u| u.call.as_ref())
    }

    pub fn used(&self, tool_use_id: &str) -> Option<&Use> {
        self.uses.iter().find(|u| u.tool_use.tool_use_id == tool_use_id)
    }

    /// The tool uses that the client holds, in the order it got them.
    pub fn handed_off(&self) -> Vec<&ToolUse> {
        let parked = self.parked.as_ref().map(|p| p.tool_uses.as_slice()).unwrap_or_default();
        parked.iter().filter_map(|id| self.used(id)).map(|u| &u.tool_use).collect()
    }

    fn accept(&mut self, accepted: &Accepted) {
        self.request = accepted.run.clone();
        self.prompt_attributes = accepted.prompt_session_attributes.clone();
        self.stream = accepted.stream;
        self.trace = accepted.trace;
        self.accepted = Some(accepted.clone());
    }

    fn start(&mut self, started: &Started) {
        let Some(accepted) = self.accepted.clone() else { return };
        self.system = started.system.clone();
        self.messages = started.history.clone();
        if self.messages.is_empty() {
            let given = accepted.conversation.into_iter();
            self.messages = given.map(|m| Utterance::new(m, &Origin::User)).collect();
        }
        self.inherit(&started.unknown);
        self.session_attributes =
            accepted.session_attributes.unwrap_or_else(|| started.session_attributes.clone());
        let words = (Block::Text(accepted.input_text), Origin::User);
        push(&mut self.messages, Role::User, vec![words]);
    }

    fn open(&mut self, call: &Call) {
        if let Some(used) =
            self.uses.iter_mut().find(|u| u.tool_use.tool_use_id == call.tool_use_id)
        {
            used.stage = Stage::Asked;
            used.call = Some(call.clone());
        }
    }

    fn hear(&mut self, said: &ModelSaid) {
        self.waits_for_model = false;
        self.usage.input_tokens += said.reply.usage.input_tokens;
        self.usage.output_tokens += said.reply.usage.output_tokens;
        self.usage.cache_read_input_tokens += said.reply.usage.cache_read_input_tokens;
        self.usage.cache_write_input_tokens += said.reply.usage.cache_write_input_tokens;
        if !self.providers.contains(&said.provider) {
            self.providers.push(said.provider.clone());
        }
        let mut content = said.reply.content.clone();
        content.retain(|block| !is_blank(block));
        self.uses = unique_uses(&mut content, self.used_ids())
            .into_iter()
            .map(|tool_use| Use { tool_use, stage: Stage::New, call: None })
            .collect();
        self.said = self.uses.is_empty().then(|| text_of(&content));
        self.filtered = said.reply.stop_reason == StopReason::ContentFiltered;
        if !content.is_empty() {
            self.say(content, &Origin::Model);
        }
    }

    fn take(&mut self, returned: &ToolReturned) {
        let id = &returned.tool_use_id;
        match &returned.outcome {
            Outcome::Answered { body, session_attributes, prompt_session_attributes, .. } => {
                if let Some(attributes) = session_attributes {
                    self.session_attributes = attributes.clone();
                }
                if let Some(attributes) = prompt_session_attributes {
                    self.prompt_attributes = attributes.clone();
                }
                self.close(id, body.clone(), None, false);
            }
            Outcome::Reprompt { body } => {
                self.close(id, body.clone(), Some(ToolStatus::Error), true);
            }
            Outcome::Error { message } => {
                self.close(id, message.clone(), Some(ToolStatus::Error), false);
            }
            Outcome::Failure { message } => {
                self.close(id, message.clone(), Some(ToolStatus::Error), false);
                self.fail("DependencyFailedException", message);
            }
            Outcome::Unknown { message } => {
                self.remember_unknown(id);
                self.close(id, message.clone(), Some(ToolStatus::Error), false);
            }
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

    fn used_ids(&self) -> BTreeSet<String> {
        let blocks = self.messages.iter().flat_map(|message| &message.content);
        let used = blocks.filter_map(|block| match block {
            Block::ToolUse(used) => Some(used.tool_use_id.clone()),
            _ => None,
        });
        used.collect()
    }

    fn remember_unknown(&mut self, tool_use_id: &str) {
        if let Some(call) = self.used(tool_use_id).and_then(|u| u.call.clone()) {
            let arguments = tool::canonical(&call.input);
            self.unknown.push(UnknownEffect { key: call.key, tool: call.tool, arguments });
        }
    }

    fn resume(&mut self, resumed: &Resumed) {
        self.parked = None;
        self.request = resumed.request.clone();
        if let Some(unknown) = &resumed.unknown {
            self.inherit(unknown);
        }
        self.stream = resumed.stream;
        self.trace = resumed.trace;
        if let Some(attributes) = &resumed.session_attributes {
            self.session_attributes = attributes.clone();
        }
        if let Some(attributes) = &resumed.prompt_session_attributes {
            self.prompt_attributes = attributes.clone();
        }
        for result in &resumed.results {
            let (status, again) = match result.state {
                HandBackState::Success => (None, false),
                HandBackState::Reprompt => (Some(ToolStatus::Error), true),
                HandBackState::Failure => (Some(ToolStatus::Error), false),
            };
            self.close(&result.tool_use_id, result.body.clone(), status, again);
        }
        // The other results were brought and stay, whatever one of them says.
        let failed = resumed.results.iter().find(|r| r.state == HandBackState::Failure);
        if let Some(failed) = failed {
            self.fail("DependencyFailedException", &failed.body);
        }
    }

    fn give_up(&mut self, cause: Cause) {
        let text = farewell(cause);
        self.say(vec![Block::Text(text.to_owned())], &Origin::Developer);
        self.end = Some(End::GaveUp(cause, text.to_owned()));
    }

    fn fail(&mut self, code: &str, message: &str) {
        self.waits_for_model = false;
        self.close_all("failed: the turn ended before this call was made or answered");
        self.end = Some(End::Failed { code: code.to_owned(), message: message.to_owned() });
    }

    /// Closes one tool use; the results become a message when the last one is in.
    fn close(&mut self, id: &str, body: String, status: Option<ToolStatus>, again: bool) {
        let Some(used) = self.uses.iter_mut().find(|u| u.tool_use.tool_use_id == id) else {
            return;
        };
        if matches!(used.stage, Stage::Closed(..)) {
            return;
        }
        // Models' services refuse a blank text.
        let body = if body.trim().is_empty() { EMPTY_RESULT.to_owned() } else { body };
        let content = vec![ResultBlock::Text(body)];
        let result = ToolResult { tool_use_id: id.to_owned(), content, status };
        used.stage = Stage::Closed(result, again);
        self.settle();
    }

    /// INVARIANT: no tool use is left without a result when a turn ends, and a call that was under
    /// way then and may have changed something counts as unknown.
    fn close_all(&mut self, message: &str) {
        let open = self.uses.iter().filter(|u| !matches!(u.stage, Stage::Closed(..)));
        let open = open.map(|u| (u.tool_use.tool_use_id.clone(), u.may_have_changed_something()));
        self.parked = None;
        for (id, doubtful) in open.collect::<Vec<_>>() {
            let body = if doubtful { LEFT_UNDER_WAY } else { message };
            if doubtful {
                self.remember_unknown(&id);
            }
            self.close(&id, body.to_owned(), Some(ToolStatus::Error), false);
        }
    }

    fn settle(&mut self) {
        let closed: Vec<(&ToolUse, &ToolResult, bool)> = self
            .uses
            .iter()
            .filter_map(|u| match &u.stage {
                Stage::Closed(result, again) => Some((&u.tool_use, result, *again)),
                Stage::New | Stage::Asked => None,
            })
            .collect();
        if closed.len() < self.uses.len() {
            return;
        }
        let only_repairs = closed.iter().all(|(_, _, again)| *again);
        let block = |(used, result, _): (&ToolUse, &ToolResult, bool)| {
            (Block::ToolResult(result.clone()), Origin::Tool(used.name.clone()))
        };
        let blocks = closed.into_iter().map(block).collect();
        self.repairs = if only_repairs { self.repairs + 1 } else { 0 };
        push(&mut self.messages, Role::User, blocks);
    }

    fn say(&mut self, content: Vec<Block>, origin: &Origin) {
        let blocks = content.into_iter().map(|block| (block, origin.clone())).collect();
        push(&mut self.messages, Role::Assistant, blocks);
    }

    pub(super) fn key(&self, ordinal: usize, tool: &str, input: &Json) -> String {
        let (tenant, run) = match &self.accepted {
            Some(accepted) => (accepted.tenant.as_str(), accepted.run.as_str()),
            None => ("", ""),
        };
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        tool::idempotency_key(tenant, run, self.steps, ordinal, tool, input)
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
    }
}

/// The same for the failure trace.
pub fn failure_reason(cause: Cause) -> &'static str {
    match cause {
        Cause::TooManySteps => "the turn reached its limit of model calls",
        Cause::TooManyRepairs => "the model kept asking for calls that are not valid",
        Cause::NoAnswer => "the model ended without an answer",
        Cause::Withheld => "the model's content filter withheld the answer",
    }
}

/// The tool uses of a reply, each with an id of its own in the whole conversation: some models
/// repeat or omit ids, and a model's service refuses a conversation with one id twice.
fn unique_uses(content: &mut [Block], mut taken: BTreeSet<String>) -> Vec<ToolUse> {
    let mut uses: Vec<ToolUse> = Vec::new();
    for block in content {
        if let Block::ToolUse(tool_use) = block {
            let given = tool_use.tool_use_id.clone();
            let mut more = uses.len();
            while tool_use.tool_use_id.is_empty() || taken.contains(&tool_use.tool_use_id) {
                tool_use.tool_use_id = format!("{given}_{more}");
                more += 1;
            }
            taken.insert(tool_use.tool_use_id.clone());
            uses.push(tool_use.clone());
        }
    }
    uses
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
