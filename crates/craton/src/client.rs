//! Speaks to a running server, as the verbs do: over HTTP, signed with the environment's keys.
//!
//! It knows no operation. Whoever calls names the service whose scope signs, and the path.

use std::time::Duration;

use bytes::Bytes;
use engine::env::{Clock as _, System};
use http::response::Parts;
use http::{Method, Request, header};
use net::sigv4::{Signer, Unsigned};
use serde_json::Value as Json;

use crate::stream::{Events, Failure};

const PATIENCE: Duration = Duration::from_secs(10);
/// A journal is text of at most some megabytes.
const ANSWER_BYTES: usize = 64 << 20;

/// A server, by its address.
pub(crate) struct Client {
    net: net::Client,
    endpoint: String,
    patience: Duration,
}

/// A streaming operation's answer that has begun.
pub(crate) struct Opened {
    pub(crate) headers: http::HeaderMap,
    pub(crate) events: Events,
}

impl Client {
    pub(crate) fn new(endpoint: &str) -> Self {
        let net = net::Client::new(net::Config::default());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Client { net, endpoint, patience: PATIENCE }
    }

    /// One that waits so long for each answer.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Client { patience, ..self }
    }

    /// What `GET path` answers, as JSON. `service` is the name that the signature's scope gets.
    pub(crate) async fn get(&self, service: &str, path: &str) -> Result<Json, String> {
        self.ask(Method::GET, service, (path, Bytes::new())).await
    }

    /// What `POST path` answers, without a body of its own.
    pub(crate) async fn post(&self, service: &str, path: &str) -> Result<Json, String> {
        self.ask(Method::POST, service, (path, Bytes::new())).await
    }

    /// The same with a body.
    pub(crate) async fn post_json(
        &self,
        service: &str,
        path: &str,
        body: &Json,
    ) -> Result<Json, String> {
        self.ask(Method::POST, service, (path, Bytes::from(body.to_string()))).await
    }

    async fn ask(
        &self,
        method: Method,
        service: &str,
        (path, body): (&str, Bytes),
    ) -> Result<Json, String> {
        let request = self.request(method, path, body).map_err(Failure::Broken);
        let got = async {
            let (head, body) = self.whole(service, request?).await?;
            self.read(&head, json(&body))
        };
        got.await.map_err(|failure| match failure {
            Failure::Refused { .. } => format!("{} says: {}", self.endpoint, failure.coded()),
            Failure::Broken(why) => why,
        })
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
        let request = self.request(Method::POST, path, body.to_string().into());
        self.open(service, request.map_err(Failure::Broken)?, within).await
    }

    /// The same under an id by which a server knows the request when it comes again.
    pub(crate) async fn stream_as(
        &self,
        service: &str,
        path: &str,
        body: &Json,
        invocation: &str,
    ) -> Result<Opened, Failure> {
        let body = body.to_string().into();
        let request = self.named(path, body, invocation).map_err(Failure::Broken)?;
        self.open(service, request, self.patience).await
    }

    /// A request with a JSON body under such an id, and its answer to the end.
    pub(crate) async fn post_as(
        &self,
        service: &str,
        path: &str,
        body: Bytes,
        invocation: &str,
    ) -> Result<(http::HeaderMap, Json), Failure> {
        let request = self.named(path, body, invocation).map_err(Failure::Broken)?;
        let (head, body) = self.whole(service, request).await?;
        let answer = self.read(&head, json(&body))?;
        Ok((head.headers, answer))
    }

    fn named(&self, path: &str, body: Bytes, id: &str) -> Result<Request<Bytes>, String> {
        let mut request = self.request(Method::POST, path, body)?;
        let id = id.parse().map_err(|e| format!("{id:?} is no id of a request: {e} (CR0022)"))?;
        request.headers_mut().insert("amz-sdk-invocation-id", id);
        Ok(request)
    }

    async fn open(
        &self,
        service: &str,
        request: Request<Bytes>,
        within: Duration,
    ) -> Result<Opened, Failure> {
        let request = signed(service, request).map_err(Failure::Broken)?;
        let response = self.net.send(request, within).await;
        let (head, body) = response.map_err(|e| self.unreachable(&e))?.into_parts();
        if head.status.is_success() {
            return Ok(Opened { headers: head.headers, events: Events::new(body) });
        }
        let body = body.bytes(ANSWER_BYTES).await.map_err(|e| self.unreachable(&e))?;
        Err(self.refusal(&head, json(&body)))
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Bytes>, String> {
        let url = format!("{}{path}", self.endpoint);
        let request =
            Request::builder().method(method).uri(&url).header(header::ACCEPT, "application/json");
        request.body(body).map_err(|e| format!("{url} is no URL: {e} (CR0022)"))
    }

    /// Signs and sends a request that stands but for that, and reads the answer to its end.
    pub(crate) async fn whole(
        &self,
        service: &str,
        request: Request<Bytes>,
    ) -> Result<(Parts, Bytes), Failure> {
        let request = signed(service, request).map_err(Failure::Broken)?;
        let response = self.net.send(request, self.patience).await;
        let (head, body) = response.map_err(|e| self.unreachable(&e))?.into_parts();
        let body = body.bytes(ANSWER_BYTES).await.map_err(|e| self.unreachable(&e))?;
        Ok((head, body))
    }

    /// An answer whose body was read as its protocol says, or could not be.
    pub(crate) fn read(&self, head: &Parts, answer: Option<Json>) -> Result<Json, Failure> {
        match answer {
            Some(answer) if head.status.is_success() => Ok(answer),
            answer => Err(self.refusal(head, answer)),
        }
    }

    /// What the server says against a request.
    fn refusal(&self, head: &Parts, answer: Option<Json>) -> Failure {
        let Some(answer) = answer else {
            let (endpoint, status) = (&self.endpoint, head.status);
            return Failure::Broken(format!(
                "{endpoint} answered {status} in no form that is known here; is it craton? (CR0020)"
            ));
        };
        let header = head.headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
        let code =
            header.or_else(|| ["Code", "code"].iter().find_map(|name| answer[*name].as_str()));
        let code = code.map_or_else(|| head.status.to_string(), str::to_owned);
        let message = ["message", "Message"].iter().find_map(|name| answer[*name].as_str());
        Failure::Refused {
            // AWS: the code may be followed by a colon and an address.
            code: code.split(':').next().unwrap_or(&code).to_owned(),
            message: message.unwrap_or("no reason given").to_owned(),
            retry_after: retry_after(head),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn unreachable(&self, error: &net::Error) -> Failure {
        let endpoint = &self.endpoint;
        Failure::Broken(format!(
            "no answer from {endpoint}: {error}; is `craton up` running there? (CR0019)"
        ))
    }
}

/// The pause that a server asks for. Of its two forms the one in seconds (RFC 9110, 10.2.3).
fn retry_after(head: &Parts) -> Option<Duration> {
    let text = head.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// A body of JSON; an empty one is null.
pub(crate) fn json(body: &[u8]) -> Option<Json> {
    if body.is_empty() { Some(Json::Null) } else { serde_json::from_slice(body).ok() }
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(status: u16, errortype: Option<&str>, body: &str, wanted: Expect) {
        let mut response = http::Response::builder().status(status);
        if let Some(errortype) = errortype {
            response = response.header("x-amzn-errortype", errortype);
        }
        let (head, ()) = response.body(()).unwrap().into_parts();
        let read = Client::new("http://here").read(&head, json(body.as_bytes()));
        wanted.assert_eq(&read.map_or_else(|failure| failure.coded(), |json| json.to_string()));
    }

    #[test]
    fn a_refusal_has_its_code_and_its_reason_however_it_came() {
        let address = "GoneException:http://internal.amazon.com/";
        check(404, Some(address), r#"{"message":"no"}"#, expect!["no (GoneException) (CR0021)"]);
        check(
            400,
            None,
            r#"{"Code":"NoSuchEntity","Message":"no"}"#,
            expect!["no (NoSuchEntity) (CR0021)"],
        );
        check(503, None, "", expect!["no reason given (503 Service Unavailable) (CR0021)"]);
        check(
            502,
            None,
            "<html>",
            expect![
                "http://here answered 502 Bad Gateway in no form that is known here; is it craton? (CR0020)"
            ],
        );
    }

    #[test]
    fn an_answer_is_json_or_nothing() {
        check(200, None, r#"{"a":1}"#, expect![[r#"{"a":1}"#]]);
        check(202, None, "", expect!["null"]);
        check(
            200,
            None,
            "hello",
            expect![
                "http://here answered 200 OK in no form that is known here; is it craton? (CR0020)"
            ],
        );
    }
}
