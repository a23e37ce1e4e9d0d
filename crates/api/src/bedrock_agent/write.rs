//! How changes are written: optimistic, in one batch, tried again when somebody else was first.
//!
//! Also the two small arts that every create shares: ids in AWS's form, and client tokens, by
//! which a repeated create gets the first answer instead of a second resource.

use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{Batch, CommitError, Conflict, Record, StoreError};
use wire::fault::Fault;
use wire::shape::Shape;

use super::document::{AgentName, AliasName, tenant};
use super::prompt::record::PromptName;
use crate::cx::Cx;

/// Attempts of one change before the client is told of the conflict. Ours.
const ATTEMPTS: usize = 32;
/// How long a client token is remembered. Ours: AWS does not say; SDKs repeat within minutes.
const TOKEN_MILLIS: i64 = 24 * 3_600_000;

/// Why an attempt ended without a result.
pub(crate) enum Stop {
    /// A document changed between reading and writing.
    Again,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Fault(Fault::internal(error))
    }
}

impl From<CommitError> for Stop {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(Conflict { kind: AgentName::KIND, id, .. }) => {
                Stop::Fault(Fault::conflict(format!("an agent named {id} exists already")))
            }
            CommitError::Conflict(Conflict { kind: AliasName::KIND, id, .. }) => {
                let name = id.split_once('/').map_or(id.as_str(), |(_, name)| name);
                let message = format!("this agent has an alias named {name} already");
                Stop::Fault(Fault::conflict(message))
            }
            CommitError::Conflict(Conflict { kind: PromptName::KIND, id, .. }) => {
                Stop::Fault(Fault::conflict(format!("a prompt named {id} exists already")))
            }
            CommitError::Conflict(_) => Stop::Again,
            CommitError::Store(error) => Stop::from(error),
        }
    }
}

/// Runs attempts until one is not disturbed.
pub(crate) async fn retry<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Stop>>,
{
    for _ in 0..ATTEMPTS {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(Stop::Fault(fault)) => return Err(fault),
            Err(Stop::Again) => {}
        }
    }
    Err(Fault::conflict("the resource is being changed by other requests; try again"))
}

pub(crate) fn batch(cx: &Cx) -> Batch {
    Batch::new(&tenant(cx), cx.engine.now())
}

/// Ten characters of `[0-9A-Z]`, as AWS's ids have. A clash is caught by the write that expects
/// no document under the id.
pub(crate) fn new_id(cx: &Cx) -> String {
    const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let hash = Sha256::digest(cx.engine.fresh_id());
    hash.iter().take(10).map(|byte| char::from(LETTERS[usize::from(*byte) % 36])).collect()
}

/// A create that carried a client token, and what it made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientToken {
    /// Hash of the request's members.
    request: String,
    /// The document as it was made.
    made: serde_json::Value,
    expires_at: i64,
}

impl Record for ClientToken {
    const KIND: &'static str = "client-token";
    const VERSION: u32 = 1;
}

/// The token of one create.
pub(crate) struct Once {
    key: Option<String>,
    request: String,
}

impl Once {
    pub(crate) fn new(operation: &str, token: Option<&str>, input: impl Shape) -> Once {
        let json = serde_json::Value::from(input.into_value()).to_string();
        let request = Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect();
        Once { key: token.map(|token| format!("{operation}/{token}")), request }
    }

    /// What an earlier request with the same token made.
    pub(crate) async fn made<T: DeserializeOwned>(&self, cx: &Cx) -> Result<Option<T>, Fault> {
        let Some(key) = &self.key else { return Ok(None) };
        let read = cx.engine.store().get::<ClientToken>(&tenant(cx), key).await;
        let known = read.map_err(Fault::internal)?.map(|known| known.value);
        let Some(known) = known.filter(|known| known.expires_at > cx.engine.now()) else {
            return Ok(None);
        };
        if known.request != self.request {
            return Err(Fault::conflict(
                "this clientToken was used by a request with other members; use a new one",
            ));
        }
        serde_json::from_value(known.made).map(Some).map_err(Fault::internal)
    }

    /// Takes the token in the batch that makes the resource. Goes first in the batch, so that a
    /// lost race is seen as such and not as a name that is taken.
    pub(crate) async fn take<T: Serialize>(
        &self,
        cx: &Cx,
        batch: &mut Batch,
        made: &T,
    ) -> Result<(), Fault> {
        let Some(key) = &self.key else { return Ok(()) };
        let read = cx.engine.store().get::<ClientToken>(&tenant(cx), key).await;
        let lapsed = read.map_err(Fault::internal)?.map_or(0, |known| known.version);
        let made = serde_json::to_value(made).map_err(Fault::internal)?;
        let expires_at = cx.engine.now() + TOKEN_MILLIS;
        let record = ClientToken { request: self.request.clone(), made, expires_at };
        batch.expect_version::<ClientToken>(key, lapsed).put_until(key, &record, expires_at);
        Ok(())
    }
}
