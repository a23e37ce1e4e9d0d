//! Services that are passed on: to AWS, or to whatever speaks its wire (MinIO, LocalStack).
//!
//! The caller is judged as for any operation, by its own signature and actions; what is judged is
//! what will leave (`reading`). The request then leaves signed anew, by the operator's credentials; nothing of the caller's goes along. The answer
//! comes back as it is, streamed. Nothing is repeated and nothing is followed.

use std::collections::BTreeMap;
use std::time::Duration;

use api::Caller;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri, request};
use net::sigv4::{CONTENT_SHA256, Signer, Unsigned};
use serde::Deserialize;
use wire::fault::Fault;
use wire::foreign::{self, Service};

use crate::body::Body;
use crate::chunked;
use crate::config::ConfigError;
use crate::foreign::{Foreign, is_named};
use crate::limits;
use crate::reading::{Leaving, Reading};
use crate::sigv4::{is_region, stripped};

/// How this server names itself in the chain of a request.
const VIA: &str = "1.1 craton";

/// One service of `[forward]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forward {
    /// Where to, such as `http://127.0.0.1:9000`. Default: AWS's endpoint of the region.
    pub endpoint: Option<String>,
    /// The region to call. Default: the caller's.
    pub region: Option<String>,
    /// Environment variables with the credentials that sign. Default: AWS's own names.
    pub access_key_env: Option<String>,
    pub secret_key_env: Option<String>,
    pub session_token_env: Option<String>,
    /// For one whole exchange, its answer's last byte included.
    pub timeout_seconds: Option<u64>,
}

/// `[forward]`, ready to be used.
pub(crate) struct Forwards {
    net: net::Client,
    routes: BTreeMap<String, Route>,
}

pub(crate) struct Route {
    /// That the section names.
    services: Vec<&'static Service>,
    endpoint: Option<Uri>,
    region: Option<String>,
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    timeout: Duration,
}

/// What leaves, before it is signed.
struct Outgoing {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    service: &'static Service,
    region: String,
}

impl Forwards {
    pub(crate) fn open(config: &BTreeMap<String, Forward>) -> Result<Self, ConfigError> {
        let routes = config.iter().map(|(name, forward)| Ok((name.clone(), forward.open(name)?)));
        let net = net::Client::new(net::Config::default());
        Ok(Forwards { net, routes: routes.collect::<Result<_, ConfigError>>()? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    pub(crate) fn route(&self, foreign: &Foreign<'_>) -> Option<&Route> {
        self.routes.iter().find(|(name, _)| foreign.is(name)).map(|(_, route)| route)
    }

    /// Sends the request on and returns the answer as it came. Who sent it may have this done.
    pub(crate) async fn send(
        &self,
        route: &Route,
        reading: &Reading,
        leaving: Leaving<'_>,
        (caller, now_ms): (&Caller, i64),
    ) -> Result<Response<Body>, Fault> {
        let service = reading.service;
        let outgoing = route.outgoing(service, leaving, &caller.region)?;
        let request = route.signed(outgoing, now_ms)?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answer = self.net.send(request, route.timeout).await.map_err(|error| {
            tracing::warn!(service = service.name, %error, "could not pass a request on");
            unreachable(service, &error)
        })?;
        let theirs = ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"];
        let theirs = theirs.iter().find_map(|name| answer.headers().get(*name)?.to_str().ok());
        tracing::info!(service = service.name, to = host, their_request_id = theirs, "passed on");
        let (head, body) = answer.into_parts();
        let mut answer = Response::new(Body::Passed(Box::new(body)));
        *answer.status_mut() = head.status;
        *answer.headers_mut() = passed_back(&head.headers);
        Ok(answer)
    }
}

/// The server is asked by somebody who asked it: an endpoint of `[forward]` is this server.
pub(crate) fn is_loop(headers: &HeaderMap) -> bool {
    let chains = headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
    chains.flat_map(|chain| chain.split(',')).any(|hop| hop.trim() == VIA)
}

pub(crate) fn looped() -> Fault {
    let text = "a request that craton passed on came back: the endpoint in [forward] of \
                craton.toml leads here";
    Fault::new("LoopDetectedException", 508, text)
}

fn unreachable(service: &Service, error: &net::Error) -> Fault {
    let text = format!("{} is passed on by [forward] of craton.toml, and {error}", service.name);
    match error {
        net::Error::TimedOut { .. } => Fault::new("GatewayTimeoutException", 504, text),
        _ => Fault::new("ServiceUnavailableException", 503, text),
    }
}

impl Forward {
    fn open(&self, name: &str) -> Result<Route, ConfigError> {
        let services = foreign::services().filter(|service| is_named(service, name));
        let services: Vec<&'static Service> = services.collect();
        if services.is_empty() {
            return Err(ConfigError::ForwardUnknown(name.to_owned()));
        }
        if let Some(region) = self.region.as_ref().filter(|region| !is_region(region)) {
            let (service, region) = (name.to_owned(), region.clone());
            return Err(ConfigError::ForwardRegion { service, region });
        }
        let variable = |own: &Option<String>, usual: &str| {
            let variable = own.clone().unwrap_or_else(|| usual.to_owned());
            let value = std::env::var(&variable).ok().filter(|value| !value.is_empty());
            let service = name.to_owned();
            value.ok_or(ConfigError::ForwardUnset { service, variable })
        };
        let own_key = self.access_key_env.is_some();
        let token = match (&self.session_token_env, own_key) {
            (Some(_), _) => Some(variable(&self.session_token_env, "")?),
            // A token belongs to its key, so the usual one goes with the usual key alone.
            (None, true) => None,
            (None, false) => variable(&None, "AWS_SESSION_TOKEN").ok(),
        };
        Ok(Route {
            services,
            endpoint: self.endpoint.as_deref().map(|text| endpoint(name, text)).transpose()?,
            region: self.region.clone(),
            access_key: variable(&self.access_key_env, "AWS_ACCESS_KEY_ID")?,
            secret_key: variable(&self.secret_key_env, "AWS_SECRET_ACCESS_KEY")?,
            session_token: token,
            timeout: self.timeout_seconds.map_or(limits::FORWARD_TIME, Duration::from_secs),
        })
    }
}

fn endpoint(service: &str, text: &str) -> Result<Uri, ConfigError> {
    let uri = text.trim_end_matches('/').parse().ok();
    let uri = uri.filter(|uri: &Uri| uri.query().is_none() && uri.authority().is_some());
    uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https"))).ok_or_else(|| {
        let (service, endpoint) = (service.to_owned(), text.to_owned());
        ConfigError::ForwardEndpoint { service, endpoint }
    })
}

impl Route {
    /// What `request` may ask for: services that the section names, under the name that signed.
    pub(crate) fn candidates(&self, foreign: &Foreign<'_>) -> Vec<&'static Service> {
        let named = |service: &&Service| self.services.iter().any(|own| own.name == service.name);
        foreign.candidates().into_iter().filter(named).collect()
    }

    /// The request without what is the caller's and the connection's.
    pub(crate) fn leaving<'a>(
        &self,
        parts: &'a request::Parts,
        bucket: Option<&'a str>,
        body: Bytes,
    ) -> Result<Leaving<'a>, Fault> {
        let (method, path) = (&parts.method, parts.uri.path());
        let query = stripped(parts.uri.query().unwrap_or_default());
        let mut headers = end_to_end(&parts.headers);
        let body = payload(&mut headers, body)?;
        let elsewhere = self.endpoint.is_some();
        Ok(Leaving { method, path, query, headers, body, bucket, elsewhere })
    }

    fn outgoing(
        &self,
        service: &'static Service,
        leaving: Leaving<'_>,
        callers: &str,
    ) -> Result<Outgoing, Fault> {
        let region = self.region.as_deref().unwrap_or(callers);
        let path = leaving.path_at(service);
        let (uri, region) = match &self.endpoint {
            Some(own) => (below(own, &path, &leaving.query), region.to_owned()),
            None => {
                let aws = service.endpoint(region);
                let root = Uri::builder().scheme("https").authority(aws.host).path_and_query("/");
                let root = root.build().map_err(Fault::internal)?;
                (below(&root, &path, &leaving.query), aws.region)
            }
        };
        let uri = uri.ok_or_else(|| Fault::new("InvalidURI", 400, "no URI to pass on"))?;
        let Leaving { method, headers, body, .. } = leaving;
        Ok(Outgoing { method: method.clone(), uri, headers, body, service, region })
    }

    fn signed(&self, outgoing: Outgoing, now_ms: i64) -> Result<Request<Bytes>, Fault> {
        let Outgoing { method, uri, mut headers, body, service, region } = outgoing;
        let signer = Signer {
            access_key: &self.access_key,
            secret_key: &self.secret_key,
            session_token: self.session_token.as_deref(),
            region: &region,
            service: service.signing,
        };
        let unsigned = Unsigned {
            method: method.as_str(),
            host: uri.authority().map_or("", http::uri::Authority::as_str),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &headers,
            body: &body,
        };
        let added = signer.sign(&unsigned, now_ms).map_err(|refusal| {
            Fault::internal(format!("a request could not be signed: {refusal}"))
        })?;
        headers.extend(added);
        headers.append(header::VIA, HeaderValue::from_static(VIA));
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// `path` and `query` at `base`, as they stand: nothing in them becomes another part of the URI.
fn below(base: &Uri, path: &str, query: &str) -> Option<Uri> {
    let path = format!("{}{path}", base.path().trim_end_matches('/'));
    let target = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    let uri = Uri::from_parts(parts).ok()?;
    (uri.path() == path && uri.query().unwrap_or_default() == query).then_some(uri)
}

/// The headers of an answer. A browser that shows it as a page does so apart from this server's
/// own pages: what stands in an object is not said by Craton.
fn passed_back(headers: &HeaderMap) -> HeaderMap {
    let mut headers = end_to_end(headers);
    headers.remove(header::SET_COOKIE);
    headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
}

/// Without what belongs to one connection, and without the caller's own authentication.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    const LEFT_OUT: [HeaderName; 10] = [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::EXPECT,
        header::HOST,
        header::AUTHORIZATION,
        header::COOKIE,
        header::PROXY_AUTHORIZATION,
    ];
    const MORE: [&str; 4] =
        ["keep-alive", "proxy-connection", "x-amz-date", "x-amz-security-token"];
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> =
        named.flat_map(|value| value.split(',')).map(|name| name.trim().to_lowercase()).collect();
    let stays = |name: &HeaderName| {
        !LEFT_OUT.contains(name)
            && !MORE.contains(&name.as_str())
            && !named.iter().any(|other| other == name.as_str())
    };
    let kept = headers.iter().filter(|(name, _)| stays(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The body as it can be signed anew. Chunks that the caller signed are taken out of their frames;
/// chunks that nobody signed stay.
fn payload(headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, Fault> {
    let named = headers.get(CONTENT_SHA256).map(|value| value.as_bytes().to_vec());
    let named = named.unwrap_or_default();
    headers.remove(header::CONTENT_LENGTH);
    if named.starts_with(b"STREAMING-UNSIGNED-") {
        return Ok(body);
    }
    headers.remove(CONTENT_SHA256);
    if !named.starts_with(b"STREAMING-") {
        return Ok(body);
    }
    let plain = chunked::read(&body).ok_or_else(|| {
        Fault::new("IncompleteBody", 400, "the body is not in the chunks that its headers say")
    })?;
    chunked::plain_headers(headers, &plain);
    Ok(plain.body.into())
}
