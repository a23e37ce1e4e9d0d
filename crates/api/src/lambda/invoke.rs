//! Calls of functions, whether they run here or behind a URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::event::{Patience, Refused};
use engine::function::qualifier;
use engine::tool::{ToolCall, ToolError};
use exec::{ExecError, Invoked};
use wire::fault::Fault;
use wire::lambda::types::{InvocationRequest, InvocationResponse, InvocationType, LogType};
use wire::value::Value;

use super::fault::{invalid, unserved};
use super::limits;
use super::reference::{LATEST, Reference, tenant};
use crate::cx::Cx;

pub(crate) async fn invoke(cx: &Cx, input: InvocationRequest) -> Result<InvocationResponse, Fault> {
    check_unserved(&input)?;
    let reference = Reference::read(cx, &input.function_name, input.qualifier.as_deref())?;
    // A function that is only mapped to a URL has no document, and may be anybody's.
    let mapped = cx.engine.tools().is_mapped(&input.function_name);
    let version = match mapped {
        true => reference.version().to_owned(),
        false => {
            let record = reference.load(cx).await?.value;
            qualifier(&record.arn).unwrap_or(LATEST).to_owned()
        }
    };
    let kind = input.invocation_type.unwrap_or(InvocationType::RequestResponse);
    let call = ToolCall {
        tenant: tenant(cx),
        function: if mapped { input.function_name } else { reference.qualified_arn() },
        payload: payload(input.payload, kind)?,
        request_id: cx.request.id.clone(),
        // The same on every attempt of one call, so that a URL can tell a repeat from a second call.
        key: cx.request.invocation_id.clone(),
        client_context: input.client_context.as_deref().map(client_context).transpose()?,
        timeout: None,
        asked: None,
    };
    match kind {
        InvocationType::Event => later(cx, call).await,
        // AWS: 204 when the caller may and the function is there (Invoke).
        InvocationType::DryRun => Ok(nothing_but(204)),
        InvocationType::RequestResponse => {
            let outcome = cx.engine.tools().call(call).await;
            let answer = InvocationResponse {
                status_code: Some(200),
                executed_version: Some(version),
                ..InvocationResponse::default()
            };
            answered(&reference, answer, input.log_type == Some(LogType::Tail), outcome)
        }
    }
}

/// AWS: 202 when the event is queued; its answer is nobody's (Invoke).
async fn later(cx: &Cx, call: ToolCall) -> Result<InvocationResponse, Fault> {
    match cx.engine.invoke_later(call, Patience::default()).await {
        Ok(()) => Ok(nothing_but(202)),
        Err(error @ Refused::Full(_)) => Err(throttled(error.to_string())),
        Err(error @ Refused::Stopping) => {
            Err(Fault::new("ServiceException", 500, error.to_string()))
        }
        Err(Refused::Store(error)) => Err(Fault::internal(error)),
    }
}

fn nothing_but(status: i64) -> InvocationResponse {
    InvocationResponse { status_code: Some(status), ..InvocationResponse::default() }
}

fn check_unserved(input: &InvocationRequest) -> Result<(), Fault> {
    if input.durable_execution_name.is_some() {
        return Err(unserved("DurableExecutionName", "durable functions"));
    }
    if input.tenant_id.is_some() {
        return Err(unserved("TenantId", "isolation by tenant"));
    }
    Ok(())
}

/// AWS: an event is JSON, and `{}` where the client sends none (Invoke).
fn payload(given: Option<Bytes>, kind: InvocationType) -> Result<Bytes, Fault> {
    let payload = given.filter(|payload| !payload.is_empty());
    let payload = payload.unwrap_or_else(|| Bytes::from_static(b"{}"));
    let most = match kind {
        InvocationType::Event => limits::EVENT_BYTES,
        InvocationType::RequestResponse | InvocationType::DryRun => limits::REQUEST_BYTES,
    };
    if payload.len() > most {
        // AWS: this wording (Invoke, RequestTooLargeException, as quoted in issues of its SDKs).
        let message = format!(
            "{} byte payload is too large for the {} invocation type (limit {most} bytes)",
            payload.len(),
            kind.as_str()
        );
        return Err(Fault::new("RequestTooLargeException", 413, message));
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        Ok(_) => Ok(payload),
        Err(error) => Err(unreadable(format!("Could not parse request body into json: {error}"))),
    }
}

/// AWS: base64 of JSON, at most 3,583 bytes of it (Invoke, `ClientContext`); its content is
/// checked where it is handed over.
fn client_context(given: &str) -> Result<String, Fault> {
    let bytes = STANDARD.decode(given).ok();
    let context = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let context =
        context.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    context.ok_or_else(|| unreadable("ClientContext is not the base64 of a JSON text"))
}

fn unreadable(message: impl Into<String>) -> Fault {
    Fault::new("InvalidRequestContentException", 400, message)
}

fn answered(
    reference: &Reference,
    answer: InvocationResponse,
    tail: bool,
    outcome: Result<Invoked, ToolError>,
) -> Result<InvocationResponse, Fault> {
    match outcome {
        Ok(invoked) => Ok(InvocationResponse {
            function_error: invoked.error.map(|error| error.as_str().to_owned()),
            log_result: tail.then(|| STANDARD.encode(&invoked.log_tail)),
            payload: Some(invoked.payload),
            ..answer
        }),
        // The event was handed over, so a fault that clients repeat by themselves could act
        // twice. It is told like a sandbox that died.
        Err(ToolError::Exec(error @ (ExecError::Lost(_) | ExecError::TimedOut(_)))) => {
            let payload = serde_json::json!({
                "errorType": "Craton.OutcomeUnknown",
                "errorMessage": format!("the function may have acted: {error}"),
            });
            Ok(InvocationResponse {
                function_error: Some("Unhandled".to_owned()),
                payload: Some(payload.to_string().into()),
                ..answer
            })
        }
        Err(error) => Err(fault(reference, error)),
    }
}

fn fault(reference: &Reference, error: ToolError) -> Fault {
    match error {
        ToolError::NoFunction(_) => reference.missing(),
        ToolError::Exec(ExecError::Throttled(refused)) => throttled(refused.message),
        ToolError::Exec(ExecError::Refused(message)) => invalid(message),
        // Repeating is safe: nothing was handed over.
        ToolError::Exec(error) => Fault::new("ServiceException", 500, error.to_string()),
        ToolError::Store(error) => Fault::internal(error),
        error @ ToolError::TooLate => Fault::internal(error),
    }
}

fn throttled(message: String) -> Fault {
    let reason = Value::String("ConcurrentInvocationLimitExceeded".to_owned());
    Fault::new("TooManyRequestsException", 429, message).with("Reason", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_payload(given: &str, expected: Result<&str, &str>) {
        check_payload_of(InvocationType::RequestResponse, given, expected);
    }

    #[track_caller]
    fn check_payload_of(kind: InvocationType, given: &str, expected: Result<&str, &str>) {
        let read = payload(Some(Bytes::copy_from_slice(given.as_bytes())), kind);
        let read = read.as_ref().map(|b| std::str::from_utf8(b).unwrap()).map_err(Fault::code);
        assert_eq!(read, expected);
    }

    #[test]
    fn an_event_is_json_and_empty_where_none_is_sent() {
        check_payload("", Ok("{}"));
        check_payload("[1]", Ok("[1]"));
        check_payload("{", Err("InvalidRequestContentException"));
        let large = format!("\"{}\"", "x".repeat(limits::REQUEST_BYTES));
        check_payload(&large, Err("RequestTooLargeException"));
        let most = format!("\"{}\"", "x".repeat(limits::EVENT_BYTES - 2));
        check_payload_of(InvocationType::Event, &most, Ok(&most));
        let large = format!("{most} ");
        check_payload_of(InvocationType::Event, &large, Err("RequestTooLargeException"));
    }

    #[test]
    fn a_client_context_is_base64_of_json() {
        assert_eq!(client_context("eyJhIjoxfQ==").unwrap(), r#"{"a":1}"#);
        for bad in ["{}", "e30", "aGVsbG8="] {
            assert!(client_context(bad).is_err(), "{bad}");
        }
    }
}
