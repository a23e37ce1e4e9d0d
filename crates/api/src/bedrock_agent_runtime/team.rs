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

/// What was followed already: an agent may stand at several places of a team, and aliases may lead in
/// a circle.
type Known = BTreeMap<(String, u32), Option<String>>;

/// The digest of a configuration with its collaborators; its own if it has none.
pub(super) async fn composed(cx: &Cx, config: String) -> Result<String, Fault> {
    level(cx, config, cx.engine.team_levels(), &mut Known::new()).await
}

/// What a stored collaborator runs now, with its own team; nothing where it cannot be reached.
pub(super) async fn member(cx: &Cx, one: &Collaborator) -> Result<Option<String>, Fault> {
    followed(cx, one, cx.engine.team_levels(), &mut Known::new()).await
}

/// INVARIANT: `levels` ends a circle of aliases.
fn level<'a>(
    cx: &'a Cx,
    config: String,
    levels: u32,
    known: &'a mut Known,
) -> BoxFuture<'a, Result<String, Fault>> {
    Box::pin(async move {
        let team = cx.engine.collaborators(&tenant(cx), &config).await.map_err(Fault::internal)?;
        if team.is_empty() {
            return Ok(config);
        }
        let mut members = BTreeMap::new();
        for one in team {
            if let Some(member) = followed(cx, &one, levels, known).await? {
                members.insert(one.name, member);
            }
        }
        cx.engine.compose(&tenant(cx), &config, &members).await.map_err(Fault::internal)
    })
}

async fn followed(
    cx: &Cx,
    one: &Collaborator,
    levels: u32,
    known: &mut Known,
) -> Result<Option<String>, Fault> {
    let Some(left) = levels.checked_sub(1) else { return Ok(None) };
    let key = (one.alias_arn.clone(), left);
    if let Some(found) = known.get(&key) {
        return Ok(found.clone());
    }
    let found = match config(cx, one).await? {
        Some(config) => Some(level(cx, config, left, known).await?),
        None => None,
    };
    known.insert(key, found.clone());
    Ok(found)
}

/// What the collaborator's alias leads to.
async fn config(cx: &Cx, one: &Collaborator) -> Result<Option<String>, Fault> {
    let Ok((agent_id, alias_id)) = agent_collaborator::target(cx, &one.alias_arn) else {
        return Ok(None);
    };
    let key = AgentAlias::key(&agent_id, &alias_id);
    let found = cx.engine.store().get::<AgentAlias>(&tenant(cx), &key).await;
    let alias = found.map_err(Fault::internal)?.map(|found| found.value);
    let config = alias.filter(|alias| !alias.paused).and_then(|alias| alias.config);
    if config.is_none() {
        let (collaborator, alias) = (&one.name, &one.alias_arn);
        tracing::warn!(collaborator, alias, "a collaborator's alias is gone or paused");
    }
    Ok(config)
}
