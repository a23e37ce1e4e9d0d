//! Tags of inference profiles and prompt routers.

use std::collections::BTreeMap;

use engine::model::{InferenceProfile, PROFILE, PromptRouter, ROUTER};
use wire::bedrock::types::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest,
    TagResourceResponse, UntagResourceRequest, UntagResourceResponse,
};
use wire::fault::Fault;
use wire::value::Value;

use super::{inference_profile, limits, prompt_router};
use crate::bedrock_agent::document::tenant;
use crate::cx::Cx;
use crate::edit::{Undone, edit};

type Tags = BTreeMap<String, String>;

/// Tags as they are kept; checked.
pub(super) fn read(tags: Vec<Tag>) -> Result<Tags, Fault> {
    let tags: Tags = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    check(&tags, "")?;
    Ok(tags)
}

fn check(tags: &Tags, arn: &str) -> Result<(), Fault> {
    if let Some(key) = tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        let message = format!("tag key '{key}' begins with aws:, which is reserved");
        return Err(Fault::validation(message));
    }
    if tags.len() > limits::TAGS {
        let (count, most) = (tags.len(), limits::TAGS);
        let message = format!("{count} tags are more than the {most} a resource may have");
        let fault = Fault::new("TooManyTagsException", 400, message);
        return Err(fault.with("resourceName", Value::String(arn.to_owned())));
    }
    Ok(())
}

pub(crate) async fn tag(cx: &Cx, input: TagResourceRequest) -> Result<TagResourceResponse, Fault> {
    let more = read(input.tags)?;
    change(cx, &input.resource_arn, |tags| tags.extend(more.clone())).await?;
    Ok(TagResourceResponse {})
}

pub(crate) async fn untag(
    cx: &Cx,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, Fault> {
    let keys = input.tag_keys;
    change(cx, &input.resource_arn, |tags| tags.retain(|key, _| !keys.contains(key))).await?;
    Ok(UntagResourceResponse {})
}

pub(crate) async fn list(
    cx: &Cx,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, Fault> {
    let arn = input.resource_arn;
    let (store, tenant) = (cx.engine.store(), tenant(cx));
    let tags = match target(cx, &arn)? {
        Target::Profile(id) => {
            let found = store.get::<InferenceProfile>(&tenant, &id).await;
            found.map_err(Fault::internal)?.map(|found| found.value.tags)
        }
        Target::Router(id) => {
            let found = store.get::<PromptRouter>(&tenant, &id).await;
            found.map_err(Fault::internal)?.map(|found| found.value.tags)
        }
    };
    let tags = tags.ok_or_else(|| missing(&arn))?.into_iter();
    let tags = tags.map(|(key, value)| Tag { key, value }).collect();
    Ok(ListTagsForResourceResponse { tags: Some(tags) })
}

async fn change(cx: &Cx, arn: &str, apply: impl Fn(&mut Tags)) -> Result<(), Fault> {
    let (engine, tenant) = (&cx.engine, tenant(cx));
    let changed = |tags: &mut Tags| {
        apply(tags);
        check(tags, arn)
    };
    let done = match target(cx, arn)? {
        Target::Profile(id) => {
            let apply = |profile: &mut InferenceProfile, _: &mut _| changed(&mut profile.tags);
            edit(engine, &tenant, &id, apply).await
        }
        Target::Router(id) => {
            let apply = |router: &mut PromptRouter, _: &mut _| changed(&mut router.tags);
            edit(engine, &tenant, &id, apply).await
        }
    };
    done.map_err(|undone| match undone {
        Undone::Missing => missing(arn),
        Undone::Busy => Fault::throttling(format!("{arn} keeps changing; try again")),
        Undone::Fault(fault) => fault,
    })
}

enum Target {
    Profile(String),
    Router(String),
}

fn target(cx: &Cx, arn: &str) -> Result<Target, Fault> {
    let id = |mark| arn.split_once(mark).map(|(_, id)| id);
    match (id(PROFILE), id(ROUTER)) {
        (Some(id), _) if inference_profile::arn(cx, id) == arn => {
            Ok(Target::Profile(id.to_owned()))
        }
        (_, Some(id)) if prompt_router::arn(cx, id) == arn => Ok(Target::Router(id.to_owned())),
        _ => Err(missing(arn)),
    }
}

fn missing(arn: &str) -> Fault {
    Fault::not_found("resource", arn)
}
