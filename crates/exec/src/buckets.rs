//! Buckets of S3 that are folders of this machine: `[buckets]` of craton.toml.
//!
//! An `s3://` location of code or of a schema is read here, once, when the operation that names it is
//! called. A key never leaves its folder, by dots or by links. Nothing is listed or written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// Bucket names and their folders; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Buckets(Arc<BTreeMap<String, PathBuf>>);

/// Why an object cannot be read. One variant per reaction; the messages are for people.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error(
        "the bucket {0} is not mapped; name its folder under [buckets] in craton.toml: {0} = \
         \"path\""
    )]
    NoBucket(String),
    #[error("there is no file {0} in the bucket's folder")]
    NoKey(String),
    #[error("the key {0} leaves the bucket's folder, by dots or by a link")]
    Outside(String),
    #[error("the object {key} has more than {limit} bytes")]
    TooLarge { key: String, limit: u64 },
    /// The cause is the operator's: it may name folders of this machine.
    #[error("the server cannot read the object {key}; its log says why")]
    Io { key: String, cause: io::Error },
}

impl Buckets {
    pub fn new(folders: BTreeMap<String, PathBuf>) -> Buckets {
        Buckets(Arc::new(folders))
    }

    /// The object as it is now.
    pub async fn read(&self, bucket: &str, key: &str, limit: u64) -> Result<Bytes, BucketError> {
        let folder = self.0.get(bucket).ok_or_else(|| BucketError::NoBucket(bucket.to_owned()))?;
        let (folder, name) = (folder.clone(), key.to_owned());
        let read = tokio::task::spawn_blocking(move || object(&folder, &name, limit)).await;
        let read = read.unwrap_or_else(|stopped| {
            Err(BucketError::Io { key: key.to_owned(), cause: io::Error::other(stopped) })
        });
        if let Err(BucketError::Io { key, cause }) = &read {
            tracing::error!(bucket, key, %cause, "an object of a bucket's folder cannot be read");
        }
        read
    }
}

/// Blocking.
fn object(folder: &Path, key: &str, limit: u64) -> Result<Bytes, BucketError> {
    let failed = |cause: io::Error| BucketError::Io { key: key.to_owned(), cause };
    if key.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(BucketError::Outside(key.to_owned()));
    }
    let root = folder.canonicalize().map_err(|cause| {
        let what = format!("the bucket's folder {}: {cause}", folder.display());
        failed(io::Error::other(what))
    })?;
    let missing = || BucketError::NoKey(key.to_owned());
    // S3 keeps keys such as `/a` and `a//b` apart from `a` and `a/b`; a folder cannot.
    if key.is_empty() || key.contains('\0') || key.split('/').any(str::is_empty) {
        return Err(missing());
    }
    let place = match root.join(key).canonicalize() {
        Ok(place) if !place.starts_with(&root) => return Err(BucketError::Outside(key.to_owned())),
        Ok(place) if place.is_file() => place,
        Ok(_) => return Err(missing()),
        Err(cause) if is_absent(&cause) => return Err(missing()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut body = Vec::new();
    let file = File::open(place).map_err(failed)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut body).map_err(failed)?;
    if body.len() as u64 > limit {
        return Err(BucketError::TooLarge { key: key.to_owned(), limit });
    }
    Ok(body.into())
}

fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    [NotFound, NotADirectory, InvalidFilename].contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn an_object_is_a_file_of_the_buckets_folder_and_of_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("bucket"), dir.path().join("secret"));
        fs::create_dir_all(inside.join("a/b")).unwrap();
        fs::write(inside.join("a/b/c.yaml"), "openapi").unwrap();
        fs::write(&outside, "secret").unwrap();
        symlink("b/c.yaml", inside.join("a/link")).unwrap();
        symlink(&outside, inside.join("out")).unwrap();
        symlink(dir.path(), inside.join("up")).unwrap();
        let folders = [("mine", inside), ("gone", dir.path().join("nowhere"))];
        let buckets = Buckets::new(folders.map(|(n, f)| (n.to_owned(), f)).into());
        let told = async |bucket: &str, key: &str| match buckets.read(bucket, key, 7).await {
            Ok(body) => String::from_utf8(body.to_vec()).unwrap(),
            Err(BucketError::NoBucket(_)) => "no bucket".to_owned(),
            Err(BucketError::NoKey(_)) => "no key".to_owned(),
            Err(BucketError::Outside(_)) => "outside".to_owned(),
            Err(BucketError::TooLarge { .. }) => "too large".to_owned(),
            Err(BucketError::Io { .. }) => "unreadable".to_owned(),
        };
        for (bucket, key, expected) in [
            ("mine", "a/b/c.yaml", "openapi"),
            ("mine", "a/link", "openapi"),
            ("mine", "a/b", "no key"),
            ("mine", "a/b/d", "no key"),
            ("mine", "a/b/c.yaml/d", "no key"),
            ("mine", "", "no key"),
            ("mine", "/a/b/c.yaml", "no key"),
            ("mine", "a//b/c.yaml", "no key"),
            ("mine", "a/b/c.yaml\0", "no key"),
            ("mine", "../secret", "outside"),
            ("mine", "a/../../secret", "outside"),
            ("mine", "a/./b/c.yaml", "outside"),
            ("mine", "out", "outside"),
            ("mine", "up/secret", "outside"),
            ("other", "a", "no bucket"),
            ("gone", "a", "unreadable"),
        ] {
            assert_eq!(told(bucket, key).await, expected, "{bucket}/{key}");
        }
        let large = buckets.read("mine", "a/b/c.yaml", 6).await;
        assert!(matches!(large, Err(BucketError::TooLarge { limit: 6, .. })), "{large:?}");
    }
}
