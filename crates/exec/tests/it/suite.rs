//! What every executor passes: the same cases over Python, Node, a package's own bootstrap, a URL, AWS
//! and an MCP server.
//!
//! A handler under test does what its event says: `echo` gives `value` back, `fail` reports an error
//! with `message`, `die` ends without an answer, `hang` never answers, `large` answers more than may
//! be. A new executor is one more test at the end of this file.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use exec::{ExecError, Function, HttpTool, Invoked};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Bench, aws_lambda, mcp};

const PATIENT: Duration = Duration::from_secs(20);
/// Longer than any of these takes to start.
const HASTY: Duration = Duration::from_millis(700);

type Outcome = Result<Invoked, ExecError>;

/// The suite. `call` makes one call with a deadline.
async fn passes(call: impl AsyncFn(Value, Duration) -> Outcome) {
    values_come_back_as_they_went(&call).await;
    an_error_is_told_and_its_outcome_known(&call).await;
    for (event, deadline) in [("die", PATIENT), ("hang", HASTY)] {
        let outcome = call(json!({ "do": event }), deadline).await;
        assert!(is_unknown(&outcome), "{event}: {outcome:?}");
        answers(&call, json!("after")).await;
    }
    let large = call(json!({ "do": "large" }), PATIENT).await;
    assert!(large.as_ref().map_or(true, |invoked| invoked.error.is_some()), "{large:?}");
    answers(&call, json!("after")).await;
    let event = json!({ "do": "echo", "value": "x".repeat(7_000_000) });
    let refused = call(event, PATIENT).await;
    assert!(matches!(refused, Err(ExecError::Refused(_))), "too large an event is not sent");
    calls_at_once_get_their_own_answers(&call).await;
}

async fn values_come_back_as_they_went(call: &impl AsyncFn(Value, Duration) -> Outcome) {
    let text = "line\nline\r\n\t\"quoted\" \u{0} \u{1f600} Zoë";
    let values = [
        json!(null),
        json!(0),
        json!(-1.5),
        json!([]),
        json!({ "a": { "b": [true, false, null] } }),
        json!(text),
        json!("y".repeat(1_000_000)),
    ];
    for value in values {
        answers(call, value).await;
    }
}

async fn an_error_is_told_and_its_outcome_known(call: &impl AsyncFn(Value, Duration) -> Outcome) {
    let event = json!({ "do": "fail", "message": "no such order" });
    let invoked = call(event, PATIENT).await.unwrap();
    assert!(invoked.error.is_some() && invoked.outcome_known, "{invoked:?}");
    let told: Value = serde_json::from_slice(&invoked.payload).unwrap();
    assert_eq!(told["errorMessage"], "no such order", "{told}");
    assert!(told["errorType"].is_string(), "{told}");
    assert!(!invoked.log_tail.is_empty() && invoked.log_tail.len() <= exec::limits::LOG_TAIL_BYTES);
    answers(call, json!("after")).await;
}

async fn calls_at_once_get_their_own_answers(call: &impl AsyncFn(Value, Duration) -> Outcome) {
    let ask = async |n: u32| answers(call, json!({ "n": n })).await;
    tokio::join!(ask(1), ask(2), ask(3), ask(4));
}

async fn answers(call: &impl AsyncFn(Value, Duration) -> Outcome, value: Value) {
    let invoked = call(json!({ "do": "echo", "value": value }), PATIENT).await.unwrap();
    let payload: Value = serde_json::from_slice(&invoked.payload).unwrap();
    assert_eq!((invoked.error, payload), (None, value));
    assert!(invoked.outcome_known);
}

/// The event was handed over, and nobody can say what became of it.
fn is_unknown(outcome: &Outcome) -> bool {
    match outcome {
        Ok(invoked) => invoked.error.is_some() && !invoked.outcome_known,
        Err(ExecError::Lost(_) | ExecError::TimedOut(_)) => true,
        Err(ExecError::NotSent(_) | ExecError::Throttled(_) | ExecError::Refused(_)) => false,
    }
}

/// The suite for a function that runs in processes here.
async fn process_passes(bench: &Bench, function: Function) {
    let call = async |event: Value, timeout: Duration| {
        bench.call(&Function { timeout, ..function.clone() }, event).await
    };
    passes(call).await;
}

const PYTHON: &str = "
import os, time
def handler(event, context):
    match event['do']:
        case 'echo': return event['value']
        case 'fail': raise Exception(event['message'])
        case 'die': os._exit(3)
        case 'hang': time.sleep(60)
        case 'large': return 'x' * 7_000_000
";

#[tokio::test]
async fn python_passes() {
    for bench in [Bench::new(|_| ()), Bench::jailed()] {
        let function = bench.function(PYTHON).await;
        process_passes(&bench, function).await;
    }
}

const NODE: &str = "
exports.handler = async (event) => {
  switch (event.do) {
    case 'echo': return event.value;
    case 'fail': throw new Error(event.message);
    case 'die': return process.exit(3);
    case 'hang': return new Promise((done) => setTimeout(done, 60_000));
    case 'large': return 'x'.repeat(7_000_000);
  }
};
";

#[tokio::test]
async fn node_passes() {
    for bench in [Bench::new(|_| ()), Bench::jailed()] {
        let function = bench.other("nodejs20.x", &[("index.js", NODE)], "index.handler").await;
        process_passes(&bench, function).await;
    }
}

/// A runtime of somebody's own, in the form of AWS's tutorial: a shell script that runs a loop.
pub(crate) const RUNTIME: &str = "
import http.client, json, os, time
def ask(method, path, body=None, headers={}):
    connection.request(method, '/2018-06-01/runtime' + path, body, headers)
    answer = connection.getresponse()
    return answer.headers, answer.read()
connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
while True:
    headers, body = ask('GET', '/invocation/next')
    path = '/invocation/' + headers['Lambda-Runtime-Aws-Request-Id']
    event = json.loads(body)
    print('event', event['do'], flush=True)
    match event['do']:
        case 'echo': ask('POST', path + '/response', json.dumps(event['value']))
        case 'fail': ask('POST', path + '/error', json.dumps(
            {'errorMessage': event['message'], 'errorType': 'Failed'}))
        case 'die': os._exit(3)
        case 'hang': time.sleep(60)
        case 'large': ask('POST', path + '/response', json.dumps('x' * 7_000_000))
        case 'headers': ask('POST', path + '/response', json.dumps(
            {name.lower(): headers[name] for name in headers}))
        case 'environment': ask('POST', path + '/response', json.dumps(dict(os.environ)))
        case 'type only': ask('POST', path + '/error', b'',
                              {'Lambda-Runtime-Function-Error-Type': 'Shop.Closed'})
        case 'stream': ask('POST', path + '/response', iter([b'{\"a\"', b':1}']),
                           {'Lambda-Runtime-Function-Response-Mode': 'streaming'})
        case 'broken stream':
            connection.putrequest('POST', '/2018-06-01/runtime' + path + '/response')
            connection.putheader('Lambda-Runtime-Function-Response-Mode', 'streaming')
            connection.putheader('Transfer-Encoding', 'chunked')
            connection.putheader('Trailer', 'Lambda-Runtime-Function-Error-Type')
            connection.endheaders()
            connection.send(b'4\\r\\nhalf\\r\\n0\\r\\n'
                            b'Lambda-Runtime-Function-Error-Type: Shop.BrokeOff\\r\\n'
                            b'Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiAiU2hvcC5Ccm9rZU9mZiJ9'
                            b'\\r\\n\\r\\n')
            connection.getresponse().read()
";

/// `bootstrap` that runs [`RUNTIME`] in the system's Python, which a jail has too, or else in that of
/// the person who runs this.
pub(crate) fn bootstrap() -> String {
    let program = ["/usr/bin/python3", "python3"].into_iter().find(|program| {
        Command::new(program).arg("--version").output().is_ok_and(|told| told.status.success())
    });
    let probe =
        Command::new(program.unwrap()).args(["-c", "import sys; print(sys.executable)"]).output();
    let python = String::from_utf8(probe.unwrap().stdout).unwrap();
    format!("#!/bin/sh\nset -eu\nexec {} \"$LAMBDA_TASK_ROOT/runtime.py\"\n", python.trim())
}

#[tokio::test]
async fn provided_passes() {
    let files = [("bootstrap", &*bootstrap()), ("runtime.py", RUNTIME)];
    for bench in [Bench::new(|_| ()), Bench::jailed()] {
        let function = bench.other("provided.al2023", &files, "not.used").await;
        process_passes(&bench, function).await;
    }
}

#[tokio::test]
async fn a_url_passes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tools", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let tool = HttpTool::new(net::Client::new(net::Config::default()));
    let call = async |event: Value, timeout: Duration| {
        tool.invoke(&url, Bytes::from(event.to_string()), &[], timeout).await
    };
    passes(call).await;
}

#[tokio::test]
async fn aws_passes() {
    let (listener, endpoint) = aws_lambda::listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(aws_lambda::serve(stream));
        }
    });
    // A deadline of AWS's is in whole seconds.
    let call = async |event: Value, timeout: Duration| {
        let seconds = timeout.as_secs().max(1);
        let far = aws_lambda::Far::new(&endpoint, |account| account.timeout_seconds = seconds);
        far.call(&event).await
    };
    passes(call).await;
}

#[tokio::test]
async fn mcp_over_http_passes() {
    let behind = mcp::Behind::http();
    // Its process is behind a proxy, so to say: what dies is the answer.
    mcp_passes(&mcp::over_http(&behind), json!({ "do": "echo", "then": "hang up" })).await;
}

#[tokio::test]
async fn mcp_over_stdio_passes() {
    mcp_passes(&mcp::over_stdio(), json!({ "do": "die" })).await;
}

async fn mcp_passes(config: &Value, death: Value) {
    let patient = mcp::open(config.clone(), PATIENT.as_secs());
    // A deadline of a server is in whole seconds.
    let hasty = mcp::open(config.clone(), 1);
    let call = async |event: Value, timeout: Duration| {
        let event = if event["do"] == "die" { death.clone() } else { event };
        let servers = if timeout == HASTY { &hasty } else { &patient };
        mcp::call(servers, event).await.map(as_function)
    };
    passes(call).await;
}

/// What the suite looks at, where an MCP server says it.
fn as_function(invoked: Invoked) -> Invoked {
    let said: Value = serde_json::from_slice(&invoked.payload).unwrap();
    let payload = match said["isError"] == true {
        true => json!({ "errorType": "isError", "errorMessage": said["content"][0]["text"] }),
        false => said["structuredContent"]["value"].clone(),
    };
    Invoked { payload: payload.to_string().into(), ..invoked }
}

/// One request of one connection.
async fn serve(mut stream: TcpStream) {
    let event = request(&mut stream).await;
    let (status, body) = match event["do"].as_str().unwrap() {
        "echo" => ("200 OK", event["value"].clone()),
        "fail" => {
            ("422 Refused", json!({ "errorType": "Failed", "errorMessage": event["message"] }))
        }
        "large" => ("200 OK", json!("x".repeat(7_000_000))),
        "hang" => return tokio::time::sleep(Duration::from_secs(60)).await,
        _ => return,
    };
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // The client may have gone, as it does from a body that is too large.
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
}

async fn request(stream: &mut TcpStream) -> Value {
    let (mut got, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        got.extend_from_slice(&chunk[..read]);
        let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if got.len() - end - 4 >= length.parse().unwrap() {
            return serde_json::from_slice(&got[end + 4..]).unwrap();
        }
    }
}
