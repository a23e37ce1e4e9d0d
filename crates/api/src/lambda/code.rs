//! Deployment packages: read, checked, kept under their digest and counted.
//!
//! A package is a blob named by its SHA-256. A counter per package says how many functions and
//! versions hold it; the blob goes with the last of them.

use std::fmt::Write as _;

use bytes::Bytes;
use engine::Engine;
use engine::function::FunctionRecord;
use exec::{BucketError, CodeError};
use sha2::{Digest as _, Sha256};
use store::{Batch, Tenant};
use wire::fault::Fault;
use wire::lambda::types::{FunctionCode, FunctionConfiguration, UpdateFunctionCodeRequest};

use super::fault::{invalid, undone, unserved};
use super::reference::{Reference, tenant};
use super::settings::{Settings, architecture};
use super::version::{last_version, publish};
use super::view::{Moment, configuration};
use crate::cx::Cx;
use crate::edit::{commit, edit};

/// A package that can run.
pub(super) struct Package {
    pub(super) digest: String,
    pub(super) zip: Bytes,
}

pub(crate) async fn update(
    cx: &Cx,
    input: UpdateFunctionCodeRequest,
) -> Result<FunctionConfiguration, Fault> {
    let reference = Reference::whole(cx, &input.function_name)?.here()?;
    let found = reference.load(cx).await?.value;
    Settings::of(&found)?.expect_revision(input.revision_id.as_deref())?;
    if input.publish_to.is_some() {
        return Err(unserved("PublishTo", "capacity providers"));
    }
    let source = FunctionCode {
        zip_file: input.zip_file.clone(),
        s3_bucket: input.s3_bucket.clone(),
        s3_key: input.s3_key.clone(),
        s3_object_version: input.s3_object_version.clone(),
        image_uri: input.image_uri.clone(),
        source_kms_key_arn: input.source_kms_key_arn.clone(),
        ..FunctionCode::default()
    };
    let package = package(cx, source).await?;
    let architecture = input.architectures.as_deref().map(architecture).transpose()?;
    let change = Change { package, architecture, revision: input.revision_id };
    if input.dry_run == Some(true) {
        let mut record = found;
        change.apply(cx, &mut record)?;
        return configuration(record, Moment::Read);
    }
    let record = change.commit(cx, &reference, input.publish == Some(true)).await?;
    cx.engine.tools().forget(&reference.arn).await;
    drop_unheld(&cx.engine, &tenant(cx), &found.code).await?;
    configuration(record, Moment::Updated)
}

struct Change {
    package: Package,
    architecture: Option<String>,
    /// The state that the client has seen.
    revision: Option<String>,
}

impl Change {
    async fn commit(
        &self,
        cx: &Cx,
        reference: &Reference,
        publishing: bool,
    ) -> Result<FunctionRecord, Fault> {
        let last = match publishing {
            true => last_version(cx, reference).await?,
            false => None,
        };
        let change = |record: &mut FunctionRecord, batch: &mut Batch| {
            release(batch, &record.code);
            self.apply(cx, record)?;
            hold(batch, &record.code);
            batch.blob(&self.package.digest, self.package.zip.clone());
            match publishing {
                true => publish(record, last.as_ref(), None, batch),
                false => Ok(record.clone()),
            }
        };
        let done = edit(&cx.engine, &tenant(cx), &reference.id(), change).await;
        done.map_err(|why| undone(why, || reference.missing()))
    }

    fn apply(&self, cx: &Cx, record: &mut FunctionRecord) -> Result<(), Fault> {
        let mut settings = Settings::of(record)?;
        settings.expect_revision(self.revision.as_deref())?;
        settings.revision = cx.engine.fresh_id();
        settings.modified_at = cx.engine.now();
        if let Some(architecture) = &self.architecture {
            settings.architecture.clone_from(architecture);
        }
        settings.store(record)?;
        record.code.clone_from(&self.package.digest);
        record.code_size = self.package.zip.len() as u64;
        Ok(())
    }
}

/// The package of a request, unpacked to see that it can be.
pub(super) async fn package(cx: &Cx, source: FunctionCode) -> Result<Package, Fault> {
    if source.image_uri.is_some() {
        return Err(unserved("ImageUri", "container images"));
    }
    if source.source_kms_key_arn.is_some() {
        return Err(unserved("SourceKMSKeyArn", "keys of one's own"));
    }
    if source.s3_object_version.is_some() {
        return Err(unserved("S3ObjectVersion", "versions of objects"));
    }
    let zip = match (source.zip_file, source.s3_bucket, source.s3_key) {
        (Some(zip), None, None) => zip,
        (None, Some(bucket), Some(key)) => from_bucket(cx, &bucket, &key).await?,
        // AWS: says so in these words.
        (None, ..) => return Err(invalid("Please provide a source for function code.")),
        (Some(_), ..) => {
            return Err(invalid(
                "Please do not provide other FunctionCode parameters when providing a ZipFile.",
            ));
        }
    };
    if zip.is_empty() {
        return Err(invalid("Uploaded file must be a non-empty zip"));
    }
    let digest = digest(&zip);
    match cx.engine.tools().prepare(&digest, zip.clone()).await {
        Ok(()) => Ok(Package { digest, zip }),
        // AWS: the first sentences are AWS's own (CreateFunction); the detail is ours.
        Err(CodeError::Package(detail)) => {
            let detail =
                detail.strip_prefix("could not unzip the uploaded file: ").unwrap_or(&detail);
            Err(invalid(format!(
                "Could not unzip uploaded file. Please check your file, then try to upload again. \
                 ({detail})"
            )))
        }
        Err(error @ CodeError::Io(_)) => Err(Fault::internal(error)),
    }
}

/// AWS: these words and S3's own code and message (CreateFunction, as quoted in many issues).
async fn from_bucket(cx: &Cx, bucket: &str, key: &str) -> Result<Bytes, Fault> {
    cx.authorize_object(bucket, key).map_err(|fault| {
        // AWS: these words (awslabs/lambda-streams-to-firehose issue 21); the cause is ours.
        Fault::access_denied(format!(
            "Your access has been denied by S3, please make sure your request credentials have \
             permission to GetObject for {bucket}/{key}. S3 Error Code: AccessDenied. S3 Error \
             Message: {}",
            fault.message()
        ))
    })?;
    let read = cx.engine.buckets().read(bucket, key, exec::limits::CODE_BYTES).await;
    read.map_err(|error| {
        let (code, message) = match &error {
            BucketError::NoBucket(_) => ("NoSuchBucket", "The specified bucket does not exist."),
            BucketError::NoKey(_) => ("NoSuchKey", "The specified key does not exist."),
            BucketError::Outside(_) => ("AccessDenied", "Access Denied."),
            BucketError::TooLarge { .. } => ("EntityTooLarge", "The package is too large."),
            BucketError::Io { .. } => ("InternalError", "The object cannot be read."),
        };
        invalid(format!(
            "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message} \
             ({error})"
        ))
    })
}

fn digest(zip: &[u8]) -> String {
    Sha256::digest(zip).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn counter(digest: &str) -> String {
    format!("lambda-code/{digest}")
}

/// One more function or version needs the package.
pub(super) fn hold(batch: &mut Batch, digest: &str) {
    batch.add(&counter(digest), 1, None, None);
}

pub(super) fn release(batch: &mut Batch, digest: &str) {
    batch.add(&counter(digest), -1, None, None);
}

/// Removes the package if nobody holds it. Whoever takes hold of it meanwhile keeps it.
pub(super) async fn drop_unheld(
    engine: &Engine,
    tenant: &Tenant,
    digest: &str,
) -> Result<(), Fault> {
    let mut batch = Batch::new(tenant, engine.now());
    batch.add(&counter(digest), 0, Some(0), Some(0)).delete_blob(digest);
    if commit(engine, batch).await? {
        engine.tools().discard(digest).await;
    }
    Ok(())
}
