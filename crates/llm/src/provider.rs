//! What every provider is, and how its calls fail.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use wire::converse::{Call, Delta, StopReason};

use crate::embed::{EmbedCall, Embedded};

pub use futures_core::future::BoxFuture;

/// The deltas of one reply. They end with `Stop`, then `Usage` where the provider counts tokens.
pub type Deltas = futures_core::stream::BoxStream<'static, Result<Delta, ModelError>>;

/// One way to reach models. The same call may be made again after a crash; a provider keeps nothing
/// between calls.
pub trait Provider: Send + Sync {
    /// The kind, such as `openai`.
    fn name(&self) -> &str;

    /// How many input tokens the provider itself counts in the call; `None` where it does not count.
    fn count_tokens<'a>(
        &'a self,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Option<u64>, ModelError>> {
        let _ = call;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Makes vectors of texts; a provider without such models refuses.
    fn embed<'a>(&'a self, call: &'a EmbedCall) -> BoxFuture<'a, Result<Embedded, ModelError>> {
        let message = format!("{}: {:?} makes no embeddings", self.name(), call.model);
        Box::pin(std::future::ready(Err(ModelError::new(ModelErrorKind::Unsupported, message))))
    }

    /// Resolves when the provider has accepted the call; later failures come through the stream.
    fn converse<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>>;
}

/// One kind per reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelErrorKind {
    /// No rule of the model map fits the model id.
    NotMapped,
    /// The provider will not answer this call, however often it is asked: key, model name, content.
    Refused,
    /// The call holds something that the provider's protocol has no place for.
    Unsupported,
    /// A budget has no room for the call.
    OverBudget,
    /// The call is longer than the model reads.
    TooLong,
    /// Too many calls for now.
    Throttled,
    /// The provider cannot be reached or broke down.
    Unavailable,
    TimedOut,
    /// The answer is not what the protocol says.
    Malformed,
}

impl ModelErrorKind {
    fn number(self) -> &'static str {
        match self {
            ModelErrorKind::NotMapped => "(CR0010)",
            ModelErrorKind::Refused => "(CR0011)",
            ModelErrorKind::Unsupported => "(CR0037)",
            ModelErrorKind::OverBudget => "(CR0038)",
            ModelErrorKind::TooLong => "(CR0034)",
            ModelErrorKind::Throttled => "(CR0012)",
            ModelErrorKind::Unavailable => "(CR0013)",
            ModelErrorKind::TimedOut => "(CR0014)",
            ModelErrorKind::Malformed => "(CR0015)",
        }
    }

    /// Whether a provider may bill a call that failed so, where nothing more is known of it. A refusal,
    /// a throttle and a provider that is away cost nothing; of the rest nobody knows.
    fn may_be_billed(self) -> bool {
        match self {
            ModelErrorKind::TimedOut | ModelErrorKind::Malformed => true,
            ModelErrorKind::NotMapped
            | ModelErrorKind::Refused
            | ModelErrorKind::Unsupported
            | ModelErrorKind::OverBudget
            | ModelErrorKind::TooLong
            | ModelErrorKind::Throttled
            | ModelErrorKind::Unavailable => false,
        }
    }
}

/// `message` is public: it names provider and variable, and never holds a key.
#[derive(Debug)]
pub struct ModelError {
    pub kind: ModelErrorKind,
    pub message: String,
    /// Of the provider's answer, if one came and was a failure from its first line.
    pub status: Option<u16>,
    /// How long the provider asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether the provider may bill the attempt: it may have had the request, and refused nothing.
    pub may_be_billed: bool,
    pub cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl ModelError {
    /// `message` gets the number of its kind's page for operators. Lines to be copied into
    /// craton.toml stay such: there it is a comment.
    pub fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        message.push_str(if message.contains('\n') { "\n# " } else { " " });
        message.push_str(kind.number());
        let may_be_billed = kind.may_be_billed();
        ModelError { kind, message, status: None, retry_after: None, may_be_billed, cause: None }
    }

    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ModelErrorKind::Refused, message)
    }

    /// For whoever has no word for an answer that the model itself spoiled.
    pub fn gave_up(reason: StopReason) -> Self {
        let word = serde_json::to_value(reason).expect("a word");
        Self::malformed(format!("the model gave up: {}", word.as_str().unwrap_or_default()))
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ModelErrorKind::Malformed, message)
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ModelError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}
