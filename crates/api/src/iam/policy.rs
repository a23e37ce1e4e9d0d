//! Managed policies that the account has made. AWS's own are known by name only: see `attachment`.

use store::{Batch, Versioned};
use wire::fault::Fault;
use wire::iam::types::{
    CreatePolicyRequest, CreatePolicyResponse, DeletePolicyRequest, GetPolicyRequest,
    GetPolicyResponse, GetPolicyVersionRequest, GetPolicyVersionResponse, ListPoliciesRequest,
    ListPoliciesResponse, ListPolicyVersionsRequest, ListPolicyVersionsResponse, Policy,
    PolicyScopeType, PolicyUsageType, PolicyVersion,
};

use super::fault::{beyond, busy, exists, in_use, no_such};
use super::limits;
use super::page::Page;
use super::policy_text::{chars, check_permissions, shown};
use super::record::{
    PolicyRecord, arn, attachments, id, new_id, tags_in, tags_out, tell_not_enforced, tenant, time,
};
use crate::cx::Cx;
use crate::edit::commit;

/// The only version: others come with CreatePolicyVersion.
const FIRST: &str = "v1";

pub(crate) async fn create(
    cx: &Cx,
    input: CreatePolicyRequest,
) -> Result<CreatePolicyResponse, Fault> {
    check_permissions(&input.policy_document)?;
    if chars(&input.policy_document) > limits::POLICY_CHARS {
        return Err(beyond("PolicySize", limits::POLICY_CHARS));
    }
    tell_not_enforced();
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    let record = PolicyRecord {
        arn: arn(cx, "policy", &path, &input.policy_name),
        policy_id: new_id(cx, "ANPA"),
        name: input.policy_name,
        path,
        created_at: cx.engine.now(),
        document: input.policy_document,
        description: input.description,
        tags: tags_in(input.tags)?,
    };
    let id = id(&record.name);
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.expect_version::<PolicyRecord>(&id, 0).put(&id, &record);
    if !commit(&cx.engine, batch).await? {
        // AWS: this wording (CreatePolicy).
        let message = format!(
            "A policy called {} already exists. Duplicate names are not allowed.",
            record.name
        );
        return Err(exists(message));
    }
    // AWS: the answer leaves out the description (Policy, `Description`).
    Ok(CreatePolicyResponse { policy: Some(Policy { description: None, ..view(record, 0) }) })
}

/// The account's policy of this ARN.
pub(super) async fn load(cx: &Cx, arn: &str) -> Result<Option<Versioned<PolicyRecord>>, Fault> {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let read = cx.engine.store().get::<PolicyRecord>(&tenant(cx), &id(name)).await;
    Ok(read.map_err(Fault::internal)?.filter(|found| found.value.arn == arn))
}

async fn existing(cx: &Cx, arn: &str) -> Result<Versioned<PolicyRecord>, Fault> {
    load(cx, arn).await?.ok_or_else(|| missing(arn))
}

fn missing(arn: &str) -> Fault {
    if is_aws(arn) {
        return no_such(format!(
            "Policy {arn} is one of AWS's own: craton knows it by its name only and does not hold it."
        ));
    }
    // AWS: this wording (GetPolicy).
    no_such(format!("Policy {arn} was not found."))
}

/// AWS: policies that AWS itself keeps belong to the account `aws`.
pub(super) fn is_aws(arn: &str) -> bool {
    let parsed = wire::arn::Arn::parse(arn);
    parsed.is_ok_and(|arn| {
        arn.service == "iam" && arn.account == "aws" && arn.resource.starts_with("policy/")
    })
}

pub(crate) async fn get(cx: &Cx, input: GetPolicyRequest) -> Result<GetPolicyResponse, Fault> {
    let found = existing(cx, &input.policy_arn).await?.value;
    let count = count(cx, &found.arn).await?;
    Ok(GetPolicyResponse { policy: Some(view(found, count)) })
}

async fn count(cx: &Cx, arn: &str) -> Result<i64, Fault> {
    let read = cx.engine.store().counter(&tenant(cx), &attachments(arn)).await;
    read.map_err(Fault::internal)
}

pub(crate) async fn get_version(
    cx: &Cx,
    input: GetPolicyVersionRequest,
) -> Result<GetPolicyVersionResponse, Fault> {
    let found = existing(cx, &input.policy_arn).await?.value;
    if input.version_id != FIRST {
        let (arn, version) = (&input.policy_arn, &input.version_id);
        return Err(no_such(format!("Policy {arn} version {version} does not exist.")));
    }
    let document = Some(shown(&found.document));
    Ok(GetPolicyVersionResponse {
        policy_version: Some(PolicyVersion { document, ..version(&found) }),
    })
}

pub(crate) async fn list_versions(
    cx: &Cx,
    input: ListPolicyVersionsRequest,
) -> Result<ListPolicyVersionsResponse, Fault> {
    let page = Page::open(input.marker.as_deref(), input.max_items)?;
    let found = existing(cx, &input.policy_arn).await?.value;
    let (versions, marker) = page.of([(FIRST.to_owned(), version(&found))]);
    Ok(ListPolicyVersionsResponse {
        versions: Some(versions),
        is_truncated: Some(marker.is_some()),
        marker,
    })
}

/// AWS: the answer leaves out the document; GetPolicyVersion has it.
fn version(policy: &PolicyRecord) -> PolicyVersion {
    PolicyVersion {
        document: None,
        version_id: Some(FIRST.to_owned()),
        is_default_version: Some(true),
        create_date: Some(time(policy.created_at)),
    }
}

/// The account's own; AWS's are not held, so `Scope=AWS` has none to list.
pub(crate) async fn list(
    cx: &Cx,
    input: ListPoliciesRequest,
) -> Result<ListPoliciesResponse, Fault> {
    let page = Page::open(input.marker.as_deref(), input.max_items)?;
    let none = input.scope == Some(PolicyScopeType::Aws)
        || input.policy_usage_filter == Some(PolicyUsageType::PermissionsBoundary);
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let tenant = tenant(cx);
    let (mut rows, mut after) = (Vec::new(), page.after.clone());
    while !none && rows.len() < page.rows() {
        let store = cx.engine.store();
        let next = store.list::<PolicyRecord>(&tenant, "", after.as_deref(), page.rows()).await;
        let next = next.map_err(Fault::internal)?;
        let Some((last, _)) = next.last() else { break };
        after = Some(last.clone());
        for (id, row) in next {
            let count = count(cx, &row.value.arn).await?;
            let wanted = count > 0 || input.only_attached != Some(true);
            if wanted && row.value.path.starts_with(prefix) {
                rows.push((id, view(row.value, count)));
            }
        }
    }
    let (policies, marker) = page.cut(rows);
    // AWS: a list leaves out description and tags (ListPolicies).
    let listed = |policy: Policy| Policy { description: None, tags: None, ..policy };
    Ok(ListPoliciesResponse {
        policies: Some(policies.into_iter().map(listed).collect()),
        is_truncated: Some(marker.is_some()),
        marker,
    })
}

pub(crate) async fn delete(cx: &Cx, input: DeletePolicyRequest) -> Result<(), Fault> {
    let found = existing(cx, &input.policy_arn).await?;
    let id = id(&found.value.name);
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.expect_version::<PolicyRecord>(&id, found.version).delete::<PolicyRecord>(&id);
    // The count must still be nothing when the policy goes.
    batch.add(&attachments(&found.value.arn), 0, Some(0), Some(0));
    if commit(&cx.engine, batch).await? {
        return Ok(());
    }
    if count(cx, &found.value.arn).await? > 0 {
        // AWS: this wording (DeletePolicy).
        return Err(in_use("Cannot delete a policy attached to entities."));
    }
    Err(busy())
}

fn view(policy: PolicyRecord, attached: i64) -> Policy {
    Policy {
        policy_name: Some(policy.name),
        policy_id: Some(policy.policy_id),
        arn: Some(policy.arn),
        path: Some(policy.path),
        default_version_id: Some(FIRST.to_owned()),
        attachment_count: Some(attached),
        permissions_boundary_usage_count: Some(0),
        is_attachable: Some(true),
        description: policy.description,
        create_date: Some(time(policy.created_at)),
        update_date: Some(time(policy.created_at)),
        tags: tags_out(policy.tags),
    }
}

#[cfg(test)]
mod tests {
    use super::is_aws;

    #[test]
    fn policies_of_aws_are_known_by_their_arn() {
        for arn in [
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "arn:aws-cn:iam::aws:policy/ReadOnlyAccess",
        ] {
            assert!(is_aws(arn), "{arn}");
        }
        for arn in [
            "arn:aws:iam::123456789012:policy/mine",
            "arn:aws:iam::aws:role/policy",
            "arn:aws:s3::aws:policy/x",
            "AdministratorAccess",
        ] {
            assert!(!is_aws(arn), "{arn}");
        }
    }
}
