//! Roles and policies as documents, and where they are kept.

use std::collections::BTreeMap;
use std::sync::Once;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{Record, Tenant};
use wire::arn::Arn;
use wire::fault::Fault;
use wire::iam::types::Tag;
use wire::value::Timestamp;

use super::fault::{beyond, invalid};
use super::limits;
use crate::cx::Cx;

/// IAM knows no regions: a role is the same whichever region a client signs for. So the tenant is
/// the account, with a region that no client can sign for.
pub(super) fn tenant(cx: &Cx) -> Tenant {
    Tenant::new(&cx.caller.account, "global")
}

/// AWS: names are not distinguished by case (CreateRole), so ids are lower case.
pub(super) fn id(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleRecord {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) role_id: String,
    pub(super) arn: String,
    /// Milliseconds since the Unix epoch.
    pub(super) created_at: i64,
    /// As the client sent it.
    pub(super) trust: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    pub(super) max_session_seconds: i64,
    #[serde(default)]
    pub(super) boundary: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    /// Inline policies: name to document.
    #[serde(default)]
    pub(super) inline: BTreeMap<String, String>,
    /// Managed policies: ARN to name.
    #[serde(default)]
    pub(super) attached: BTreeMap<String, String>,
}

impl Record for RoleRecord {
    const KIND: &'static str = "iam-role";
    const VERSION: u32 = 1;
}

/// A customer's managed policy. It has one version, `v1`: CreatePolicyVersion is not served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyRecord {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) policy_id: String,
    pub(super) arn: String,
    pub(super) created_at: i64,
    pub(super) document: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
}

impl Record for PolicyRecord {
    const KIND: &'static str = "iam-policy";
    const VERSION: u32 = 1;
}

/// Counts the roles that a policy is attached to.
pub(super) fn attachments(arn: &str) -> String {
    format!("iam-attached/{arn}")
}

/// AWS: a prefix that says what it is of, and 17 letters and digits (IAM identifiers).
pub(super) fn new_id(cx: &Cx, prefix: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(cx.engine.fresh_id());
    let tail = hash.iter().take(17).map(|byte| char::from(LETTERS[usize::from(*byte) % 32]));
    prefix.chars().chain(tail).collect()
}

/// `kind` is `role` or `policy`; a path begins and ends with a slash.
pub(super) fn arn(cx: &Cx, kind: &str, path: &str, name: &str) -> String {
    Arn::new("iam", "", &cx.caller.account, format!("{kind}{path}{name}")).to_string()
}

pub(super) fn time(millis: i64) -> Timestamp {
    // AWS: IAM's dates have whole seconds.
    Timestamp(millis - millis.rem_euclid(1000))
}

pub(super) fn tags_in(list: Option<Vec<Tag>>) -> Result<BTreeMap<String, String>, Fault> {
    let mut tags = BTreeMap::new();
    for Tag { key, value } in list.unwrap_or_default() {
        if tags.keys().any(|other: &String| other.eq_ignore_ascii_case(&key)) {
            // AWS: this wording (TagRole).
            return Err(invalid(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        tags.insert(key, value);
    }
    fit(&tags)?;
    Ok(tags)
}

pub(super) fn fit(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > limits::TAGS {
        return Err(beyond("TagsPerRole", limits::TAGS));
    }
    Ok(())
}

pub(super) fn tags_out(tags: BTreeMap<String, String>) -> Option<Vec<Tag>> {
    let list: Vec<Tag> = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    (!list.is_empty()).then_some(list)
}

/// Says once per process what storing a role or policy does not mean.
pub(super) fn tell_not_enforced() {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::info!(
            "roles and policies are stored, not enforced yet; what a key may do stands in craton.toml"
        );
    });
}
