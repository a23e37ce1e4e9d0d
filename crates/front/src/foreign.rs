//! Services of AWS's that Craton does not speak: refused by name, in the tongue their clients
//! read.

use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use wire::fault::Fault;

use crate::answer;
use crate::body::Body;
use crate::route::{self, Head};

pub(crate) struct Foreign {
    tongue: Tongue,
    service: String,
    operation: String,
}

#[derive(Clone, Copy)]
enum Tongue {
    /// `X-Amz-Target`, error type in the body.
    AwsJson,
    /// Form in, XML out.
    Query,
    /// S3's.
    RestXml,
    RestJson,
}

impl Foreign {
    pub(crate) fn new(service: &str, head: &Head<'_>, body: &[u8]) -> Self {
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let form = route::is_form(head.headers);
        let action = if form { body } else { head.query.as_bytes() };
        let action = route::field(action, "Action");
        let plain = || format!("{} {}", head.method, head.path);
        let (tongue, operation) = match (target, action) {
            (Some(target), _) => {
                let (_, operation) = target.rsplit_once('.').unwrap_or(("", target));
                (Tongue::AwsJson, operation.to_owned())
            }
            (None, Some(action)) => (Tongue::Query, action),
            // Refused before its body was read.
            (None, None) if form => (Tongue::Query, plain()),
            (None, None) if matches!(service, "s3" | "s3express" | "route53" | "cloudfront") => {
                (Tongue::RestXml, plain())
            }
            (None, None) => (Tongue::RestJson, plain()),
        };
        Foreign { tongue, service: service.to_owned(), operation }
    }

    pub(crate) fn operation(&self) -> &str {
        &self.operation
    }

    pub(crate) fn unserved(&self) -> Fault {
        Fault::not_implemented(&self.service, &self.operation, "the service is not part of it")
    }

    pub(crate) fn fault(
        &self,
        fault: &Fault,
        headers: &HeaderMap,
        request_id: &str,
    ) -> Response<Body> {
        answer::log_fault(request_id, fault);
        let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::NOT_IMPLEMENTED);
        let (code, message) = (fault.code(), fault.message());
        let xml = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        match self.tongue {
            Tongue::AwsJson => {
                let kind = headers.get(http::header::CONTENT_TYPE);
                let newer = kind.is_some_and(|kind| kind.as_bytes().ends_with(b"1.0"));
                let kind =
                    if newer { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
                let body = json!({ "__type": code, "message": message });
                answer::text(status, kind, body.to_string())
            }
            Tongue::RestJson => {
                let mut response = answer::json(status, &json!({ "message": message }));
                if let Ok(code) = code.parse() {
                    response.headers_mut().insert("x-amzn-errortype", code);
                }
                response
            }
            Tongue::Query => answer::text(
                status,
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>{}</Type><Code>{code}</Code><Message>{}\
                     </Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                    if status.is_server_error() { "Receiver" } else { "Sender" },
                    xml(message)
                ),
            ),
            Tongue::RestXml => answer::text(
                status,
                "application/xml",
                format!(
                    "<Error><Code>{code}</Code><Message>{}</Message><RequestId>{request_id}\
                     </RequestId></Error>",
                    xml(message)
                ),
            ),
        }
    }
}
