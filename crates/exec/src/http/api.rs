//! HTTP APIs called directly: an operation's request, to the API's server, with its credentials.
//!
//! A request comes spelled and lacks its server, its credentials and its key. One call is one request
//! and the redirects that it may follow; a token that was refused is replaced once, since a 401 did
//! nothing. Whether a call may be repeated beyond that is the caller's to know.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use net::Egress;
use net::egress::{Advice, Entry, Rules};

use super::auth::{Applied, Keyring};
use super::config::ApiConfig;
use super::origin::Origin;
use super::redirect::{self, Hop, Leads};
use super::{client, retry_after};
use crate::function::{ExecError, Throttled};
use crate::limits;

/// What a refusal tells the operator.
const ADVICE: Advice = Advice {
    unlisted: "name it under hosts in the section of this API",
    own: "if it is meant, name exactly this host and port under hosts in the section of this API",
};

/// A name that no list of hosts has a reason to cover.
const NOBODY: &str = "nobody.invalid";

/// One API of `[apis]`.
pub struct Api {
    name: String,
    net: net::Client,
    server: Option<(Uri, Origin)>,
    /// Whom documents may name, where they are listed.
    hosts: Option<Egress>,
    headers: Vec<(HeaderName, HeaderValue)>,
    keyring: Keyring,
    timeout: Duration,
}

/// A call of an operation, spelled, without server and credentials.
#[derive(Debug, Clone)]
pub struct ApiCall {
    pub method: String,
    /// Begins with `/`.
    pub path_and_query: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// As the document has it; an operator's goes before.
    pub server: Option<String>,
    /// Alternatives of security schemes; `None` where the document says nothing.
    pub security: Option<Vec<Vec<String>>>,
    pub key: Option<String>,
    /// Whether it may reach the API a second time.
    pub may_repeat: bool,
}

/// What an API answered, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiReply {
    pub status: u16,
    /// `Content-Type` and `Content-Encoding`, empty where there are none.
    pub media: String,
    pub coding: String,
    /// At most [`limits::API_ANSWER_BYTES`], free of the credentials that were sent.
    pub body: Vec<u8>,
    pub cut: bool,
    pub retry_after: Option<Duration>,
    pub duration: Duration,
    /// Method, server, path and status of each request: no query and no header.
    pub log: String,
}

impl Api {
    pub fn open(
        name: &str,
        config: &ApiConfig,
        egress: &net::egress::Config,
    ) -> Result<Api, String> {
        let at = |why: String| format!("apis.{name}.{why}");
        if config.functions.is_empty() {
            return Err(at("functions: name at least one function".to_owned()));
        }
        let server = config.server.as_deref().map(read_server).transpose();
        let server = server.map_err(|why| at(format!("server: {why}")))?;
        let headers: Result<Vec<_>, _> =
            config.headers.iter().map(|(name, value)| read_header(name, value)).collect();
        let headers = headers.map_err(|why| at(format!("headers: {why}")))?;
        let keyring = Keyring::open(&config.auth).map_err(at)?;
        let credentials = !keyring.is_empty() || !headers.is_empty();
        if credentials && server.is_none() && config.hosts.is_empty() {
            // Else the document would say who gets the credentials.
            return Err(at("auth: set server or hosts, to say whom it is for".to_owned()));
        }
        let timeout = Duration::try_from_secs_f64(config.timeout_seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero() && *timeout <= limits::API_TIMEOUT)
            .ok_or_else(|| {
                at(format!("timeout_seconds: {} is not 0 to 900", config.timeout_seconds))
            })?;
        let hosts = Egress::new(Rules::closed().naming(config.hosts.clone()));
        if config.hosts.iter().any(|entry| hosts.check(NOBODY, entry.port()).is_ok()) {
            return Err(at("hosts: an entry names everybody".to_owned()));
        }
        let named = config.server.as_deref().map(Entry::of_url).transpose();
        let named = named.map_err(|e| at(format!("server: {e}")))?;
        let rules = Rules::tenants(egress).naming(config.hosts.clone()).naming(named);
        let rules = rules.advising(ADVICE);
        let hosts = Some(hosts).filter(|_| !config.hosts.is_empty());
        Ok(Api {
            name: name.to_owned(),
            net: client(rules),
            server,
            hosts,
            headers,
            keyring,
            timeout,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The deadline that the configuration sets for a call.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Calls the API. An answer with any status but 429 is `Ok`.
    pub async fn call(&self, call: &ApiCall, within: Duration) -> Result<ApiReply, ExecError> {
        let began = Instant::now();
        let mut journey = Journey { api: self, began, within, log: String::new() };
        let reply = journey.go(call).await;
        reply.map_err(|error| named(&self.name, error))
    }

    /// The server that gets the call: the operator's, else the document's if it may be.
    fn base(&self, call: &ApiCall) -> Result<(Uri, Origin), String> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let Some(url) = &call.server else {
            return Err(
                "neither craton.toml nor the document says where it is; set server".to_owned()
            );
        };
        let (uri, origin) =
            read_server(url).map_err(|why| format!("the document's server {url:?}: {why}"))?;
        if url.contains('{') {
            return Err(format!("the document's server {url:?} has a variable without a default"));
        }
        let allowed = |hosts: &Egress| hosts.check(&origin.host, origin.port).is_ok();
        if !self.hosts.as_ref().is_none_or(allowed) {
            return Err(format!("the document's server {origin} is not among its hosts"));
        }
        let credentials = !self.keyring.is_empty() || !self.headers.is_empty();
        if credentials && !origin.tls {
            return Err(format!("credentials do not go to the document's server {origin}: no TLS"));
        }
        Ok((uri, origin))
    }
}

/// A URL that paths are put behind.
fn read_server(url: &str) -> Result<(Uri, Origin), String> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
    let origin = Origin::of(&uri)?;
    if uri.query().is_some() || url.contains('#') {
        return Err("it has a query or a fragment".to_owned());
    }
    Ok((uri, origin))
}

fn read_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let refused = || format!("{name} with this value is no header");
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    if [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION]
        .contains(&header)
    {
        return Err(format!("{name} says where a request ends; it is not to be set"));
    }
    Ok((header, HeaderValue::from_str(value).map_err(|_| refused())?))
}

/// One call under way.
struct Journey<'a> {
    api: &'a Api,
    began: Instant,
    within: Duration,
    log: String,
}

impl Journey<'_> {
    async fn go(&mut self, call: &ApiCall) -> Result<ApiReply, ExecError> {
        let (base, origin) = self.api.base(call).map_err(ExecError::Refused)?;
        let keyring = &self.api.keyring;
        let first = Hop {
            method: Method::from_bytes(call.method.as_bytes())
                .map_err(|_| ExecError::Refused(format!("the method {}", call.method)))?,
            url: joined(&base, &call.path_and_query),
            home: true,
            with_body: true,
        };
        let mut renewed = false;
        loop {
            let applied = keyring.apply(call.security.as_deref(), self.left()).await?;
            let reply = self.follow(call, &origin, first.clone(), &applied).await?;
            if reply.status != 401 || renewed || !applied.renew().await {
                return reply.or_throttled();
            }
            renewed = true;
        }
    }

    /// The first request and what it redirects to.
    async fn follow(
        &mut self,
        call: &ApiCall,
        home: &Origin,
        first: Hop,
        applied: &Applied,
    ) -> Result<ApiReply, ExecError> {
        let mut hop = first;
        for hops in 0..=limits::REDIRECTS {
            let answer = match self.request(call, &hop, applied) {
                Ok(request) => self.exchange(request, applied).await,
                Err(unmade) => Err(unmade),
            };
            let answer = match answer {
                Err(ExecError::NotSent(why) | ExecError::Refused(why)) if hops > 0 => {
                    return Err(behind(call, why));
                }
                other => other?,
            };
            match redirect::next(&hop, &answer, call.may_repeat, home) {
                Leads::To(next) => hop = next,
                // A 401 or 429 of a result is none of the call that made it.
                Leads::Nowhere if hops > 0 && !(200..300).contains(&answer.reply.status) => {
                    let why = format!("what it redirects to answered {}", answer.reply.status);
                    return if call.may_repeat { Ok(answer.reply) } else { Err(behind(call, why)) };
                }
                Leads::Nowhere => return Ok(answer.reply),
            }
        }
        Err(behind(call, format!("it redirects more than {} times", limits::REDIRECTS)))
    }

    fn left(&self) -> Duration {
        self.within.saturating_sub(self.began.elapsed())
    }

    fn request(
        &self,
        call: &ApiCall,
        hop: &Hop,
        applied: &Applied,
    ) -> Result<Request<Bytes>, ExecError> {
        let refused = |what: &str| ExecError::Refused(format!("the request has {what}"));
        let mut url = hop.url.clone();
        if hop.home {
            url = with_query(url, &applied.query);
        }
        let body = if hop.with_body { call.body.clone() } else { Bytes::new() };
        if body.len() > limits::REQUEST_BYTES {
            return Err(refused("too large a body"));
        }
        let mut request = Request::builder()
            .method(hop.method.clone())
            .uri(url)
            .body(body)
            .map_err(|_| refused("a URL that cannot be sent, perhaps too long a one"))?;
        for (name, value) in self.headers(call, hop, applied) {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| refused(&format!("a header of the name {name:?}")))?;
            let mut value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| refused(&format!("a value that the header {name} cannot have")))?;
            value.set_sensitive(name == header::AUTHORIZATION);
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    /// In the order in which later ones take the place of earlier ones of the same name. Another
    /// origin gets what says how to answer, and nothing else.
    fn headers(&self, call: &ApiCall, hop: &Hop, applied: &Applied) -> Vec<(String, String)> {
        let agent = concat!("craton/", env!("CARGO_PKG_VERSION"));
        let mut headers = vec![("user-agent".to_owned(), agent.to_owned())];
        let mut cookies: Vec<String> = Vec::new();
        for (name, value) in &call.headers {
            let is_body = name.eq_ignore_ascii_case("content-type");
            if (is_body && !hop.with_body) || (!hop.home && !name.eq_ignore_ascii_case("accept")) {
                continue;
            }
            match name.eq_ignore_ascii_case("cookie") {
                true => cookies.push(value.clone()),
                false => headers.push((name.clone(), value.clone())),
            }
        }
        if !hop.home {
            return headers;
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let own = self.api.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        headers.extend(own);
        headers.extend(call.key.iter().map(|key| ("idempotency-key".to_owned(), key.clone())));
        headers.extend(applied.headers.iter().cloned());
        cookies.extend(applied.cookies.iter().map(|(name, value)| format!("{name}={value}")));
        if !cookies.is_empty() {
            headers.push(("cookie".to_owned(), cookies.join("; ")));
        }
        headers
    }

    async fn exchange(
        &mut self,
        request: Request<Bytes>,
        applied: &Applied,
    ) -> Result<redirect::Answer, ExecError> {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answer = self.api.net.send(request, self.left()).await.map_err(super::failed)?;
        let (head, body) = answer.into_parts();
        self.log.push_str(&format!(
            "{method} {}{} answered {}\n",
            Origin::of(&uri).map(|origin| origin.to_string()).unwrap_or_default(),
            uri.path(),
            head.status.as_u16()
        ));
        let text = |name: HeaderName| {
            let value = head.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let (body, cut) = read(body).await?;
        let reply = ApiReply {
            status: head.status.as_u16(),
            media: text(header::CONTENT_TYPE),
            coding: text(header::CONTENT_ENCODING),
            body: applied.redact(body),
            cut,
            retry_after: retry_after(&head.headers),
            duration: self.began.elapsed(),
            log: self.log.clone(),
        };
        Ok(redirect::Answer { reply, location: text(header::LOCATION) })
    }
}

/// The body's first bytes, and whether there are more.
async fn read(mut body: net::Body) -> Result<(Vec<u8>, bool), ExecError> {
    let mut read = Vec::new();
    while let Some(chunk) = body.chunk().await.map_err(super::failed)? {
        read.extend_from_slice(&chunk);
        if read.len() > limits::API_ANSWER_BYTES {
            read.truncate(limits::API_ANSWER_BYTES);
            return Ok((read, true));
        }
    }
    Ok((read, false))
}

impl ApiReply {
    /// 429 says that nothing was done (RFC 6585).
    fn or_throttled(self) -> Result<ApiReply, ExecError> {
        if self.status != 429 {
            return Ok(self);
        }
        let message = match self.retry_after {
            Some(after) => {
                format!("it is asked too often, and wants {} s of rest", after.as_secs())
            }
            None => "it is asked too often".to_owned(),
        };
        Err(ExecError::Throttled(Throttled { message, retry_after: self.retry_after }))
    }
}

/// Something was sent before: only a call that may be repeated is as if it was not.
fn behind(call: &ApiCall, why: String) -> ExecError {
    if call.may_repeat { ExecError::Refused(why) } else { ExecError::Lost(why) }
}

/// The server's path with the operation's behind it.
fn joined(base: &Uri, path_and_query: &str) -> String {
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map(Authority::as_str).unwrap_or_default();
    let prefix = base.path().trim_end_matches('/');
    format!("{scheme}://{authority}{prefix}{path_and_query}")
}

fn with_query(mut url: String, query: &[(String, String)]) -> String {
    for (name, value) in query {
        let before = if url.contains('?') { '&' } else { '?' };
        url.push_str(&format!("{before}{name}={value}"));
    }
    url
}

fn named(api: &str, error: ExecError) -> ExecError {
    let told = |what: String| format!("HTTP API {api}: {what}");
    match error {
        ExecError::NotSent(what) => ExecError::NotSent(told(what)),
        ExecError::Lost(what) => ExecError::Lost(told(what)),
        ExecError::Refused(what) => ExecError::Refused(told(what)),
        ExecError::Throttled(throttled) => ExecError::Throttled(Throttled {
            message: told(throttled.message),
            retry_after: throttled.retry_after,
        }),
        timed_out @ ExecError::TimedOut(_) => timed_out,
    }
}
