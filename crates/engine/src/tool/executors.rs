//! The way from a function's ARN to what performs it: a stored function here, a URL to which the
//! configuration maps it, an HTTP API, or AWS, where its account is listed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use craton_core::policy::ToolPolicy;
use exec::{
    Api, Apis, AwsCall, AwsLambda, CodeError, Credentials, ExecError, Functions, HttpTool,
    Invocation, Invoked, Surroundings,
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
}

impl Executors {
    async fn run(&self, call: ToolCall) -> Result<Invoked, ToolError> {
        match self.route(&call.function) {
            Route::Hook(url) => self.hook(url, call).await,
            Route::Api(api) => api::call(api, call, self.answer_bytes).await,
            Route::Aws => self.aws(call).await,
            Route::Stored => self.stored(call).await,
        }
    }

    /// The one place that says what stands behind a function's ARN.
    fn route(&self, function: &str) -> Route<'_> {
        let plain = match qualifier(function) {
            Some(version) => &function[..function.len() - version.len() - 1],
            None => function,
        };
        let keys = [function, plain, function_name(function)];
        if let Some(url) = keys.iter().find_map(|key| self.map.get(*key)) {
            return Route::Hook(url);
        }
        if let Some(api) = keys.iter().find_map(|key| self.apis.get(key)) {
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

    async fn aws(&self, call: ToolCall) -> Result<Invoked, ToolError> {
        let aws_call = AwsCall {
            arn: &call.function,
            caller: call.tenant.account(),
            payload: call.payload,
            key: call.key.as_deref(),
            client_context: call.client_context.as_deref(),
            now_ms: self.clock.now(),
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
        let of_function = [name, function].into_iter();
        let of_function = of_function.filter_map(|key| self.policies.get(key).cloned());
        let of_tool = [format!("{name}:{tool}"), format!("{function}:{tool}")];
        let of_tool = of_tool.iter().filter_map(|key| self.policies.get(key));
        let set = of_function.chain(of_tool.map(ToolPolicy::of_tool));
        Ok(set.fold(tagged, |below, policy| policy.over(below)))
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
            // The function's own time-out holds.
            Route::Stored | Route::Aws => None,
        }
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
