//! The way from a function's ARN to what performs it: a stored function here, a URL to which the
//! configuration maps it, an HTTP API, an MCP server, or AWS, where its account is listed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use craton_core::agent::tool::Target;
use craton_core::agent::tool::mcp::{self, Listed};
use craton_core::policy::ToolPolicy;
use exec::{
    Api, Apis, AwsCall, AwsLambda, CodeError, Credentials, ExecError, Functions, HttpTool,
    Invocation, Invoked, McpCall, McpServers, McpTool, Surroundings, Times,
};
use futures_util::future::BoxFuture;
use store::{Store, StoreError, Tenant};

use super::{ToolCall, ToolError, Tools, api};
use crate::env::Clock;
use crate::function::{FunctionRecord, find, function_name, is_clean, qualifier, tagged_policy};

/// The tag by which a function's owner says what of the network it may reach.
const ALLOW_HOSTS: &str = "craton:allow-hosts";

/// All that performs tools.
pub struct Executors {
    pub store: Store,
    pub functions: Functions,
    pub http: HttpTool,
    /// ARN or name to URL, from `[functions.map]`.
    pub map: BTreeMap<String, String>,
    pub aws: AwsLambda,
    pub apis: Apis,
    /// What of an API's answer a turn takes.
    pub answer_bytes: usize,
    pub mcp: McpServers,
    /// ARN or name, with `:TOOL` optionally appended, to policy, from `[tools]`.
    pub policies: BTreeMap<String, ToolPolicy>,
    /// What handlers get as `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// What handlers sign their own calls with.
    pub credentials: Option<Credentials>,
    pub http_timeout: Duration,
    pub clock: Arc<dyn Clock>,
}

/// What performs the calls of a function.
enum Route<'a> {
    /// The function of that name in the store.
    Stored,
    /// The URL gets the Lambda event.
    Hook(&'a str),
    /// The operations of its action groups are called.
    Api(&'a Api),
    /// The function of that ARN on AWS.
    Aws,
    /// The MCP server of that name.
    Mcp(&'a str),
}

impl Executors {
    async fn run(&self, call: ToolCall) -> Result<Invoked, ToolError> {
        let route = self.route(&call.function);
        let of_mcp = call
            .asked
            .as_ref()
            .is_some_and(|asked| matches!(asked.tool().target, Target::Mcp { .. }));
        if of_mcp && !matches!(route, Route::Mcp(_)) {
            let why = "no MCP server stands behind it any more; prepare the agent again";
            return Err(refused(&call.function, why));
        }
        match route {
            Route::Mcp(server) => self.mcp(server, call).await,
            Route::Hook(url) => self.hook(url, call).await,
            Route::Api(api) => api::call(api, call, self.answer_bytes).await,
            Route::Aws => self.aws(call).await,
            Route::Stored => self.stored(call).await,
        }
    }

    /// The one place that says what stands behind a function's ARN.
    fn route(&self, function: &str) -> Route<'_> {
        let names = names(function);
        if let Some(url) = names.iter().find_map(|name| self.map.get(*name)) {
            return Route::Hook(url);
        }
        if let Some(server) = self.mcp.behind(&names) {
            return Route::Mcp(server);
        }
        if let Some(api) = names.iter().find_map(|name| self.apis.get(name)) {
            return Route::Api(api);
        }
        if self.aws.has(function) { Route::Aws } else { Route::Stored }
    }

    async fn hook(&self, url: &str, call: ToolCall) -> Result<Invoked, ToolError> {
        // As the Lambda Runtime API names it; for a call of an agent it is the run's id.
        let mut headers = vec![("lambda-runtime-aws-request-id", call.request_id.as_str())];
        headers.extend(call.key.as_deref().map(|key| ("idempotency-key", key)));
        let timeout = call.timeout.unwrap_or(self.http_timeout);
        Ok(self.http.invoke(url, call.payload, &headers, timeout).await?)
    }

    async fn mcp(&self, server: &str, call: ToolCall) -> Result<Invoked, ToolError> {
        let Some(asked) = &call.asked else {
            return Err(refused(&call.function, "an MCP server performs it, for agents alone"));
        };
        let Target::Mcp { name, digest } = &asked.tool().target else {
            let why = "an MCP server performs it now; prepare the agent again";
            return Err(refused(&call.function, why));
        };
        let mcp_call = McpCall {
            tenant: &of(&call.tenant),
            server,
            tool: name,
            arguments: asked.call.input.as_object().cloned().unwrap_or_default(),
            key: call.key.as_deref(),
            timeout: call.timeout,
        };
        let known = |tool: &McpTool| mcp::digest(&listed(tool.clone())) == *digest;
        Ok(self.mcp.call(mcp_call, known).await?)
    }

    async fn aws(&self, call: ToolCall) -> Result<Invoked, ToolError> {
        let aws_call = AwsCall {
            arn: &call.function,
            caller: call.tenant.account(),
            payload: call.payload,
            key: call.key.as_deref(),
            client_context: call.client_context.as_deref(),
            now_ms: self.clock.now(),
            timeout: call.timeout,
        };
        Ok(self.aws.invoke(&aws_call).await?)
    }

    async fn stored(&self, call: ToolCall) -> Result<Invoked, ToolError> {
        let Some(found) = find(&self.store, &call.tenant, &call.function).await? else {
            return Err(ToolError::NoFunction(call.function));
        };
        let record = found.value;
        self.ensure_code(&call.tenant, &record).await?;
        let invocation = Invocation {
            times: self.times(&call),
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
        let mut tags = self.tags(&call.tenant, &record).await?;
        let clean = is_clean(&tags);
        let allow_hosts = tags.remove(ALLOW_HOSTS).unwrap_or_default();
        let spec = spec(record, qualifier(&call.function));
        let function = exec::Function { clean, allow_hosts, ..spec };
        Ok(self.functions.invoke(&function, invocation).await?)
    }

    /// A stored function's call may wait for a place, and is not to leave after its time.
    fn times(&self, call: &ToolCall) -> Times {
        let by = call.asked.as_ref().and_then(|asked| asked.call.send_by);
        let left = by.map(|by| u64::try_from(by - self.clock.now()).unwrap_or(0));
        let send_by = left.and_then(|left| Instant::now().checked_add(Duration::from_millis(left)));
        Times { limit: call.timeout, send_by }
    }

    /// They belong to the function, not to a version of it.
    async fn tags(
        &self,
        tenant: &Tenant,
        record: &FunctionRecord,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        if qualifier(&record.arn).is_none() {
            return Ok(record.tags.clone());
        }
        let found = self.store.get::<FunctionRecord>(tenant, &record.name).await?;
        Ok(found.map(|found| found.value.tags).unwrap_or_default())
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

    /// What craton.toml sets, over what the function's tags set.
    async fn declared(
        &self,
        tenant: &Tenant,
        function: &str,
        tool: &str,
    ) -> Result<ToolPolicy, StoreError> {
        let name = function_name(function);
        // Tags belong to the function, not to a version of it.
        let found = self.store.get::<FunctionRecord>(tenant, name).await?;
        let tagged = found.map(|f| tagged_policy(&f.value.tags, tool)).unwrap_or_default();
        Ok(set_over(&self.policies, function, tool, tagged))
    }
}

impl Tools for Executors {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        Box::pin(self.run(call))
    }

    fn policy<'a>(
        &'a self,
        tenant: &'a Tenant,
        function: &'a str,
        tool: &'a str,
    ) -> BoxFuture<'a, Result<ToolPolicy, StoreError>> {
        Box::pin(self.declared(tenant, function, tool))
    }

    fn patience(&self, function: &str) -> Option<Duration> {
        match self.route(function) {
            Route::Hook(_) => Some(self.http_timeout),
            Route::Api(api) => Some(api.timeout()),
            Route::Mcp(server) => self.mcp.timeout(server),
            // The function's own time-out holds.
            Route::Stored | Route::Aws => None,
        }
    }

    fn memory_mb<'a>(&'a self, tenant: &'a Tenant, function: &'a str) -> BoxFuture<'a, u32> {
        let stored = matches!(self.route(function), Route::Stored);
        Box::pin(async move {
            let found = if stored { find(&self.store, tenant, function).await } else { Ok(None) };
            found.ok().flatten().map_or(0, |found| found.value.memory_mb)
        })
    }

    fn mcp_server(&self, function: &str) -> Option<&str> {
        match self.route(function) {
            Route::Mcp(server) => Some(server),
            Route::Stored | Route::Hook(_) | Route::Api(_) | Route::Aws => None,
        }
    }

    fn listing<'a>(
        &'a self,
        tenant: &'a Tenant,
        function: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Listed>, ToolError>> {
        Box::pin(async move {
            let Some(server) = self.mcp_server(function) else {
                return Err(ToolError::NoFunction(function.to_owned()));
            };
            let tools = self.mcp.listing(&of(tenant), server).await?;
            Ok(tools.into_iter().map(listed).collect())
        })
    }

    fn is_mapped(&self, function: &str) -> bool {
        !matches!(self.route(function), Route::Stored)
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

/// All by which the configuration may name a function: as it is called, without its qualifier, and
/// by its plain name.
fn names(function: &str) -> [&str; 3] {
    let plain = match qualifier(function) {
        Some(version) => &function[..function.len() - version.len() - 1],
        None => function,
    };
    [function, plain, function_name(function)]
}

/// What is set for a tool under any of its function's names, a closer name over a wider one, over
/// what stands below.
fn set_over(
    policies: &BTreeMap<String, ToolPolicy>,
    function: &str,
    tool: &str,
    below: ToolPolicy,
) -> ToolPolicy {
    let [exact, plain, name] = names(function);
    let names = [name, plain, exact];
    let of_function = names.into_iter().filter_map(|key| policies.get(key).cloned());
    let of_tool = names.into_iter().filter_map(|key| policies.get(&format!("{key}:{tool}")));
    let set = of_function.chain(of_tool.map(ToolPolicy::of_tool));
    set.fold(below, |below, policy| policy.over(below))
}

fn refused(function: &str, why: &str) -> ToolError {
    ExecError::Refused(format!("function {function}: {why}")).into()
}

/// A tenant, as connections are told apart.
fn of(tenant: &Tenant) -> String {
    format!("{}/{}", tenant.account(), tenant.region())
}

fn listed(tool: McpTool) -> Listed {
    Listed { name: tool.name, description: tool.description, schema: tool.schema }
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
        clean: false,
        code: record.code,
        allow_hosts: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(keys: &[&str], function: &str) -> Option<f64> {
        let numbered = (1..).zip(keys).map(|(number, key)| {
            let timeout_seconds = Some(f64::from(number));
            ((*key).to_owned(), ToolPolicy { timeout_seconds, ..ToolPolicy::default() })
        });
        let policies = numbered.collect();
        set_over(&policies, function, "pay", ToolPolicy::default()).timeout_seconds
    }

    #[test]
    fn what_is_set_under_an_arn_holds_for_its_versions_and_aliases() {
        const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:refund";
        for end in ["", ":1", ":prod", ":$LATEST"] {
            let function = format!("{ARN}{end}");
            assert_eq!(times(&[ARN], &function), Some(1.0), "{function}");
            assert_eq!(times(&[&format!("{ARN}:pay")], &function), Some(1.0), "{function}");
            assert_eq!(times(&[ARN, "refund"], &function), Some(1.0), "{function}");
            assert_eq!(times(&["refund:pay", ARN], &function), Some(1.0), "{function}");
        }
        let prod = format!("{ARN}:prod");
        assert_eq!(times(&[&prod, ARN, "refund"], &prod), Some(1.0), "its own word counts");
        assert_eq!(times(&[&prod], ARN), None);
    }
}
