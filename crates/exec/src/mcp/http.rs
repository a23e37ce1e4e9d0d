//! Streamable HTTP, spoken through the one HTTP client: rmcp says what is sent, this sends it.
//!
//! Nothing is repeated here and no redirect is followed. The stream on which a server may talk
//! unasked is never opened: listings are read anew for each call, and nothing else of it would be
//! listened to. A stream that broke in the middle of an answer is taken up where it was.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use net::Secret;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta as _, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Error as SseError, Sse, SseStream};

use super::KEY;
use crate::http::retry_after;
use crate::limits;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

/// What can go wrong with a request, kept apart by what it says of the request's fate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error(transparent)]
    Net(#[from] net::Error),
    #[error("it answered {status}")]
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// It could not be made.
    #[error("{0}")]
    Unsendable(String),
}

type Failure = StreamableHttpError<HttpError>;

/// The way to one server.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) net: net::Client,
    pub(crate) bearer: Option<Secret>,
    pub(crate) headers: BTreeMap<String, Secret>,
    /// For one exchange, an answer's whole stream included.
    pub(crate) within: Duration,
}

type Headers = HashMap<HeaderName, HeaderValue>;

impl Http {
    fn request(
        &self,
        method: Method,
        uri: &str,
        body: Bytes,
        headers: HeaderMap,
    ) -> Result<Request<Bytes>, HttpError> {
        let unsendable = |why: String| HttpError::Unsendable(why);
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .body(body)
            .map_err(|e| unsendable(e.to_string()))?;
        request.headers_mut().extend(headers);
        // Read for each request, so that secrets that rotate are followed.
        for (name, secret) in &self.headers {
            let name: HeaderName =
                name.parse().map_err(|_| unsendable(format!("header {name}")))?;
            request.headers_mut().insert(name, value(secret, "")?);
        }
        if let Some(bearer) = &self.bearer {
            request.headers_mut().insert(AUTHORIZATION, value(bearer, "Bearer ")?);
        }
        Ok(request)
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<net::Body>, HttpError> {
        Ok(self.net.send(request, self.within).await?)
    }
}

fn value(secret: &Secret, before: &str) -> Result<HeaderValue, HttpError> {
    let text = format!("{before}{}", secret.read().map_err(HttpError::Unsendable)?);
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| HttpError::Unsendable(format!("{secret} fits into no header")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn headers(given: Headers, session: Option<&str>) -> Result<HeaderMap, HttpError> {
    let mut headers: HeaderMap = given.into_iter().collect();
    if let Some(session) = session {
        let session = HeaderValue::from_str(session)
            .map_err(|_| HttpError::Unsendable("its session id fits into no header".to_owned()))?;
        headers.insert(SESSION, session);
    }
    Ok(headers)
}

impl StreamableHttpClient for Http {
    type Error = HttpError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        given: Headers,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let mut headers = headers(given, session.as_deref()).map_err(Failure::Client)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(key) = key(&message) {
            headers.insert("idempotency-key", key);
        }
        let body = Bytes::from(serde_json::to_vec(&message)?);
        let request = self.request(Method::POST, &uri, body, headers).map_err(Failure::Client)?;
        let response = self.send(request).await.map_err(Failure::Client)?;
        answered(response, &message, session.is_some()).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        _: Option<String>,
        given: Headers,
    ) -> Result<(), Failure> {
        let headers = headers(given, Some(&session)).map_err(Failure::Client)?;
        let request = self.request(Method::DELETE, &uri, Bytes::new(), headers);
        let request = request.map_err(Failure::Client)?;
        match self.send(request).await.map_err(Failure::Client)?.status() {
            status if status.is_success() => Ok(()),
            _ => Err(Failure::ServerDoesNotSupportDeleteSession),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _: Option<String>,
        given: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failure> {
        let Some(last_event) = last_event else { return Err(Failure::ServerDoesNotSupportSse) };
        let mut headers = headers(given, session.as_deref()).map_err(Failure::Client)?;
        headers.insert(ACCEPT, HeaderValue::from_static(EVENTS));
        let last_event = HeaderValue::from_str(&last_event)
            .map_err(|_| Failure::UnexpectedServerResponse("its event ids are no text".into()))?;
        headers.insert(LAST_EVENT, last_event);
        let request = self.request(Method::GET, &uri, Bytes::new(), headers);
        let request = request.map_err(Failure::Client)?;
        let response = self.send(request).await.map_err(Failure::Client)?;
        match response.status().is_success() && is(&response, EVENTS) {
            true => Ok(events(response.into_body())),
            false => Err(Failure::ServerDoesNotSupportSse),
        }
    }
}

/// The idempotency key of a call, for servers and proxies that look at headers alone.
fn key(message: &ClientJsonRpcMessage) -> Option<HeaderValue> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    let ClientRequest::CallToolRequest(_) = &request.request else { return None };
    HeaderValue::from_str(request.request.get_meta().0.get(KEY)?.as_str()?).ok()
}

async fn answered(
    response: Response<net::Body>,
    message: &ClientJsonRpcMessage,
    in_session: bool,
) -> Result<StreamableHttpPostResponse, Failure> {
    let status = response.status();
    if status == StatusCode::NOT_FOUND && in_session {
        return Err(Failure::SessionExpired);
    }
    if !status.is_success() {
        let retry_after = retry_after(response.headers());
        return Err(Failure::Client(HttpError::Status { status, retry_after }));
    }
    let expects = matches!(message, ClientJsonRpcMessage::Request(_));
    if !expects || matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
        return Ok(StreamableHttpPostResponse::Accepted);
    }
    let session = response.headers().get(SESSION).and_then(|id| id.to_str().ok());
    let session = session.map(str::to_owned);
    if is(&response, EVENTS) {
        return Ok(StreamableHttpPostResponse::Sse(events(response.into_body()), session));
    }
    if !is(&response, JSON) {
        return Err(Failure::UnexpectedContentType(None));
    }
    let body = response.into_body().bytes(limits::RESPONSE_BYTES).await;
    let body = body.map_err(|error| Failure::Client(error.into()))?;
    let message: ServerJsonRpcMessage = serde_json::from_slice(&body)?;
    Ok(StreamableHttpPostResponse::Json(message, session))
}

fn is(response: &Response<net::Body>, media: &str) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(media.as_bytes()))
}

/// The events of a body, which ends where it would pass the bound of an answer.
fn events(body: net::Body) -> BoxStream<'static, Result<Sse, SseError>> {
    let bounded = body.scan(0, |read, chunk| {
        *read += chunk.as_ref().map_or(0, Bytes::len);
        let within = *read <= limits::RESPONSE_BYTES;
        std::future::ready(within.then_some(chunk))
    });
    SseStream::from_bytes_stream(bounded).boxed()
}
