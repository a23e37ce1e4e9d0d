//! Every way in which a call can go wrong, and the answer that AWS gives for it.

use std::time::Duration;

use exec::{ExecError, FunctionError};
use expect_test::{Expect, expect};
use serde_json::json;

use crate::{Bench, log_of};

/// Runs one file of Python and compares what the caller learns, the request id left out. What a
/// caller learns does not depend on what contains the process.
async fn check(source: &str, expected: Expect) {
    for bench in [Bench::new(|_| ()), Bench::jailed()] {
        check_in(&bench, source, &expected).await;
    }
}

async fn check_in(bench: &Bench, source: &str, expected: &Expect) {
    let mut function = bench.function(source).await;
    function.memory_mb = 64;
    let endless = source.contains("while True");
    function.timeout = Duration::from_millis(if endless { 300 } else { 20_000 });
    let invoked = bench.call(&function, json!({})).await.unwrap();
    assert_eq!(invoked.error, Some(FunctionError::Unhandled), "{invoked:?}");
    let error: serde_json::Value = serde_json::from_slice(&invoked.payload).unwrap();
    let log = log_of(&invoked);
    let (_, id) = log.split_once("END RequestId: ").unwrap();
    let message = error["errorMessage"].as_str().unwrap().replace(&id[..36], "ID");
    let known = if invoked.outcome_known { "known" } else { "unknown" };
    let lines = message.replace(" (", "\n(").replace(" in the", "\nin the");
    expected.assert_eq(&format!(
        "{}, outcome {known}\n{lines}\n",
        error["errorType"].as_str().unwrap()
    ));
}

#[tokio::test]
async fn errors_of_the_handler_have_their_type_and_message() {
    check(
        "def handler(e, c): return {1, 2}",
        expect![[r#"
        Runtime.MarshalError, outcome known
        Unable to marshal response: Object of type set is not JSON serializable
    "#]],
    )
    .await;
    check(
        "def handler(e, c):\n  print('x' * 9000)\n  return 'x' * 7_000_000",
        expect![[r#"
        Function.ResponseSizeTooLarge, outcome known
        Response payload size exceeded maximum allowed payload size
        (6291556 bytes).
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_needs_too_much_memory_to_begin_is_told_so() {
    check(
        "HELD = b'x' * (100 << 20)\ndef handler(e, c): return 1",
        expect![[r#"
        Runtime.OutOfMemory, outcome known
        RequestId: ID Error: Runtime exited with error: signal: killed
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_exception_has_a_stack_trace_of_the_handler_only() {
    let bench = Bench::new(|_| ());
    let function =
        bench.function("def handler(e, c):\n  raise ValueError('no such order')\n").await;
    let invoked = bench.call(&function, json!({})).await.unwrap();
    let error: serde_json::Value = serde_json::from_slice(&invoked.payload).unwrap();
    assert_eq!(error["errorType"], "ValueError");
    assert_eq!(error["errorMessage"], "no such order");
    assert!(error["requestId"].as_str().unwrap().starts_with("00000000-"));
    let trace = error["stackTrace"].as_array().unwrap();
    assert_eq!(trace.len(), 1, "{error}");
    assert!(trace[0].as_str().unwrap().contains("main.py\", line 2, in handler"), "{error}");
    assert!(log_of(&invoked).contains("[ERROR] ValueError: no such order\n"));
}

#[tokio::test]
async fn code_that_does_not_load_is_an_error_of_the_runtime() {
    check(
        "import nowhere\n",
        expect![[r#"
        Runtime.ImportModuleError, outcome known
        Unable to import module 'main': No module named 'nowhere'
        (package it with the function: pip install -t . nowhere
        in the directory that is zipped, then update the function's code)
    "#]],
    )
    .await;
    check(
        "def other(e, c): pass\n",
        expect![[r#"
        Runtime.HandlerNotFound, outcome known
        Handler 'handler' missing on module 'main'
    "#]],
    )
    .await;
    check(
        "import sys\nsys.exit(7)\n",
        expect![[r#"
        Runtime.ExitError, outcome known
        RequestId: ID Error: Runtime exited with error: exit status 7
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_syntax_error_names_the_line() {
    let bench = Bench::new(|_| ());
    let function = bench.function("x = 1\ndef handler(e, c) return 1\n").await;
    let invoked = bench.call(&function, json!({})).await.unwrap();
    let error: serde_json::Value = serde_json::from_slice(&invoked.payload).unwrap();
    assert_eq!(error["errorType"], "Runtime.UserCodeSyntaxError");
    assert!(error["errorMessage"].as_str().unwrap().starts_with("Syntax error in module 'main': "));
    assert!(error["stackTrace"][0].as_str().unwrap().contains("main.py\" Line 2"), "{error}");
    assert!(invoked.outcome_known);
}

#[tokio::test]
async fn a_process_that_dies_with_the_event_leaves_the_outcome_unknown() {
    check(
        "import sys\ndef handler(e, c): sys.exit(3)\n",
        expect![[r#"
        Runtime.ExitError, outcome unknown
        RequestId: ID Error: Runtime exited with error: exit status 3
    "#]],
    )
    .await;
    check(
        "import os\ndef handler(e, c): os.kill(os.getpid(), 11)\n",
        expect![[r#"
        Runtime.ExitError, outcome unknown
        RequestId: ID Error: Runtime exited with error: signal: segmentation fault
    "#]],
    )
    .await;
    check(
        "import os\ndef handler(e, c): os._exit(0)\n",
        expect![[r#"
        Runtime.ExitError, outcome unknown
        RequestId: ID Error: Runtime exited without providing a reason
    "#]],
    )
    .await;
    check(
        "def handler(e, c):\n  while True: pass\n",
        expect![[r#"
        Sandbox.Timedout, outcome unknown
        RequestId: ID Error: Task timed out after 0.30 seconds
    "#]],
    )
    .await;
    let hungry = "import time\ndef handler(e, c):\n  x = b'x' * 99_000_000\n  time.sleep(99)\n";
    check(
        hungry,
        expect![[r#"
        Runtime.OutOfMemory, outcome unknown
        RequestId: ID Error: Runtime exited with error: signal: killed
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_function_that_cannot_run_is_refused_before_it_is_sent() {
    let bench = Bench::new(|config| config.python = Some("/nowhere/python".into()));
    let mut function = bench.function("def handler(e, c): return 1").await;
    let refused = bench.call(&function, json!({})).await.unwrap_err();
    assert!(matches!(&refused, ExecError::Refused(_)));
    let advice = "; install Python 3, or set functions.python in craton.toml (CR0017)";
    assert!(refused.to_string().ends_with(advice), "{refused}");
    function.runtime = "java21".to_owned();
    let refused = bench.call(&function, json!({})).await.unwrap_err();
    assert!(matches!(&refused, ExecError::Refused(_)));
    let told = refused.to_string();
    assert!(
        told.starts_with("function probe: runtime java21 is not served; python3.x, "),
        "{told}"
    );
}
