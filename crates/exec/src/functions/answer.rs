//! What a caller is answered: one call of a process told as AWS tells it, and the answers of a
//! process that never came up.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::function::{ExecError, Function, FunctionError, Invocation, Invoked};
use crate::functions::logs::Tail;
use crate::functions::pool::Pool;
use crate::functions::process::{Ended, Process};
use crate::functions::report::{self, Verdict};

/// Calls a process that is ready; nothing when it was gone before it took the event.
pub(crate) async fn call_once(
    pool: &Pool,
    mut process: Process,
    call: &Invocation,
) -> Option<Invoked> {
    let function = &pool.function;
    let mut log = process.output.take();
    log.line(&report::start(function, &call.request_id));
    let began = Instant::now();
    let ended = process.call(function, call).await;
    let took = began.elapsed();
    let peak = process.peak_mb();
    let (payload, error, verdict) = match ended {
        Ended::NotTaken => return None,
        Ended::Answered(body) => (body, None, None),
        Ended::Failed(body) => (body, Some(FunctionError::Unhandled), None),
        Ended::Stopped(verdict) => {
            let body = report::error(&verdict, &call.request_id);
            (body, Some(FunctionError::Unhandled), Some(verdict))
        }
    };
    log.append(&process.output.take());
    if let Some(verdict) = &verdict {
        log.line(&report::verdict_line(verdict, &call.request_id, function));
    }
    let init = process.init.take();
    log.line(&report::end(&call.request_id));
    log.line(&report::report(function, &call.request_id, took, peak, init));
    let outcome_known = matches!(verdict, None | Some(Verdict::TooLarge));
    if outcome_known && process.refresh().await {
        pool.give(process);
    }
    Some(Invoked {
        payload,
        error,
        log_tail: log.finish(),
        duration: took,
        outcome_known,
        retry_after: None,
    })
}

/// The answer when the process did not come up: the handler has not run.
pub(crate) fn answer_for_start(
    function: &Function,
    process: &Process,
    call: &Invocation,
    ended: Ended,
) -> Result<Invoked, ExecError> {
    let stopped = match ended {
        Ended::Failed(body) => Err(with_request(&body, &call.request_id)),
        Ended::Stopped(verdict) => Ok(verdict),
        Ended::Answered(_) | Ended::NotTaken => {
            let name = &function.name;
            return Err(ExecError::NotSent(format!("function {name}: its process did not start")));
        }
    };
    process.kill();
    let start = Started {
        log: process.output.take(),
        took: process.idle_since.elapsed(),
        peak_mb: process.peak_mb(),
    };
    Ok(unstarted(function, call, stopped, start))
}

/// The answer when there is nothing in the package that could be started.
pub(crate) fn answer_for_entrypoint(
    function: &Function,
    call: &Invocation,
    what: String,
) -> Invoked {
    unstarted(function, call, Ok(Verdict::InvalidEntrypoint(what)), Started::default())
}

/// What a start that failed leaves behind.
#[derive(Default)]
struct Started {
    log: Tail,
    took: Duration,
    peak_mb: Option<u64>,
}

/// `stopped` is what the sandbox says, or else what the runtime reported itself.
fn unstarted(
    function: &Function,
    call: &Invocation,
    stopped: Result<Verdict, Bytes>,
    start: Started,
) -> Invoked {
    let Started { mut log, took, peak_mb } = start;
    log.line(&report::start(function, &call.request_id));
    let payload = stopped.map_or_else(
        |reported| reported,
        |verdict| {
            log.line(&report::verdict_line(&verdict, &call.request_id, function));
            report::error(&verdict, &call.request_id)
        },
    );
    log.line(&report::end(&call.request_id));
    log.line(&report::report(function, &call.request_id, took, peak_mb, None));
    let (error, log_tail) = (Some(FunctionError::Unhandled), log.finish());
    Invoked { payload, error, log_tail, duration: took, outcome_known: true, retry_after: None }
}

/// A failed start is reported before there is a request; its answer names the one that waited.
fn with_request(body: &Bytes, request: &str) -> Bytes {
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) {
        Ok(mut error) => {
            error.insert("requestId".to_owned(), request.into());
            Bytes::from(serde_json::Value::Object(error).to_string())
        }
        Err(_) => body.clone(),
    }
}
