//! Changes one document as if nobody else were there.
//!
//! The document is read, changed and written back on the condition that it still stands as it was
//! read; when somebody else was first, the change is made again on what stands now.

use engine::Engine;
use store::{Batch, CommitError, Record, Tenant};
use wire::fault::Fault;

/// Ours: a document that changes under every one of so many attempts is left to the client's retry.
const ATTEMPTS: usize = 16;

/// Why nothing was written.
pub(crate) enum Undone {
    /// There is no such document.
    Missing,
    /// Others kept changing it.
    Busy,
    Fault(Fault),
}

impl From<Fault> for Undone {
    fn from(fault: Fault) -> Self {
        Undone::Fault(fault)
    }
}

/// `apply` may run several times and may add to the batch what must change together with the
/// document.
pub(crate) async fn edit<R: Record, T>(
    engine: &Engine,
    tenant: &Tenant,
    id: &str,
    apply: impl Fn(&mut R, &mut Batch) -> Result<T, Fault>,
) -> Result<T, Undone> {
    for _ in 0..ATTEMPTS {
        let found = engine.store().get::<R>(tenant, id).await.map_err(Fault::internal)?;
        let Some(mut found) = found else { return Err(Undone::Missing) };
        let mut batch = Batch::new(tenant, engine.now());
        batch.expect_version::<R>(id, found.version);
        let outcome = apply(&mut found.value, &mut batch)?;
        batch.put(id, &found.value);
        if commit(engine, batch).await? {
            return Ok(outcome);
        }
    }
    Err(Undone::Busy)
}

/// True where the batch is durable, false where a precondition did not hold.
pub(crate) async fn commit(engine: &Engine, batch: Batch) -> Result<bool, Fault> {
    match engine.store().commit(batch).await {
        Ok(()) => Ok(true),
        Err(CommitError::Conflict(_)) => Ok(false),
        Err(CommitError::Store(error)) => Err(Fault::internal(error)),
    }
}
