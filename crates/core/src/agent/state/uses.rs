//! The tool uses of a reply: how far each is, and how they close together.

use serde_json::Value as Json;
use wire::converse::{Block, ResultBlock, Role, ToolResult, ToolStatus, ToolUse};

use super::{ROUTE, Turn};
use crate::agent::event::{
    Call, Deferred, Event, ModelSaid, Outcome, Parsed, ToolReturned, UnknownEffect, Verdict, Within,
};
use crate::agent::origin::{Origin, push};
use crate::agent::tool::{self, Effect};

/// One tool use of a reply and how far it is.
#[derive(Debug, Clone)]
pub struct Use {
    pub tool_use: ToolUse,
    pub progress: Progress,
    pub call: Option<Call>,
    /// The user agreed to this call, with these arguments.
    pub confirmed: bool,
}

impl Use {
    pub(super) fn new(tool_use: ToolUse) -> Self {
        Use { tool_use, progress: Progress::New, call: None, confirmed: false }
    }

    fn may_have_changed_something(&self) -> bool {
        let call = match self.progress {
            Progress::Asked | Progress::Pending(_) => self.call.as_ref(),
            Progress::New | Progress::Closed(..) => None,
        };
        call.is_some_and(|call| call.effect != Effect::Read)
    }
}

/// What the model reads of a call whose reply nobody waited for.
const LEFT_UNDER_WAY: &str = "unknown_outcome: the turn ended while this call was under way; do \
                              not repeat it, tell the user that a person has to look";
/// What the model reads where a tool said nothing.
const EMPTY_RESULT: &str = "(the tool returned nothing)";

#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    New,
    Asked,
    /// The tool has it and brings the result later.
    Pending(Deferred),
    /// Closed with a result; `bool` is whether it was refused.
    Closed(ToolResult, bool),
}

impl Turn {
    /// The calls that were asked for and have no outcome yet.
    pub fn open_calls(&self) -> impl Iterator<Item = &Call> {
        self.uses.iter().filter(|u| u.progress == Progress::Asked).filter_map(|u| u.call.as_ref())
    }

    pub fn used(&self, tool_use_id: &str) -> Option<&Use> {
        self.uses.iter().find(|u| u.tool_use.tool_use_id == tool_use_id)
    }

    /// The tool uses that the client holds, in the order it got them.
    pub fn handed_off(&self) -> Vec<&ToolUse> {
        let parked = self.parked.as_ref().map(|p| p.tool_uses.as_slice()).unwrap_or_default();
        parked.iter().filter_map(|id| self.used(id)).map(|u| &u.tool_use).collect()
    }

    /// The calls whose tools bring their results later.
    pub fn pending(&self) -> impl Iterator<Item = (&Call, &Deferred)> {
        self.uses.iter().filter_map(|used| match (&used.call, &used.progress) {
            (Some(call), Progress::Pending(deferred)) => Some((call, deferred)),
            _ => None,
        })
    }

    /// Whether the outcome of a call is still to come.
    pub fn awaits(&self, tool_use_id: &str) -> bool {
        let open = |used: &Use| matches!(used.progress, Progress::Asked | Progress::Pending(_));
        self.used(tool_use_id).is_some_and(open)
    }

    /// A call that is closed already stays so.
    pub(super) fn defer(&mut self, deferred: &Deferred) {
        let used = self.uses.iter_mut().find(|u| u.tool_use.tool_use_id == deferred.tool_use_id);
        if let Some(used) = used
            && matches!(used.progress, Progress::Asked | Progress::Pending(_))
        {
            used.progress = Progress::Pending(deferred.clone());
        }
    }

    /// The user agreed: what waits for that may be performed.
    pub(super) fn confirm(&mut self, tool_use_id: &str) {
        let used = self.uses.iter_mut().find(|u| u.tool_use.tool_use_id == tool_use_id);
        if let Some(used) = used {
            used.confirmed = true;
        }
    }

    /// The event as it is to be recorded: its tool uses have the ids that they keep.
    ///
    /// INVARIANT: what a journal holds needs no text of earlier turns to be read as it was. That text
    /// is deleted in time, and an id that was changed for its sake would come back as it came.
    pub fn named(&self, event: Event) -> Event {
        match event {
            Event::ModelSaid(mut said) => {
                self.name_reply(&mut said);
                Event::ModelSaid(said)
            }
            Event::Parsed(mut parsed) => {
                self.name_calls(&mut parsed);
                Event::Parsed(parsed)
            }
            Event::Within(within) => {
                let Within { tool_use_id, event } = *within;
                let event = match self.team.members.get(&tool_use_id) {
                    Some(member) => member.turn.named(event),
                    None => event,
                };
                Event::Within(Box::new(Within { tool_use_id, event }))
            }
            other => other,
        }
    }

    fn name_reply(&self, said: &mut ModelSaid) {
        unique_uses(&mut said.reply.content, |id| self.has_used(id));
    }

    /// The calls stand in the place of the reply's own, whose ids are free again.
    fn name_calls(&self, parsed: &mut Parsed) {
        let Verdict::Calls { calls, .. } = &mut parsed.verdict else { return };
        let own = |id: &str| self.used(id).is_some();
        let mut content: Vec<Block> = calls.drain(..).map(Block::ToolUse).collect();
        *calls = unique_uses(&mut content, |id| !own(id) && self.has_used(id));
    }

    /// The tool uses of a reply, each new.
    pub(super) fn take_uses(&mut self, content: &mut [Block]) {
        let uses = unique_uses(content, |id| self.has_used(id)).into_iter();
        self.uses = uses.map(Use::new).collect();
    }

    pub(super) fn open(&mut self, call: &Call) {
        if let Some(used) =
            self.uses.iter_mut().find(|u| u.tool_use.tool_use_id == call.tool_use_id)
        {
            used.progress = Progress::Asked;
            used.call = Some(call.clone());
        }
    }

    pub(super) fn take(&mut self, returned: &ToolReturned) {
        let id = &returned.tool_use_id;
        self.notice(id, returned.outcome.text());
        match &returned.outcome {
            Outcome::Answered { body, session_attributes, prompt_session_attributes, .. } => {
                if let Some(attributes) = session_attributes {
                    self.session_attributes = attributes.clone();
                }
                if let Some(attributes) = prompt_session_attributes {
                    self.prompt_attributes = attributes.clone();
                }
                self.heed_data_class();
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

    /// A call that was made has its result: it may be the same as ever.
    pub(super) fn notice(&mut self, tool_use_id: &str, result: &str) {
        let Some(used) = self.uses.iter().find(|u| u.tool_use.tool_use_id == tool_use_id) else {
            return;
        };
        let (input, effect) = match &used.call {
            Some(call) => (&call.input, call.effect),
            None => (&used.tool_use.input, Effect::default()),
        };
        self.rounds.notice(&used.tool_use.name, input, effect, result);
    }

    /// Whether the conversation has a tool use of this id already, or the id is none of a tool use.
    pub(super) fn has_used(&self, id: &str) -> bool {
        let mut blocks = self.said_so_far().flat_map(|message| &message.content);
        id == ROUTE
            || blocks.any(|block| matches!(block, Block::ToolUse(used) if used.tool_use_id == id))
    }

    pub(super) fn remember_unknown(&mut self, tool_use_id: &str) {
        if let Some(call) = self.used(tool_use_id).and_then(|u| u.call.clone()) {
            let arguments = tool::canonical(&call.input);
            let Call { key, tool, target, .. } = call;
            self.unknown.push(UnknownEffect { key, tool, target, arguments });
        }
    }

    /// Closes one tool use; the results become a message when the last one is in.
    pub(super) fn close(
        &mut self,
        id: &str,
        body: String,
        status: Option<ToolStatus>,
        again: bool,
    ) {
        let Some(used) = self.uses.iter_mut().find(|u| u.tool_use.tool_use_id == id) else {
            return;
        };
        if matches!(used.progress, Progress::Closed(..)) {
            return;
        }
        // Models' services refuse a blank text.
        let body = if body.trim().is_empty() { EMPTY_RESULT.to_owned() } else { body };
        let content = vec![ResultBlock::Text(body)];
        let result = ToolResult { tool_use_id: id.to_owned(), content, status };
        used.progress = Progress::Closed(result, again);
        self.settle();
    }

    /// INVARIANT: no tool use is left without a result when a turn ends, and a call that was under
    /// way then and may have changed something counts as unknown.
    pub(super) fn close_all(&mut self, message: &str) {
        let doubtful = self.call_members_off(message.trim_start_matches("cancelled: "));
        let open = self.uses.iter().filter(|u| !matches!(u.progress, Progress::Closed(..)));
        let open = open.map(|u| {
            let id = u.tool_use.tool_use_id.clone();
            let doubtful = u.may_have_changed_something() || doubtful.contains(&id);
            (id, doubtful)
        });
        self.parked = None;
        self.asking = None;
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
            .filter_map(|u| match &u.progress {
                Progress::Closed(result, again) => Some((&u.tool_use, result, *again)),
                Progress::New | Progress::Asked | Progress::Pending(_) => None,
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

    pub(in crate::agent) fn key(&self, ordinal: usize, tool: &str, input: &Json) -> String {
        let (tenant, run) = match &self.accepted {
            Some(accepted) => (accepted.tenant.as_str(), accepted.run.as_str()),
            None => ("", ""),
        };
        let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
        tool::idempotency_key(tenant, run, self.steps, ordinal, tool, input)
    }
}

/// The tool uses of a reply, each with an id of its own in the whole conversation: some models
/// repeat or omit ids, and a model's service refuses a conversation with one id twice.
fn unique_uses(content: &mut [Block], taken: impl Fn(&str) -> bool) -> Vec<ToolUse> {
    let mut uses: Vec<ToolUse> = Vec::new();
    for block in content {
        if let Block::ToolUse(tool_use) = block {
            let given = tool_use.tool_use_id.clone();
            let mut more = uses.len();
            let here = |id: &str| uses.iter().any(|used| used.tool_use_id == id);
            while tool_use.tool_use_id.is_empty()
                || here(&tool_use.tool_use_id)
                || taken(&tool_use.tool_use_id)
            {
                tool_use.tool_use_id = format!("{given}_{more}");
                more += 1;
            }
            uses.push(tool_use.clone());
        }
    }
    uses
}
