//! S3, where headers and parameters ask for more than the operation does.
//!
//! It names the permissions that are needed besides the operation's, and refuses paths that servers
//! which speak S3's wire read in another way.

use percent_encoding::percent_decode_str;
use wire::fault::Fault;

use super::{Leaving, unclear};

/// First segments of paths that are no buckets to servers which speak S3's wire: MinIO and
/// Ceph answer there to whoever administers them, moto to its tests.
const RESERVED: [&str; 3] = ["minio", "admin", "moto-api"];

/// What starts like this asks MinIO or Ceph for more than S3 knows: to delete all below a prefix, to
/// act as another user.
const OF_SERVERS: [&str; 3] = ["x-minio-", "x-rgw-", "rgwx-"];

/// Headers that ask for more, and the permission for it.
// AWS: S3 user guide, required permissions for S3 API operations
const MORE: [(&str, &str); 8] = [
    ("x-amz-acl", "PutObjectAcl"),
    ("x-amz-grant-", "PutObjectAcl"),
    ("x-amz-tagging", "PutObjectTagging"),
    ("x-amz-object-lock-legal-hold", "PutObjectLegalHold"),
    ("x-amz-object-lock-mode", "PutObjectRetention"),
    ("x-amz-object-lock-retain-until-date", "PutObjectRetention"),
    ("x-amz-bypass-governance-retention", "BypassGovernanceRetention"),
    ("x-amz-bucket-object-lock-enabled", "PutObjectLockConfiguration"),
];

/// The permissions that a request needs besides those of `operations`.
pub(super) fn check(
    leaving: &Leaving<'_>,
    path: &str,
    operations: &[String],
) -> Result<Vec<String>, Fault> {
    is_bucket(leaving, path)?;
    let names = || {
        let parameters = leaving.query.split('&').map(|pair| pair.split('=').next());
        parameters.map(|name| decoded(name.unwrap_or_default()).to_ascii_lowercase())
    };
    // Links carry headers as parameters.
    if names().any(|name| name.starts_with("x-amz-copy-source")) {
        return Err(unclear("it has x-amz-copy-source in its query: send it as a header"));
    }
    let headers = leaving.headers.keys().map(|name| name.as_str().to_owned());
    let given: Vec<String> = headers.chain(names()).collect();
    let beyond = given.iter().find(|name| OF_SERVERS.iter().any(|start| name.starts_with(start)));
    if let Some(name) = beyond {
        return Err(unclear(&format!("{name} is none of S3's")));
    }
    let asked = MORE.iter().filter(|(name, _)| given.iter().any(|g| matches(g, name)));
    let of_bucket = operations.iter().any(|name| name.contains("Bucket"));
    let mut more: Vec<String> = asked
        .map(|(_, permission)| match of_bucket {
            true => permission.replace("PutObjectAcl", "PutBucketAcl"),
            false => (*permission).to_owned(),
        })
        .collect();
    more.extend(source(leaving)?);
    if names().any(|name| name == "versionid") {
        more.extend(operations.iter().filter_map(|name| of_version(name)));
    }
    Ok(more)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A name, or the beginning of one that ends with a hyphen.
fn matches(given: &str, name: &str) -> bool {
    given == name || name.ends_with('-') && given.starts_with(name)
}

/// What a copy reads.
fn source(leaving: &Leaving<'_>) -> Result<Vec<String>, Fault> {
    let Some(source) = leaving.one(&http::HeaderName::from_static("x-amz-copy-source"))? else {
        return Ok(Vec::new());
    };
    let mut needed = vec!["GetObject".to_owned()];
    if decoded(source).contains("versionId=") {
        needed.push("GetObjectVersion".to_owned());
    }
    Ok(needed)
}

/// The permission for one version of an object.
fn of_version(operation: &str) -> Option<String> {
    match operation {
        "HeadObject" => Some("GetObjectVersion".to_owned()),
        "GetObject"
        | "DeleteObject"
        | "GetObjectAcl"
        | "PutObjectAcl"
        | "GetObjectTagging"
        | "PutObjectTagging"
        | "DeleteObjectTagging"
        | "GetObjectAttributes" => Some(operation.replace("Object", "ObjectVersion")),
        _ => None,
    }
}

/// The path means the same kind of thing to servers that take out dot segments and doubled
/// slashes, and its first segment can be a bucket.
fn is_bucket(leaving: &Leaving<'_>, path: &str) -> Result<(), Fault> {
    let depth = |segments: usize| segments.min(2);
    let raw = path.trim_start_matches('/').splitn(2, '/').filter(|part| !part.is_empty());
    let text = decoded(path);
    let mut kept = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let bucket = raw.clone().next().unwrap_or_default();
    if depth(raw.count()) != depth(kept.len()) || kept.first().is_some_and(|k| *k != bucket) {
        return Err(unclear("its path is another one without its dots and slashes"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let named = bucket.bytes().all(plain) && !bucket.starts_with(['_', '.']);
    if !named || leaving.elsewhere && RESERVED.contains(&bucket) {
        return Err(unclear(&format!("{bucket:?} is no name of a bucket")));
    }
    Ok(())
}
