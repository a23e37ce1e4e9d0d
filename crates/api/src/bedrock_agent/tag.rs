//! Tags of agents, aliases, prompts and their versions. `craton:…` tags set what AWS has no field for.
//!
//! A tag never changes what is prepared: it is read when it is needed, or when a configuration is
//! pinned.

use store::Record;
use wire::arn::Arn;
use wire::bedrock_agent::types::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest,
    TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
};
use wire::fault::Fault;

use super::document::{self, Agent, AgentAlias, Tags, Versioned, missing};
use super::limits::TAGS;
use super::prompt::record::{self, Prompt, PromptVersion, Reference};
use super::write::{self, Stop, retry};
use super::{budget, retention, wish};
use crate::cx::Cx;

pub(crate) async fn list(
    cx: &Cx,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, Fault> {
    let tags = match target(cx, &input.resource_arn)? {
        Target::Agent(id) => document::agent(cx, &id).await?.value.tags,
        Target::Alias(agent, id) => document::alias(cx, &agent, &id).await?.value.tags,
        Target::Prompt(id) => record::prompt(cx, &id).await?.value.tags,
        Target::PromptVersion(id, number) => record::version(cx, &id, number).await?.value.tags,
    };
    Ok(ListTagsForResourceResponse { tags: Some(tags) })
}

pub(crate) async fn tag(cx: &Cx, input: TagResourceRequest) -> Result<TagResourceResponse, Fault> {
    let target = target(cx, &input.resource_arn)?;
    match &target {
        Target::Agent(_) => check(&input.tags)?,
        Target::Alias(..) => check_without_settings(&input.tags, "aliases")?,
        Target::Prompt(_) | Target::PromptVersion(..) => {
            check_without_settings(&input.tags, "prompts")?;
        }
    }
    let edit = |tags: &mut Tags| {
        tags.extend(input.tags.clone());
        check(tags)
    };
    retry(|| change(cx, &target, &edit)).await?;
    Ok(TagResourceResponse {})
}

pub(crate) async fn untag(
    cx: &Cx,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, Fault> {
    let target = target(cx, &input.resource_arn)?;
    let edit = |tags: &mut Tags| {
        tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    };
    retry(|| change(cx, &target, &edit)).await?;
    Ok(UntagResourceResponse {})
}

type Edit<'a> = &'a (dyn Fn(&mut Tags) -> Result<(), Fault> + Sync);

async fn change(cx: &Cx, target: &Target, edit: Edit<'_>) -> Result<(), Stop> {
    match target {
        Target::Agent(id) => {
            let mut agent = document::agent(cx, id).await?;
            edit(&mut agent.value.tags)?;
            save::<Agent>(cx, id, &agent).await
        }
        Target::Alias(agent, id) => {
            let mut alias = document::alias(cx, agent, id).await?;
            edit(&mut alias.value.tags)?;
            save::<AgentAlias>(cx, &AgentAlias::key(agent, id), &alias).await
        }
        Target::Prompt(id) => {
            let mut prompt = record::prompt(cx, id).await?;
            edit(&mut prompt.value.tags)?;
            save::<Prompt>(cx, id, &prompt).await
        }
        Target::PromptVersion(id, number) => {
            let mut version = record::version(cx, id, *number).await?;
            edit(&mut version.value.tags)?;
            save::<PromptVersion>(cx, &PromptVersion::key(id, *number), &version).await
        }
    }
}

async fn save<T: Record + Sync>(cx: &Cx, id: &str, record: &Versioned<T>) -> Result<(), Stop> {
    let mut batch = write::batch(cx);
    batch.expect_version::<T>(id, record.version).put(id, &record.value);
    Ok(cx.engine.store().commit(batch).await?)
}

enum Target {
    Agent(String),
    Alias(String, String),
    Prompt(String),
    PromptVersion(String, u32),
}

fn target(cx: &Cx, arn: &str) -> Result<Target, Fault> {
    let parsed = Arn::parse(arn).ok();
    let ours = parsed
        .filter(|arn| arn.region == cx.caller.region && arn.account == cx.caller.account)
        .ok_or_else(|| missing("resource", arn))?;
    let mut parts = ours.resource.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("agent"), Some(id), None, None) => Ok(Target::Agent(id.to_owned())),
        (Some("agent-alias"), Some(agent), Some(id), None) => {
            Ok(Target::Alias(agent.to_owned(), id.to_owned()))
        }
        (Some("prompt"), Some(_), None, None) => {
            let prompt = Reference::parse(cx, arn)?;
            Ok(match prompt.number() {
                None => Target::Prompt(prompt.id),
                Some(number) => Target::PromptVersion(prompt.id, number),
            })
        }
        _ => Err(missing("resource", arn)),
    }
}

/// The rules of tags that the model does not state.
pub(crate) fn check(tags: &Tags) -> Result<(), Fault> {
    if let Some(key) = tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        let message = format!("tag key '{key}' begins with aws:, which is reserved");
        return Err(Fault::validation(message));
    }
    if tags.len() > TAGS {
        let message = format!("{} tags are more than the {TAGS} a resource may have", tags.len());
        return Err(Fault::quota(message));
    }
    retention::of(tags)?;
    wish::of(tags)?;
    budget::of(tags).map(|_| ())
}

/// For what has no settings of its own, such as aliases: each would be kept and never act.
pub(crate) fn check_without_settings(tags: &Tags, what: &str) -> Result<(), Fault> {
    let of_agents =
        |key: &&String| key.starts_with(retention::PREFIX) || key.starts_with(budget::PREFIX);
    if let Some(key) = tags.keys().find(of_agents).or_else(|| wish::any(tags)) {
        let message = format!("tag {key} is a setting of agents and not of {what}; tag the agent");
        return Err(Fault::validation(message));
    }
    check(tags)
}
