//! Managed policies on roles.
//!
//! A policy of the account must exist. One of AWS's own is taken by its name: scripts attach
//! `AWSLambdaBasicExecutionRole` and its like everywhere, and nothing is enforced by any policy.

use wire::fault::Fault;
use wire::iam::types::{
    AttachRolePolicyRequest, AttachedPolicy, DetachRolePolicyRequest,
    ListAttachedRolePoliciesRequest, ListAttachedRolePoliciesResponse,
};

use super::fault::{beyond, no_such};
use super::limits;
use super::page::Page;
use super::policy::{is_aws, load};
use super::record::{PolicyRecord, attachments, id};
use super::role;
use crate::cx::Cx;

pub(crate) async fn attach(cx: &Cx, input: AttachRolePolicyRequest) -> Result<(), Fault> {
    let arn = &input.policy_arn;
    let policy = load(cx, arn).await?;
    if policy.is_none() && !is_aws(arn) {
        // AWS: this wording (AttachRolePolicy).
        return Err(no_such(format!("Policy {arn} does not exist or is not attachable.")));
    }
    let name = arn.rsplit('/').next().unwrap_or_default();
    role::change(cx, &input.role_name, |role, batch| {
        // AWS: attaching a policy twice is attaching it once.
        if role.attached.insert(arn.clone(), name.to_owned()).is_some() {
            return Ok(());
        }
        if role.attached.len() > limits::ATTACHED {
            return Err(beyond("PoliciesPerRole", limits::ATTACHED));
        }
        if let Some(policy) = &policy {
            batch.expect_version::<PolicyRecord>(&id(&policy.value.name), policy.version);
        }
        batch.add(&attachments(arn), 1, None, None);
        Ok(())
    })
    .await
}

pub(crate) async fn detach(cx: &Cx, input: DetachRolePolicyRequest) -> Result<(), Fault> {
    let arn = &input.policy_arn;
    role::change(cx, &input.role_name, |role, batch| {
        if role.attached.remove(arn).is_none() {
            return Err(no_such(format!("Policy {arn} was not found.")));
        }
        batch.add(&attachments(arn), -1, None, None);
        Ok(())
    })
    .await
}

pub(crate) async fn list(
    cx: &Cx,
    input: ListAttachedRolePoliciesRequest,
) -> Result<ListAttachedRolePoliciesResponse, Fault> {
    let page = Page::open(input.marker.as_deref(), input.max_items)?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let attached = role::load(cx, &input.role_name).await?.attached;
    let attached = attached.into_iter().filter(|(arn, _)| path(arn).starts_with(prefix));
    let (attached_policies, marker) = page.of(attached.map(|(arn, name)| {
        let policy = AttachedPolicy { policy_name: Some(name), policy_arn: Some(arn.clone()) };
        (arn, policy)
    }));
    Ok(ListAttachedRolePoliciesResponse {
        attached_policies: Some(attached_policies),
        is_truncated: Some(marker.is_some()),
        marker,
    })
}

/// `arn:aws:iam::aws:policy/service-role/NAME` → `/service-role/`.
fn path(arn: &str) -> &str {
    let after = arn.split_once(":policy").map_or(arn, |(_, after)| after);
    after.rsplit_once('/').map_or("/", |(before, _)| &after[..=before.len()])
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_policy_has_its_path_in_its_arn() {
        assert_eq!(path("arn:aws:iam::aws:policy/service-role/A"), "/service-role/");
        assert_eq!(path("arn:aws:iam::123456789012:policy/A"), "/");
    }
}
