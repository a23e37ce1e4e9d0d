//! Functions of AWS accounts, against peers on the loopback that answer as AWS does, or badly.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use exec::{AwsAccount, AwsCall, AwsConfig, AwsLambda, ExecError, Invoked};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:orders:live";
/// 2026-11-20T10:00:00Z
const NOW: i64 = 1_795_168_800_000;

/// Lambda at an endpoint, with credentials in files as they are mounted.
pub(crate) struct Far {
    lambda: AwsLambda,
    _secrets: tempfile::TempDir,
}

impl Far {
    pub(crate) fn new(endpoint: &str, change: impl FnOnce(&mut AwsAccount)) -> Far {
        let secrets = tempfile::tempdir().unwrap();
        let secret = |name: &str, value: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, value).unwrap();
            format!("file:{}", path.display()).try_into().unwrap()
        };
        let mut account = AwsAccount {
            access_key: secret("access", "AKIDEXAMPLE\n"),
            secret_key: secret("secret", "wJalrXUtnFEMI"),
            session_token: Some(secret("token", "TOKEN==")),
            regions: Vec::new(),
            callers: Vec::new(),
            endpoint: Some(endpoint.to_owned()),
            timeout_seconds: 20,
        };
        change(&mut account);
        let config = AwsConfig { accounts: [("123456789012".to_owned(), account)].into() };
        config.check().unwrap();
        let client = net::Client::new(net::Config::default());
        Far { lambda: AwsLambda::new(client, config, false), _secrets: secrets }
    }

    pub(crate) async fn call(&self, event: &Value) -> Result<Invoked, ExecError> {
        self.invoke(ARN, "123456789012", event).await
    }

    async fn invoke(&self, arn: &str, caller: &str, event: &Value) -> Result<Invoked, ExecError> {
        let payload = Bytes::from(event.to_string());
        let (key, client_context) = (Some("k1"), None);
        let (now_ms, timeout) = (NOW, None);
        let call = AwsCall { arn, caller, payload, key, client_context, now_ms, timeout };
        self.lambda.invoke(&call).await
    }
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// One request, head and body.
pub(crate) async fn request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let (mut got, mut chunk) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request breaks off");
        got.extend_from_slice(&chunk[..read]);
        let Some(end) = got.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&got[..end]).into_owned();
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if got.len() - end - 4 >= length.parse().unwrap() {
            return (head, got[end + 4..].to_vec());
        }
    }
}

/// What becomes of a call that is answered so; `None` hangs up after the request.
async fn heard(answer: Option<&str>) -> (String, Result<Invoked, ExecError>) {
    let (listener, endpoint) = listen().await;
    let far = Far::new(&endpoint, |_| ());
    let peer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, body) = request(&mut stream).await;
        if let Some(answer) = answer {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        format!("{head}\n{}", String::from_utf8(body).unwrap())
    };
    let event = json!({"a": 1});
    let (asked, outcome) = tokio::join!(peer, far.call(&event));
    (asked.replace('\r', "").replace(&endpoint[7..], "HOST"), outcome)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn told(outcome: &Result<Invoked, ExecError>) -> String {
    match outcome {
        Ok(invoked) => {
            let mut line = String::from_utf8_lossy(&invoked.payload).into_owned();
            if let Some(error) = invoked.error {
                write!(line, " {}", error.as_str()).unwrap();
            }
            let log = String::from_utf8_lossy(&invoked.log_tail);
            write!(line, " known={} log={log:?}", invoked.outcome_known).unwrap();
            line
        }
        Err(error) => {
            let kind = format!("{error:?}");
            format!("{} {error}", kind.split('(').next().unwrap())
        }
    }
}

#[tokio::test]
async fn a_call_is_signed_and_says_what_aws_needs() {
    let (asked, _) = heard(Some(&answer("200 OK", "", "{}"))).await;
    expect![[r#"
        POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Aorders%3Alive/invocations HTTP/1.1
        content-type: application/json
        x-amz-invocation-type: RequestResponse
        x-amz-log-type: Tail
        x-amz-client-context: eyJjdXN0b20iOnsiaWRlbXBvdGVuY3lLZXkiOiJrMSJ9fQ==
        x-amz-date: 20261120T100000Z
        x-amz-security-token: TOKEN==
        host: HOST
        content-length: 7
        {"a":1}"#]]
    .assert_eq(&without_signature(&asked));
    let context = STANDARD.decode("eyJjdXN0b20iOnsiaWRlbXBvdGVuY3lLZXkiOiJrMSJ9fQ==").unwrap();
    assert_eq!(context, br#"{"custom":{"idempotencyKey":"k1"}}"#);
    let signed = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/eu-west-1/lambda/aws4_request, \
                  SignedHeaders=content-type;host;x-amz-client-context;x-amz-date;\
                  x-amz-invocation-type;x-amz-log-type;x-amz-security-token, Signature=";
    assert!(asked.contains(signed), "{asked}");
}

/// The signature covers the peer's port, which is another each time.
fn without_signature(asked: &str) -> String {
    let lines = asked.lines().filter(|line| !line.starts_with("authorization:"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn an_answer_says_whether_the_function_had_the_event() {
    let failed = |body: &str| answer("200 OK", "X-Amz-Function-Error: Unhandled\r\n", body);
    let typed = |status: &str, code: &str| {
        let headers = format!("x-amzn-ErrorType: {code}:http://internal.amazon.com/\r\n");
        answer(status, &headers, r#"{"Message": "words of AWS's own"}"#)
    };
    let answers = [
        Some(answer("200 OK", "X-Amz-Log-Result: bG9n\r\n", "\"yes\"")),
        Some(answer("200 OK", "X-Amz-Function-Error: Handled\r\n", r#"{"errorMessage":"no"}"#)),
        Some(failed(r#"{"errorType":"KeyError","errorMessage":"'x'"}"#)),
        Some(failed(r#"{"errorType":"Sandbox.Timedout","errorMessage":"t"}"#)),
        Some(failed(r#"{"errorMessage":"2026 1 Task timed out after 3.00 seconds"}"#)),
        Some(failed(r#"{"errorType":"Runtime.ExitError","errorMessage":"e"}"#)),
        Some(failed("<html>")),
        Some(typed("429 Slow", "TooManyRequestsException")),
        Some(answer("429 Slow", "Retry-After: 7\r\n", "{}")),
        Some(typed("404 Gone", "ResourceNotFoundException")),
        Some(typed("403 No", "AccessDeniedException")),
        Some(typed("409 Busy", "ResourceConflictException")),
        Some(typed("502 Bad", "KMSDisabledException")),
        Some(typed("502 Bad", "")),
        Some(answer("301 Moved", "Location: http://127.0.0.1/\r\n", "")),
        Some(typed("500 Oops", "ServiceException")),
        Some(answer("503 Away", "", "<html>")),
        Some("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned()),
        None,
    ];
    let mut lines = String::new();
    for answer in &answers {
        let (_, outcome) = heard(answer.as_deref()).await;
        let line = told(&outcome).replace(ARN, "ARN");
        let line = line.split("127.0.0.1").next().unwrap().to_owned();
        writeln!(lines, "{line}").unwrap();
    }
    expect![[r#"
        "yes" known=true log="log"
        {"errorMessage":"no"} Handled known=true log=""
        {"errorType":"KeyError","errorMessage":"'x'"} Unhandled known=true log=""
        {"errorType":"Sandbox.Timedout","errorMessage":"t"} Unhandled known=false log=""
        {"errorMessage":"2026 1 Task timed out after 3.00 seconds"} Unhandled known=false log=""
        {"errorType":"Runtime.ExitError","errorMessage":"e"} Unhandled known=false log=""
        <html> Unhandled known=false log=""
        Throttled function ARN: AWS Lambda answered TooManyRequestsException (429 Too Many Requests)
        Throttled function ARN: AWS Lambda answered 429 Too Many Requests
        Refused function ARN: AWS Lambda answered ResourceNotFoundException (404 Not Found)
        Refused function ARN: AWS Lambda answered AccessDeniedException (403 Forbidden)
        NotSent function ARN: AWS Lambda answered ResourceConflictException (409 Conflict)
        NotSent function ARN: AWS Lambda answered KMSDisabledException (502 Bad Gateway)
        Lost function ARN: AWS Lambda answered 502 Bad Gateway
        Refused function ARN: AWS Lambda answered 301 Moved Permanently
        Lost function ARN: AWS Lambda answered ServiceException (500 Internal Server Error)
        Lost function ARN: AWS Lambda answered 503 Service Unavailable
        Lost the connection to http://
        Lost the connection to http://
    "#]]
    .assert_eq(&lines);
}

#[tokio::test]
async fn a_function_that_is_not_there_for_its_caller_is_not_asked_for() {
    let far = Far::new("http://127.0.0.1:9", |account| {
        account.regions = vec!["eu-west-1".to_owned()];
        account.callers = vec!["000000000000".to_owned()];
    });
    let check = async |arn: &str, caller: &str, expected: Expect| {
        let outcome = far.invoke(arn, caller, &json!({})).await;
        expected.assert_eq(&told(&outcome).replace(ARN, "ARN"));
    };
    check(ARN, "000000000000", expect!["NotSent could not reach http://127.0.0.1:9: tcp connect error: Connection refused (os error 111)"]).await;
    check(ARN, "111111111111", expect!["Refused function ARN: account 111111111111 may not call functions of account 123456789012; add it to aws.accounts.123456789012.callers"]).await;
    let elsewhere = ARN.replace("eu-west-1", "us-east-1");
    check(&elsewhere, "123456789012", expect!["Refused function arn:aws:lambda:us-east-1:123456789012:function:orders:live: region us-east-1 is not among aws.accounts.123456789012.regions"]).await;
    let large = json!("x".repeat(7_000_000));
    let outcome = far.invoke(ARN, "123456789012", &large).await;
    expect!["Refused function ARN: 7000002 bytes are too large an event"]
        .assert_eq(&told(&outcome).replace(ARN, "ARN"));
}

#[tokio::test]
async fn only_a_whole_arn_of_a_listed_account_is_meant() {
    let far = Far::new("http://127.0.0.1:9", |_| ());
    for arn in [ARN, "arn:aws-cn:lambda:r:123456789012:function:f"] {
        assert!(far.lambda.has(arn), "{arn}");
    }
    for other in [
        "orders",
        "arn:aws:lambda:eu-west-1:999999999999:function:orders",
        "arn:aws:lambda:eu/../x:123456789012:function:orders",
        "arn:aws:lambda:eu-west-1:123456789012:function:",
        "arn:aws:lambda:eu-west-1:123456789012:function:a/b",
        "arn:aws:lambda:eu-west-1:123456789012:layer:orders",
        "arn:aws:s3:eu-west-1:123456789012:function:orders",
    ] {
        assert!(!far.lambda.has(other), "{other}");
    }
}

#[test]
fn an_account_that_no_call_could_use_is_refused() {
    let check = |id: &str, rest: &str, expected: Expect| {
        let text = format!(
            r#"{{"accounts": {{"{id}": {{"access_key": "env:A", "secret_key": "env:B"{rest}}}}}}}"#
        );
        let config: AwsConfig = serde_json::from_str(&text).unwrap();
        expected.assert_eq(&config.check().unwrap_err());
    };
    check("1234", "", expect!["aws.accounts.1234 is no account: it has twelve digits"]);
    check(
        "123456789012",
        r#", "timeout_seconds": 901"#,
        expect!["aws.accounts.123456789012.timeout_seconds is not 1 to 900"],
    );
    check(
        "123456789012",
        r#", "endpoint": "lambda.internal""#,
        expect!["aws.accounts.123456789012.endpoint is no http or https URL: lambda.internal"],
    );
}

/// One request of one connection, as a function of the suite answers it behind Lambda.
pub(crate) async fn serve(mut stream: TcpStream) {
    let (_, body) = request(&mut stream).await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    let failed = "X-Amz-Function-Error: Unhandled\r\nX-Amz-Log-Result: bG9n\r\n";
    let (headers, body) = match event["do"].as_str().unwrap() {
        "echo" => ("", event["value"].to_string()),
        "fail" => {
            let error = json!({"errorType": "Failed", "errorMessage": event["message"]});
            (failed, error.to_string())
        }
        "large" => ("", json!("x".repeat(7_000_000)).to_string()),
        "hang" => return tokio::time::sleep(Duration::from_secs(60)).await,
        _ => (failed, json!({"errorType": "Runtime.ExitError", "errorMessage": "x"}).to_string()),
    };
    let headers = format!("{headers}Connection: close\r\n");
    // The client may have gone, as it does from a body that is too large.
    let _ = stream.write_all(answer("200 OK", &headers, &body).as_bytes()).await;
}
