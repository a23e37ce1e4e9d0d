//! What can go wrong with a request, by what the caller may do about it.

use std::error::Error as StdError;
use std::fmt::Write;
use std::time::Duration;

use crate::egress::Denied;

/// One variant per reaction. Messages name the peer, never the query or a header.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No byte of the request was written, or the peer says by HTTP/2 that it did not look at it:
    /// safe to try again, whatever the request does.
    #[error("{0}")]
    NotSent(String),
    /// The rules do not let it leave, now or later. Nothing was written.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request may have been processed and its answer is gone.
    #[error("{0}")]
    Lost(String),
    /// The time limit passed; `sent` says whether the peer may have seen the request.
    #[error("{peer} did not answer within {after:?}")]
    TimedOut { peer: String, after: Duration, sent: bool },
    /// The answer had begun, and nothing more of it came for so long.
    #[error("{peer} began to answer and then said nothing for {after:?}")]
    Silent { peer: String, after: Duration },
    /// The answer came but is larger than the caller takes.
    #[error("the response of {peer} is larger than {limit} bytes")]
    TooLarge { peer: String, limit: usize },
}

impl Error {
    /// Whether the peer may have seen the request.
    pub fn sent(&self) -> bool {
        match self {
            Error::NotSent(_) | Error::Denied(_) => false,
            Error::Lost(_) | Error::TooLarge { .. } | Error::Silent { .. } => true,
            Error::TimedOut { sent, .. } => *sent,
        }
    }

    pub(crate) fn not_sent(peer: &str, cause: &(dyn StdError + 'static)) -> Self {
        Error::NotSent(format!("could not reach {peer}: {}", chain(cause)))
    }

    pub(crate) fn lost(peer: &str, cause: &(dyn StdError + 'static)) -> Self {
        Error::Lost(format!("the connection to {peer} broke: {}", chain(cause)))
    }
}

/// An error and its sources in one line; a source that the line already says is left out.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            write!(line, ": {text}").expect("writing to a string cannot fail");
        }
        next = cause.source();
    }
    line
}
