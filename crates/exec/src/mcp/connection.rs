//! One connection to an MCP server: how it is opened, and what is asked on it.
//!
//! A request is sent once. Whoever waits no longer cancels it at the server.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientCapabilities,
    ClientConfig, ClientRequest, Implementation, ListToolsRequest, MetaObject,
    PaginatedRequestParams, ProtocolVersion, RequestId, RequestMetaObject, ServerResult,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, Peer, PeerRequestOptions,
    RoleClient, RunningService, ServiceError,
};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::transport::{DynamicTransportError, StreamableHttpClientTransport};
use serde_json::{Map, Value};

use super::config::McpConfig;
use super::http::{Http, HttpError};
use super::stdio::{self, Process};
use super::{KEY, McpTool};
use crate::functions::Functions;
use crate::limits;

pub(crate) struct Connection {
    service: RunningService<RoleClient, ClientConfig>,
    process: Option<Process>,
    /// When it was last asked something.
    used: Mutex<Instant>,
}

/// By which servers are reached.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    pub(crate) net: &'a net::Client,
    /// How commands are contained is what holds for functions.
    pub(crate) functions: &'a Functions,
}

/// Why there is no connection.
enum Unopened {
    /// The server does not know this way to begin.
    Refused(String),
    Failed(String),
}

impl Connection {
    /// Both lifecycles of the protocol are tried, the one that more servers know first.
    pub(crate) async fn open(
        name: &str,
        config: &McpConfig,
        outside: Outside<'_>,
    ) -> Result<Connection, String> {
        let legacy = ClientLifecycleMode::Initialize;
        match Connection::begin(name, config, outside, legacy).await {
            Err(Unopened::Refused(why)) => {
                let preferred_versions = vec![ProtocolVersion::LATEST];
                let modern = ClientLifecycleMode::Discover { preferred_versions };
                Connection::begin(name, config, outside, modern).await.map_err(|_| why)
            }
            Err(Unopened::Failed(why)) => Err(why),
            Ok(opened) => Ok(opened),
        }
    }

    async fn begin(
        name: &str,
        config: &McpConfig,
        outside: Outside<'_>,
        lifecycle: ClientLifecycleMode,
    ) -> Result<Connection, Unopened> {
        let me = Implementation::new("craton", env!("CARGO_PKG_VERSION"));
        let me = ClientConfig::new(ClientCapabilities::default(), me);
        let (service, process) = match &config.url {
            Some(url) => (
                me.serve_with_lifecycle(over_http(url, config, outside.net), lifecycle).await,
                None,
            ),
            None => {
                let started = stdio::start(name, config, outside.functions).await;
                let (process, (stdout, stdin)) = started.map_err(Unopened::Failed)?;
                let transport = AsyncRwTransport::new_client(stdout, stdin)
                    .with_max_line_length(limits::RESPONSE_BYTES);
                (me.serve_with_lifecycle(transport, lifecycle).await, Some(process))
            }
        };
        let service = service.map_err(|error| {
            if let Some(process) = &process {
                let said = process.last_words();
                tracing::warn!(server = name, said, "an MCP server did not begin: {error}");
            }
            unopened(&error)
        })?;
        Ok(Connection { service, process, used: Mutex::new(Instant::now()) })
    }

    pub(crate) fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.service.is_closed() || self.service.peer().is_transport_closed()
    }

    /// All that the server lists, page by page, as it is at this moment.
    pub(crate) async fn listing(&self, within: Duration) -> Result<Vec<McpTool>, ServiceError> {
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..limits::MCP_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let asked = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
            let options = PeerRequestOptions::with_timeout(within);
            let ServerResult::ListToolsResult(page) = self.ask(asked, options).await? else {
                return Err(ServiceError::UnexpectedResponse);
            };
            tools.extend(page.tools.into_iter().map(McpTool::from));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(tools);
            }
        }
        Err(ServiceError::UnexpectedResponse)
    }

    /// The result of one `tools/call`, whatever it looks like.
    pub(crate) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        key: Option<&str>,
        within: Duration,
    ) -> Result<ServerResult, ServiceError> {
        if let Some(process) = &self.process {
            process.refill();
        }
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let asked = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let mut meta = MetaObject::default();
        meta.0.extend(key.map(|key| (KEY.to_owned(), key.into())));
        let options = PeerRequestOptions::with_timeout(within).with_meta(RequestMetaObject(meta));
        self.ask(asked, options).await
    }

    async fn ask(
        &self,
        request: ClientRequest,
        options: PeerRequestOptions,
    ) -> Result<ServerResult, ServiceError> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let peer = self.service.peer();
        let handle = peer.send_cancellable_request(request, options).await?;
        let mut left = Left(Some((peer.clone(), handle.id.clone())));
        let answer = handle.await_response().await;
        left.0 = None;
        answer
    }
}

/// Tells the server that nobody waits for an answer any more.
struct Left(Option<(Peer<RoleClient>, RequestId)>);

impl Drop for Left {
    fn drop(&mut self) {
        let Some((peer, id)) = self.0.take() else { return };
        let why = CancelledNotificationParam::new(Some(id), None);
        tokio::spawn(async move { peer.notify_cancelled(why).await });
    }
}

fn over_http(
    url: &str,
    config: &McpConfig,
    net: &net::Client,
) -> StreamableHttpClientTransport<Http> {
    let http = Http {
        net: net.clone(),
        bearer: config.bearer.clone(),
        headers: config.headers.clone(),
        // The request's own deadline comes first, and cancels it at the server.
        within: Duration::from_secs(limits::MCP_SECONDS) + limits::MCP_GRACE,
    };
    let mut settings = StreamableHttpClientTransportConfig::with_uri(url);
    // A call is never sent again where nobody looks at its effect class.
    settings.reinit_on_expired_session = false;
    StreamableHttpClientTransport::with_client(http, settings)
}

fn unopened(error: &ClientInitializeError) -> Unopened {
    match error {
        ClientInitializeError::JsonRpcError(said) => Unopened::Refused(said.message.to_string()),
        ClientInitializeError::TransportError { error, .. } => match of_http(error) {
            Some(HttpError::Status { status, .. })
                if matches!(status.as_u16(), 400 | 404 | 405) =>
            {
                Unopened::Refused(format!("it answered {status}"))
            }
            Some(error) => Unopened::Failed(error.to_string()),
            None => Unopened::Failed(error.to_string()),
        },
        _ => Unopened::Failed(error.to_string()),
    }
}

fn of_http(error: &DynamicTransportError) -> Option<&HttpError> {
    match error.error.downcast_ref::<StreamableHttpError<HttpError>>()? {
        StreamableHttpError::Client(error) => Some(error),
        _ => None,
    }
}
