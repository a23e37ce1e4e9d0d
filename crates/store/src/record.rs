//! Documents: our own versioned structs, kept as JSON under (tenant, kind, id).

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

/// A struct that can be kept as a document.
pub trait Record: Serialize + DeserializeOwned + Send {
    /// The name of its kind on disk. Never changes once released.
    const KIND: &'static str;
    /// The form of its JSON. Raised when an older binary would misread it; older forms are read by serde's defaults.
    const VERSION: u32;
    /// What the row says about its content without being opened, for example `secret`.
    const LABEL: &'static str = "";
}

/// The [`Record::LABEL`] of a record whose id is a run's: when it expires, the run's journal goes with it.
pub const JOURNALED: &str = "journaled";

/// The [`Record::KIND`] of what is kept beside a run's journal, under ids that begin with the run's and a
/// slash: it goes with the journal.
pub const BESIDE_JOURNAL: &str = "effect";

/// A record with the version it was read at, to write it back only if nobody else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    pub version: u64,
    pub value: T,
}

/// A document as it stands, its body opened but not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub kind: String,
    pub id: String,
    pub version: u64,
    /// The [`Record::VERSION`] that wrote it.
    pub form: u32,
    pub body: Bytes,
}

impl Document {
    pub fn read<T: Record>(&self) -> Result<Versioned<T>, StoreError> {
        if self.form > T::VERSION {
            return Err(self.unreadable(format!(
                "its form is {}, this craton knows up to {}",
                self.form,
                T::VERSION
            )));
        }
        match serde_json::from_slice(&self.body) {
            Ok(value) => Ok(Versioned { version: self.version, value }),
            Err(cause) => Err(self.unreadable(cause.to_string())),
        }
    }

    fn unreadable(&self, cause: String) -> StoreError {
        StoreError::Unreadable { kind: self.kind.clone(), id: self.id.clone(), cause }
    }
}
