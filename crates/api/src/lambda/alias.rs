//! Aliases: names that point at a published version or at `$LATEST`, and can be moved.
//!
//! An alias is a document of its own, so that moving it changes nothing of the function.

use engine::function::{AliasRecord, FunctionRecord};
use store::{Batch, Versioned};
use wire::fault::Fault;
use wire::lambda::types::{
    AliasConfiguration, AliasRoutingConfiguration, CreateAliasRequest, DeleteAliasRequest,
    GetAliasRequest, ListAliasesRequest, ListAliasesResponse, UpdateAliasRequest,
};

use super::fault::{conflict, invalid, not_found, stale_revision, undone, unserved};
use super::limits;
use super::reference::{Reference, is_alias, tenant, version_id};
use crate::cx::Cx;
use crate::edit::{commit, edit};

pub(crate) async fn create(
    cx: &Cx,
    input: CreateAliasRequest,
) -> Result<AliasConfiguration, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    check_routing(input.routing_config.as_ref())?;
    check_version(cx, &reference, &input.function_version).await?;
    let id = version_id(&reference.name, &input.name);
    let alias = AliasRecord {
        name: input.name,
        arn: format!("{}:{}", reference.arn, id.rsplit(':').next().unwrap_or_default()),
        version: input.function_version,
        description: input.description.unwrap_or_default(),
        revision: cx.engine.fresh_id(),
    };
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.expect_version::<AliasRecord>(&id, 0).put(&id, &alias);
    if !commit(&cx.engine, batch).await? {
        return Err(conflict(format!("Alias already exists: {}", alias.arn)));
    }
    Ok(shown(alias))
}

pub(crate) async fn get(cx: &Cx, input: GetAliasRequest) -> Result<AliasConfiguration, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    Ok(shown(found(cx, &reference, &input.name).await?.value))
}

pub(crate) async fn update(
    cx: &Cx,
    input: UpdateAliasRequest,
) -> Result<AliasConfiguration, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    check_routing(input.routing_config.as_ref())?;
    if let Some(version) = &input.function_version {
        check_version(cx, &reference, version).await?;
    }
    let change = |alias: &mut AliasRecord, _: &mut Batch| {
        if input.revision_id.as_ref().is_some_and(|seen| *seen != alias.revision) {
            return Err(stale_revision());
        }
        alias.version = input.function_version.clone().unwrap_or_else(|| alias.version.clone());
        if let Some(description) = &input.description {
            alias.description.clone_from(description);
        }
        alias.revision = cx.engine.fresh_id();
        Ok(alias.clone())
    };
    let id = version_id(&reference.name, &input.name);
    let done = edit(&cx.engine, &tenant(cx), &id, change).await;
    done.map(shown).map_err(|why| undone(why, || missing(&reference, &input.name)))
}

/// AWS: an alias that is not there is gone already (DeleteAlias).
pub(crate) async fn delete(cx: &Cx, input: DeleteAliasRequest) -> Result<(), Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.delete::<AliasRecord>(&version_id(&reference.name, &input.name));
    commit(&cx.engine, batch).await?;
    Ok(())
}

pub(crate) async fn list(cx: &Cx, input: ListAliasesRequest) -> Result<ListAliasesResponse, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?;
    reference.load(cx).await?;
    let most = limits::page(input.max_items);
    let prefix = version_id(&reference.name, "");
    let mut found: Vec<AliasRecord> = Vec::new();
    let mut after = input.marker.map(|name| version_id(&reference.name, &name));
    while found.len() <= most {
        let page = cx.engine.store();
        let page = page.list::<AliasRecord>(&tenant(cx), &prefix, after.as_deref(), most + 1).await;
        let page = page.map_err(Fault::internal)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        let wanted = |alias: &AliasRecord| {
            input.function_version.as_ref().is_none_or(|version| *version == alias.version)
        };
        found.extend(page.into_iter().map(|(_, row)| row.value).filter(wanted));
    }
    let more = found.len() > most;
    found.truncate(most);
    let next_marker = found.last().filter(|_| more).map(|last| last.name.clone());
    let aliases = Some(found.into_iter().map(shown).collect());
    Ok(ListAliasesResponse { next_marker, aliases })
}

/// Deletes every alias of a function that is about to be deleted.
pub(super) async fn drop_all(cx: &Cx, name: &str) -> Result<(), Fault> {
    let (tenant, prefix) = (tenant(cx), version_id(name, ""));
    loop {
        let page = cx.engine.store().list::<AliasRecord>(&tenant, &prefix, None, 100).await;
        let page = page.map_err(Fault::internal)?;
        if page.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(&tenant, cx.engine.now());
        for (id, _) in &page {
            batch.delete::<AliasRecord>(id);
        }
        commit(&cx.engine, batch).await?;
    }
}

/// AWS: a version that an alias points at cannot be deleted (DeleteFunction).
pub(super) async fn check_unused(
    cx: &Cx,
    reference: &Reference,
    version: &str,
) -> Result<(), Fault> {
    let function_version = Some(version.to_owned());
    let input = ListAliasesRequest {
        function_name: reference.name.clone(),
        function_version,
        marker: None,
        max_items: Some(1),
    };
    let users = list(cx, input).await?.aliases.unwrap_or_default();
    match users.first().and_then(|alias| alias.name.clone()) {
        Some(alias) => Err(conflict(format!(
            "version {version} of {} is used by the alias {alias}; move or delete the alias first",
            reference.name
        ))),
        None => Ok(()),
    }
}

async fn found(
    cx: &Cx,
    reference: &Reference,
    name: &str,
) -> Result<Versioned<AliasRecord>, Fault> {
    let id = version_id(&reference.name, name);
    let read = cx.engine.store().get::<AliasRecord>(&tenant(cx), &id).await;
    read.map_err(Fault::internal)?.ok_or_else(|| missing(reference, name))
}

fn missing(reference: &Reference, name: &str) -> Fault {
    // AWS: this wording (GetAlias, ResourceNotFoundException).
    not_found(format!("Cannot find alias arn: {}:{name}", reference.arn))
}

/// `$LATEST` or a version that is there.
async fn check_version(cx: &Cx, reference: &Reference, version: &str) -> Result<(), Fault> {
    if is_alias(version) {
        return Err(invalid(format!("FunctionVersion {version} is neither $LATEST nor a number")));
    }
    let pointed = reference.at(version);
    let read = cx.engine.store().get::<FunctionRecord>(&tenant(cx), &pointed.id()).await;
    read.map_err(Fault::internal)?.ok_or_else(|| pointed.missing())?;
    Ok(())
}

fn check_routing(routing: Option<&AliasRoutingConfiguration>) -> Result<(), Fault> {
    let weights = routing.and_then(|routing| routing.additional_version_weights.as_ref());
    match weights.is_some_and(|weights| !weights.is_empty()) {
        true => Err(unserved("RoutingConfig", "aliases over two versions")),
        false => Ok(()),
    }
}

fn shown(alias: AliasRecord) -> AliasConfiguration {
    AliasConfiguration {
        alias_arn: Some(alias.arn),
        name: Some(alias.name),
        function_version: Some(alias.version),
        description: Some(alias.description),
        revision_id: Some(alias.revision),
        routing_config: None,
    }
}
