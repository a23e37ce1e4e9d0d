//! What can happen in an agent turn, in the order it happened.
//!
//! Events are the journal's payload: they are only ever added to, and an old one must still
//! apply. An intent is an event too: it says that an effect is about to be performed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wire::converse::{Block, Message, Reply, ToolUse};

use super::history::Past;
use super::origin::Utterance;
use super::recall::Recall;
use super::tool::{Effect, HandOff, Tool};
use crate::budget::{Exhausted, Replenished, Reserved};
use crate::cost::Money;
use crate::policy::SetPolicy;
use crate::route::Route;

pub use super::conduct::{Conduct, Fallback, ModelConduct, Passed, ServedFrom, Wasted};

pub type Attributes = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// The client's request, before the session's lane is free.
    Accepted(Box<Accepted>),
    /// The lane is ours: what the turn starts from.
    Started(Box<Started>),
    /// An effect is about to be performed.
    Asked(Intent),
    ModelSaid(Box<ModelSaid>),
    ModelFailed(ModelFailed),
    /// The model refused the conversation for its length.
    ModelOverflowed(ModelOverflowed),
    /// Something is left out of what the model reads from here on.
    Shrunk(Shrunk),
    /// A reply was read for what its stage is to decide, by a parser function or by ourselves.
    Parsed(Box<Parsed>),
    ToolReturned(ToolReturned),
    /// A tool use that is not performed; the model is told why and may repair it.
    Refused(Refused),
    /// The client is asked to perform these calls; the turn waits without a lane.
    Parked(Parked),
    /// The client's results for the calls it was handed.
    Resumed(Box<Resumed>),
    /// A tool took the call and brings its result later; the turn waits without a lane.
    Deferred(Deferred),
    /// The turn ends with a question to the user.
    AskedUser(AskedUser),
    /// A collaborator begins to work on a tool use, or on the whole turn.
    Delegated(Box<Delegated>),
    /// Something happened in a collaborator's turn, which is nested in this one.
    Within(Box<Within>),
    /// The hand-off, or the whole turn, was called off.
    Cancelled {
        reason: String,
    },
    /// An operator holds the turn: what is under way ends, nothing new begins.
    Paused,
    /// The operator lets it go on.
    Continued,
    GaveUp(Cause),
    Finished {
        text: String,
    },
    /// The turn ends with an exception of the wire.
    Failed {
        code: String,
        message: String,
    },
    /// A budget has no room for the next call of a model: the turn waits without making it.
    Exhausted(Box<Exhausted>),
    /// Nothing moves any more because of that. The client hears what there is; the state is kept.
    Halted {
        text: String,
    },
    /// Somebody lets a halted turn go on.
    Replenished(Replenished),
    /// The process that asked the model died. What was held back for the call counts as spent.
    Lost,
}

/// What the client asked, as it asked it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// `account/region`, part of every idempotency key.
    pub tenant: String,
    /// The run's id: the request id of the call that began it.
    pub run: String,
    /// Where the run stands among those that led to it.
    pub lineage: Lineage,
    pub session_id: String,
    pub alias_id: String,
    /// Content hash of the pinned [`super::config::AgentConfig`].
    pub config: String,
    /// The provider that the model map named for the configuration's model.
    pub provider: String,
    pub input_text: String,
    /// `None` leaves the session's attributes as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_attributes: Option<Attributes>,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub prompt_session_attributes: Attributes,
    /// Messages the client gives for a fresh session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conversation: Vec<Message>,
    /// What the client attached to its question: images and documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Block>,
    /// The memory that the session belongs to (`memoryId`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_id: Option<String>,
    #[serde(default, skip_serializing_if = "Task::is_answer")]
    pub task: Task,
    #[serde(default, skip_serializing_if = "Recall::is_all")]
    pub recall: Recall,
    #[serde(default)]
    pub stream: bool,
    #[serde(default)]
    pub trace: bool,
    /// The provisioned throughput of the alias, whose places the calls of models take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<String>,
    /// The most that the run may cost, where its client said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Money>,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Task {
    /// An answer to the client.
    #[default]
    Answer,
    /// What later sessions are to know of this one, once it is over.
    Summarize,
}

impl Task {
    fn is_answer(&self) -> bool {
        *self == Task::Answer
    }
}

/// A run's place in its tree. The root owns the session's lane and the client's stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lineage {
    /// The run's own id where nothing began it but a client.
    pub root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    #[serde(default)]
    pub depth: u32,
}

/// The run and the model call of it that began another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    pub run: String,
    pub step: u32,
}

impl Lineage {
    /// Of a run that a client began.
    pub fn root(run: &str) -> Self {
        Lineage { root: run.to_owned(), parent: None, depth: 0 }
    }
}

/// The session as the turn found it, and the prompt that was made for it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    pub system: Vec<String>,
    /// What was said before, where it is kept.
    #[serde(default, skip_serializing_if = "Past::is_unsaid")]
    pub past: Past,
    /// What was said after that and is kept nowhere else; all of it in journals of the first version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Utterance>,
    /// What collaborators heard and said in earlier turns of the session, by the path of their names
    /// below this turn's agent (`A`, `A>B`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub threads: BTreeMap<String, Past>,
    /// The memory that the session belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_id: Option<String>,
    /// Summaries of earlier sessions with the same memory, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory: Vec<Recalled>,
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub session_attributes: Attributes,
    /// Calls of earlier turns whose outcome nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownEffect>,
    /// The collaborator that a routing supervisor chose last in this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<String>,
    /// What looking into the memory cost, by the price file at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What is paid for the record that the turn leaves in the memory once it has summed up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeping: Option<Money>,
    /// What is set for the tools of the whole team; a nested turn has none of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<SetPolicy>,
}

/// What is known of an earlier session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recalled {
    pub session_id: String,
    pub text: String,
    /// It sums up a session in which restricted data was said.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restricted: bool,
}

impl Started {
    /// Each stretch of a conversation that the turn and those nested in it may read.
    pub fn pasts_mut(&mut self) -> impl Iterator<Item = &mut Past> {
        std::iter::once(&mut self.past).chain(self.threads.values_mut())
    }
}

impl Event {
    /// Attempts to ask a model that brought no reply and may be billed; those of a nested turn are its own.
    pub fn wasted(&self) -> &[Wasted] {
        match self {
            Event::ModelSaid(said) => &said.conduct.wasted,
            Event::ModelFailed(failed) => &failed.wasted,
            Event::ModelOverflowed(overflowed) => &overflowed.wasted,
            _ => &[],
        }
    }

    /// The beginning of a turn that the event holds, at whatever depth.
    pub fn started_mut(&mut self) -> Option<&mut Started> {
        match self {
            Event::Started(started) => Some(started),
            Event::Delegated(delegated) => Some(&mut delegated.started),
            Event::Within(within) => within.event.started_mut(),
            Event::Accepted(_)
            | Event::Asked(_)
            | Event::ModelSaid(_)
            | Event::ModelFailed(_)
            | Event::ModelOverflowed(_)
            | Event::Shrunk(_)
            | Event::Parsed(_)
            | Event::ToolReturned(_)
            | Event::Refused(_)
            | Event::Parked(_)
            | Event::Resumed(_)
            | Event::Deferred(_)
            | Event::AskedUser(_)
            | Event::Cancelled { .. }
            | Event::Paused
            | Event::Continued
            | Event::GaveUp(_)
            | Event::Finished { .. }
            | Event::Failed { .. }
            | Event::Exhausted(_)
            | Event::Halted { .. }
            | Event::Replenished(_)
            | Event::Lost => None,
        }
    }
}

/// A call that may or may not have taken effect; an identical one is refused until resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownEffect {
    pub key: String,
    pub tool: String,
    /// The function's ARN, which tells tools of one name apart in a team. Empty in old journals.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Canonical JSON.
    pub arguments: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "camelCase")]
pub enum Intent {
    AskModel(Ask),
    /// A parser function is asked what a reply means.
    Parse(Parse),
    Call(Call),
}

/// One call of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    pub purpose: Purpose,
    pub step: u32,
    /// Which model is asked, and why it; the stage's own where nothing is said of routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Box<Route>>,
    /// What is held back for the call in each budget that it counts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Box<Reserved>>,
}

impl Ask {
    pub fn new(purpose: Purpose, step: u32) -> Ask {
        Ask { purpose, step, route: None, reserved: None }
    }
}

/// The reply of a stage, for the function that reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parse {
    pub purpose: Purpose,
    pub step: u32,
    /// The function's ARN.
    pub target: String,
}

/// What a model is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Is the input fit to be worked on?
    PreProcess,
    /// Which collaborator does the whole of it?
    Route,
    /// What comes next: tools, or the answer.
    Plan,
    /// The answer as the user is to read it.
    PostProcess,
    /// What a later session is to know of this one.
    Summarize,
}

/// A collaborator's turn begins: a turn of its own inside the supervisor's, in the same journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delegated {
    /// The supervisor's tool use; the name of the nested turn.
    pub tool_use_id: String,
    /// `collaboratorName`.
    pub collaborator: String,
    /// Whether it reads its supervisor's conversation.
    #[serde(default)]
    pub relay: bool,
    /// When it begins, in milliseconds.
    #[serde(default)]
    pub at: i64,
    pub accepted: Accepted,
    pub started: Started,
}

/// An event of a nested turn. A turn may hold several; a nested turn may hold others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Within {
    /// [`Delegated::tool_use_id`].
    pub tool_use_id: String,
    pub event: Event,
}

/// One tool use that an executor performs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub tool_use_id: String,
    pub tool: String,
    /// The function's ARN.
    pub target: String,
    pub input: Json,
    /// Idempotency key, the same on every attempt.
    pub key: String,
    pub effect: Effect,
    /// When it was decided, in milliseconds; 0 in old journals.
    #[serde(default)]
    pub at: i64,
    /// It is not sent after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_by: Option<i64>,
    /// What is held back for it in budgets of dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Box<Reserved>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelSaid {
    pub step: u32,
    pub reply: Reply,
    /// Which provider of the model map answered, such as `rules`.
    pub provider: String,
    pub model: String,
    pub millis: u64,
    /// [`super::digest::of_call`] of what it answered to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_digest: Option<String>,
    /// What was ruled on the way to the reply.
    #[serde(default, skip_serializing_if = "ModelConduct::is_plain")]
    pub conduct: ModelConduct,
    /// Where its text was cut while somebody read along.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cuts: Cuts,
    /// By the price file at that time; `None` where that has no price for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// What it would have cost more without a cache.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub saved: Money,
    /// It was said in the run that this one is a fork of, which has paid for it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub reused: bool,
}

/// The pieces in which a reply came: block, and bytes of its text, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cuts(pub Vec<(u32, u32)>);

impl Cuts {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parsed {
    pub purpose: Purpose,
    pub step: u32,
    pub verdict: Verdict,
    /// What the reading took; nothing where no function was asked.
    #[serde(default)]
    pub millis: u64,
    /// What the function's call cost, by the price file at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// What a reply means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "camelCase")]
pub enum Verdict {
    /// Whether the input is worked on.
    Judged {
        valid: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rationale: Option<String>,
    },
    /// The model asks for these calls, whatever it wrote.
    Calls {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rationale: Option<String>,
        calls: Vec<ToolUse>,
    },
    /// The answer, or a question to the user, which ends the turn as it stands.
    Said {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rationale: Option<String>,
        text: String,
        #[serde(default)]
        asks: bool,
    },
    /// The model is to say it again, and reads why.
    Again {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rationale: Option<String>,
        message: String,
    },
    /// Nobody could read it: the turn ends.
    Failed { message: String },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFailed {
    pub step: u32,
    /// The exception that the client sees.
    pub code: String,
    pub message: String,
    /// It broke off while the client heard it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub heard: bool,
    /// What the client heard of it, as it went out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// Nobody can know what the provider counted: what was held back stays spent.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub consumed: bool,
    /// The attempts that may be billed; none in journals older than them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wasted: Vec<Wasted>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelOverflowed {
    pub step: u32,
    pub provider: String,
    /// The provider's words.
    pub message: String,
    /// Attempts before it that may be billed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wasted: Vec<Wasted>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shrunk {
    /// How many of the oldest exchanges that were still read.
    #[serde(default)]
    pub exchanges: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<CutResult>,
}

/// A tool result of which the model reads the beginning only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CutResult {
    pub tool_use_id: String,
    /// Bytes at its beginning.
    pub keep: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolReturned {
    pub tool_use_id: String,
    pub outcome: Outcome,
    pub millis: u64,
    /// What the attempts cost, by the price file at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The tool's reply was lost, and somebody else says what became of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// What was ruled on the way to the outcome.
    #[serde(default, skip_serializing_if = "Conduct::is_plain")]
    pub conduct: Conduct,
}

impl ToolReturned {
    /// How often a tool was asked for it: never where what it cost is not known.
    pub fn attempts(&self) -> u32 {
        self.cost.map_or(0, |_| self.conduct.attempts)
    }

    /// What the tool itself brought about.
    pub fn new(tool_use_id: &str, outcome: Outcome, millis: u64) -> Self {
        ToolReturned {
            tool_use_id: tool_use_id.to_owned(),
            outcome,
            millis,
            cost: None,
            ruling: None,
            conduct: Conduct::default(),
        }
    }
}

/// What became of a call whose reply was lost, as somebody found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ruling {
    /// `probe TOOL`, or who of the operators.
    pub by: String,
    /// Whether the call took effect; `None` where nobody said, and it may be made again.
    pub done: Option<bool>,
}

/// How a performed call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum Outcome {
    Answered {
        body: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session_attributes: Option<Attributes>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt_session_attributes: Option<Attributes>,
        /// Members of the response that AWS does not define.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ignored: Vec<String>,
    },
    /// The tool wants the model to try again with what it says.
    Reprompt { body: String },
    /// Nothing took effect, or the tool said so; the model reads this.
    Error { message: String },
    /// The tool declared the whole turn failed.
    Failure { message: String },
    /// The reply was lost: the effect may have happened.
    Unknown { message: String },
}

impl Outcome {
    /// What the model reads.
    pub fn text(&self) -> &str {
        match self {
            Outcome::Answered { body, .. } | Outcome::Reprompt { body } => body,
            Outcome::Error { message }
            | Outcome::Failure { message }
            | Outcome::Unknown { message } => message,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    pub tool_use_id: String,
    pub reason: Refusal,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    UnknownTool,
    InvalidArguments,
    TooManyHandOffs,
    TooManyToolUses,
    UnknownOutcome,
    /// A collaborator that cannot be asked.
    Unavailable,
    /// The tool's policy forbids these arguments.
    NotPermitted,
    /// The same call again and again, with nothing new in its results: the turn ends.
    ToolLoop,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    pub invocation_id: String,
    /// Tool use ids, in the order the client gets them.
    pub tool_uses: Vec<String>,
    /// Nested turns whose parked calls the client gets as well, after its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Those of the tool uses that a policy puts before a person, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub escalated: BTreeMap<String, String>,
}

impl Parked {
    /// What the client is asked for in one of the calls that it gets.
    pub fn asks(&self, tool: &Tool, tool_use_id: &str) -> HandOff {
        match (tool.hand_off(), self.escalated.contains_key(tool_use_id)) {
            (Some(asked), _) => asked,
            (None, true) => HandOff::Confirmation,
            (None, false) => HandOff::Result,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// The request that brought the results.
    pub request: String,
    pub results: Vec<HandBack>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_attributes: Option<Attributes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_session_attributes: Option<Attributes>,
    /// The session's calls of unknown outcome, as they stand now: a person may have looked
    /// meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Vec<UnknownEffect>>,
    /// What is set for tools from here on: an operator may have changed it meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<SetPolicy>,
    #[serde(default)]
    pub stream: bool,
    #[serde(default)]
    pub trace: bool,
}

/// One result of return of control, matched to its tool use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandBack {
    pub tool_use_id: String,
    pub body: String,
    pub state: HandBackState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HandBackState {
    #[default]
    Success,
    Reprompt,
    Failure,
    /// The user agreed to the call: it is performed here now, with the arguments that were shown.
    Confirmed,
    /// The user did not agree; the call is not performed.
    Denied,
}

/// A call that a tool has taken and not answered yet. The times are the engine's clock's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deferred {
    pub tool_use_id: String,
    /// What the result comes under.
    pub token: String,
    /// The tool wants to be asked again after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_seconds: Option<u32>,
    pub since: i64,
    /// From then on nobody waits for it.
    pub due: i64,
    /// What the attempts cost, by the price file at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// The reply was lost, for this reason: what the turn waits for is a person who looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// Who took the call, and owes its result, if not the tool itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// The question that ends a turn; the user's answer is the session's next input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AskedUser {
    /// The tool uses by which the model asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_uses: Vec<String>,
    pub question: String,
}

/// Why a turn ends without the model's own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    TooManySteps,
    TooManyRepairs,
    /// The model ended without words.
    NoAnswer,
    /// The same, because a content filter withheld them.
    Withheld,
    /// The model kept calling a tool that told it nothing new.
    ToolLoop,
}
