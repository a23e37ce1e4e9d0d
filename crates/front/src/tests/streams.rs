use std::future::poll_fn;

use api::{Events, Handler, Reply};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use wire::eventstream::FrameReader;
use wire::fault::Fault;
use wire::model::{Kind, ShapeId};
use wire::value::{Map, Value};

use super::*;
use crate::stream::EventBody;

fn chunk(text: &'static str) -> Value {
    let bytes = Value::Blob(bytes::Bytes::from_static(text.as_bytes()));
    let payload = Value::Map(Map::from([("bytes".to_owned(), bytes)]));
    Value::Map(Map::from([("chunk".to_owned(), payload)]))
}

fn body(events: Events) -> EventBody {
    let service = wire::model::service("bedrock-agent-runtime").unwrap();
    let stream = service.shapes.iter().position(|shape| shape.name == "ResponseStream").unwrap();
    assert!(matches!(&service.shapes[stream].kind, Kind::Structure(s) if s.event_stream));
    EventBody::new(events, service, ShapeId(stream as u16), "request-1".into())
}

/// What each frame is, and after how many seconds it came.
async fn frames(mut body: EventBody) -> Vec<String> {
    let start = tokio::time::Instant::now();
    let mut seen = Vec::new();
    while let Some(bytes) = poll_fn(|cx| body.poll_bytes(cx)).await {
        let mut reader = FrameReader::default();
        reader.push(&bytes);
        let frame = reader.next_frame().unwrap().unwrap();
        let kind = [":event-type", ":exception-type", ":error-code"];
        let kind = kind.iter().find_map(|header| frame.header(header));
        let after = start.elapsed().as_millis() as f64 / 1000.0;
        seen.push(format!("{after:.1}s {}", kind.unwrap_or("?")));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_each_second_and_a_fault_is_the_last_frame() {
    let wait = |ms: u64| tokio::time::sleep(Duration::from_millis(ms));
    let script = stream::iter([(500, "a"), (700, "b"), (2500, "c"), (0, "")]);
    let events = script.then(move |(ms, text)| async move {
        wait(ms).await;
        match text {
            "" => Err(Fault::new("DependencyFailedException", 424, "the model did not answer")),
            text => Ok(chunk(text)),
        }
    });
    let never = stream::once(async { Ok(chunk("after the end")) });
    let seen = frames(body(events.chain(never).boxed())).await;
    expect_test::expect![[r#"
        0.5s chunk
        1.2s chunk
        2.2s craton-keep-alive
        3.2s craton-keep-alive
        3.7s chunk
        3.7s dependencyFailedException"#]]
    .assert_eq(&seen.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_stopping_server_says_so_on_its_streams() {
    let closing = tokio::sync::watch::Sender::new(false);
    let body = body(stream::pending().boxed()).until(closing.subscribe());
    let stop = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        closing.send_replace(true);
    };
    let (seen, ()) = tokio::join!(frames(body), stop);
    expect_test::expect![[r#"
        1.0s craton-keep-alive
        1.5s ServiceUnavailableException"#]]
    .assert_eq(&seen.join("\n"));
}

static GO: Notify = Notify::const_new();

fn operations(_: &str, operation: &str) -> Option<Handler> {
    Some(match operation {
        "InvokeAgent" => |cx, _| {
            Box::pin(async move {
                let head = [("contentType", "text/plain"), ("sessionId", "s1")]
                    .map(|(name, value)| (name.to_owned(), Value::String(value.into())));
                let event = stream::once(async {
                    GO.notified().await;
                    Ok(chunk("hello"))
                });
                let reply = Reply::stream(Value::Map(head.into()), event.boxed());
                Ok(reply.header("x-craton-run-id", cx.request.id.clone()))
            })
        },
        _ => return None,
    })
}

#[tokio::test]
async fn the_head_of_a_stream_goes_out_before_its_first_event() {
    let server = Server::start(Config::default(), operations).await;
    let mut stream = server.connect().await;
    let line = "POST /agents/ABCDEFGHIJ/agentAliases/TSTALIASID/sessions/s1/text";
    stream.write_all(request(line, &[], "{\"inputText\":\"hi\"}").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().replace("\r\n", "\n");
    expect_test::expect![[r#"
        HTTP/1.1 200 OK
        x-amzn-requestid: request-1
        x-amzn-bedrock-agent-content-type: text/plain
        x-amz-bedrock-agent-session-id: s1
        content-type: application/vnd.amazon.eventstream
        x-craton-run-id: request-1
        connection: close
        transfer-encoding: chunked
    "#]]
    .assert_eq(&undated(&head));
    GO.notify_one();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("aGVsbG8="), "base64 of hello");
}
