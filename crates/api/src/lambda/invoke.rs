//! Calls of functions, whether they run here or behind a URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::function::{ToolCall, ToolError};
use exec::{ExecError, Invoked};
use wire::fault::Fault;
use wire::lambda::types::{InvocationRequest, InvocationResponse, InvocationType, LogType};
use wire::value::Value;

use super::fault::{invalid, unserved};
use super::limits;
use super::reference::{Reference, tenant};
use crate::cx::Cx;

pub(crate) async fn invoke(cx: &Cx, input: InvocationRequest) -> Result<InvocationResponse, Fault> {
    check_unserved(&input)?;
    let reference = Reference::read(cx, &input.function_name, input.qualifier.as_deref())?;
    // A function that is only mapped to a URL has no document, and may be anybody's.
    let mapped = cx.engine.tools().is_mapped(&input.function_name);
    if !mapped {
        reference.load(cx).await?;
    }
    let call = ToolCall {
        tenant: tenant(cx),
        function: if mapped { input.function_name } else { reference.qualified_arn() },
        payload: payload(input.payload)?,
        request_id: cx.request.id.clone(),
        // The same on every attempt of one call, so that a URL can tell a repeat from a second call.
        key: cx.request.invocation_id.clone(),
        client_context: input.client_context.as_deref().map(client_context).transpose()?,
    };
    if input.invocation_type == Some(InvocationType::DryRun) {
        // AWS: 204 when the caller may and the function is there (Invoke).
        return Ok(InvocationResponse { status_code: Some(204), ..InvocationResponse::default() });
    }
    let outcome = cx.engine.tools().call(call).await;
    answer(&reference, input.log_type == Some(LogType::Tail), outcome)
}

fn check_unserved(input: &InvocationRequest) -> Result<(), Fault> {
    if input.invocation_type == Some(InvocationType::Event) {
        return Err(unserved("InvocationType Event", "asynchronous calls"));
    }
    if input.durable_execution_name.is_some() {
        return Err(unserved("DurableExecutionName", "durable functions"));
    }
    if input.tenant_id.is_some() {
        return Err(unserved("TenantId", "isolation by tenant"));
    }
    Ok(())
}

/// AWS: an event is JSON, and `{}` where the client sends none (Invoke).
fn payload(given: Option<Bytes>) -> Result<Bytes, Fault> {
    let payload = given.filter(|payload| !payload.is_empty());
    let payload = payload.unwrap_or_else(|| Bytes::from_static(b"{}"));
    if payload.len() > limits::REQUEST_BYTES {
        return Err(Fault::new(
            "RequestTooLargeException",
            413,
            format!("payload has {} bytes; {} is the most", payload.len(), limits::REQUEST_BYTES),
        ));
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

fn answer(
    reference: &Reference,
    tail: bool,
    outcome: Result<Invoked, ToolError>,
) -> Result<InvocationResponse, Fault> {
    let answer = InvocationResponse {
        status_code: Some(200),
        executed_version: Some(reference.version().to_owned()),
        ..InvocationResponse::default()
    };
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
        ToolError::Exec(ExecError::Throttled(message)) => {
            let reason = Value::String("ConcurrentInvocationLimitExceeded".to_owned());
            Fault::new("TooManyRequestsException", 429, message).with("Reason", reason)
        }
        ToolError::Exec(ExecError::Refused(message)) => invalid(message),
        // Repeating is safe: nothing was handed over.
        ToolError::Exec(error) => Fault::new("ServiceException", 500, error.to_string()),
        ToolError::Store(error) => Fault::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_payload(given: &str, expected: Result<&str, &str>) {
        let read = payload(Some(Bytes::copy_from_slice(given.as_bytes())));
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
    }

    #[test]
    fn a_client_context_is_base64_of_json() {
        assert_eq!(client_context("eyJhIjoxfQ==").unwrap(), r#"{"a":1}"#);
        for bad in ["{}", "e30", "aGVsbG8="] {
            assert!(client_context(bad).is_err(), "{bad}");
        }
    }
}
