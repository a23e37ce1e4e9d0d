//! Tags of functions. Those named `craton:effect…` say how tools may be repeated.

use engine::function::FunctionRecord;
use store::Batch;
use wire::fault::Fault;
use wire::lambda::types::{
    ListTagsRequest, ListTagsResponse, TagResourceRequest, UntagResourceRequest,
};

use super::fault::{undone, unserved};
use super::reference::{Reference, tenant};
use super::settings;
use crate::cx::Cx;
use crate::edit::edit;

pub(crate) async fn tag(cx: &Cx, input: TagResourceRequest) -> Result<(), Fault> {
    let change = |record: &mut FunctionRecord| {
        record.tags.extend(input.tags.clone());
        settings::tags(&record.tags)
    };
    retag(cx, &tagged(cx, &input.resource)?, change).await
}

pub(crate) async fn untag(cx: &Cx, input: UntagResourceRequest) -> Result<(), Fault> {
    let change = |record: &mut FunctionRecord| {
        record.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(())
    };
    retag(cx, &tagged(cx, &input.resource)?, change).await
}

pub(crate) async fn list(cx: &Cx, input: ListTagsRequest) -> Result<ListTagsResponse, Fault> {
    let record = tagged(cx, &input.resource)?.load(cx).await?.value;
    Ok(ListTagsResponse { tags: Some(record.tags) })
}

/// AWS: the function as a whole has tags, not its versions (TagResource).
fn tagged(cx: &Cx, arn: &str) -> Result<Reference, Fault> {
    if !arn.contains(":function:") {
        return Err(unserved(arn, "tags of anything but functions"));
    }
    Reference::whole(cx, arn)?.here()
}

async fn retag(
    cx: &Cx,
    reference: &Reference,
    change: impl Fn(&mut FunctionRecord) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let apply = |record: &mut FunctionRecord, _: &mut Batch| change(record);
    let done = edit(&cx.engine, &tenant(cx), &reference.id(), apply).await;
    done.map_err(|why| undone(why, || reference.missing()))
}
