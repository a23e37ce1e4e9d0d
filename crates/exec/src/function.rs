//! What goes into a call of a function and what comes out of it.
//!
//! Plain data, shared by the processes of this crate and by HTTP tools. Nothing here runs anything.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// One published state of a function. Two calls share warm processes only when these are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    pub arn: String,
    pub name: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// One that [`crate::refusal`] has nothing against.
    pub runtime: String,
    pub handler: String,
    pub env: BTreeMap<String, String>,
    pub timeout: Duration,
    pub memory_mb: u32,
    /// No call sees anything of an earlier one (`craton:clean`).
    pub clean: bool,
    /// The SHA-256 of the zip in lower-case hex, as given to [`crate::Functions::unpack`].
    pub code: String,
    /// What its owner lets it reach of the network: the value of its tag `craton:allow-hosts`.
    pub allow_hosts: String,
}

/// What a process sees of the world around it; part of what makes a process reusable.
#[derive(Clone, PartialEq, Eq)]
pub struct Surroundings {
    pub account: String,
    pub region: String,
    /// Given to the function as `AWS_ENDPOINT_URL`, so that its SDK calls come back here.
    pub endpoint_url: Option<String>,
    /// Keys that the endpoint accepts. Without them the account id stands for both.
    pub credentials: Option<Credentials>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
}

impl fmt::Debug for Surroundings {
    /// The secret stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Surroundings({}/{}, {:?})", self.account, self.region, self.endpoint_url)
    }
}

#[derive(Debug, Clone)]
pub struct Invocation {
    pub request_id: String,
    /// The event, JSON.
    pub payload: Bytes,
    /// The decoded `X-Amz-Client-Context`, JSON.
    pub client_context: Option<String>,
    pub surroundings: Surroundings,
    pub times: Times,
}

/// What a caller leaves a call, besides the function's own time-out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Times {
    /// From the event's handing over to the answer; waiting for a place takes no longer either.
    pub limit: Option<Duration>,
    /// After this the event is not handed over any more.
    pub send_by: Option<Instant>,
}

impl Times {
    /// How long the call may still wait, at most so long.
    pub(crate) fn patience(&self, most: Duration) -> Duration {
        let left = self.send_by.map(|by| by.saturating_duration_since(Instant::now()));
        [self.limit, left].into_iter().flatten().fold(most, Duration::min)
    }

    pub(crate) fn is_late(&self) -> bool {
        self.send_by.is_some_and(|by| Instant::now() > by)
    }
}

/// What a function answered, or what the sandbox answers for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invoked {
    pub payload: Bytes,
    pub error: Option<FunctionError>,
    /// The last bytes of this call's log, at most [`crate::limits::LOG_TAIL_BYTES`].
    pub log_tail: Vec<u8>,
    pub duration: Duration,
    /// False when the function had the event and then timed out or died: what it did is unknown,
    /// and a caller that must not repeat an effect treats the call as ambiguous.
    pub outcome_known: bool,
    /// How long the tool asks to be left alone (429 and 503 of a tool over HTTP).
    pub retry_after: Option<Duration>,
}

/// AWS: the value of `X-Amz-Function-Error` (Invoke).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionError {
    /// An HTTP tool answered with an error status of its own.
    Handled,
    /// AWS: whatever a runtime reports, and what the sandbox says of time-outs and crashes.
    Unhandled,
}

impl FunctionError {
    pub fn as_str(self) -> &'static str {
        match self {
            FunctionError::Handled => "Handled",
            FunctionError::Unhandled => "Unhandled",
        }
    }
}

/// Why there is no answer at all. One variant per reaction of a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// The handler never got the event: repeating is safe.
    #[error("{0}")]
    NotSent(String),
    /// The event was handed over and the connection or the process was lost: outcome unknown.
    #[error("{0}")]
    Lost(String),
    /// The event was handed over and no answer came in time: the outcome is unknown.
    #[error("no answer within {:.2} seconds", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Too many calls at once; repeating later is safe.
    #[error(transparent)]
    Throttled(Throttled),
    /// It cannot run as configured, however often it is repeated.
    #[error("{0}")]
    Refused(String),
}

/// Nothing was done: the tool has too much to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Throttled {
    pub message: String,
    /// How long the tool asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl From<String> for Throttled {
    fn from(message: String) -> Self {
        Throttled { message, retry_after: None }
    }
}

/// Why a deployment package was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The package is at fault: the message is for the person who made it.
    #[error("{0}")]
    Package(String),
    #[error("unpacking the code: {0}")]
    Io(#[from] std::io::Error),
}
