//! Tags of roles.

use wire::fault::Fault;
use wire::iam::types::{
    ListRoleTagsRequest, ListRoleTagsResponse, Tag, TagRoleRequest, UntagRoleRequest,
};

use super::page::Page;
use super::record::{fit, tags_in};
use super::role::{change, load};
use crate::cx::Cx;

pub(crate) async fn tag(cx: &Cx, input: TagRoleRequest) -> Result<(), Fault> {
    let tags = tags_in(Some(input.tags))?;
    change(cx, &input.role_name, |role, _| {
        // AWS: keys are not distinguished by case, and a new value replaces the old one (TagRole).
        role.tags.retain(|key, _| !tags.keys().any(|new| new.eq_ignore_ascii_case(key)));
        role.tags.extend(tags.clone());
        fit(&role.tags)
    })
    .await
}

pub(crate) async fn untag(cx: &Cx, input: UntagRoleRequest) -> Result<(), Fault> {
    change(cx, &input.role_name, |role, _| {
        role.tags
            .retain(|key, _| !input.tag_keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
        Ok(())
    })
    .await
}

pub(crate) async fn list(
    cx: &Cx,
    input: ListRoleTagsRequest,
) -> Result<ListRoleTagsResponse, Fault> {
    let page = Page::open(input.marker.as_deref(), input.max_items)?;
    let tags = load(cx, &input.role_name).await?.tags;
    let tags = tags.into_iter().map(|(key, value)| (key.clone(), Tag { key, value }));
    let (tags, marker) = page.of(tags);
    Ok(ListRoleTagsResponse { tags, is_truncated: Some(marker.is_some()), marker })
}
