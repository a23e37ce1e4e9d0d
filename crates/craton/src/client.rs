//! Speaks to a running server, as the verbs do: over HTTP, signed with the environment's keys.
//!
//! It knows no operation. Whoever calls names the service whose scope signs, and the path.

use std::time::Duration;

use bytes::Bytes;
use engine::env::{Clock as _, System};
use front::sigv4::{Signer, Unsigned};
use http::{Method, Request, Response, StatusCode, header};
use serde_json::Value as Json;

use crate::stream::{Events, Failure};

const PATIENCE: Duration = Duration::from_secs(10);
/// A journal is text of at most some megabytes.
pub(crate) const ANSWER_BYTES: usize = 64 << 20;

/// A server, by its address.
pub(crate) struct Client {
    net: net::Client,
    endpoint: String,
}

/// A streaming operation's answer that has begun.
pub(crate) struct Opened {
    pub(crate) headers: http::HeaderMap,
    pub(crate) events: Events,
}

impl Client {
    pub(crate) fn new(endpoint: &str) -> Self {
        let net = net::Client::new(net::Config::default());
        Client { net, endpoint: endpoint.trim_end_matches('/').to_owned() }
    }

    /// What `GET path` answers, as JSON. `service` is the name that the signature's scope gets.
    pub(crate) async fn get(&self, service: &str, path: &str) -> Result<Json, String> {
        self.json(service, Method::GET, path, None).await
    }

    /// Sends a JSON body, or none, and reads JSON (null for an empty answer).
    pub(crate) async fn json(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Json, String> {
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let response = self.send(service, method, path, body).await?;
        let status = response.status();
        let bytes = response.into_body().bytes(ANSWER_BYTES).await;
        let bytes = bytes.map_err(|e| self.unreachable(&e))?;
        let json = if bytes.is_empty() { Ok(Json::Null) } else { serde_json::from_slice(&bytes) };
        let json: Json = json.map_err(|_| self.foreign(status))?;
        if !status.is_success() {
            let why = json["message"].as_str().unwrap_or("no reason given");
            return Err(format!("{} answered {status}: {why} (CR0021)", self.endpoint));
        }
        Ok(json)
    }

    /// Begins a streaming operation with a JSON body. `within` covers all of it, up to the last
    /// event.
    pub(crate) async fn stream(
        &self,
        service: &str,
        path: &str,
        body: &Json,
        within: Duration,
    ) -> Result<Opened, Failure> {
        let request = self.request(service, Method::POST, path, body.to_string().into());
        let request = request.map_err(Failure::Broken)?;
        let response = self.net.send(request, within).await;
        let response = response.map_err(|e| Failure::Broken(self.unreachable(&e)))?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(Opened { headers: head.headers, events: Events::new(body) });
        }
        let bytes = body.bytes(ANSWER_BYTES).await.unwrap_or_default();
        let body: Json = serde_json::from_slice(&bytes).unwrap_or(Json::Null);
        let code = head.headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
        let code = code.map_or_else(|| head.status.to_string(), str::to_owned);
        let message = body["message"].as_str().unwrap_or("no reason given").to_owned();
        Err(Failure::Refused { code, message })
    }

    /// The raw answer, whatever its status.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<net::Body>, String> {
        let request = self.request(service, method, path, body)?;
        self.net.send(request, PATIENCE).await.map_err(|e| self.unreachable(&e))
    }

    fn request(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Bytes>, String> {
        let url = format!("{}{path}", self.endpoint);
        let request =
            Request::builder().method(method).uri(&url).header(header::ACCEPT, "application/json");
        let request = request.body(body).map_err(|e| format!("{url} is no URL: {e} (CR0022)"))?;
        signed(service, request)
    }

    /// Signs a request that stands but for that, and sends it.
    pub(crate) async fn sign_and_send(
        &self,
        service: &str,
        request: Request<Bytes>,
    ) -> Result<Response<net::Body>, String> {
        let request = signed(service, request)?;
        self.net.send(request, PATIENCE).await.map_err(|e| self.unreachable(&e))
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What to say of an answer that this client cannot read.
    pub(crate) fn foreign(&self, status: StatusCode) -> String {
        format!("{} answered {status} without JSON; is it craton? (CR0020)", self.endpoint)
    }

    pub(crate) fn unreachable(&self, error: &net::Error) -> String {
        format!("no answer from {}: {error}; is `craton up` running there? (CR0019)", self.endpoint)
    }
}

/// Signs with the keys of the environment. Where there are none any will do: a server in dev mode
/// takes all, and the scope of the signature tells it the service.
fn signed(service: &str, mut request: Request<Bytes>) -> Result<Request<Bytes>, String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let key = |name| variable(name).unwrap_or_else(|| "test".to_owned());
    let (access_key, secret_key) = (key("AWS_ACCESS_KEY_ID"), key("AWS_SECRET_ACCESS_KEY"));
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let session_token = variable("AWS_SESSION_TOKEN");
    let signer = Signer {
        access_key: &access_key,
        secret_key: &secret_key,
        session_token: session_token.as_deref(),
        region: region.as_deref().unwrap_or("us-east-1"),
        service,
    };
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let unsigned = Unsigned {
        method: method.as_str(),
        host: uri.authority().map_or("", http::uri::Authority::as_str),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: request.headers(),
        body: request.body(),
    };
    let signed = signer.sign(&unsigned, System::default().now());
    let signed =
        signed.map_err(|refusal| format!("the request cannot be signed: {refusal:?} (CR0022)"))?;
    request.headers_mut().extend(signed);
    Ok(request)
}
