//! Functions as the engine runs them: the record that the control plane writes, and the way from
//! an ARN to an executor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use craton_core::agent::tool::Effect;
use exec::{
    CodeError, Credentials, ExecError, Functions, HttpTool, Invocation, Invoked, Surroundings,
};
use futures_util::future::BoxFuture;
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

/// A function's tag `craton:effect:TOOL`, else `craton:effect`; `TOOL` is the operation's or
/// function's own name, without its group.
pub fn tagged_effect(tags: &BTreeMap<String, String>, tool: &str) -> Option<Effect> {
    let tag = tags.get(&format!("craton:effect:{tool}")).or_else(|| tags.get("craton:effect"))?;
    parse_effect(tag)
}

/// `read`, `keyed` or `once`.
pub fn parse_effect(word: &str) -> Option<Effect> {
    match word {
        "read" => Some(Effect::Read),
        "keyed" => Some(Effect::Keyed),
        "once" => Some(Effect::Once),
        _ => None,
    }
}

/// One call of a tool or function.
#[derive(Debug, Clone)]
pub struct ToolCall {
    pub tenant: Tenant,
    /// ARN or name of the function.
    pub function: String,
    pub payload: Bytes,
    pub request_id: String,
    pub key: Option<String>,
    pub client_context: Option<String>,
}

/// Why a call did not come back with a payload.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("there is no function {0}; create it, or map it to a URL under [functions.map]")]
    NoFunction(String),
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The seam to whatever performs tools. Simulations put their own world here.
pub trait Tools: Send + Sync {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>>;

    /// The declared effect class of a tool behind a function, if any.
    fn effect<'a>(
        &'a self,
        tenant: &'a Tenant,
        function: &'a str,
        tool: &'a str,
    ) -> BoxFuture<'a, Result<Option<Effect>, StoreError>>;

    /// True where the function is served by a URL, so that nothing of it runs here.
    fn is_mapped(&self, _function: &str) -> bool {
        false
    }

    /// Checks a package and makes it ready to run. Worlds without packages accept any.
    fn prepare<'a>(
        &'a self,
        _digest: &'a str,
        _zip: Bytes,
    ) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Removes an unpacked package that nobody holds any more. Whoever needs it after all finds it
    /// in the store and unpacks it again.
    fn discard<'a>(&'a self, _digest: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Stops what still runs an earlier state of the function.
    fn forget<'a>(&'a self, _arn: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Stored functions and functions mapped to URLs.
pub struct Executors {
    pub store: Store,
    pub functions: Functions,
    pub http: HttpTool,
    /// ARN or name to URL, from `[functions.map]`.
    pub map: BTreeMap<String, String>,
    /// ARN or name, with `:TOOL` optionally appended, to effect class, from `[effects]`.
    pub effects: BTreeMap<String, Effect>,
    /// What handlers get as `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// What handlers sign their own calls with.
    pub credentials: Option<Credentials>,
    pub http_timeout: Duration,
}

impl Executors {
    fn mapped(&self, function: &str) -> Option<&str> {
        let plain = match qualifier(function) {
            Some(version) => &function[..function.len() - version.len() - 1],
            None => function,
        };
        let keys = [function, plain, function_name(function)];
        let url = keys.iter().find_map(|key| self.map.get(*key));
        url.map(String::as_str)
    }

    async fn run(&self, call: ToolCall) -> Result<Invoked, ToolError> {
        if let Some(url) = self.mapped(&call.function) {
            // As the Lambda Runtime API names it; for a call of an agent it is the run's id.
            let mut headers = vec![("lambda-runtime-aws-request-id", call.request_id.as_str())];
            headers.extend(call.key.as_deref().map(|key| ("idempotency-key", key)));
            let invoked = self.http.invoke(url, call.payload, &headers, self.http_timeout);
            return Ok(invoked.await?);
        }
        let Some(found) = find(&self.store, &call.tenant, &call.function).await? else {
            return Err(ToolError::NoFunction(call.function));
        };
        let record = found.value;
        self.ensure_code(&call.tenant, &record).await?;
        let invocation = Invocation {
            request_id: call.request_id,
            payload: call.payload,
            client_context: call.client_context,
            surroundings: Surroundings {
                account: call.tenant.account().to_owned(),
                region: call.tenant.region().to_owned(),
                endpoint_url: self.endpoint.clone(),
                credentials: self.credentials.clone(),
            },
        };
        let function = spec(record, qualifier(&call.function));
        Ok(self.functions.invoke(&function, invocation).await?)
    }

    async fn ensure_code(&self, tenant: &Tenant, record: &FunctionRecord) -> Result<(), ToolError> {
        if self.functions.has_code(&record.code) {
            return Ok(());
        }
        let Some(zip) = self.store.blob(tenant, &record.code).await? else {
            let message = format!("the code of function {} is missing", record.name);
            return Err(ExecError::NotSent(message).into());
        };
        let unpacked = self.functions.unpack(&record.code, zip).await;
        unpacked.map_err(|e| ExecError::NotSent(e.to_string()).into())
    }

    async fn declared(
        &self,
        tenant: &Tenant,
        function: &str,
        tool: &str,
    ) -> Result<Option<Effect>, StoreError> {
        let name = function_name(function);
        let configured = [format!("{function}:{tool}"), format!("{name}:{tool}")]
            .iter()
            .map(String::as_str)
            .chain([function, name])
            .find_map(|key| self.effects.get(key));
        if let Some(effect) = configured {
            return Ok(Some(*effect));
        }
        // Tags belong to the function, not to a version of it.
        let found = self.store.get::<FunctionRecord>(tenant, name).await?;
        Ok(found.and_then(|f| tagged_effect(&f.value.tags, tool)))
    }
}

impl Tools for Executors {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        Box::pin(self.run(call))
    }

    fn effect<'a>(
        &'a self,
        tenant: &'a Tenant,
        function: &'a str,
        tool: &'a str,
    ) -> BoxFuture<'a, Result<Option<Effect>, StoreError>> {
        Box::pin(self.declared(tenant, function, tool))
    }

    fn is_mapped(&self, function: &str) -> bool {
        self.mapped(function).is_some()
    }

    fn prepare<'a>(&'a self, digest: &'a str, zip: Bytes) -> BoxFuture<'a, Result<(), CodeError>> {
        Box::pin(self.functions.unpack(digest, zip))
    }

    fn discard<'a>(&'a self, digest: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.functions.remove_code(digest).await {
                tracing::warn!(digest, %error, "an unpacked package could not be removed");
            }
        })
    }

    fn forget<'a>(&'a self, arn: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(self.functions.forget(arn))
    }
}

/// `asked` is the version or alias by which the function is called.
fn spec(record: FunctionRecord, asked: Option<&str>) -> exec::Function {
    let (plain, version) = match qualifier(&record.arn) {
        Some(version) => (record.arn.len() - version.len() - 1, version.to_owned()),
        None => (record.arn.len(), "$LATEST".to_owned()),
    };
    // AWS: the ARN names the alias where the call does (context object, `invoked_function_arn`).
    let arn = match asked.filter(|asked| *asked != version) {
        Some(alias) => format!("{}:{alias}", &record.arn[..plain]),
        None => record.arn,
    };
    exec::Function {
        arn,
        name: record.name,
        version,
        runtime: record.runtime,
        handler: record.handler,
        env: record.environment,
        timeout: Duration::from_secs(u64::from(record.timeout_seconds)),
        memory_mb: record.memory_mb,
        code: record.code,
    }
}

/// Shared by the engine and the simulator.
pub type SharedTools = Arc<dyn Tools>;

#[cfg(test)]
mod tests {
    use super::{function_id, function_name, qualifier};

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
}
