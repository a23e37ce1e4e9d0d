//! Answers: what wire encoded becomes an HTTP response, and what must not reach the client a log
//! entry.

use api::Reply;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use tokio::sync::watch;
use wire::encode::{self, Encoded};
use wire::fault::Fault;
use wire::model::{Kind, Operation, Protocol, Service, ShapeId};

use crate::body::Body;
use crate::route::Routed;
use crate::stream::EventBody;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Where a fault is answered to decides how it is spelled.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) service: Option<&'static Service>,
    pub(crate) operation: Option<&'static Operation>,
}

impl Place {
    pub(crate) fn protocol(self) -> Protocol {
        self.service.map_or(Protocol::RestJson, |service| service.protocol)
    }

    pub(crate) fn fault(self, fault: &Fault, request_id: &str) -> Response<Body> {
        log_fault(request_id, fault);
        let mut response = whole(encode::fault(self.service, self.operation, fault, request_id));
        if let Some(wait) = fault.retry_after() {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub(crate) fn reply(
    routed: &Routed,
    reply: Reply,
    closing: &watch::Sender<bool>,
    request_id: &str,
) -> Response<Body> {
    let (service, operation) = (routed.service, routed.operation);
    let encoded = encode::response(service, operation, reply.value, request_id);
    let mut response = match (reply.events, stream_of(service, operation)) {
        (Some(events), Some(union)) => {
            let mut head = whole(Encoded { body: Bytes::new(), ..encoded });
            let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
            head.headers_mut().insert(CONTENT_TYPE, kind);
            let body = EventBody::new(events, service, union, request_id.to_owned())
                .until(closing.subscribe());
            head.map(|_| Body::Events(Box::new(body)))
        }
        _ => whole(encoded),
    };
    for (name, value) in reply.headers {
        match HeaderValue::from_str(&value) {
            Ok(value) => drop(response.headers_mut().insert(name, value)),
            Err(_) => {
                tracing::warn!(request_id, header = name, "value is not a header's; left out");
            }
        }
    }
    response
}

/// The union of events that an operation's output streams.
fn stream_of(service: &'static Service, operation: &'static Operation) -> Option<ShapeId> {
    let structure = |id| match &service.shape(id).kind {
        Kind::Structure(structure) => Some(structure),
        _ => None,
    };
    let output = structure(operation.output?)?;
    let member = output.members.iter().map(|member| member.shape);
    member.into_iter().find(|id| structure(*id).is_some_and(|s| s.event_stream))
}

pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    text(status, "application/json", value.to_string())
}

pub(crate) fn text(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    bytes(status, kind, text.into_bytes())
}

pub(crate) fn bytes(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::Whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn whole(encoded: Encoded) -> Response<Body> {
    let mut response = Response::new(Body::Whole(encoded.body));
    *response.status_mut() =
        StatusCode::from_u16(encoded.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in encoded.headers {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Causes go here and nowhere else.
pub(crate) fn log_fault(request_id: &str, fault: &Fault) {
    if fault.status() < 500 || fault.status() == 501 {
        return;
    }
    match fault.cause() {
        Some(cause) => tracing::error!(request_id, %fault, cause = %Chain(cause), "request failed"),
        None => tracing::error!(request_id, %fault, "request failed"),
    }
}

/// An error and everything behind it on one line.
struct Chain<'a>(&'a (dyn std::error::Error + Send + Sync));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}
