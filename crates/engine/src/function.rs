//! Functions as the engine knows them: the records that the control plane writes, and what a
//! reference to one means. Nothing here calls a function.

use std::collections::BTreeMap;

use craton_core::agent::tool::Effect;
use craton_core::policy::ToolPolicy;
use serde::{Deserialize, Serialize};
use store::{Record, Store, StoreError, Tenant, Versioned};

/// A stored function. What only the control plane shows stands in `settings`, untouched here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionRecord {
    pub name: String,
    pub arn: String,
    pub runtime: String,
    pub handler: String,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    pub timeout_seconds: u32,
    pub memory_mb: u32,
    /// SHA-256 of the package, in hex; the blob of that name holds the zip.
    pub code: String,
    pub code_size: u64,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub settings: serde_json::Value,
}

impl Record for FunctionRecord {
    const KIND: &'static str = "function";
    const VERSION: u32 = 1;
}

/// A name that points at a version of a function. Its id is `NAME:ALIAS`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AliasRecord {
    pub name: String,
    pub arn: String,
    /// `$LATEST` or a number.
    pub version: String,
    #[serde(default)]
    pub description: String,
    pub revision: String,
}

impl Record for AliasRecord {
    const KIND: &'static str = "function-alias";
    const VERSION: u32 = 1;
}

/// The stored function that a reference means; an alias leads to the version at which it points.
pub async fn find(
    store: &Store,
    tenant: &Tenant,
    reference: &str,
) -> Result<Option<Versioned<FunctionRecord>>, StoreError> {
    let id = function_id(reference);
    let found = store.get::<FunctionRecord>(tenant, &id).await?;
    if found.is_some() || qualifier(reference).is_none() {
        return Ok(found);
    }
    let Some(alias) = store.get::<AliasRecord>(tenant, &id).await? else { return Ok(None) };
    let version = format!("{}:{}", function_name(reference), alias.value.version);
    store.get::<FunctionRecord>(tenant, &function_id(&version)).await
}

/// Name of the function in an ARN, a partial ARN (`account:function:name`) or a plain name,
/// without any qualifier.
pub fn function_name(reference: &str) -> &str {
    let local = local_part(reference);
    local.split(':').next().unwrap_or(local)
}

fn local_part(reference: &str) -> &str {
    let after = reference.rsplit_once(":function:").map_or(reference, |(_, rest)| rest);
    after.strip_prefix("function:").unwrap_or(after)
}

/// Under which id the function of a reference is stored: `NAME`, or `NAME:VERSION` for a published
/// version. `$LATEST` is the plain name.
pub fn function_id(reference: &str) -> String {
    let name = function_name(reference);
    match qualifier(reference) {
        None | Some("$LATEST") => name.to_owned(),
        Some(version) => format!("{name}:{version}"),
    }
}

/// What follows the name: a version, `$LATEST` or an alias.
pub fn qualifier(reference: &str) -> Option<&str> {
    local_part(reference).split_once(':').map(|(_, qualifier)| qualifier)
}

/// What a function's tags set for one of its tools: `craton:effect:TOOL`, else `craton:effect`, and
/// so on; `TOOL` is the operation's or function's own name, without its group.
pub fn tagged_policy(tags: &BTreeMap<String, String>, tool: &str) -> ToolPolicy {
    let (mut of_all, mut of_tool) = (ToolPolicy::default(), ToolPolicy::default());
    for (key, value) in tags {
        let policy = match policy_tag(key) {
            Some((name, None)) => (&mut of_all, name),
            Some((name, Some(own))) if own == tool => (&mut of_tool, name),
            Some(_) | None => continue,
        };
        if let Err(problem) = take_tag(policy.0, policy.1, value) {
            // Refused when it was set; an older binary may have let it pass.
            tracing::warn!(tag = key, value, problem, "a tag has no effect");
        }
    }
    of_tool.of_tool().over(of_all)
}

/// What is wrong with a tag of a function, if it is one of those that set a policy.
pub fn check_tag(key: &str, value: &str) -> Result<(), String> {
    match policy_tag(key) {
        Some((name, _)) => take_tag(&mut ToolPolicy::default(), name, value),
        None => Ok(()),
    }
}

/// The name of a tag of ours, and the tool that it is for.
fn policy_tag(key: &str) -> Option<(&str, Option<&str>)> {
    let name = key.strip_prefix("craton:")?;
    Some(name.split_once(':').map_or((name, None), |(name, tool)| (name, Some(tool))))
}

fn take_tag(policy: &mut ToolPolicy, name: &str, value: &str) -> Result<(), String> {
    if name != "effect" {
        return policy.take_tag(name, value);
    }
    let words = || "it must be read, keyed, once or compensable".to_owned();
    policy.effect = Some(parse_effect(value).ok_or_else(words)?);
    Ok(())
}

/// Whether no call of a function may see anything of an earlier one: its tag [`CLEAN`].
pub fn is_clean(tags: &BTreeMap<String, String>) -> bool {
    tags.get(CLEAN).is_some_and(|value| value == "true")
}

/// `true` or `false`.
pub const CLEAN: &str = "craton:clean";

/// `read`, `keyed`, `once` or `compensable`.
pub fn parse_effect(word: &str) -> Option<Effect> {
    match word {
        "read" => Some(Effect::Read),
        "keyed" => Some(Effect::Keyed),
        "once" => Some(Effect::Once),
        "compensable" => Some(Effect::Compensable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{function_id, function_name, qualifier, tagged_policy};

    #[track_caller]
    fn check(reference: &str, name: &str, version: Option<&str>, id: &str) {
        assert_eq!(function_name(reference), name);
        assert_eq!(qualifier(reference), version);
        assert_eq!(function_id(reference), id);
    }

    #[test]
    fn a_reference_names_a_function_and_perhaps_a_version() {
        check("orders", "orders", None, "orders");
        check("orders:2", "orders", Some("2"), "orders:2");
        check("orders:$LATEST", "orders", Some("$LATEST"), "orders");
        check("123456789012:function:orders", "orders", None, "orders");
        check("arn:aws:lambda:us-east-1:123456789012:function:orders", "orders", None, "orders");
        check("arn:aws:lambda:r:1:function:orders:7", "orders", Some("7"), "orders:7");
        check("arn:aws:lambda:r:1:function:a:a", "a", Some("a"), "a:a");
        check("function:function", "function", None, "function");
    }

    #[test]
    fn a_tool_s_own_tag_goes_before_its_function_s() {
        let tags = [
            ("craton:effect", "read"),
            ("craton:timeout", "2"),
            ("craton:timeout:refund", "5"),
            ("craton:hand-off:refund", "amount gt 500"),
            ("craton:cache", "never"),
            ("stage", "prod"),
        ];
        let tags: BTreeMap<String, String> =
            tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (refund, other) = (tagged_policy(&tags, "refund"), tagged_policy(&tags, "find"));
        assert_eq!((refund.timeout_seconds, other.timeout_seconds), (Some(5.0), Some(2.0)));
        assert_eq!((refund.hand_off.len(), other.hand_off.len()), (1, 0));
        assert_eq!((refund.effect, other.cache_seconds), (other.effect, None));
    }
}
