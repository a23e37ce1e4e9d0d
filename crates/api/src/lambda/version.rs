//! Published versions: copies of a function that never change, numbered from 1.
//!
//! They come into being by `PublishVersion`, or with `Publish` on a create or an update of the code;
//! each is a document of its own beside the function's, so that it is read, called and deleted as
//! one.

use engine::function::FunctionRecord;
use store::Batch;
use wire::fault::Fault;
use wire::lambda::types::{
    FunctionConfiguration, ListVersionsByFunctionRequest, ListVersionsByFunctionResponse,
    PublishVersionRequest,
};

use super::code::hold;
use super::fault::{invalid, undone, unserved};
use super::function::listed;
use super::limits;
use super::reference::{Reference, tenant, version_id};
use super::settings::Settings;
use super::view::{Moment, base64_of_hex, configuration};
use crate::cx::Cx;
use crate::edit::edit;

pub(crate) async fn create(
    cx: &Cx,
    input: PublishVersionRequest,
) -> Result<FunctionConfiguration, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    if input.publish_to.is_some() {
        return Err(unserved("PublishTo", "capacity providers"));
    }
    let last = last_version(cx, &reference).await?;
    let change = |record: &mut FunctionRecord, batch: &mut Batch| {
        Settings::of(record)?.expect_revision(input.revision_id.as_deref())?;
        expect_code(record, input.code_sha256.as_deref())?;
        publish(record, last.as_ref(), input.description.as_deref(), batch)
    };
    let done = edit(&cx.engine, &tenant(cx), &reference.id(), change).await;
    let version = done.map_err(|why| undone(why, || reference.missing()))?;
    configuration(version, Moment::Read)
}

/// A version is cut only of the code that the client has seen.
fn expect_code(record: &FunctionRecord, asked: Option<&str>) -> Result<(), Fault> {
    let stands = base64_of_hex(&record.code);
    match asked {
        // AWS: these words (PublishVersion).
        Some(asked) if asked != stands => Err(invalid(format!(
            "CodeSHA256 ({asked}) is different from current CodeSHA256 in $LATEST ({stands}). \
             Please try again with the CodeSHA256 in $LATEST."
        ))),
        _ => Ok(()),
    }
}

/// `$LATEST`, then the versions by number. A page is short where many in a row were deleted; its
/// marker goes on behind them.
pub(crate) async fn list(
    cx: &Cx,
    input: ListVersionsByFunctionRequest,
) -> Result<ListVersionsByFunctionResponse, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?;
    let latest = reference.load(cx).await?.value;
    let last = Settings::of(&latest)?.published;
    let most = limits::page(input.max_items);
    let mut reads = 0;
    let mut found = Vec::new();
    // A marker is the number after which the page begins.
    let mut number = match &input.marker {
        Some(marker) => marker
            .parse::<u64>()
            .map_err(|_| invalid(format!("Marker {marker} was not given by this operation")))?,
        None => {
            found.push(listed(latest, true)?);
            0
        }
    };
    while found.len() < most && number < last && reads < limits::VERSION_READS {
        (number, reads) = (number + 1, reads + 1);
        let id = version_id(&reference.name, &number.to_string());
        let read = cx.engine.store().get::<FunctionRecord>(&tenant(cx), &id).await;
        if let Some(version) = read.map_err(Fault::internal)? {
            found.push(listed(version.value, true)?);
        }
    }
    let next_marker = (number < last).then(|| number.to_string());
    Ok(ListVersionsByFunctionResponse { next_marker, versions: Some(found) })
}

/// The version that was published last, if it still stands.
pub(super) async fn last_version(
    cx: &Cx,
    reference: &Reference,
) -> Result<Option<FunctionRecord>, Fault> {
    let number = Settings::of(&reference.load(cx).await?.value)?.published;
    let id = version_id(&reference.name, &number.to_string());
    let read = cx.engine.store().get::<FunctionRecord>(&tenant(cx), &id).await;
    Ok(read.map_err(Fault::internal)?.map(|version| version.value))
}

/// Adds the next version to the batch, unless the last one is the same. Gives the version's record.
///
/// AWS: publishing without a change since the last version makes none (PublishVersion).
pub(super) fn publish(
    record: &mut FunctionRecord,
    last: Option<&FunctionRecord>,
    description: Option<&str>,
    batch: &mut Batch,
) -> Result<FunctionRecord, Fault> {
    if let Some(last) = last.filter(|last| same(record, last)) {
        return Ok(last.clone());
    }
    let mut settings = Settings::of(record)?;
    settings.published += 1;
    settings.store(record)?;
    let number = settings.published.to_string();
    // The policy and the count belong to the function, not to the copy.
    settings.statements.clear();
    settings.published = 0;
    if let Some(description) = description {
        description.clone_into(&mut settings.description);
        settings.described = true;
    }
    let mut version = record.clone();
    version.arn = format!("{}:{number}", record.arn);
    version.tags.clear();
    settings.store(&mut version)?;
    let id = version_id(&record.name, &number);
    batch.expect_version::<FunctionRecord>(&id, 0).put(&id, &version);
    hold(batch, &version.code);
    Ok(version)
}

/// True where nothing that a version pins has changed.
fn same(record: &FunctionRecord, last: &FunctionRecord) -> bool {
    let described = Settings::of(last).is_ok_and(|settings| settings.described);
    let pinned = |record: &FunctionRecord| {
        let settings = Settings::of(record).unwrap_or_default();
        // A version's own description says nothing of the function.
        let description = settings.description;
        let description = (!described).then_some(description);
        let kept = (settings.role, description, settings.architecture, settings.ephemeral_mb);
        let run = (record.runtime.clone(), record.handler.clone(), record.environment.clone());
        (kept, run, record.timeout_seconds, record.memory_mb, record.code.clone())
    };
    pinned(record) == pinned(last)
}
