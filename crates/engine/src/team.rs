//! Agents with their collaborators: composed when a turn begins, compiled when it is driven.
//!
//! What an alias leads to may change; a turn must not. So a supervisor's configuration is pinned
//! again with the digest of each collaborator's, down to the last level, and a turn pins that one.

use std::collections::BTreeMap;
use std::sync::Arc;

use craton_core::agent::config::Collaborator;
use craton_core::agent::turn::Agent;
use futures_util::future::BoxFuture;
use store::{Batch, CommitError, StoreError, Tenant};

use crate::record::{Pinned, digest};
use crate::{Engine, Inner};

impl Engine {
    /// How many levels of collaborators a turn may have.
    pub fn team_levels(&self) -> u32 {
        self.0.turn.team_levels
    }

    /// The collaborators of a pinned configuration.
    pub async fn collaborators(
        &self,
        tenant: &Tenant,
        config: &str,
    ) -> Result<Vec<Collaborator>, StoreError> {
        let agent = self.0.agent(tenant, config).await?;
        Ok(agent.map(|agent| agent.config.collaborators.clone()).unwrap_or_default())
    }

    /// The digest of a configuration whose collaborators are pinned by these digests, by
    /// `collaboratorName`. One that is missing among them cannot be reached in the turn.
    pub async fn compose(
        &self,
        tenant: &Tenant,
        config: &str,
        members: &BTreeMap<String, String>,
    ) -> Result<String, CommitError> {
        let inner = &self.0;
        let key = digest(format!("{tenant}\n{config}\n{members:?}").as_bytes());
        if let Some(known) = inner.composed.lock().expect("no holder panics").get(&key) {
            return Ok(known.clone());
        }
        let Some(found) = inner.store.get::<Pinned>(tenant, config).await? else {
            return Ok(config.to_owned());
        };
        let mut pinned = found.value;
        for one in &mut pinned.config.collaborators {
            one.config = members.get(&one.name).cloned().unwrap_or_default();
        }
        let composed = pinned.digest();
        let mut batch = Batch::new(tenant, self.now());
        // The same content under the same name: whoever wrote it first, nothing changes.
        batch.put(&composed, &pinned);
        inner.store.commit(batch).await?;
        let mut known = inner.composed.lock().expect("no holder of this lock panics");
        if known.len() >= inner.limits.cached_agents {
            known.clear();
        }
        known.insert(key, composed.clone());
        Ok(composed)
    }
}

impl Inner {
    /// The compiled agent of a pinned configuration, with its collaborators.
    pub(crate) async fn agent(
        &self,
        tenant: &Tenant,
        digest: &str,
    ) -> Result<Option<Arc<Agent>>, StoreError> {
        if let Some(agent) = self.agents.lock().expect("no holder panics").get(digest) {
            return Ok(Some(agent.clone()));
        }
        let Some(pinned) = self.store.get::<Pinned>(tenant, digest).await? else {
            return Ok(None);
        };
        let mut members = BTreeMap::new();
        let team = pinned.value.config.collaborators.iter().filter(|one| !one.config.is_empty());
        for one in team {
            if let Some(agent) = self.member(tenant, &one.config).await? {
                members.insert(one.name.clone(), agent);
            }
        }
        let agent = match Agent::with_members(pinned.value.config, members) {
            Ok(agent) => Arc::new(agent),
            Err(problem) => {
                tracing::error!(digest, %problem, "a pinned configuration no longer compiles");
                return Ok(None);
            }
        };
        let mut agents = self.agents.lock().expect("no holder of this lock panics");
        if agents.len() >= self.limits.cached_agents {
            agents.clear();
        }
        agents.insert(digest.to_owned(), agent.clone());
        Ok(Some(agent))
    }

    /// A digest is of what it names, so no chain of them comes back to where it began.
    fn member<'a>(
        &'a self,
        tenant: &'a Tenant,
        digest: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Agent>>, StoreError>> {
        Box::pin(self.agent(tenant, digest))
    }
}
