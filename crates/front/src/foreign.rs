//! Services of AWS's that Craton does not speak: which one a request is for, and a refusal by name in
//! the tongue its client reads.
//!
//! It judges by what stands in the head, in the order of certainty: RPC v2's path, `X-Amz-Target`,
//! a form, then method and path over wire's table. It decodes no body but a form's `Action`.

use std::borrow::Cow;

use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use wire::fault::Fault;
use wire::foreign::{self, Asked, LITERAL, Service, Tongue};

use crate::answer::{self, Place};
use crate::body::Body;
use crate::reading::Reading;
use crate::route::{self, Head};

/// What a refusal suggests.
const ADVICE: &str = "the service is not part of craton; keep it on AWS with the lines of \
                      `craton env`, or name it in [forward] of craton.toml";

#[derive(Clone)]
pub(crate) struct Foreign<'a> {
    /// All that fit equally well (rds, docdb and neptune are one to the wire); none where the table
    /// has no such service.
    services: Vec<&'static Service>,
    /// The credential scope's service, or what else is known.
    signing: &'a str,
    tongue: Tongue,
    operation: Option<String>,
}

impl<'a> Foreign<'a> {
    /// For a request that is signed for `signing`.
    pub(crate) fn signed(signing: &'a str, head: &Head<'_>) -> Self {
        let services: Vec<&'static Service> = foreign::signed_as(signing).collect();
        let mut found = by_name(&services, head, false)
            .or_else(|| form(&services, head).filter(|_| head.path == "/"))
            .or_else(|| rest(&services, head, 0))
            .or_else(|| form(&services, head))
            .unwrap_or_else(|| Foreign {
                tongue: services.first().map_or_else(|| guess(head), |s| s.tongue()),
                services,
                signing,
                operation: None,
            });
        found.signing = signing;
        found
    }

    /// For a request that is signed as for one of our services and is for another of that name;
    /// without a signature, for any other. `None` if nothing says so.
    pub(crate) fn beside(signing: Option<&str>, head: &Head<'_>) -> Option<Self> {
        let others = foreign::services()
            .filter(|service| signing.is_none_or(|signing| service.signing == signing))
            .filter(|service| wire::model::service(service.name).is_none());
        let services: Vec<&'static Service> = others.collect();
        let signed = signing.is_some();
        let by_path = services.iter().copied().filter(|service| signed || service.is_open());
        let by_path: Vec<&'static Service> = by_path.collect();
        by_name(&services, head, true).or_else(|| rest(&by_path, head, 1))
    }

    /// One of ours, where it is passed on in place of being served.
    pub(crate) fn ours(name: &str) -> Option<Self> {
        let service = foreign::services().find(|service| service.name == name)?;
        let (signing, tongue) = (service.signing, service.tongue());
        Some(Foreign { services: vec![service], signing, tongue, operation: None })
    }

    /// A form that names a version which is not one of our services'.
    pub(crate) fn form(action: &str, version: &str) -> Option<Self> {
        let services = of_version(foreign::services(), version);
        let first = services.first().copied()?;
        let (signing, tongue) = (first.signing, tongue_of_form(first));
        Some(Foreign { services, signing, tongue, operation: Some(action.into()) })
    }

    /// Whether the operation stands in the body.
    pub(crate) fn is_unread_form(&self) -> bool {
        self.operation.is_none() && matches!(self.tongue, Tongue::Query | Tongue::Ec2)
    }

    pub(crate) fn read_form(&mut self, body: &[u8]) {
        self.operation = route::field(body, "Action").or_else(|| self.operation.take());
        let version = route::field(body, "Version").unwrap_or_default();
        let services = of_version(foreign::signed_as(self.signing), &version);
        if !services.is_empty() {
            self.services = services;
        }
    }

    /// The best known name of the service.
    pub(crate) fn name(&self) -> String {
        match &self.services[..] {
            [] => self.signing.to_owned(),
            services => services.iter().map(|s| s.name).collect::<Vec<_>>().join(" or "),
        }
    }

    /// Whether craton.toml means it by `name`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.services.iter().any(|service| is_named(service, name))
    }

    /// All that the signature may be for, whatever else the request says. One of ours was told
    /// from those of the same name by its operation.
    pub(crate) fn candidates(&self) -> Vec<&'static Service> {
        let ours = |service: &&'static Service| wire::model::service(service.name).is_some();
        match self.services.iter().any(ours) {
            true => self.services.clone(),
            false => foreign::signed_as(self.signing).collect(),
        }
    }

    /// Takes over what stands beyond doubt.
    pub(crate) fn settle(&mut self, reading: &Reading) {
        self.services = vec![reading.service];
        self.operation = Some(reading.operations.join("+"));
    }

    pub(crate) fn operation(&self, head: &Head<'_>) -> String {
        self.operation.clone().unwrap_or_else(|| format!("{} {}", head.method, head.path))
    }

    pub(crate) fn unserved(&self, head: &Head<'_>) -> Fault {
        Fault::not_implemented(&self.name(), &self.operation(head), ADVICE)
    }

    /// Codes of refused signatures depend on the protocol; sts stands for those that speak XML.
    pub(crate) fn place(&self) -> Place {
        let xml = matches!(
            self.tongue,
            Tongue::Query | Tongue::Ec2 | Tongue::RestXml | Tongue::RestXmlBare
        );
        Place { service: xml.then(|| wire::model::service("sts")).flatten(), operation: None }
    }

    pub(crate) fn fault(&self, fault: &Fault, request_id: &str) -> Response<Body> {
        answer::log_fault(request_id, fault);
        let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::NOT_IMPLEMENTED);
        let mut response = self.spelled(status, fault, request_id);
        if self.services.iter().any(|service| service.is_query_compatible()) {
            // AWS: services that came from the query protocol say its code and whose fault it is
            // in a header (Smithy, awsQueryCompatible)
            let value = format!("{};{}", fault.code(), whose(status));
            insert(response.headers_mut(), "x-amzn-query-error", &value);
        }
        response
    }

    fn spelled(&self, status: StatusCode, fault: &Fault, id: &str) -> Response<Body> {
        let (code, message) = (fault.code(), fault.message());
        let document = || json!({ "__type": code, "message": message }).to_string();
        let error =
            || format!("<Code>{}</Code><Message>{}</Message>", escaped(code), escaped(message));
        match self.tongue {
            Tongue::Json10 => answer::text(status, "application/x-amz-json-1.0", document()),
            Tongue::Json11 => answer::text(status, "application/x-amz-json-1.1", document()),
            Tongue::Cbor => {
                let body = cbor(&[("__type", code), ("message", message)]);
                let mut response = answer::bytes(status, "application/cbor", body);
                insert(response.headers_mut(), "smithy-protocol", "rpc-v2-cbor");
                response
            }
            Tongue::RestJson => {
                let mut response = answer::json(status, &json!({ "message": message }));
                insert(response.headers_mut(), "x-amzn-errortype", code);
                response
            }
            Tongue::Query | Tongue::RestXml => answer::text(
                status,
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>{}</Type>{}</Error><RequestId>{id}</RequestId>\
                     </ErrorResponse>",
                    whose(status),
                    error()
                ),
            ),
            Tongue::Ec2 => answer::text(
                status,
                "text/xml",
                format!(
                    "<Response><Errors><Error>{}</Error></Errors><RequestID>{id}</RequestID>\
                     </Response>",
                    error()
                ),
            ),
            Tongue::RestXmlBare => {
                let body = format!("<Error>{}<RequestId>{id}</RequestId></Error>", error());
                let mut response = answer::text(status, "application/xml", body);
                insert(response.headers_mut(), "x-amz-request-id", id);
                response
            }
        }
    }
}

/// Whether craton.toml means `service` by `name`. One signing name of ours is that of several
/// services, so there only a service's own name counts.
pub(crate) fn is_named(service: &Service, name: &str) -> bool {
    service.name == name || service.signing == name && wire::model::service(service.name).is_none()
}

/// IAM's name of the permission to have an operation passed on.
// AWS: the prefix of a service's actions is mostly its signing name; these differ (Service
// Authorization Reference)
pub(crate) fn permission(service: &Service, operation: &str) -> Cow<'static, str> {
    if wire::model::service(service.name).is_some() {
        return route::permission(service.name, service.signing, operation);
    }
    let prefix = match service.signing {
        "monitoring" => "cloudwatch",
        "email" => "ses",
        signing => signing,
    };
    format!("{prefix}:{operation}").into()
}

fn whose(status: StatusCode) -> &'static str {
    if status.is_server_error() { "Receiver" } else { "Sender" }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A map of texts.
fn cbor(members: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![0xa0 | members.len() as u8];
    for text in members.iter().flat_map(|(name, value)| [name, value]) {
        out.push(0x7a);
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// RPC v2 has service and operation in the path, AWS-JSON in a header. `strictly`: of a service in
/// the list, and no other.
fn by_name(
    services: &[&'static Service],
    head: &Head<'_>,
    strictly: bool,
) -> Option<Foreign<'static>> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let (target, operation, tongue) = match header("x-amz-target") {
        Some(target) => {
            let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
            (prefix, operation, json_of(header("content-type")))
        }
        None => {
            let (_, named) = head.path.rsplit_once("/service/")?;
            let (target, operation) = named.split_once("/operation/")?;
            let json = header("smithy-protocol") == Some("rpc-v2-json");
            (target, operation, if json { Tongue::Json10 } else { Tongue::Cbor })
        }
    };
    let mut fit: Vec<&'static Service> = services.to_vec();
    fit.retain(|service| service.target == target);
    if fit.is_empty() && !strictly {
        fit.extend(services.first());
    }
    let plain = operation.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !(fit.is_empty() && strictly)).then(|| Foreign {
        signing: fit.first().map_or("", |service| service.signing),
        services: fit,
        tongue,
        operation: Some(operation.to_owned()),
    })
}

fn json_of(content_type: Option<&str>) -> Tongue {
    match content_type.is_some_and(|kind| kind.starts_with("application/x-amz-json-1.0")) {
        true => Tongue::Json10,
        false => Tongue::Json11,
    }
}

/// A form in the body, or an `Action` in the query string. Clients of a service that has left the
/// query protocol (sqs) may be older than that.
fn form(services: &[&'static Service], head: &Head<'_>) -> Option<Foreign<'static>> {
    let first = services.iter().copied().find(|service| service.is_form());
    let first = first.or_else(|| services.first().copied())?;
    let query = head.query.as_bytes();
    let action = route::field(query, "Action");
    let version = route::field(query, "Version").unwrap_or_default();
    let exactly = of_version(services.iter().copied(), &version);
    (action.is_some() || route::is_form(head.headers)).then(|| Foreign {
        services: if exactly.is_empty() { vec![first] } else { exactly },
        signing: first.signing,
        tongue: tongue_of_form(first),
        operation: action,
    })
}

fn of_version(
    services: impl Iterator<Item = &'static Service>,
    version: &str,
) -> Vec<&'static Service> {
    services.filter(|service| service.is_form() && service.version == version).collect()
}

fn tongue_of_form(service: &Service) -> Tongue {
    if service.speaks("ec2") { Tongue::Ec2 } else { Tongue::Query }
}

/// By method and path, with at least `literal` literal segments.
fn rest(
    services: &[&'static Service],
    head: &Head<'_>,
    literal: usize,
) -> Option<Foreign<'static>> {
    let has_header = |name: &str| head.headers.contains_key(name);
    let plain = Asked {
        method: head.method.as_str(),
        path: head.path,
        query: head.query,
        has_header: &has_header,
    };
    let mut found = best(services, &plain);
    if let Some(bucket) = head.bucket {
        let path = format!("/{bucket}{}", head.path);
        let s3: Vec<_> = services.iter().copied().filter(|s| s.name == "s3").collect();
        let inside = best(&s3, &Asked { path: &path, ..plain });
        let is_literal = |(score, ..): &(usize, _, _)| *score >= LITERAL;
        found = found.filter(is_literal).or(inside);
    }
    if found.is_none() && route::is_form(head.headers) {
        // AWS: botocore sends the searches of cloudsearchdomain as forms
        found = best(services, &Asked { method: "", ..plain });
    }
    let (score, services, operation) = found?;
    (score >= LITERAL * literal).then(|| Foreign {
        signing: services[0].signing,
        tongue: services[0].tongue(),
        services,
        operation: Some(named_by_sdk(head).unwrap_or(operation).to_owned()),
    })
}

/// The services whose tables fit best, and the operation there.
fn best(
    services: &[&'static Service],
    asked: &Asked<'_>,
) -> Option<(usize, Vec<&'static Service>, &'static str)> {
    let fits = services.iter().filter_map(|service| Some((*service, service.operation(asked)?)));
    let fits: Vec<_> = fits.collect();
    let (_, (operation, score)) = fits.iter().rev().max_by_key(|(_, (_, score))| *score)?;
    let equal = fits.iter().filter(|(_, fit)| fit == &(*operation, *score));
    Some((*score, equal.map(|(service, _)| *service).collect(), operation))
}

/// Newer SDKs name S3's operation in the query.
// AWS: `x-id` (SDKs for JavaScript, Go and Rust)
fn named_by_sdk<'a>(head: &Head<'a>) -> Option<&'a str> {
    let name = head.query.split('&').find_map(|pair| pair.strip_prefix("x-id="))?;
    Some(name).filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// For a service that the table does not have.
fn guess(head: &Head<'_>) -> Tongue {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    match () {
        () if header("x-amz-target").is_some() => json_of(header("content-type")),
        () if header("smithy-protocol").is_some() => Tongue::Cbor,
        () if route::is_form(head.headers) || head.query.contains("Action=") => Tongue::Query,
        () => Tongue::RestJson,
    }
}
