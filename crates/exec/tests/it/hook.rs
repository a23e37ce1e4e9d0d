//! Tools behind a URL: what they are sent, and which failures are safe to repeat.

use std::time::Duration;

use bytes::Bytes;
use exec::HttpTool;
use expect_test::{Expect, expect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Calls a tool that reads one request and answers with these bytes, then closes.
async fn check(answer: &str, expected: &Expect) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/refund?v=1", listener.local_addr().unwrap());
    let tool = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"order\":1}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut lines = String::from_utf8(request).unwrap();
        lines.make_ascii_lowercase();
        lines
    };
    let client = HttpTool::new(net::Client::new(net::Config::default()));
    let event = Bytes::from_static(b"{\"order\":1}");
    let call = client.invoke(&url, event, &[("idempotency-key", "k-1")], Duration::from_secs(20));
    let (result, request) = tokio::join!(call, tool);
    assert!(request.starts_with("post /refund?v=1 http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nidempotency-key: k-1\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-type: application/json\r\n"), "{request}");
    let outcome = match result {
        Ok(i) => format!(
            "{} {:?} known={}",
            String::from_utf8_lossy(&i.payload),
            i.error,
            i.outcome_known
        ),
        Err(exec::ExecError::Lost(_)) => "lost".to_owned(),
        Err(other) => format!("{other:?}"),
    };
    expected.assert_eq(&outcome);
}

#[tokio::test]
async fn an_answer_of_a_tool_says_whether_it_acted() {
    check("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n[42]", &expect!["[42] None known=true"])
        .await;
    let refusal = "HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}";
    check(refusal, &expect!["{} Some(Handled) known=true"]).await;
    let broken = "HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\n{}";
    check(broken, &expect!["{} Some(Handled) known=false"]).await;
    check("", &expect!["lost"]).await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n[42]", &expect!["lost"]).await;
}

#[tokio::test]
async fn a_tool_that_is_not_there_was_not_sent_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let client = HttpTool::new(net::Client::new(net::Config::default()));
    let result = client.invoke(&url, Bytes::new(), &[], Duration::from_secs(20)).await;
    assert!(matches!(&result, Err(exec::ExecError::NotSent(_))), "{result:?}");
    let result = client.invoke("not a url", Bytes::new(), &[], Duration::from_secs(20)).await;
    assert!(matches!(&result, Err(exec::ExecError::Refused(_))), "{result:?}");
}
