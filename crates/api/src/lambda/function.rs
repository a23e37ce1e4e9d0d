//! Functions: made, read, changed, listed and deleted.

use engine::function::{FunctionRecord, function_name};
use store::Batch;
use wire::fault::Fault;
use wire::lambda::types::{
    CreateFunctionRequest, DeleteFunctionRequest, DeleteFunctionResponse, FunctionCodeLocation,
    FunctionCodeLocationError, FunctionConfiguration, FunctionVersion,
    GetFunctionConfigurationRequest, GetFunctionRequest, GetFunctionResponse, ListFunctionsRequest,
    ListFunctionsResponse, PackageType, UpdateFunctionConfigurationRequest,
};

use super::alias;
use super::code::{Package, drop_unheld, hold, package, release};
use super::fault::{conflict, invalid, undone, unserved};
use super::limits;
use super::reference::{LATEST, Reference, is_alias, tenant};
use super::settings::{self, Settings};
use super::unserved::Unserved;
use super::version::publish;
use super::view::{Moment, configuration};
use crate::cx::Cx;
use crate::edit::{commit, edit};

pub(crate) async fn create(
    cx: &Cx,
    mut input: CreateFunctionRequest,
) -> Result<FunctionConfiguration, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    check_create(cx, &reference, &mut input)?;
    let publishing = input.publish == Some(true);
    let code = std::mem::take(&mut input.code);
    let package = package(cx, code).await?;
    let mut record = new_record(cx, &reference, &package, input)?;
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.expect_version::<FunctionRecord>(&reference.id(), 0);
    let mut version = LATEST.to_owned();
    if publishing {
        publish(&mut record, None, None, &mut batch)?;
        version = "1".to_owned();
    }
    batch.put(&reference.id(), &record).blob(&package.digest, package.zip.clone());
    hold(&mut batch, &package.digest);
    if !commit(&cx.engine, batch).await? {
        // AWS: this wording (CreateFunction, ResourceConflictException).
        return Err(conflict(format!("Function already exist: {}", reference.name)));
    }
    let shown = configuration(record, Moment::Created)?;
    // AWS: with Publish the answer carries the version beside the unqualified ARN.
    Ok(FunctionConfiguration { version: Some(version), ..shown })
}

/// Everything that can be refused before the package is looked at.
fn check_create(
    cx: &Cx,
    reference: &Reference,
    input: &mut CreateFunctionRequest,
) -> Result<(), Fault> {
    if reference.name.len() > limits::NAME {
        return Err(Fault::validation(format!(
            "1 validation error detected: Value '{}' at 'functionName' failed to satisfy \
             constraint: Member must have length less than or equal to {}",
            reference.name,
            limits::NAME
        )));
    }
    if input.package_type == Some(PackageType::Image) {
        return Err(unserved("PackageType Image", "container images"));
    }
    if input.code_signing_config_arn.is_some() {
        return Err(unserved("CodeSigningConfigArn", "code signing"));
    }
    if input.tenancy_config.is_some() {
        return Err(unserved("TenancyConfig", "isolation by tenant"));
    }
    if input.publish_to.is_some() {
        return Err(unserved("PublishTo", "capacity providers"));
    }
    Unserved::of_create(input).check(&reference.name)?;
    let (Some(runtime), Some(_)) = (input.runtime, &input.handler) else {
        // AWS: both are optional in the model because images have neither.
        return Err(invalid(
            "Runtime and Handler are mandatory parameters for functions created with deployment \
             packages.",
        ));
    };
    check_runtime(cx, reference, runtime.as_str())
}

/// A function that a URL serves may be of any runtime: nothing of it runs here.
fn check_runtime(cx: &Cx, reference: &Reference, runtime: &str) -> Result<(), Fault> {
    match exec::refusal(runtime) {
        Some(refusal) if !cx.engine.tools().is_mapped(&reference.arn) => Err(invalid(format!(
            "{refusal}; for code that runs elsewhere, map {} to its URL under [functions.map] in \
             craton.toml",
            reference.name
        ))),
        Some(_) | None => Ok(()),
    }
}

fn new_record(
    cx: &Cx,
    reference: &Reference,
    package: &Package,
    input: CreateFunctionRequest,
) -> Result<FunctionRecord, Fault> {
    let tags = input.tags.unwrap_or_default();
    settings::tags(&tags)?;
    let mut kept = Settings {
        role: input.role,
        description: input.description.unwrap_or_default(),
        modified_at: cx.engine.now(),
        revision: cx.engine.fresh_id(),
        ..Settings::default()
    };
    if let Some(list) = &input.architectures {
        kept.architecture = settings::architecture(list)?;
    }
    if let Some(storage) = &input.ephemeral_storage {
        kept.ephemeral_mb = settings::ephemeral(storage)?;
    }
    let mut record = FunctionRecord {
        name: reference.name.clone(),
        arn: reference.arn.clone(),
        runtime: input.runtime.map(|r| r.as_str().to_owned()).unwrap_or_default(),
        handler: input.handler.unwrap_or_default(),
        environment: settings::environment(input.environment.unwrap_or_default())?,
        // AWS: 3 seconds and 128 MB where the client does not say (CreateFunction).
        timeout_seconds: settings::timeout(input.timeout.unwrap_or(3))?,
        memory_mb: settings::memory(input.memory_size.unwrap_or(128))?,
        code: package.digest.clone(),
        code_size: package.zip.len() as u64,
        tags,
        settings: serde_json::Value::Null,
    };
    kept.store(&mut record)?;
    Ok(record)
}

pub(crate) async fn get(cx: &Cx, input: GetFunctionRequest) -> Result<GetFunctionResponse, Fault> {
    let reference = Reference::read(cx, &input.function_name, input.qualifier.as_deref())?;
    let record = reference.load(cx).await?.value;
    let tags = (!record.tags.is_empty()).then(|| record.tags.clone());
    // AWS answers a pre-signed URL of the package. There is none here, and a made-up one would
    // only fail later.
    let error = FunctionCodeLocationError {
        error_code: Some("NotServed".to_owned()),
        message: Some("craton does not hand out packages by URL".to_owned()),
    };
    let code = FunctionCodeLocation { error: Some(error), ..FunctionCodeLocation::default() };
    Ok(GetFunctionResponse {
        configuration: Some(shown(&reference, record)?),
        code: Some(code),
        tags,
        ..GetFunctionResponse::default()
    })
}

pub(crate) async fn get_configuration(
    cx: &Cx,
    input: GetFunctionConfigurationRequest,
) -> Result<FunctionConfiguration, Fault> {
    let reference = Reference::read(cx, &input.function_name, input.qualifier.as_deref())?;
    let record = reference.load(cx).await?.value;
    shown(&reference, record)
}

/// AWS: the ARN is qualified where the request was.
fn shown(reference: &Reference, record: FunctionRecord) -> Result<FunctionConfiguration, Fault> {
    let arn = Some(reference.qualified_arn());
    Ok(FunctionConfiguration { function_arn: arn, ..configuration(record, Moment::Read)? })
}

pub(crate) async fn update_configuration(
    cx: &Cx,
    mut input: UpdateFunctionConfigurationRequest,
) -> Result<FunctionConfiguration, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    Unserved::of_update(&mut input).check(&reference.name)?;
    if let Some(runtime) = input.runtime {
        check_runtime(cx, &reference, runtime.as_str())?;
    }
    let change = |record: &mut FunctionRecord, _: &mut Batch| {
        reconfigure(cx, record, input.clone())?;
        Ok(record.clone())
    };
    let done = edit(&cx.engine, &tenant(cx), &reference.id(), change).await;
    let record = done.map_err(|why| undone(why, || reference.missing()))?;
    cx.engine.tools().forget(&reference.arn).await;
    configuration(record, Moment::Updated)
}

/// What the request leaves out stays as it was.
fn reconfigure(
    cx: &Cx,
    record: &mut FunctionRecord,
    input: UpdateFunctionConfigurationRequest,
) -> Result<(), Fault> {
    let mut kept = Settings::of(record)?;
    kept.expect_revision(input.revision_id.as_deref())?;
    kept.revision = cx.engine.fresh_id();
    kept.modified_at = cx.engine.now();
    kept.role = input.role.unwrap_or(kept.role);
    kept.description = input.description.unwrap_or(kept.description);
    if let Some(storage) = &input.ephemeral_storage {
        kept.ephemeral_mb = settings::ephemeral(storage)?;
    }
    kept.store(record)?;
    if let Some(runtime) = input.runtime {
        runtime.as_str().clone_into(&mut record.runtime);
    }
    if let Some(handler) = input.handler {
        record.handler = handler;
    }
    if let Some(seconds) = input.timeout {
        record.timeout_seconds = settings::timeout(seconds)?;
    }
    if let Some(megabytes) = input.memory_size {
        record.memory_mb = settings::memory(megabytes)?;
    }
    if let Some(environment) = input.environment {
        record.environment = settings::environment(environment)?;
    }
    Ok(())
}

pub(crate) async fn list(
    cx: &Cx,
    input: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, Fault> {
    if let Some(region) = input.master_region.filter(|region| region != "ALL") {
        // AWS: MasterRegion is for Lambda@Edge, whose replicas live in other regions.
        return Err(unserved(&format!("MasterRegion {region}"), "Lambda@Edge"));
    }
    let all = input.function_version == Some(FunctionVersion::All);
    let most = limits::page(input.max_items);
    let tenant = tenant(cx);
    let mut found: Vec<FunctionRecord> = Vec::new();
    let mut after = input.marker;
    while found.len() <= most {
        let page =
            cx.engine.store().list::<FunctionRecord>(&tenant, "", after.as_deref(), most + 1).await;
        let page = page.map_err(Fault::internal)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        let wanted = page.into_iter().filter(|(id, _)| all || !id.contains(':'));
        found.extend(wanted.map(|(_, row)| row.value));
    }
    let more = found.len() > most;
    found.truncate(most);
    let next_marker = found.last().filter(|_| more).map(|last| document_id(&last.arn));
    let functions = found.into_iter().map(|record| listed(record, all));
    Ok(ListFunctionsResponse { next_marker, functions: Some(functions.collect::<Result<_, _>>()?) })
}

/// A marker is the id of the last function shown.
fn document_id(arn: &str) -> String {
    engine::function::function_id(arn)
}

pub(super) fn listed(record: FunctionRecord, all: bool) -> Result<FunctionConfiguration, Fault> {
    let shown = configuration(record, Moment::Read)?;
    let arn = shown.function_arn.clone().unwrap_or_default();
    // AWS: with FunctionVersion=ALL the unpublished one is qualified too.
    let plain = all && engine::function::qualifier(&arn).is_none();
    let function_arn = Some(if plain { format!("{arn}:{LATEST}") } else { arn });
    // AWS: a list shows neither state nor the outcome of the last update (ListFunctions).
    Ok(FunctionConfiguration { function_arn, state: None, last_update_status: None, ..shown })
}

pub(crate) async fn delete(
    cx: &Cx,
    input: DeleteFunctionRequest,
) -> Result<DeleteFunctionResponse, Fault> {
    let reference = Reference::read(cx, &input.function_name, input.qualifier.as_deref())?;
    if reference.qualifier.as_deref() == Some(LATEST) {
        // AWS: only published versions are deleted alone (DeleteFunction).
        return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
    }
    reference.load(cx).await?;
    match reference.qualifier.as_deref() {
        None => {
            alias::drop_all(cx, &reference.name).await?;
            delete_versions(cx, &reference.name).await?;
        }
        Some(alias) if is_alias(alias) => {
            return Err(invalid(format!(
                "Qualifier {alias} is an alias; DeleteAlias deletes it, and a number its version"
            )));
        }
        Some(version) => alias::check_unused(cx, &reference, version).await?,
    }
    delete_one(cx, &reference.id()).await?;
    Ok(DeleteFunctionResponse { status_code: Some(204) })
}

/// The versions first: should this be interrupted, the function still stands and the delete can
/// be repeated.
async fn delete_versions(cx: &Cx, name: &str) -> Result<(), Fault> {
    let prefix = format!("{}:", function_name(name));
    let tenant = tenant(cx);
    loop {
        let page = cx.engine.store().list::<FunctionRecord>(&tenant, &prefix, None, 100).await;
        let page = page.map_err(Fault::internal)?;
        if page.is_empty() {
            return Ok(());
        }
        for (id, _) in page {
            delete_one(cx, &id).await?;
        }
    }
}

async fn delete_one(cx: &Cx, id: &str) -> Result<(), Fault> {
    let tenant = tenant(cx);
    let read = cx.engine.store().get::<FunctionRecord>(&tenant, id).await;
    let Some(found) = read.map_err(Fault::internal)? else { return Ok(()) };
    let mut batch = Batch::new(&tenant, cx.engine.now());
    batch.expect_version::<FunctionRecord>(id, found.version).delete::<FunctionRecord>(id);
    release(&mut batch, &found.value.code);
    if !commit(&cx.engine, batch).await? {
        return Err(conflict("the function is being changed by other requests; try again"));
    }
    cx.engine.tools().forget(&found.value.arn).await;
    drop_unheld(&cx.engine, &tenant, &found.value.code).await
}
