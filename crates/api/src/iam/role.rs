//! Roles: made, read, changed, listed and deleted.

use store::Batch;
use wire::fault::Fault;
use wire::iam::types::{
    AttachedPermissionsBoundary, CreateRoleRequest, CreateRoleResponse, DeleteRoleRequest,
    GetRoleRequest, GetRoleResponse, ListInstanceProfilesForRoleRequest,
    ListInstanceProfilesForRoleResponse, ListRolesRequest, ListRolesResponse,
    PermissionsBoundaryAttachmentType, Role, RoleLastUsed, UpdateAssumeRolePolicyRequest,
    UpdateRoleRequest, UpdateRoleResponse,
};

use super::fault::{beyond, busy, exists, in_use, no_role, undone_role};
use super::limits;
use super::page::Page;
use super::policy_text::{chars, check_trust, shown};
use super::record::{
    RoleRecord, arn, id, new_id, tags_in, tags_out, tell_not_enforced, tenant, time,
};
use crate::cx::Cx;
use crate::edit::{commit, edit};

pub(crate) async fn create(cx: &Cx, input: CreateRoleRequest) -> Result<CreateRoleResponse, Fault> {
    check_document(&input.assume_role_policy_document)?;
    tell_not_enforced();
    let path = input.path.unwrap_or_else(|| "/".to_owned());
    let record = RoleRecord {
        arn: arn(cx, "role", &path, &input.role_name),
        role_id: new_id(cx, "AROA"),
        name: input.role_name,
        path,
        created_at: cx.engine.now(),
        trust: input.assume_role_policy_document,
        description: input.description,
        max_session_seconds: input.max_session_duration.unwrap_or(limits::SESSION_SECONDS),
        boundary: input.permissions_boundary,
        tags: tags_in(input.tags)?,
        inline: std::collections::BTreeMap::new(),
        attached: std::collections::BTreeMap::new(),
    };
    let id = id(&record.name);
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.expect_version::<RoleRecord>(&id, 0).put(&id, &record);
    if !commit(&cx.engine, batch).await? {
        // AWS: this wording (CreateRole).
        return Err(exists(format!("Role with name {} already exists.", record.name)));
    }
    Ok(CreateRoleResponse { role: view(record) })
}

fn check_document(trust: &str) -> Result<(), Fault> {
    check_trust(trust)?;
    if chars(trust) > limits::TRUST_CHARS {
        return Err(beyond("ACLSizePerRole", limits::TRUST_CHARS));
    }
    Ok(())
}

pub(super) async fn load(cx: &Cx, name: &str) -> Result<RoleRecord, Fault> {
    let read = cx.engine.store().get::<RoleRecord>(&tenant(cx), &id(name)).await;
    let found = read.map_err(Fault::internal)?;
    found.map(|found| found.value).ok_or_else(|| no_role(name))
}

/// Changes a role, and whatever the batch must change with it.
pub(super) async fn change(
    cx: &Cx,
    name: &str,
    apply: impl Fn(&mut RoleRecord, &mut Batch) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let done = edit(&cx.engine, &tenant(cx), &id(name), apply).await;
    done.map_err(|why| undone_role(why, name))
}

pub(crate) async fn get(cx: &Cx, input: GetRoleRequest) -> Result<GetRoleResponse, Fault> {
    let role = view(load(cx, &input.role_name).await?);
    // AWS: present and empty for a role that nobody has used (GetRole).
    Ok(GetRoleResponse { role: Role { role_last_used: Some(RoleLastUsed::default()), ..role } })
}

pub(crate) async fn update(cx: &Cx, input: UpdateRoleRequest) -> Result<UpdateRoleResponse, Fault> {
    change(cx, &input.role_name, |role, _| {
        if let Some(description) = &input.description {
            role.description = Some(description.clone());
        }
        role.max_session_seconds = input.max_session_duration.unwrap_or(role.max_session_seconds);
        Ok(())
    })
    .await?;
    Ok(UpdateRoleResponse {})
}

pub(crate) async fn update_assume_policy(
    cx: &Cx,
    input: UpdateAssumeRolePolicyRequest,
) -> Result<(), Fault> {
    check_document(&input.policy_document)?;
    change(cx, &input.role_name, |role, _| {
        role.trust.clone_from(&input.policy_document);
        Ok(())
    })
    .await
}

pub(crate) async fn list(cx: &Cx, input: ListRolesRequest) -> Result<ListRolesResponse, Fault> {
    let page = Page::open(input.marker.as_deref(), input.max_items)?;
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let tenant = tenant(cx);
    let (mut rows, mut after) = (Vec::new(), page.after.clone());
    while rows.len() < page.rows() {
        let store = cx.engine.store();
        let next = store.list::<RoleRecord>(&tenant, "", after.as_deref(), page.rows()).await;
        let next = next.map_err(Fault::internal)?;
        let Some((last, _)) = next.last() else { break };
        after = Some(last.clone());
        rows.extend(next.into_iter().filter(|(_, row)| row.value.path.starts_with(prefix)));
    }
    let (roles, marker) = page.cut(rows);
    // AWS: a list leaves out tags and boundary (ListRoles).
    let listed = |role: Role| Role { tags: None, permissions_boundary: None, ..role };
    let roles = roles.into_iter().map(|row| listed(view(row.value))).collect();
    Ok(ListRolesResponse { roles, is_truncated: Some(marker.is_some()), marker })
}

pub(crate) async fn delete(cx: &Cx, input: DeleteRoleRequest) -> Result<(), Fault> {
    let (tenant, id) = (tenant(cx), id(&input.role_name));
    let read = cx.engine.store().get::<RoleRecord>(&tenant, &id).await;
    let found = read.map_err(Fault::internal)?.ok_or_else(|| no_role(&input.role_name))?;
    // AWS: both wordings (DeleteRole).
    if !found.value.attached.is_empty() {
        return Err(in_use("Cannot delete entity, must detach all policies first."));
    }
    if !found.value.inline.is_empty() {
        return Err(in_use("Cannot delete entity, must delete policies first."));
    }
    let mut batch = Batch::new(&tenant, cx.engine.now());
    batch.expect_version::<RoleRecord>(&id, found.version).delete::<RoleRecord>(&id);
    if commit(&cx.engine, batch).await? { Ok(()) } else { Err(busy()) }
}

/// No operation that makes an instance profile is served, so no role is in one.
pub(crate) async fn list_instance_profiles(
    cx: &Cx,
    input: ListInstanceProfilesForRoleRequest,
) -> Result<ListInstanceProfilesForRoleResponse, Fault> {
    load(cx, &input.role_name).await?;
    let instance_profiles = Vec::new();
    Ok(ListInstanceProfilesForRoleResponse {
        instance_profiles,
        is_truncated: Some(false),
        marker: None,
    })
}

fn view(role: RoleRecord) -> Role {
    let boundary = role.boundary.map(|arn| AttachedPermissionsBoundary {
        permissions_boundary_type: Some(
            PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy,
        ),
        permissions_boundary_arn: Some(arn),
    });
    Role {
        path: role.path,
        role_name: role.name,
        role_id: role.role_id,
        arn: role.arn,
        create_date: time(role.created_at),
        assume_role_policy_document: Some(shown(&role.trust)),
        description: role.description,
        max_session_duration: Some(role.max_session_seconds),
        permissions_boundary: boundary,
        tags: tags_out(role.tags),
        role_last_used: None,
        source_role_template: None,
    }
}
