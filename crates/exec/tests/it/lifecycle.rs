//! What a handler sees, what stays between calls, and when processes end.

use std::time::{Duration, Instant};

use exec::{ExecError, Invocation, Times};
use expect_test::expect;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Bench, invocation, log_of};

/// Connects back and waits for one byte; `pid` tells processes apart.
const CONNECTS: &str = "
import os, socket
def handler(event, context):
    with socket.create_connection(('127.0.0.1', event['port'])) as s:
        s.sendall(b'!')
        s.recv(1)
    return os.getpid()
";

async fn accept(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'!');
    stream
}

#[tokio::test]
async fn a_handler_gets_the_event_and_the_context_of_aws() {
    let bench = Bench::new(|_| ());
    let source = "
import os
def handler(event, context):
    left = context.get_remaining_time_in_millis()
    return [event, context.function_name, context.function_version, context.invoked_function_arn,
            context.memory_limit_in_mb, context.aws_request_id[:8], context.log_group_name,
            18000 < left <= 20000, context.client_context.custom['who'],
            context.identity.cognito_identity_id, os.getcwd() == os.environ['LAMBDA_TASK_ROOT']]
";
    let function = bench.function(source).await;
    let answer = bench.answer(&function, json!({ "order": "Ä-1" })).await;
    expect![[r#"
        [{"order":"Ä-1"}
        "probe"
        "$LATEST"
        "arn:aws:lambda:us-east-1:000000000000:function:probe"
        "256"
        "00000000"
        "/aws/lambda/probe"
        true
        "Zoë"
        null
        true]"#]]
    .assert_eq(&answer.to_string().replace(',', "\n"));
}

#[tokio::test]
async fn the_environment_holds_nothing_of_the_server() {
    let bench = Bench::new(|_| ());
    let function = bench.function("import os\ndef handler(e, c): return sorted(os.environ)").await;
    let answer = bench.answer(&function, json!({})).await;
    let names = answer.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect::<Vec<_>>();
    expect![[r#"
        AWS_ACCESS_KEY_ID
        AWS_DEFAULT_REGION
        AWS_ENDPOINT_URL
        AWS_EXECUTION_ENV
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE
        AWS_LAMBDA_FUNCTION_NAME
        AWS_LAMBDA_FUNCTION_VERSION
        AWS_LAMBDA_INITIALIZATION_TYPE
        AWS_LAMBDA_LOG_GROUP_NAME
        AWS_LAMBDA_LOG_STREAM_NAME
        AWS_LAMBDA_RUNTIME_API
        AWS_REGION
        AWS_SECRET_ACCESS_KEY
        GREETING
        LAMBDA_RUNTIME_DIR
        LAMBDA_TASK_ROOT
        LANG
        LC_CTYPE
        PATH
        PWD
        TZ
        _HANDLER
        _X_AMZN_TRACE_ID"#]]
    .assert_eq(&names.join("\n"));
}

#[tokio::test]
async fn globals_survive_between_calls_and_a_change_starts_afresh() {
    let bench = Bench::new(|_| ());
    let source = "count = 0\ndef handler(e, c):\n  global count\n  count += 1\n  return count";
    let mut function = bench.function(source).await;
    for expected in [1, 2, 3] {
        assert_eq!(bench.answer(&function, json!({})).await, json!(expected));
    }
    function.env.insert("CHANGED".to_owned(), "yes".to_owned());
    assert_eq!(bench.answer(&function, json!({})).await, json!(1));
    bench.functions.forget(&function.arn).await;
    assert_eq!(bench.answer(&function, json!({})).await, json!(1));
}

#[tokio::test]
async fn the_log_tail_belongs_to_one_call_and_ends_with_its_report() {
    let bench = Bench::new(|_| ());
    let source = "
import logging, sys
print('loading')
def handler(event, context):
    print('order', event)
    print('to stderr', file=sys.stderr)
    logging.getLogger().warning('low stock')
    print('x' * event, end='')
";
    let function = bench.function(source).await;
    let log = log_of(&bench.call(&function, json!(3)).await.unwrap());
    let shapes = log.lines().map(|line| {
        let fields = line.split('\t').map(|f| f.split(':').next().unwrap()).collect::<Vec<_>>();
        if line.starts_with('[') {
            format!("{} … {}", fields[0], fields[3])
        } else {
            fields.join("|")
        }
    });
    expect![[r#"
        loading
        START RequestId
        order 3
        to stderr
        [WARNING] … low stock
        xxx
        END RequestId
        REPORT RequestId|Duration|Billed Duration|Memory Size|Max Memory Used|Init Duration|"#]]
    .assert_eq(&shapes.collect::<Vec<_>>().join("\n"));
    let long = bench.call(&function, json!(9000)).await.unwrap();
    assert_eq!(long.log_tail.len(), exec::limits::LOG_TAIL_BYTES);
    let again = log_of(&bench.call(&function, json!(1)).await.unwrap());
    assert!(again.starts_with("START RequestId: 0000"), "{again}");
    assert!(!again.contains("Init Duration"), "{again}");
}

#[tokio::test]
async fn handlers_live_in_nested_packages() {
    let bench = Bench::new(|_| ());
    let files =
        [("a/b.py", "from . import c\ndef go(e, x): return c.VALUE"), ("a/c.py", "VALUE = 5")];
    for handler in ["a/b.go", "a.b.go"] {
        let function = bench.deploy(&files, handler).await;
        assert_eq!(bench.answer(&function, json!({})).await, json!(5));
    }
}

#[tokio::test]
async fn a_process_serves_one_call_at_a_time_and_the_cap_holds() {
    let bench = Bench::new(|config| config.max_concurrency = 2);
    let function = bench.function(CONNECTS).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = json!({ "port": listener.local_addr().unwrap().port() });
    let calls = async {
        tokio::join!(
            bench.answer(&function, event.clone()),
            bench.answer(&function, event.clone()),
            bench.answer(&function, event.clone())
        )
    };
    let judge = async {
        // Two are inside at once; the third arrives only after one of them left.
        let (mut first, mut second) = (accept(&listener).await, accept(&listener).await);
        first.write_all(b".").await.unwrap();
        let mut third = accept(&listener).await;
        second.write_all(b".").await.unwrap();
        third.write_all(b".").await.unwrap();
    };
    let ((a, b, c), ()) = tokio::join!(calls, judge);
    let mut pids = vec![a.to_string(), b.to_string(), c.to_string()];
    pids.sort();
    pids.dedup();
    assert_eq!(pids.len(), 2);
}

#[tokio::test]
async fn an_idle_process_that_outgrows_its_memory_is_stopped() {
    let bench = Bench::new(|_| ());
    let left_behind = "
import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'!')
s.recv(1)
held = b'x' * (200 << 20)
s.recv(1)
";
    let source = "
import subprocess, sys
def handler(event, context):
    subprocess.Popen([sys.executable, 'left_behind.py', str(event['port'])])
";
    let files = [("main.py", source), ("left_behind.py", left_behind)];
    let mut function = bench.deploy(&files, "main.handler").await;
    function.memory_mb = 128;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = json!({ "port": listener.local_addr().unwrap().port() });
    let (_, mut left_behind) = tokio::join!(bench.answer(&function, event), accept(&listener));
    left_behind.write_all(b".").await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), left_behind.read(&mut [0])).await;
    assert_eq!(ended.expect("it is stopped").unwrap_or(0), 0);
}

#[tokio::test]
async fn a_call_that_waits_too_long_for_a_place_was_not_sent_and_its_time_begins_inside() {
    let bench = Bench::new(|config| config.max_concurrency = 1);
    let function = bench.function(CONNECTS).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = json!({ "port": listener.local_addr().unwrap().port() });
    let short = Duration::from_millis(50);
    let timed = async |times: Times| {
        let call = Invocation { times, ..invocation(&event) };
        bench.functions.invoke(&function, call).await
    };
    let judge = async {
        let mut inside = accept(&listener).await;
        let send_by = Some(Instant::now() + short);
        for times in [
            Times { limit: Some(short), ..Times::default() },
            Times { send_by, ..Times::default() },
        ] {
            let waited = timed(times).await;
            assert!(matches!(waited, Err(ExecError::Throttled(_))), "{waited:?}");
        }
        inside.write_all(b".").await.unwrap();
    };
    tokio::join!(bench.answer(&function, event.clone()), judge);
    let late = Times { send_by: Some(Instant::now() - short), ..Times::default() };
    let late = timed(late).await;
    assert!(matches!(late, Err(ExecError::NotSent(_))), "{late:?}");
    let silent = timed(Times { limit: Some(short), ..Times::default() });
    let (silent, _stream) = tokio::join!(silent, accept(&listener));
    assert!(matches!(silent, Err(ExecError::TimedOut(limit)) if limit == short), "{silent:?}");
}

#[tokio::test]
async fn an_idle_process_that_died_is_replaced() {
    let bench = Bench::new(|_| ());
    let function = bench.function("import os\ndef handler(e, c): return os.getpid()").await;
    let first = bench.answer(&function, json!({})).await;
    let pid = i32::try_from(first.as_i64().unwrap()).unwrap();
    let pid = Pid::from_raw(pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    // Returns when it is dead, and leaves it to its owner to be reaped.
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    assert_ne!(bench.answer(&function, json!({})).await, first);
}

#[tokio::test]
async fn a_process_that_idles_for_too_long_is_stopped() {
    let bench = Bench::new(|config| config.idle_seconds = 1);
    let source = "
import socket
def handler(event, context):
    global kept
    kept = socket.create_connection(('127.0.0.1', event['port']))
    kept.sendall(b'!')
";
    let function = bench.function(source).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = json!({ "port": listener.local_addr().unwrap().port() });
    let (_, mut stream) = tokio::join!(bench.answer(&function, event), accept(&listener));
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_response_that_is_too_large_does_not_cost_the_process() {
    let bench = Bench::new(|_| ());
    let source = "import os\ndef handler(e, c): return 'x' * 7_000_000 if e else os.getpid()";
    let function = bench.function(source).await;
    let before = bench.answer(&function, json!(0)).await;
    assert!(bench.call(&function, json!(1)).await.unwrap().error.is_some());
    assert_eq!(bench.answer(&function, json!(0)).await, before);
}

#[tokio::test]
async fn a_call_that_is_given_up_takes_its_process_and_children_with_it() {
    let bench = Bench::new(|_| ());
    // The child inherits the connection, so it closes only when both are gone.
    let source = "
import os, socket, time
def handler(event, context):
    s = socket.create_connection(('127.0.0.1', event['port']))
    if os.fork() == 0: time.sleep(1000)
    s.sendall(b'!')
    time.sleep(1000)
";
    let function = bench.function(source).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let event = json!({ "port": listener.local_addr().unwrap().port() });
    let mut stream = tokio::select! {
        answer = bench.call(&function, event.clone()) => panic!("{answer:?}"),
        stream = accept(&listener) => stream,
    };
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    let stopping = async {
        let stream = accept(&listener).await;
        bench.functions.shutdown().await;
        stream
    };
    let (lost, mut stream) = tokio::join!(bench.call(&function, event), stopping);
    assert!(matches!(lost, Err(ExecError::Lost(_))), "{lost:?}");
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
}

/// The server of the next test; does nothing when it is run as a test of its own.
#[tokio::test]
async fn server_that_will_be_killed() {
    let Ok(port) = std::env::var("EXEC_TEST_PORT") else { return };
    let bench = Bench::new(|_| ());
    let function = bench.function(CONNECTS).await;
    let port = port.parse::<u16>().unwrap();
    let _ = bench.call(&function, json!({ "port": port })).await;
}

#[tokio::test]
async fn a_handler_ends_with_a_server_that_was_killed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut server = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::server_that_will_be_killed"])
        .env("EXEC_TEST_PORT", listener.local_addr().unwrap().port().to_string())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stream = accept(&listener).await;
    server.kill().await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0])).await;
    assert_eq!(closed.expect("the handler still lives").unwrap_or(0), 0);
}
