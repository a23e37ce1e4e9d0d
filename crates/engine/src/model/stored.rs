//! Models that clients named themselves: inference profiles and prompt routers.
//!
//! Both are documents that a client makes, and both stand where the id of a model stands. What an
//! ARN of theirs stands for is read when a model is asked for by it. Any other id is its own name.

use std::collections::{BTreeMap, BTreeSet};

use craton_core::agent::turn::Agent;
use craton_core::route::Wishes;
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

/// Who answers for an id, a client's own among them; of a router its fallback model.
pub(crate) async fn resolve(
    inner: &Inner,
    tenant: &Tenant,
    id: &str,
) -> Result<Resolved, ModelError> {
    resolve_with(inner, tenant, id).await.map(|(resolved, _)| resolved)
}

/// The same, and whether what is asked by this id is restricted data.
pub(crate) async fn resolve_with(
    inner: &Inner,
    tenant: &Tenant,
    id: &str,
) -> Result<(Resolved, bool), ModelError> {
    match made(&inner.store, tenant, id).await? {
        Some(made) => Ok((inner.models.resolve(made.what.model())?, made.restricted)),
        None => Ok((inner.models.resolve(id)?, false)),
    }
}

/// What a client made of models.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) what: What,
    /// Its tags say that what is asked by it is restricted data.
    pub(crate) restricted: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Of a profile.
    Model(String),
    /// No profile stands among its models any more.
    Router(PromptRouter),
}

impl What {
    pub(crate) fn model(&self) -> &str {
        match self {
            What::Model(model) => model,
            What::Router(router) => &router.fallback,
        }
    }
}

/// What stands behind the ARN of a profile or a router; `None` where `id` is its own name.
pub(crate) async fn made(
    store: &Store,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<Made>, ModelError> {
    let Some((_, name)) = id.split_once(ROUTER).filter(|_| id.starts_with("arn:")) else {
        let found = profile(store, tenant, id).await?;
        return Ok(found.map(|(model, restricted)| Made { what: What::Model(model), restricted }));
    };
    let mut router = stored::<PromptRouter>(store, tenant, name, id).await?;
    let mut restricted = is_restricted(&router.tags);
    for model in router.models.iter_mut().chain([&mut router.fallback]) {
        if let Some((behind, tagged)) = profile(store, tenant, model).await? {
            *model = behind;
            restricted |= tagged;
        }
    }
    Ok(Some(Made { what: What::Router(router), restricted }))
}

/// The model of a profile, or the fallback model of a router; `None` where `id` is its own name.
pub(crate) async fn behind(
    store: &Store,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<String>, ModelError> {
    let made = made(store, tenant, id).await?;
    Ok(made.map(|made| made.what.model().to_owned()))
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

/// The model of a profile, which may have been copied from another, and whether one of them is for
/// restricted data.
async fn profile(
    store: &Store,
    tenant: &Tenant,
    id: &str,
) -> Result<Option<(String, bool)>, ModelError> {
    let mut found: Option<(String, bool)> = None;
    for _ in 0..PROFILES_DEEP {
        let arn = found.as_ref().map_or(id, |(source, _)| source);
        let Some((_, name)) = arn.split_once(PROFILE).filter(|_| arn.starts_with("arn:")) else {
            break;
        };
        let profile = stored::<InferenceProfile>(store, tenant, name, arn).await?;
        let before = found.is_some_and(|(_, restricted)| restricted);
        found = Some((profile.source, before || is_restricted(&profile.tags)));
    }
    Ok(found)
}

/// A profile is copied from a model, or from a profile of a model.
const PROFILES_DEEP: usize = 2;

fn is_restricted(tags: &BTreeMap<String, String>) -> bool {
    !tags.is_empty() && Wishes::default().and(tags).restricted
}

/// What clients made of the models that an agent and its team name, read when a run is taken up: its
/// routes are decided by it.
#[derive(Debug, Default)]
pub(crate) struct Named {
    made: BTreeMap<String, Made>,
    /// Something could not be read: until it can be, all data counts as restricted.
    unread: bool,
}

impl Named {
    /// Of all agents of a tree. One that is gone is nobody's: the call that asks for it says so.
    pub(crate) async fn of(inner: &Inner, tenant: &Tenant, agent: &Agent) -> Named {
        let mut named = Named::default();
        let mut agents = vec![agent];
        while let Some(agent) = agents.pop() {
            let stages = agent.config.stages.iter().filter_map(|stage| stage.model.as_ref());
            for id in stages.chain([&agent.config.model]) {
                if !id.starts_with("arn:") || named.made.contains_key(id) {
                    continue;
                }
                match made(&inner.store, tenant, id).await {
                    Ok(Some(made)) => drop(named.made.insert(id.clone(), made)),
                    Ok(None) => {}
                    Err(error) => named.unread |= error.kind != ModelErrorKind::NotMapped,
                }
            }
            agents.extend(agent.members.values().map(|member| &**member));
        }
        named
    }

    pub(crate) fn router(&self, id: &str) -> Option<&PromptRouter> {
        match &self.made.get(id)?.what {
            What::Router(router) => Some(router),
            What::Model(_) => None,
        }
    }

    /// The model behind an id; of a router its fallback.
    pub(crate) fn model<'a>(&'a self, id: &'a str) -> &'a str {
        self.made.get(id).map_or(id, |made| made.what.model())
    }

    pub(crate) fn any_restricted(&self) -> bool {
        self.unread || self.made.values().any(|made| made.restricted)
    }
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
