//! MCP servers as executors: what they list, and calls of their tools.
//!
//! `[mcp]` names the servers; a connection belongs to one tenant and one server, and is opened anew
//! when it has ended. A listing is never remembered: each call reads it again, and the caller says
//! whether the tool is still the one that it knows. Hints of a server about its tools are not read,
//! and a server that asks for anything itself (a model, a user's input) is told that it is not given.

mod config;
mod connection;
mod http;
mod program;
mod stdio;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rmcp::model::{ErrorCode, ErrorData, ServerResult};
use rmcp::service::ServiceError;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde_json::{Map, Value, json};

use crate::function::{ExecError, FunctionError, Invoked, Throttled};
use crate::functions::Functions;
use crate::http::failed;
use crate::limits;
pub use config::McpConfig;
use connection::{Connection, Outside};
use http::HttpError;

/// Under which a call's idempotency key stands in its `_meta`.
const KEY: &str = "craton/idempotencyKey";

/// The servers of a configuration; cheap to clone.
#[derive(Clone)]
pub struct McpServers(Arc<Inner>);

struct Inner {
    net: net::Client,
    functions: Functions,
    servers: BTreeMap<String, McpConfig>,
    slots: Mutex<HashMap<Place, Slot>>,
}

/// A tenant's connection to a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    tenant: String,
    server: String,
}

/// Held while a connection is opened, so that it is opened once.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Connection>>>>;

/// One tool as its server lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct McpTool {
    pub name: String,
    pub description: Option<String>,
    pub schema: Value,
}

impl From<rmcp::model::Tool> for McpTool {
    fn from(tool: rmcp::model::Tool) -> Self {
        McpTool {
            name: tool.name.into_owned(),
            description: tool.description.map(std::borrow::Cow::into_owned),
            schema: Value::Object((*tool.input_schema).clone()),
        }
    }
}

/// One call of a tool.
#[derive(Debug)]
pub struct McpCall<'a> {
    /// Connections are not shared between tenants.
    pub tenant: &'a str,
    /// By its name in the configuration.
    pub server: &'a str,
    pub tool: &'a str,
    pub arguments: Map<String, Value>,
    pub key: Option<&'a str>,
    /// Goes before the server's own.
    pub timeout: Option<Duration>,
}

impl McpServers {
    /// Within a runtime, which closes connections that nobody uses.
    /// Commands are contained as `functions` are.
    pub fn new(
        net: net::Client,
        functions: Functions,
        servers: BTreeMap<String, McpConfig>,
    ) -> Self {
        let any = !servers.is_empty();
        let inner = Arc::new(Inner { net, functions, servers, slots: Mutex::default() });
        if any {
            tokio::spawn(sweep(Arc::downgrade(&inner)));
        }
        McpServers(inner)
    }

    /// The server behind a function, by one of the function's names.
    pub fn behind(&self, names: &[&str]) -> Option<&str> {
        let mut servers = self.0.servers.iter();
        let found = servers.find(|(_, config)| names.contains(&config.function.as_str()));
        found.map(|(name, _)| name.as_str())
    }

    /// The deadline of a call, as the configuration has it.
    pub fn timeout(&self, server: &str) -> Option<Duration> {
        let config = self.0.servers.get(server)?;
        Some(Duration::from_secs(config.timeout_seconds))
    }

    /// What the server lists at this moment, without what the configuration leaves out.
    pub async fn listing(&self, tenant: &str, server: &str) -> Result<Vec<McpTool>, ExecError> {
        let place = Place { tenant: tenant.to_owned(), server: server.to_owned() };
        Ok(self.listed(&place).await?.1)
    }

    /// Calls a tool if `known` takes it for the one that was meant.
    pub async fn call(
        &self,
        call: McpCall<'_>,
        known: impl FnOnce(&McpTool) -> bool,
    ) -> Result<Invoked, ExecError> {
        let place = Place { tenant: call.tenant.to_owned(), server: call.server.to_owned() };
        let (connection, listing) = self.listed(&place).await?;
        let McpCall { server, tool, .. } = call;
        match listing.iter().find(|listed| listed.name == tool) {
            Some(listed) if known(listed) => {}
            Some(_) => {
                return Err(ExecError::Refused(format!(
                    "MCP server {server} describes its tool {tool} otherwise than when the agent \
                     was prepared; look at the change and prepare the agent again"
                )));
            }
            None => {
                return Err(ExecError::Refused(format!(
                    "MCP server {server} does not offer the tool {tool} any more; prepare the agent \
                     again"
                )));
            }
        }
        if Value::Object(call.arguments.clone()).to_string().len() > limits::REQUEST_BYTES {
            let why = "its arguments are too large";
            return Err(ExecError::Refused(format!("MCP server {server}, tool {tool}: {why}")));
        }
        let within = call.timeout.or(self.timeout(server)).unwrap_or_default();
        let began = Instant::now();
        let result = connection.call(tool, call.arguments, call.key, within).await;
        let duration = began.elapsed();
        let log = format!("tools/call {tool} of MCP server {server}\n").into_bytes();
        match result {
            Ok(result) => Ok(Invoked { log_tail: log, ..answered(&result, duration) }),
            Err(ServiceError::McpError(error)) => {
                Ok(Invoked { log_tail: log, ..errored(&error, duration) })
            }
            Err(error) => {
                self.forget(&place, &connection).await;
                Err(broken(server, error))
            }
        }
    }

    /// Ends all connections, and with them the servers that were started here.
    pub fn close(&self) {
        self.slots().clear();
    }

    fn config(&self, server: &str) -> Result<&McpConfig, ExecError> {
        self.0.servers.get(server).ok_or_else(|| {
            ExecError::Refused(format!("there is no MCP server {server} in the configuration"))
        })
    }

    /// A connection that has just listed. One that turns out to have ended is opened once more:
    /// nothing but a listing was asked of it.
    async fn listed(&self, place: &Place) -> Result<(Arc<Connection>, Vec<McpTool>), ExecError> {
        let config = self.config(&place.server)?;
        let (mut connection, fresh) = self.connection(place, config).await?;
        let mut listing = connection.listing(limits::MCP_LISTING).await;
        if listing.is_err() {
            self.forget(place, &connection).await;
            if !fresh {
                connection = self.connection(place, config).await?.0;
                listing = connection.listing(limits::MCP_LISTING).await;
            }
        }
        let mut listing = listing.map_err(|error| unlisted(&place.server, error))?;
        if let Some(offered) = &config.tools {
            listing.retain(|tool| offered.contains(&tool.name));
        }
        Ok((connection, listing))
    }

    /// The tenant's connection, and whether it was opened just now.
    async fn connection(
        &self,
        place: &Place,
        config: &McpConfig,
    ) -> Result<(Arc<Connection>, bool), ExecError> {
        let slot = self.slot(place)?;
        let mut held = slot.lock().await;
        if let Some(connection) = held.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok((connection.clone(), false));
        }
        let server = &place.server;
        let outside = Outside { net: &self.0.net, functions: &self.0.functions };
        let opening = Connection::open(server, config, outside);
        let opened = match tokio::time::timeout(limits::MCP_OPENING, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(format!("it did not begin within {:?}", limits::MCP_OPENING)),
        };
        let opened = opened.map_err(|why| {
            ExecError::NotSent(format!("MCP server {server} cannot be reached: {why}"))
        })?;
        let connection = Arc::new(opened);
        *held = Some(connection.clone());
        Ok((connection, true))
    }

    fn slot(&self, place: &Place) -> Result<Slot, ExecError> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(place) {
            return Ok(slot.clone());
        }
        if slots.len() >= limits::MCP_CONNECTIONS {
            retain_used(&mut slots, Duration::ZERO);
        }
        if slots.len() >= limits::MCP_CONNECTIONS {
            let message = format!("all {} connections to MCP servers are busy", slots.len());
            return Err(ExecError::Throttled(message.into()));
        }
        Ok(slots.entry(place.clone()).or_default().clone())
    }

    /// So that the next call opens another one, unless somebody has already.
    async fn forget(&self, place: &Place, connection: &Arc<Connection>) {
        let slot = self.slots().get(place).cloned();
        if let Some(slot) = slot {
            let mut held = slot.lock().await;
            if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
                *held = None;
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Place, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(limits::MCP_IDLE / 2);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let mut slots = inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        retain_used(&mut slots, limits::MCP_IDLE);
    }
}

/// Drops what nobody holds and nobody has used for so long.
fn retain_used(slots: &mut HashMap<Place, Slot>, age: Duration) {
    slots.retain(|_, slot| match slot.try_lock() {
        Ok(held) => held
            .as_ref()
            .is_some_and(|connection| Arc::strong_count(connection) > 1 || connection.idle() < age),
        Err(_) => true,
    });
}

/// The result as JSON, for whoever knows what of it a model reads.
fn answered(result: &ServerResult, duration: Duration) -> Invoked {
    let payload = serde_json::to_value(result).unwrap_or_default();
    let asks = payload["resultType"] == "input_required";
    let (payload, failed) = match asks {
        true => (told("InputRequired", "the MCP server asks for input, which is not given"), true),
        false => (payload.to_string().into(), payload["isError"] == true),
    };
    let error = failed.then_some(FunctionError::Handled);
    let (log_tail, retry_after) = (Vec::new(), None);
    Invoked { payload, error, log_tail, duration, outcome_known: true, retry_after }
}

/// A protocol error. What is wrong with the request itself kept the tool from running; of any other
/// nobody knows when it happened.
// MCP: unknown tools and malformed requests are protocol errors, failures of tools are results
// (specification 2025-11-25, server/tools, "Error Handling").
fn errored(error: &ErrorData, duration: Duration) -> Invoked {
    let before = [
        ErrorCode::PARSE_ERROR,
        ErrorCode::INVALID_REQUEST,
        ErrorCode::METHOD_NOT_FOUND,
        ErrorCode::INVALID_PARAMS,
    ];
    Invoked {
        payload: told("McpError", &error.message),
        error: Some(FunctionError::Handled),
        log_tail: Vec::new(),
        duration,
        outcome_known: before.contains(&error.code),
        retry_after: None,
    }
}

fn told(kind: &str, message: &str) -> Bytes {
    json!({"errorType": kind, "errorMessage": message}).to_string().into()
}

/// A call that was handed over and has no answer.
fn broken(server: &str, error: ServiceError) -> ExecError {
    match error {
        ServiceError::Timeout { timeout } => ExecError::TimedOut(timeout),
        ServiceError::TransportSend(error) => {
            let text = error.error.to_string();
            let lost = ExecError::Lost(format!("MCP server {server}: {text}"));
            error.error.downcast().map_or(lost, |failure| of_http(server, *failure))
        }
        error => ExecError::Lost(format!("MCP server {server}: {error}")),
    }
}

fn of_http(server: &str, failure: StreamableHttpError<HttpError>) -> ExecError {
    let text = match &failure {
        StreamableHttpError::Client(error) => format!("MCP server {server}: {error}"),
        other => format!("MCP server {server}: {other}"),
    };
    match failure {
        StreamableHttpError::Client(HttpError::Net(error)) => failed(error),
        StreamableHttpError::Client(HttpError::Unsendable(_)) => ExecError::Refused(text),
        // The session was over before: the call was not taken.
        StreamableHttpError::SessionExpired => ExecError::NotSent(text),
        StreamableHttpError::Client(HttpError::Status { status, retry_after }) => {
            match status.as_u16() {
                429 => ExecError::Throttled(Throttled { message: text, retry_after }),
                408 | 500.. => ExecError::Lost(text),
                _ => ExecError::Refused(text),
            }
        }
        _ => ExecError::Lost(text),
    }
}

/// Nothing but a listing was asked for, so that nothing was done.
fn unlisted(server: &str, error: ServiceError) -> ExecError {
    match broken(server, error) {
        ExecError::TimedOut(after) => {
            ExecError::NotSent(format!("MCP server {server} did not list its tools in {after:?}"))
        }
        ExecError::Lost(text) => ExecError::NotSent(text),
        error => error,
    }
}
