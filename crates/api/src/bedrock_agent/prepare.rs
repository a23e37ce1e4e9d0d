//! Prepare: the working draft becomes what the test alias runs and what versions are cut from.
//!
//! INVARIANT: turns never read the draft. They run a pinned configuration, which only a prepare
//! and the cutting of a version make.

use craton_core::agent::config::{AgentConfig, Executor};
use craton_core::agent::turn::{self, Unfit};
use engine::record::Pinned;
use store::Batch;
use wire::bedrock_agent::types::{AgentStatus, PrepareAgentRequest, PrepareAgentResponse};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::action_group::runnable;
use super::document::{self, Agent, AgentAlias, DRAFT, Status, TEST_ALIAS};
use super::write::{self, Stop, retry};
use super::{agent_collaborator, budget, built_in, listing, prompt_override, retention, wish};
use crate::cx::Cx;
use crate::lambda::permission;

pub(crate) async fn prepare(
    cx: &Cx,
    input: PrepareAgentRequest,
) -> Result<PrepareAgentResponse, Fault> {
    let prepared_at = retry(|| try_prepare(cx, &input.agent_id)).await?;
    Ok(PrepareAgentResponse {
        agent_id: input.agent_id,
        agent_status: AgentStatus::Preparing,
        agent_version: DRAFT.to_owned(),
        prepared_at: Timestamp(prepared_at),
    })
}

async fn try_prepare(cx: &Cx, id: &str) -> Result<i64, Stop> {
    let document::Versioned { version, value: mut agent } = document::agent(cx, id).await?;
    let listed = listing::take(cx, &mut agent.groups).await;
    let pinned = pinned(&agent, DRAFT)?;
    let now = cx.engine.now();
    let mut batch = write::batch(cx);
    agent.updated_at = now;
    agent.failure_reasons.clear();
    match (turn::Agent::new(pinned.config.clone()), listed) {
        (Ok(_), Ok(())) => {
            run_draft(cx, id, &pinned, &mut batch).await?;
            agent.prepared_at = Some(now);
            agent.status = Status::Prepared;
        }
        // AWS: refused at once, and nothing changes (as in the issue beside `Unfit`'s words).
        (Err(problem @ Unfit::Templates(_)), _) => {
            return Err(Fault::validation(problem.to_string()).into());
        }
        // What was live before stays live.
        (Err(Unfit::Schema(problem)), Ok(())) => {
            agent.failure_reasons.push(problem.to_string());
            agent.status = Status::Failed;
        }
        (_, Err(why)) => {
            agent.failure_reasons.push(why);
            agent.status = Status::Failed;
        }
    }
    batch.expect_version::<Agent>(id, version).put(id, &agent);
    cx.engine.store().commit(batch).await?;
    warn_of_policies(cx, &pinned).await;
    Ok(now)
}

/// What runs here and would be refused on AWS is said where it is found first.
async fn warn_of_policies(cx: &Cx, pinned: &Pinned) {
    for group in &pinned.config.groups {
        let Executor::Lambda(function) = &group.executor else { continue };
        if permission::lets_bedrock_call(cx, function).await == Some(false) {
            tracing::warn!(
                agent = pinned.config.agent_id,
                function,
                "AWS would refuse the agent's calls: the function's policy does not name \
                 bedrock.amazonaws.com; add it with AddPermission"
            );
        }
    }
}

/// Lets the test alias run the configuration.
async fn run_draft(cx: &Cx, id: &str, pinned: &Pinned, batch: &mut Batch) -> Result<(), Stop> {
    let mut alias = document::alias(cx, id, TEST_ALIAS).await?;
    let digest = pinned.digest();
    batch.put(&digest, pinned);
    alias.value.config = Some(digest);
    let key = AgentAlias::key(id, TEST_ALIAS);
    batch.expect_version::<AgentAlias>(&key, alias.version).put(&key, &alias.value);
    Ok(())
}

/// The draft as a configuration that runs, under the name of a version.
pub(crate) fn pinned(agent: &Agent, version: &str) -> Result<Pinned, Fault> {
    let settings = &agent.settings;
    let needed = |value: &Option<String>, field: &str| match value {
        Some(value) => Ok(value.clone()),
        None => Err(Fault::validation(format!(
            "agent {} cannot be prepared without '{field}'; set it with UpdateAgent",
            agent.agent_id
        ))),
    };
    let config = AgentConfig {
        collaboration: settings.collaboration,
        collaborators: agent_collaborator::team(agent)?,
        agent_id: agent.agent_id.clone(),
        agent_name: settings.name.clone(),
        agent_version: version.to_owned(),
        model: needed(&settings.foundation_model, "foundationModel")?,
        instruction: needed(&settings.instruction, "instruction")?,
        groups: agent.groups.iter().filter(|group| group.enabled).filter_map(runnable).collect(),
        idle_session_ttl_seconds: settings.idle_session_ttl_seconds,
        memory: settings.memory.clone(),
        retention: retention::of(&agent.tags)?,
        wishes: wish::of(&agent.tags)?,
        budgets: budget::of(&agent.tags)?,
        stages: settings.own_prompts.as_ref().map(prompt_override::stages).unwrap_or_default(),
        parser: settings.own_prompts.as_ref().and_then(|prompts| prompts.parser.clone()),
        user_input: agent.groups.iter().any(built_in::asks_user),
        ..AgentConfig::default()
    };
    Ok(Pinned { config })
}
