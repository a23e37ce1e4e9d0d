//! The words of the sandbox: platform log lines, and the errors it answers for a function.
//!
//! Only text; matched to AWS, because dashboards, alarms and tests read these lines.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::function::Function;
use crate::limits::RESPONSE_BYTES;

/// Why the sandbox answers in the place of the function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    TimedOut(Duration),
    /// `exit status 1`, `signal: killed`; none when it ended by itself with status 0.
    Exited(Option<String>),
    OutOfMemory {
        used_mb: u64,
    },
    TooLarge,
    /// The package's `bootstrap` cannot be executed.
    InvalidEntrypoint(String),
}

/// AWS: error types and messages as the sandbox gives them (aws-lambda-runtime-interface-emulator's
/// responses; `Function.ResponseSizeTooLarge` as quoted in AWS's own test suites and issues).
pub(crate) fn error(verdict: &Verdict, request: &str) -> Bytes {
    let (kind, message) = match verdict {
        Verdict::TimedOut(after) => (
            "Sandbox.Timedout",
            format!("RequestId: {request} Error: Task timed out after {:.2} seconds", secs(*after)),
        ),
        Verdict::Exited(None) => (
            "Runtime.ExitError",
            format!("RequestId: {request} Error: Runtime exited without providing a reason"),
        ),
        Verdict::Exited(Some(how)) => (
            "Runtime.ExitError",
            format!("RequestId: {request} Error: Runtime exited with error: {how}"),
        ),
        Verdict::OutOfMemory { .. } => (
            "Runtime.OutOfMemory",
            format!("RequestId: {request} Error: Runtime exited with error: signal: killed"),
        ),
        Verdict::TooLarge => (
            "Function.ResponseSizeTooLarge",
            format!(
                "Response payload size exceeded maximum allowed payload size \
                 ({RESPONSE_BYTES} bytes)."
            ),
        ),
        Verdict::InvalidEntrypoint(what) => {
            ("Runtime.InvalidEntrypoint", format!("RequestId: {request} Error: {what}"))
        }
    };
    Bytes::from(json!({ "errorType": kind, "errorMessage": message }).to_string())
}

/// The line that the log gets for a verdict.
pub(crate) fn verdict_line(verdict: &Verdict, request: &str, function: &Function) -> String {
    match verdict {
        Verdict::TimedOut(after) => {
            format!("{} {request} Task timed out after {:.2} seconds", timestamp(), secs(*after))
        }
        Verdict::Exited(how) => {
            let how = how.as_deref().unwrap_or("exit status 0");
            format!("RequestId: {request} Error: Runtime exited with error: {how}")
        }
        Verdict::OutOfMemory { used_mb } => format!(
            "RequestId: {request} Error: the process used {used_mb} MB of {} MB: raise the \
             function's memory size",
            function.memory_mb
        ),
        Verdict::TooLarge => format!("RequestId: {request} Error: the response is too large"),
        Verdict::InvalidEntrypoint(what) => {
            format!("RequestId: {request} Error: {what} Runtime.InvalidEntrypoint")
        }
    }
}

pub(crate) fn start(function: &Function, request: &str) -> String {
    format!("START RequestId: {request} Version: {}", function.version)
}

pub(crate) fn end(request: &str) -> String {
    format!("END RequestId: {request}")
}

/// AWS: the REPORT line, its fields separated by tabs (Lambda developer guide, logging).
pub(crate) fn report(
    function: &Function,
    request: &str,
    took: Duration,
    peak_mb: Option<u64>,
    init: Option<Duration>,
) -> String {
    let billed = took.as_micros().div_ceil(1000);
    let mut line = format!(
        "REPORT RequestId: {request}\tDuration: {:.2} ms\tBilled Duration: {billed} ms\t\
         Memory Size: {} MB\t",
        millis(took),
        function.memory_mb
    );
    if let Some(peak) = peak_mb {
        line.push_str(&format!("Max Memory Used: {peak} MB\t"));
    }
    if let Some(init) = init {
        line.push_str(&format!("Init Duration: {:.2} ms\t", millis(init)));
    }
    line
}

/// `2026-01-31T09:05:00.123Z`.
pub(crate) fn timestamp() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn secs(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
