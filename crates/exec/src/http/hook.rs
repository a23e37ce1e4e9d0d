//! A tool behind a URL instead of a process: the Lambda event as a JSON POST, its answer as it is.
//!
//! What a function learns from its runtime travels in headers. One request for one call: it is never repeated here,
//! because only the caller knows whether the tool may see it twice.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};

use crate::function::{ExecError, FunctionError, Invoked};
use crate::limits;

/// Calls tools over HTTP; cheap to clone.
#[derive(Clone)]
pub struct HttpTool(net::Client);

impl HttpTool {
    pub fn new(client: net::Client) -> Self {
        HttpTool(client)
    }

    /// An answer with an error status is the tool's own word: `Handled`, and its outcome is known,
    /// except for 5xx, where the tool may have stopped half-way. A redirect is not followed: it
    /// is an error too, since the tool behind it was not called.
    pub async fn invoke(
        &self,
        url: &str,
        payload: Bytes,
        headers: &[(&'static str, &str)],
        timeout: Duration,
    ) -> Result<Invoked, ExecError> {
        let request = request(url, payload, headers)?;
        let began = Instant::now();
        let response = self.0.send(request, timeout).await.map_err(super::failed)?;
        let (head, body) = Response::into_parts(response);
        let payload = body.bytes(limits::RESPONSE_BYTES).await.map_err(super::failed)?;
        let status = head.status;
        let retry_after = super::retry_after(&head.headers);
        let log = format!("POST {} answered {status}\n", named(url));
        Ok(Invoked {
            payload,
            error: (!status.is_success()).then_some(FunctionError::Handled),
            log_tail: log.into_bytes(),
            duration: began.elapsed(),
            outcome_known: !status.is_server_error(),
            retry_after,
        })
    }
}

/// A URL as callers may read it: its query may hold a key.
fn named(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn request(
    url: &str,
    payload: Bytes,
    headers: &[(&'static str, &str)],
) -> Result<Request<Bytes>, ExecError> {
    let at = named(url);
    let refused = |what: String| ExecError::Refused(format!("tool at {at}: {what}"));
    if payload.len() > limits::REQUEST_BYTES {
        return Err(refused(format!("{} bytes are too large an event", payload.len())));
    }
    let mut request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .body(payload)
        .map_err(|e| refused(e.to_string()))?;
    for (name, value) in headers {
        let value =
            HeaderValue::from_str(value).map_err(|e| refused(format!("{name} {value:?}: {e}")))?;
        request.headers_mut().insert(*name, value);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::{Bytes, request};

    #[test]
    fn what_a_caller_reads_of_a_url_ends_before_its_query() {
        let url = "https://tool.example/hook?key=hunter2";
        let refused = request(url, Bytes::new(), &[("x-craton", "\n")]).unwrap_err().to_string();
        assert!(
            refused.contains("tool.example/hook:") && !refused.contains("hunter2"),
            "{refused}"
        );
    }
}
