use api::{Handler, Reply};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Notify;
use wire::value::Value;

use super::*;

static ENTERED: Notify = Notify::const_new();
static GO: Notify = Notify::const_new();
static DONE: Notify = Notify::const_new();

/// GetAgent answers when it is let go; GetAgentVersion says when it has finished.
fn operations(_: &str, operation: &str) -> Option<Handler> {
    Some(match operation {
        "GetCallerIdentity" => |_, _| Box::pin(async { Ok(Reply::value(Value::Map([].into()))) }),
        "DeleteAgent" => |_, _| {
            Box::pin(async {
                ENTERED.notify_one();
                GO.notified().await;
                DONE.notify_one();
                Ok(Reply::value(Value::Map([].into())))
            })
        },
        _ => return None,
    })
}

const HELD: &str = "DELETE /agents/ABCDEFGHIJ/";

/// One test, for the operation is held by statics.
#[tokio::test]
async fn an_operation_outlives_its_client_and_a_stopping_server() {
    let server = Server::start(Config::default(), operations).await;
    let mut stream = server.connect().await;
    stream.write_all(request(HELD, &[], "").as_bytes()).await.unwrap();
    ENTERED.notified().await;
    drop(stream);
    GO.notify_one();
    DONE.notified().await;

    let mut stream = server.connect().await;
    stream.write_all(request(HELD, &[], "").as_bytes()).await.unwrap();
    ENTERED.notified().await;
    let idle = server.connect().await;
    let address = server.address;
    server.stop.send(()).unwrap();
    GO.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    server.task.await.unwrap().unwrap();
    drop(idle);
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_request_that_never_arrives_does_not_hold_the_server_up() {
    let config = Config { drain_seconds: 0, ..Config::default() };
    let server = Server::start(config, operations).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n")
        .await
        .unwrap();
    server.stop.send(()).unwrap();
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken_on_the_same_port() {
    let server = Server::start(Config::default(), operations).await;
    let io = TokioIo::new(server.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let mut answers = Vec::new();
    for host in ["localhost", "evil.example"] {
        let request = http::Request::post(format!("http://{host}/"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(bytes::Bytes::from(form)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        answers.push(response.status().as_u16());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!body.is_empty());
    }
    assert_eq!(answers, [200, 403]);
    drop(sender);
    connection.await.unwrap().unwrap();
}
