//! What Lambda's control plane keeps of a function beyond what running it takes, and what AWS
//! allows of a configuration beyond what its model says.

use std::collections::BTreeMap;

use engine::function::{CLEAN, FunctionRecord, check_tag};
use serde::{Deserialize, Serialize};
use wire::fault::Fault;
use wire::lambda::types::{Architecture, Environment, EphemeralStorage};

use super::fault::{invalid, stale_revision};
use super::limits;

/// Lives in [`FunctionRecord::settings`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Settings {
    pub(super) role: String,
    pub(super) description: String,
    /// Milliseconds since the Unix epoch.
    pub(super) modified_at: i64,
    pub(super) revision: String,
    /// As the client gave it: code runs on the host's own.
    pub(super) architecture: String,
    pub(super) ephemeral_mb: u32,
    /// The number of the last published version, 0 before the first.
    pub(super) published: u64,
    /// Of a version: its description is its own, not the function's.
    pub(super) described: bool,
    /// Of the resource-based policy, in order of adding.
    pub(super) statements: Vec<serde_json::Value>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            role: String::new(),
            description: String::new(),
            modified_at: 0,
            revision: String::new(),
            architecture: Architecture::X86_64.as_str().to_owned(),
            ephemeral_mb: 512,
            published: 0,
            described: false,
            statements: Vec::new(),
        }
    }
}

impl Settings {
    pub(super) fn of(record: &FunctionRecord) -> Result<Settings, Fault> {
        if record.settings.is_null() {
            return Ok(Settings::default());
        }
        Settings::deserialize(&record.settings).map_err(Fault::internal)
    }

    pub(super) fn store(&self, record: &mut FunctionRecord) -> Result<(), Fault> {
        record.settings = serde_json::to_value(self).map_err(Fault::internal)?;
        Ok(())
    }

    /// A change that the client makes only to a state that it has seen.
    pub(super) fn expect_revision(&self, asked: Option<&str>) -> Result<(), Fault> {
        match asked {
            Some(revision) if revision != self.revision => Err(stale_revision()),
            _ => Ok(()),
        }
    }
}

pub(super) fn timeout(seconds: i64) -> Result<u32, Fault> {
    bounded("Timeout", seconds, limits::TIMEOUT_SECONDS)
}

pub(super) fn memory(megabytes: i64) -> Result<u32, Fault> {
    bounded("MemorySize", megabytes, limits::MEMORY_MB)
}

pub(super) fn ephemeral(storage: &EphemeralStorage) -> Result<u32, Fault> {
    bounded("EphemeralStorage.Size", storage.size, limits::EPHEMERAL_MB)
}

/// The model's bounds also cover functions on EC2 capacity; these are the ordinary ones.
fn bounded(member: &str, value: i64, most: i64) -> Result<u32, Fault> {
    match u32::try_from(value) {
        Ok(fits) if value <= most => Ok(fits),
        _ => Err(invalid(format!("{member} {value} is more than {most}"))),
    }
}

pub(super) fn architecture(list: &[Architecture]) -> Result<String, Fault> {
    match list {
        [one] => Ok(one.as_str().to_owned()),
        _ => Err(invalid("Architectures: give exactly one")),
    }
}

/// AWS: these belong to the runtime (Lambda developer guide, "reserved environment variables").
const RESERVED: [&str; 18] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

pub(super) fn environment(given: Environment) -> Result<BTreeMap<String, String>, Fault> {
    let variables = given.variables.unwrap_or_default();
    if let Some(name) = RESERVED.iter().find(|name| variables.contains_key(**name)) {
        return Err(invalid(format!(
            "Environment: {name} is reserved for the runtime; choose another name"
        )));
    }
    let size: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > limits::ENVIRONMENT_BYTES {
        let most = limits::ENVIRONMENT_BYTES;
        return Err(invalid(format!("Environment has {size} bytes; {most} is the most")));
    }
    Ok(variables)
}

/// Tags of a function, and those among them by which Craton is configured.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    if tags.len() > limits::TAGS {
        let most = limits::TAGS;
        return Err(invalid(format!("{} tags are too many; {most} is the most", tags.len())));
    }
    if let Some(key) = tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(invalid(format!("tag {key}: the prefix aws: is reserved")));
    }
    if let Some(why) = tags.get("craton:allow-hosts").and_then(|hosts| exec::refused_hosts(hosts)) {
        return Err(invalid(format!("tag craton:allow-hosts: {why}")));
    }
    if let Some(value) =
        tags.get(CLEAN).filter(|value| !["true", "false"].contains(&value.as_str()))
    {
        return Err(invalid(format!(
            "tag {CLEAN} has the value {value:?}; it must be true or false"
        )));
    }
    for (key, value) in tags {
        check_tag(key, value)
            .map_err(|problem| invalid(format!("tag {key} has the value {value:?}; {problem}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_of_hosts_names_hosts() {
        check_one("craton:allow-hosts", "api.stripe.com db.example:5432 .example.org", true);
        check_one("craton:allow-hosts", "https://api.stripe.com", false);
        check_one("craton:allow-hosts", "127.1", false);
    }

    #[track_caller]
    fn check_one(key: &str, value: &str, fine: bool) {
        let given = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(tags(&given).is_ok(), fine, "{key}={value}");
    }

    #[test]
    fn a_tag_of_ours_has_a_value_that_means_something() {
        check_one("craton:effect", "read", true);
        check_one("craton:effect", "keyed", true);
        check_one("craton:effect:refund", "once", true);
        check_one("craton:effect", "Read", false);
        check_one("craton:effect:refund", "twice", false);
        check_one("craton:effects", "anything", true);
        check_one("craton:clean", "true", true);
        check_one("craton:clean", "yes", false);
        check_one("craton:timeout", "2.5", true);
        check_one("craton:timeout", "soon", false);
        check_one("craton:hand-off:refund", "amount gt 500", true);
        check_one("craton:hand-off:refund", "amount gt", false);
        check_one("craton:cache", "0", false);
        check_one("aws:mine", "x", false);
    }

    #[track_caller]
    fn check_variable(name: &str, value: &str, fine: bool) {
        let variables = Some(BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert_eq!(environment(Environment { variables }).is_ok(), fine, "{name}");
    }

    #[test]
    fn variables_of_the_runtime_and_too_many_bytes_are_refused() {
        check_variable("TABLE", "orders", true);
        check_variable("AWS_REGION", "eu-west-1", false);
        check_variable("A", &"x".repeat(4095), true);
        check_variable("A", &"x".repeat(4096), false);
    }
}
