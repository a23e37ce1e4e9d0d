//! The collaborators of an inline agent: described in the same request by name, or agents of the
//! account's, behind an alias.
//!
//! `collaborators` is one flat list, whoever asks whom; `collaboratorConfigurations` of the agent and
//! of each collaborator say who that is. Each is pinned before those that ask it, so that the
//! digest of the whole team is the digest of its supervisor.

use std::collections::BTreeMap;

use craton_core::agent::config::{Collaboration, Collaborator as Asked};
use engine::request::INLINE;
use wire::bedrock_agent_runtime::types::{
    Collaborator, CollaboratorConfiguration, InvokeInlineAgentRequest, RelayConversationHistory,
};
use wire::fault::Fault;

use super::inline_agent::{self, Described, keep};
use super::team;
use crate::bedrock_agent::limits::{COLLABORATORS, INLINE_COLLABORATORS};
use crate::bedrock_agent::{agent_alias, agent_collaborator, document};
use crate::cx::Cx;

/// Keeps the request's agent, with all that it may ask, as a configuration that turns may run. Gives
/// its digest.
pub(super) async fn pin(cx: &Cx, input: &InvokeInlineAgentRequest) -> Result<String, Fault> {
    let invoked = inline_agent::invoked(input);
    let root = Described::of(&invoked)?.orchestrated(input)?;
    let described = by_name(input.collaborators.as_deref().unwrap_or_default())?;
    check_names(&root, &described)?;
    let mut team = Team { cx, pinned: BTreeMap::new() };
    while team.pinned.len() < described.len() {
        // Whoever asks nobody comes first, then who asks only those that are pinned.
        let ready = described.iter().find(|(name, one)| team.is_ready(name, one));
        let Some((name, one)) = ready else { return Err(circle(&described, &team)) };
        let digest = team.pin(one).await?;
        team.pinned.insert(name, digest);
    }
    team.pin(&root).await
}

fn by_name(described: &[Collaborator]) -> Result<BTreeMap<&str, Described<'_>>, Fault> {
    if described.len() > INLINE_COLLABORATORS {
        return Err(Fault::quota(format!(
            "{} members of 'collaborators' are more than {INLINE_COLLABORATORS}",
            described.len()
        )));
    }
    let mut names = BTreeMap::new();
    for one in described {
        let Some(name) = one.agent_name.as_deref() else {
            let what = "a member of 'collaborators' has no agentName, by which it is asked";
            return Err(Fault::validation(what));
        };
        if names.insert(name, Described::of(one)?).is_some() {
            return Err(twice("collaborators", name));
        }
    }
    Ok(names)
}

/// Whoever is asked is described, and whoever is described is asked: else a name is misspelt.
fn check_names(
    root: &Described<'_>,
    described: &BTreeMap<&str, Described<'_>>,
) -> Result<(), Fault> {
    let mut asked = Vec::new();
    for agent in described.values().chain([root]) {
        check_team(agent)?;
        for one in agent.team {
            let name = one.collaborator_name.as_str();
            match (one.agent_alias_arn.is_some(), described.contains_key(name)) {
                (true, false) => {}
                (false, true) => asked.push(name),
                (true, true) => {
                    return Err(Fault::validation(format!(
                        "collaborator {name} has an agentAliasArn and is described in \
                         'collaborators' too; leave one out"
                    )));
                }
                (false, false) => {
                    return Err(Fault::validation(format!(
                        "collaborator {name} has neither an agentAliasArn nor a member of \
                         'collaborators' whose agentName is {name}"
                    )));
                }
            }
        }
    }
    match described.keys().find(|name| !asked.contains(name)) {
        Some(name) => Err(Fault::validation(format!(
            "'collaborators' describes {name}, but no 'collaboratorConfigurations' names it"
        ))),
        None => Ok(()),
    }
}

fn circle(described: &BTreeMap<&str, Described<'_>>, team: &Team<'_>) -> Fault {
    let left = described.keys().filter(|name| !team.pinned.contains_key(**name));
    let left: Vec<&str> = left.copied().collect();
    let names = left.join(", ");
    Fault::validation(format!("of the collaborators {names} some ask each other in a circle"))
}

struct Team<'a> {
    cx: &'a Cx,
    /// Digests by `agentName`.
    pinned: BTreeMap<&'a str, String>,
}

impl Team<'_> {
    fn is_ready(&self, name: &str, agent: &Described<'_>) -> bool {
        let known = |name: &str| self.pinned.contains_key(name);
        let mut inline = agent.team.iter().filter(|one| one.agent_alias_arn.is_none());
        !known(name) && inline.all(|one| known(&one.collaborator_name))
    }

    /// Keeps an agent whose collaborators are kept.
    async fn pin(&self, agent: &Described<'_>) -> Result<String, Fault> {
        let mut config = agent.config(self.cx).await?;
        config.collaboration = agent.collaboration;
        for one in agent.team {
            config.collaborators.push(match &one.agent_alias_arn {
                Some(arn) => self.stored(one, arn).await?,
                None => self.described(one),
            });
        }
        keep(self.cx, config).await
    }

    fn described(&self, one: &CollaboratorConfiguration) -> Asked {
        let (cx, name) = (self.cx, &one.collaborator_name);
        // AWS: the alias of an inline collaborator is its name (`agentCollaboratorAliasArn` in
        // traces that public repositories keep as test data).
        let arn = agent_alias::arn_of(cx, INLINE, name);
        let config = self.pinned.get(name.as_str()).cloned().unwrap_or_default();
        Asked { config, ..asked(one, (INLINE, name, &arn)) }
    }

    /// An agent of the account's: what its alias leads to now, with its own collaborators.
    async fn stored(&self, one: &CollaboratorConfiguration, arn: &str) -> Result<Asked, Fault> {
        let cx = self.cx;
        let (agent, alias) = agent_collaborator::target(cx, arn).map_err(|_| {
            Fault::validation(format!(
                "Value '{arn}' at 'collaboratorConfigurations.agentAliasArn' names no alias of \
                 account {} in {}",
                cx.caller.account, cx.caller.region
            ))
        })?;
        cx.authorize("bedrock:InvokeAgent", arn)?;
        document::alias(cx, &agent, &alias).await?;
        let mut asked = asked(one, (&agent, &alias, arn));
        let found = team::member(cx, &asked).await?;
        asked.config = found.unwrap_or_default();
        Ok(asked)
    }
}

fn asked(one: &CollaboratorConfiguration, (agent, alias, arn): (&str, &str, &str)) -> Asked {
    Asked {
        name: one.collaborator_name.clone(),
        instruction: one.collaborator_instruction.clone(),
        relay: one.relay_conversation_history == Some(RelayConversationHistory::ToCollaborator),
        agent_id: agent.to_owned(),
        alias_id: alias.to_owned(),
        alias_arn: arn.to_owned(),
        config: String::new(),
    }
}

/// Who supervises has a team, who does not has none.
fn check_team(agent: &Described<'_>) -> Result<(), Fault> {
    let supervises = agent.collaboration != Collaboration::Disabled;
    if supervises == agent.team.is_empty() {
        return Err(Fault::validation(if supervises {
            "agentCollaboration makes the agent a supervisor, but 'collaboratorConfigurations' names \
             no collaborator"
        } else {
            "'collaboratorConfigurations' names collaborators, but agentCollaboration is DISABLED; \
             make it SUPERVISOR or SUPERVISOR_ROUTER"
        }));
    }
    if agent.team.len() > COLLABORATORS {
        return Err(Fault::quota(format!(
            "{} collaborators at 'collaboratorConfigurations' are more than {COLLABORATORS}",
            agent.team.len()
        )));
    }
    let names: Vec<&str> = agent.team.iter().map(|one| one.collaborator_name.as_str()).collect();
    match names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        Some((_, name)) => Err(twice("collaboratorConfigurations", name)),
        None => Ok(()),
    }
}

fn twice(list: &str, name: &str) -> Fault {
    Fault::validation(format!("'{list}' holds two collaborators named {name}"))
}
