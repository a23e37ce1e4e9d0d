//! Models that clients named themselves: inference profiles and prompt routers.
//!
//! Both are documents that a client makes, and both stand where the id of a model stands. What an
//! ARN of theirs stands for is read when a model is asked for by it. Any other id is its own name.

use std::collections::{BTreeMap, BTreeSet};

use llm::{ModelError, ModelErrorKind, Resolved};
use serde::{Deserialize, Serialize};
use store::{Batch, Record, Store, StoreError, Tenant};
use wire::arn::Arn;

use crate::{Engine, Inner};

/// An application inference profile: a name of the client's own for a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InferenceProfile {
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The ARN that it was copied from: what is asked for in its place.
    pub source: String,
    /// ARNs of the models behind it.
    pub models: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    pub created_at: i64,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Record for InferenceProfile {
    const KIND: &'static str = "inference-profile";
    const VERSION: u32 = 1;
}

/// Models among which a prompt's own is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptRouter {
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// ARNs, in the client's order.
    pub models: Vec<String>,
    /// The ARN that is asked for where no other is worth it.
    pub fallback: String,
    /// By how many per cent another model's answers must be better.
    pub response_quality_difference: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
    pub created_at: i64,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Record for PromptRouter {
    const KIND: &'static str = "prompt-router";
    const VERSION: u32 = 1;
}

/// What stands before the id in the ARN of a profile, and of a router.
pub const PROFILE: &str = ":application-inference-profile/";
pub const ROUTER: &str = ":prompt-router/";

impl Engine {
    /// The id to ask for where a client says `id`.
    pub async fn model_behind(&self, tenant: &Tenant, id: &str) -> Result<String, ModelError> {
        let behind = behind(&self.0.store, tenant, id).await?;
        Ok(behind.unwrap_or_else(|| id.to_owned()))
    }
}

/// Who answers for an id, a client's own among them.
pub(crate) async fn resolve(
    inner: &Inner,
    tenant: &Tenant,
    id: &str,
) -> Result<Resolved, ModelError> {
    match behind(&inner.store, tenant, id).await? {
        Some(model) => inner.models.resolve(&model),
        None => inner.models.resolve(id),
    }
}

/// The router that an ARN is of.
pub(crate) async fn router(
    store: &Store,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<PromptRouter>, ModelError> {
    match id.split_once(ROUTER).filter(|_| id.starts_with("arn:")) {
        Some((_, name)) => stored(store, tenant, name, id).await.map(Some),
        None => Ok(None),
    }
}

/// The model of a profile, or the fallback model of a router; `None` where `id` is its own name. A
/// profile may have been copied from another, and a router lead to a profile.
pub(crate) async fn behind(
    store: &Store,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<String>, ModelError> {
    let mut behind = step(store, tenant, id).await?;
    // A router leads to a profile at most, and a profile to none of a client's own.
    for _ in 0..2 {
        let Some(next) = &behind else { break };
        match step(store, tenant, next).await? {
            Some(further) => behind = Some(further),
            None => break,
        }
    }
    Ok(behind)
}

/// Puts what a client's own ids stand for into another store, for whoever asks by them there.
pub(crate) async fn copy(
    store: &Store,
    mut ids: Vec<String>,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let (tenant, mut seen) = (batch.tenant().clone(), BTreeSet::new());
    while let Some(arn) = ids.pop() {
        if !seen.insert(arn.clone()) {
            continue;
        }
        if let Some((_, id)) = arn.split_once(PROFILE)
            && let Some(found) = store.get::<InferenceProfile>(&tenant, id).await?
        {
            batch.put(id, &found.value);
            ids.push(found.value.source);
        } else if let Some((_, id)) = arn.split_once(ROUTER)
            && let Some(found) = store.get::<PromptRouter>(&tenant, id).await?
        {
            batch.put(id, &found.value);
            ids.push(found.value.fallback);
            ids.extend(found.value.models);
        }
    }
    Ok(())
}

async fn step(store: &Store, tenant: &Tenant, arn: &str) -> Result<Option<String>, ModelError> {
    if !arn.starts_with("arn:") {
        return Ok(None);
    }
    if let Some((_, id)) = arn.split_once(PROFILE) {
        let found = stored::<InferenceProfile>(store, tenant, id, arn).await?;
        return Ok(Some(found.source));
    }
    if let Some((_, id)) = arn.split_once(ROUTER) {
        let found = stored::<PromptRouter>(store, tenant, id, arn).await?;
        return Ok(Some(found.fallback));
    }
    Ok(None)
}

async fn stored<T: Record>(
    store: &Store,
    tenant: &Tenant,
    id: &str,
    arn: &str,
) -> Result<T, ModelError> {
    let missing = || ModelError::new(ModelErrorKind::NotMapped, format!("{arn} does not exist"));
    // A document is found by its id alone, so whose the ARN says it is has to be looked at too.
    let is_own = |arn: &Arn| (&*arn.account, &*arn.region) == (tenant.account(), tenant.region());
    if !Arn::parse(arn).as_ref().is_ok_and(is_own) {
        return Err(missing());
    }
    let read = store.get::<T>(tenant, id).await.map_err(|error| {
        ModelError::new(ModelErrorKind::Unavailable, format!("{arn} could not be read: {error}"))
    })?;
    read.map(|found| found.value).ok_or_else(missing)
}
