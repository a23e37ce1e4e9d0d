//! The one error that reaches a client: AWS's exception name, its public message, a private cause.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::value::{Map, Value};

/// An exception of the wire. The encoder takes the HTTP status from the model where the operation
/// lists the exception, else from here.
#[derive(Debug)]
pub struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Cow<'static, str>,
    status: u16,
    message: String,
    members: Map,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// `code` is the exception's name in the model, such as `ValidationException`.
    pub fn new(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        let (code, message) = (code.into(), message.into());
        Fault(Box::new(Inner {
            code,
            status,
            message,
            members: Map::new(),
            retry_after: None,
            cause: None,
        }))
    }

    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message)
    }

    /// `kind` in plain words, such as `agent alias`.
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::new("ResourceNotFoundException", 404, format!("{kind} {id} was not found"))
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new("ConflictException", 409, message)
    }

    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", 403, message)
    }

    pub fn throttling(message: impl Into<String>) -> Self {
        Self::new("ThrottlingException", 429, message)
    }

    pub fn quota(message: impl Into<String>) -> Self {
        Self::new("ServiceQuotaExceededException", 402, message)
    }

    /// Something of ours failed; the message stays general, the cause goes to the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "the request failed inside craton; its request id is in the server's log";
        Self::new("InternalServerException", 500, message).because(cause)
    }

    /// An operation of AWS's that Craton does not serve.
    pub fn not_implemented(service: &str, operation: &str, why: &str) -> Self {
        let message = format!("craton does not serve {service} {operation}: {why}");
        Self::new("NotImplementedException", 501, message)
    }

    /// Keeps the private cause for the log.
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Sets a modelled member of the exception besides its message, such as `resourceName`.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.0.members.insert(member.to_owned(), value);
        self
    }

    /// Says when another attempt may do better, which goes out as the header `retry-after`.
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }

    pub fn status(&self) -> u16 {
        self.0.status
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn members(&self) -> &Map {
        &self.0.members
    }

    /// For the log only, never for the client.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync)> {
        self.0.cause.as_deref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl Error for Fault {}
