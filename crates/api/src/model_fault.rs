//! What a model's failure is on the wire, for the two doors that lead to models.
//!
//! INVARIANT: a provider's refusal of Craton's own credentials is never a 401 or 403 here, which a
//! client would take for its own; and nothing that will fail again the same way is a 5xx, which
//! SDKs repeat.

use llm::{ModelError, ModelErrorKind};
use wire::fault::Fault;
use wire::value::Value;

/// For InvokeAgent: the model is something the agent depends on.
pub(crate) fn of_agent(error: ModelError) -> Fault {
    let (code, status) = match error.kind {
        ModelErrorKind::NotMapped => ("ResourceNotFoundException", 404),
        ModelErrorKind::Throttled => ("ThrottlingException", 429),
        ModelErrorKind::TooLong | ModelErrorKind::Unsupported => ("ValidationException", 400),
        ModelErrorKind::OverBudget => ("ServiceQuotaExceededException", 400),
        ModelErrorKind::Refused
        | ModelErrorKind::Unavailable
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed => ("DependencyFailedException", 424),
    };
    fault(code, status, error)
}

/// For Converse and ConverseStream.
pub(crate) fn of_converse(error: ModelError, model_id: &str) -> Fault {
    let resource = Value::String(model_id.to_owned());
    match error.kind {
        ModelErrorKind::NotMapped => fault("ResourceNotFoundException", 404, error),
        ModelErrorKind::Throttled => fault("ThrottlingException", 429, error),
        ModelErrorKind::TimedOut => fault("ModelTimeoutException", 408, error),
        // AWS: `Input is too long for requested model.` is a ValidationException of Converse.
        ModelErrorKind::TooLong | ModelErrorKind::Unsupported => {
            fault("ValidationException", 400, error)
        }
        // AWS: InvokeModel's exception for what must not be tried again as it is (API model).
        ModelErrorKind::OverBudget => fault("ServiceQuotaExceededException", 400, error),
        ModelErrorKind::Unavailable => fault("ServiceUnavailableException", 503, error),
        ModelErrorKind::Refused | ModelErrorKind::Malformed => {
            let status = error.status;
            with_status(fault("ModelErrorException", 424, error), status)
                .with("resourceName", resource)
        }
    }
}

/// For a stream whose head is out already.
pub(crate) fn of_stream(error: ModelError) -> Fault {
    let (original, status) = (error.message.clone(), error.status);
    let fault = match error.kind {
        ModelErrorKind::Throttled => return fault("ThrottlingException", 429, error),
        ModelErrorKind::Unavailable => return fault("ServiceUnavailableException", 503, error),
        ModelErrorKind::TooLong | ModelErrorKind::Unsupported => {
            return fault("ValidationException", 400, error);
        }
        ModelErrorKind::OverBudget => {
            return fault("ServiceQuotaExceededException", 400, error);
        }
        ModelErrorKind::NotMapped
        | ModelErrorKind::Refused
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed => fault("ModelStreamErrorException", 424, error),
    };
    with_status(fault, status).with("originalMessage", Value::String(original))
}

/// What the provider itself answered.
fn with_status(fault: Fault, status: Option<u16>) -> Fault {
    match status {
        Some(status) => fault.with("originalStatusCode", Value::Integer(status.into())),
        None => fault,
    }
}

fn fault(code: &'static str, status: u16, error: ModelError) -> Fault {
    let fault = Fault::new(code, status, error.message).after(error.retry_after);
    match error.cause {
        Some(cause) => fault.because(cause),
        None => fault,
    }
}
