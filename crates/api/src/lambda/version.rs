//! Published versions: copies of a function that never change, numbered from 1.
//!
//! They come into being with `Publish` on a create or an update of the code; each is a document of
//! its own beside the function's, so that it is read, called and deleted as one.

use engine::function::FunctionRecord;
use store::Batch;
use wire::fault::Fault;

use super::code::hold;
use super::reference::version_id;
use super::settings::Settings;

/// Adds the next version to the batch, unless the last one is the same. Gives the version's record.
///
/// AWS: publishing without a change since the last version makes none (PublishVersion).
pub(super) fn publish(
    record: &mut FunctionRecord,
    last: Option<&FunctionRecord>,
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
    let pinned = |record: &FunctionRecord| {
        let settings = Settings::of(record).unwrap_or_default();
        let kept =
            (settings.role, settings.description, settings.architecture, settings.ephemeral_mb);
        let run = (record.runtime.clone(), record.handler.clone(), record.environment.clone());
        (kept, run, record.timeout_seconds, record.memory_mb, record.code.clone())
    };
    pinned(record) == pinned(last)
}
