//! What only a package's own runtime sees: the Runtime API as it is, and the environment.

use std::time::Duration;

use exec::FunctionError;
use serde_json::{Value, json};

use crate::suite::{RUNTIME, bootstrap};
use crate::{Bench, log_of};

async fn answer(event: &str) -> (Option<FunctionError>, Value) {
    let bench = Bench::new(|_| ());
    let files = [("bootstrap", &*bootstrap()), ("runtime.py", RUNTIME)];
    let function = bench.other("provided.al2023", &files, "shop.orders").await;
    let invoked = bench.call(&function, json!({ "do": event })).await.unwrap();
    (invoked.error, serde_json::from_slice(&invoked.payload).unwrap())
}

#[tokio::test]
async fn an_event_comes_with_the_headers_of_the_runtime_api() {
    let (_, mut headers) = answer("headers").await;
    let deadline = headers["lambda-runtime-deadline-ms"].take();
    assert!(deadline.as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000);
    let trace = headers["lambda-runtime-trace-id"].take();
    assert!(trace.as_str().unwrap().starts_with("Root=1-"), "{trace}");
    let id = headers["lambda-runtime-aws-request-id"].take();
    assert!(id.as_str().unwrap().starts_with("00000000-0000-4000-8000-"), "{id}");
    assert_eq!(
        headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:probe"
    );
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["lambda-runtime-client-context"].as_str().unwrap().contains("custom"));
}

#[tokio::test]
async fn a_runtime_of_ones_own_gets_awss_variables_and_no_execution_environment() {
    let (_, environment) = answer("environment").await;
    let of = |name: &str| environment[name].as_str().map(str::to_owned);
    assert_eq!(of("_HANDLER").as_deref(), Some("shop.orders"));
    assert_eq!(of("GREETING").as_deref(), Some("hello"));
    assert_eq!(of("AWS_EXECUTION_ENV"), None);
    assert_eq!(of("CARGO_MANIFEST_DIR"), None, "nothing of the server");
    let root = of("LAMBDA_TASK_ROOT").unwrap();
    assert_eq!(of("LD_LIBRARY_PATH"), Some(format!("{root}:{root}/lib")));
}

#[tokio::test]
async fn an_error_may_be_nothing_but_its_type() {
    let (error, told) = answer("type only").await;
    assert_eq!(error, Some(FunctionError::Unhandled));
    assert_eq!(told, json!({ "errorType": "Shop.Closed", "errorMessage": "" }));
}

#[tokio::test]
async fn a_streamed_response_is_read_whole() {
    assert_eq!(answer("stream").await, (None, json!({ "a": 1 })));
    let broken = json!({ "errorType": "Shop.BrokeOff" });
    assert_eq!(answer("broken stream").await, (Some(FunctionError::Unhandled), broken));
}

#[tokio::test]
async fn a_bootstrap_that_cannot_be_executed_is_the_functions_error() {
    let bench = Bench::new(|_| ());
    let function = bench.other("provided.al2", &[("main", "")], "x").await;
    let invoked = bench.call(&function, json!({})).await.unwrap();
    let told: Value = serde_json::from_slice(&invoked.payload).unwrap();
    let message = told["errorMessage"].as_str().unwrap();
    assert!(message.contains(" Error: Couldn't find valid bootstrap(s): ["), "{message}");
    assert_eq!(told["errorType"], "Runtime.InvalidEntrypoint");
    assert!(invoked.outcome_known && log_of(&invoked).contains("REPORT RequestId"));
}

#[tokio::test]
async fn an_error_at_the_start_is_answered_and_told_apart_from_an_early_end() {
    let report = "#!/bin/sh\nset -eu\necho starting\n";
    let bench = Bench::new(|_| ());
    let early = bench.other("provided", &[("bootstrap", &*format!("{report}exit 7"))], "x").await;
    let invoked = bench.call(&early, json!({})).await.unwrap();
    assert!(String::from_utf8_lossy(&invoked.payload).contains("Runtime.ExitError"));
    assert!(log_of(&invoked).starts_with("starting\n"), "{}", log_of(&invoked));
    let source = "
import http.client, os
connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
connection.request('POST', '/2018-06-01/runtime/init/error',
                   '{\"errorType\": \"Shop.NoTable\", \"errorMessage\": \"set TABLE\"}')
connection.getresponse().read()
";
    let files = [("bootstrap", &*bootstrap()), ("runtime.py", source)];
    let told = bench.other("provided", &files, "x").await;
    let invoked = bench.call(&told, json!({})).await.unwrap();
    let error: Value = serde_json::from_slice(&invoked.payload).unwrap();
    assert_eq!(
        (&error["errorType"], &error["errorMessage"]),
        (&json!("Shop.NoTable"), &json!("set TABLE"))
    );
    assert!(invoked.outcome_known);
}

/// The server of the next test; does nothing when it is run as a test of its own.
#[tokio::test]
async fn server_that_will_be_killed() {
    let Ok(port) = std::env::var("EXEC_TEST_PROVIDED_PORT") else { return };
    let bench = Bench::new(|_| ());
    let source = format!(
        "import socket, time\ns = socket.create_connection(('127.0.0.1', {port}))\n\
         s.sendall(b'!')\nwhile True: pass\n"
    );
    let files = [("bootstrap", &*bootstrap()), ("runtime.py", &*source)];
    let function = bench.other("provided", &files, "x").await;
    let _ = bench.call(&function, json!({})).await;
}

#[tokio::test]
async fn a_bootstrap_that_never_looks_ends_with_a_server_that_was_killed() {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut server = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "provided::server_that_will_be_killed"])
        .env("EXEC_TEST_PROVIDED_PORT", port)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'!');
    server.kill().await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0])).await;
    assert_eq!(closed.expect("the bootstrap still lives").unwrap_or(0), 0);
}
