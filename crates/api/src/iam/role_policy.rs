//! Inline policies of roles.

use wire::fault::Fault;
use wire::iam::types::{
    DeleteRolePolicyRequest, GetRolePolicyRequest, GetRolePolicyResponse, ListRolePoliciesRequest,
    ListRolePoliciesResponse, PutRolePolicyRequest,
};

use super::fault::{beyond, no_such};
use super::limits;
use super::page::Page;
use super::policy_text::{chars, check_permissions, shown};
use super::role::{change, load};
use crate::cx::Cx;

pub(crate) async fn put(cx: &Cx, input: PutRolePolicyRequest) -> Result<(), Fault> {
    check_permissions(&input.policy_document)?;
    change(cx, &input.role_name, |role, _| {
        role.inline.insert(input.policy_name.clone(), input.policy_document.clone());
        let size: usize = role.inline.values().map(|document| chars(document)).sum();
        if size > limits::INLINE_CHARS {
            return Err(beyond("RolePolicySize", limits::INLINE_CHARS));
        }
        Ok(())
    })
    .await
}

pub(crate) async fn get(
    cx: &Cx,
    input: GetRolePolicyRequest,
) -> Result<GetRolePolicyResponse, Fault> {
    let role = load(cx, &input.role_name).await?;
    let Some(document) = role.inline.get(&input.policy_name) else {
        return Err(missing(&input.policy_name));
    };
    Ok(GetRolePolicyResponse {
        policy_document: shown(document),
        role_name: role.name,
        policy_name: input.policy_name,
    })
}

pub(crate) async fn list(
    cx: &Cx,
    input: ListRolePoliciesRequest,
) -> Result<ListRolePoliciesResponse, Fault> {
    let page = Page::open(input.marker.as_deref(), input.max_items)?;
    let names = load(cx, &input.role_name).await?.inline.into_keys();
    let (policy_names, marker) = page.of(names.map(|name| (name.clone(), name)));
    Ok(ListRolePoliciesResponse { policy_names, is_truncated: Some(marker.is_some()), marker })
}

pub(crate) async fn delete(cx: &Cx, input: DeleteRolePolicyRequest) -> Result<(), Fault> {
    change(cx, &input.role_name, |role, _| match role.inline.remove(&input.policy_name) {
        Some(_) => Ok(()),
        None => Err(missing(&input.policy_name)),
    })
    .await
}

/// AWS: this wording (GetRolePolicy).
fn missing(name: &str) -> Fault {
    no_such(format!("The role policy with name {name} cannot be found."))
}
