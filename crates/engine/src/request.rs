//! What a client asks of an agent, and how it is refused.

use std::fmt::Debug;

use craton_core::agent::event::{Attributes, HandBackState};
use craton_core::agent::recall::Recall;
use futures_util::stream::BoxStream;
use llm::ModelError;
use store::{CommitError, Conflict, Record as _, StoreError, Tenant};
use wire::converse::{Block, Message};

use crate::live::Out;
use crate::record::{Repeat, Session, digest};

/// The agent id of agents that come whole with their request.
///
/// AWS: what stands where an agent's id does (`agentId` of a hand-off in the tests of
/// awslabs/amazon-bedrock-agent-samples, the alias ARN of a trace in aws/aws-sdk-go-v2 issue 3218).
pub const INLINE: &str = "INLINE_AGENT";

/// AWS: the answer to `endSession` (seen in the console and in AWS re:Post threads).
pub(crate) const ENDED: &str = "Session is terminated as 'endSession' flag is set in request.";

/// What a client asks of an agent.
#[derive(Debug, Clone)]
pub struct TurnRequest {
    pub tenant: Tenant,
    /// The request's id; a new run takes it as its own.
    pub request: String,
    /// The SDK's own id of the request, the same on each of its attempts.
    pub repeat: Option<String>,
    pub agent_id: String,
    pub alias_id: String,
    pub session_id: String,
    /// Digest of a [`crate::record::Pinned`] configuration.
    pub config: String,
    pub input: Input,
    pub session_attributes: Option<Attributes>,
    pub prompt_session_attributes: Option<Attributes>,
    /// Messages for a session that has none yet.
    pub conversation: Vec<Message>,
    /// Images and documents that come with the text.
    pub files: Vec<Block>,
    pub memory_id: Option<String>,
    /// How much of what was said before the prompts have.
    pub recall: Recall,
    /// The answer's text goes out while the model makes it.
    pub stream: bool,
    pub trace: bool,
    /// The provisioned throughput of the alias.
    pub provisioned: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Input {
    Text(String),
    /// Results of a hand-off.
    Results {
        invocation_id: String,
        results: Vec<ClientResult>,
    },
    /// Ends the session; no model is asked.
    EndSession,
}

/// What the client brings for one handed-off call: its result, its user's word on it, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientResult {
    /// Which agent it is for, where the client says so.
    pub agent_id: Option<String>,
    pub group: String,
    pub target: ClientTarget,
    pub confirmation: Option<Confirmation>,
    pub body: String,
    pub state: HandBackState,
}

/// The user's word on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    Confirm,
    Deny,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ClientTarget {
    Function(String),
    /// Method and path, as the hand-off named them.
    Api {
        verb: String,
        path: String,
    },
}

/// A turn under way, or one that is over: what the client hears, from the beginning.
pub struct Hearing {
    pub run: String,
    /// The provider that the agent's model maps to; `rules` is no language model.
    pub provider: String,
    pub outs: BoxStream<'static, Out>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Throttled(String),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("the pinned configuration {0} is missing")]
    NoConfig(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TurnRequest {
    pub(crate) fn session_key(&self) -> String {
        Session::key(&self.agent_id, &self.alias_id, &self.session_id)
    }

    /// What tells one request from another that an SDK sends under the same id.
    pub(crate) fn asked(&self) -> String {
        let mut asked = format!("{}\n{:?}", self.session_key(), self.input);
        // What is left out adds nothing, so that a digest of an older craton stays what it is.
        let mut also = |name: &str, given: bool, what: &dyn Debug| {
            if given {
                asked.push_str(&format!("\n{name}{what:?}"));
            }
        };
        also("", !self.files.is_empty(), &self.files);
        let (session, prompt) = (&self.session_attributes, &self.prompt_session_attributes);
        also("session attributes ", session.is_some(), session);
        also("prompt attributes ", prompt.is_some(), prompt);
        also("conversation ", !self.conversation.is_empty(), &self.conversation);
        also("memory ", self.memory_id.is_some(), &self.memory_id);
        // A stored agent's changes when its alias is moved between two attempts.
        also("inline ", self.agent_id == INLINE, &self.config);
        digest(asked.as_bytes())
    }
}

/// Why a turn did not begin.
pub(crate) enum Refusal {
    /// Another attempt of the same request was first.
    Repeated,
    Error(InvokeError),
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        Refusal::Error(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Error(InvokeError::Store(error))
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(Conflict { kind, .. }) if kind == Repeat::KIND => {
                Refusal::Repeated
            }
            CommitError::Conflict(_) => {
                let message = "the session changed meanwhile; try again".to_owned();
                Refusal::Error(InvokeError::Conflict(message))
            }
            CommitError::Store(error) => Refusal::Error(InvokeError::Store(error)),
        }
    }
}
