//! The team that a turn begins with: each collaborator's alias is followed to what it leads to now,
//! down to the last level, and the whole is pinned.
//!
//! A collaborator that cannot be reached is left out, and the supervisor's model is told so when it
//! asks for it: the turn begins all the same.

use std::collections::BTreeMap;

use craton_core::agent::config::Collaborator;
use futures_core::future::BoxFuture;
use wire::fault::Fault;

use crate::bedrock_agent::agent_collaborator;
use crate::bedrock_agent::document::{AgentAlias, tenant};
use crate::cx::Cx;

/// The digest of a configuration with its collaborators; its own if it has none.
pub(super) async fn composed(cx: &Cx, config: String) -> Result<String, Fault> {
    level(cx, config, cx.engine.team_levels()).await
}

/// INVARIANT: aliases may lead in a circle; `levels` ends it.
fn level(cx: &Cx, config: String, levels: u32) -> BoxFuture<'_, Result<String, Fault>> {
    Box::pin(async move {
        let team = cx.engine.collaborators(&tenant(cx), &config).await.map_err(Fault::internal)?;
        if team.is_empty() {
            return Ok(config);
        }
        let mut members = BTreeMap::new();
        for one in team {
            if let Some(member) = member(cx, &one, levels).await? {
                members.insert(one.name, member);
            }
        }
        cx.engine.compose(&tenant(cx), &config, &members).await.map_err(Fault::internal)
    })
}

/// What a stored collaborator runs now, with its own team; nothing where it cannot be reached.
pub(super) async fn member(
    cx: &Cx,
    one: &Collaborator,
    levels: u32,
) -> Result<Option<String>, Fault> {
    let Some(left) = levels.checked_sub(1) else { return Ok(None) };
    let Ok((agent_id, alias_id)) = agent_collaborator::target(cx, &one.alias_arn) else {
        return Ok(None);
    };
    let key = AgentAlias::key(&agent_id, &alias_id);
    let found = cx.engine.store().get::<AgentAlias>(&tenant(cx), &key).await;
    let alias = found.map_err(Fault::internal)?.map(|found| found.value);
    match alias.filter(|alias| !alias.paused).and_then(|alias| alias.config) {
        Some(config) => Ok(Some(level(cx, config, left).await?)),
        None => {
            let (collaborator, alias) = (&one.name, &one.alias_arn);
            tracing::warn!(collaborator, alias, "a collaborator's alias is gone or paused");
            Ok(None)
        }
    }
}
