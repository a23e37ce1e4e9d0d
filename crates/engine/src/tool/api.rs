//! An agent's call of an operation, performed by the HTTP API that the operation describes.
//!
//! The request is spelled by core, sent by exec, and its answer read by core again, into the form of a
//! function's: what comes after sees no difference between the two.

use craton_core::agent::tool::{self, ApiOperation, HttpReply, Target};
use exec::{Api, ApiCall, ApiReply, ExecError, FunctionError, Invoked};
use serde_json::json;

use super::{Asked, ToolCall, ToolError};

/// `most` is how large an answer may be.
pub(super) async fn call(api: &Api, call: ToolCall, most: usize) -> Result<Invoked, ToolError> {
    // The API knows the operator's credentials, not whose agent it is: an ARN is no permission.
    if account(&call.function).is_some_and(|account| account != call.tenant.account()) {
        return Err(refused(api, &call.function, "it is another account's"));
    }
    let Some(asked) = &call.asked else {
        return Err(refused(api, &call.function, "only agents call it, by its OpenAPI document"));
    };
    let tool = asked.tool();
    let Target::Api(operation) = &tool.target else {
        let what = format!(
            "action group {} has a function schema; give it the API's OpenAPI document",
            tool.group
        );
        return Err(refused(api, &call.function, &what));
    };
    let request = match tool::http_call(operation, &asked.call.input) {
        Ok(request) => request,
        Err(why) => return Ok(unspelled(&why)),
    };
    let timeout = call.timeout.unwrap_or(api.timeout());
    let request = ApiCall {
        method: request.method,
        path_and_query: request.path_and_query,
        headers: request.headers,
        body: request.body.into(),
        server: operation.server.clone(),
        security: operation.security.clone(),
        key: call.key,
        may_repeat: asked.call.effect.may_repeat(),
    };
    let reply = api.call(&request, timeout).await?;
    Ok(read(asked, operation, reply, most))
}

fn read(asked: &Asked, operation: &ApiOperation, reply: ApiReply, most: usize) -> Invoked {
    let ApiReply { status, media, coding, body, cut, retry_after, duration, log } = reply;
    let answer = HttpReply { status, media, coding, body, cut };
    let (payload, error) = match tool::read_http(asked.tool(), operation, &answer, most) {
        Ok(payload) => (payload, None),
        Err(payload) => (payload, Some(FunctionError::Handled)),
    };
    Invoked {
        payload: payload.into(),
        error,
        log_tail: log.into_bytes(),
        duration,
        // A server that failed may have done it before, and one that redirects elsewhere often has:
        // only 307 and 308 say that it has not.
        outcome_known: status < 500 && !(301..=303).contains(&status),
        retry_after,
    }
}

/// Of an ARN; a name has none.
fn account(function: &str) -> Option<&str> {
    function.strip_prefix("arn:")?.split(':').nth(3)
}

fn refused(api: &Api, function: &str, what: &str) -> ToolError {
    let name = api.name();
    ExecError::Refused(format!("function {function} is the HTTP API {name}: {what}")).into()
}

/// Arguments that satisfy their schema and fit into no request: the model may choose others.
fn unspelled(why: &str) -> Invoked {
    let error = json!({"errorType": "invalid_arguments", "errorMessage": format!("{why}; nothing was sent")});
    Invoked {
        payload: error.to_string().into_bytes().into(),
        error: Some(FunctionError::Handled),
        log_tail: Vec::new(),
        duration: std::time::Duration::ZERO,
        outcome_known: true,
        retry_after: None,
    }
}
