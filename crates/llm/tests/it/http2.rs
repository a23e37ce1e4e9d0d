//! A golden stream over HTTP/2: a client that leaves in the middle stops the provider, and the
//! connection goes on serving others.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use llm::Collect;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wire::converse::Call;

use crate::golden::{models_by, streamed};
use crate::tls::Signed;

/// Answers with the case's stream in two halves, the second only to a client that asks for `whole`;
/// `left` hears of each stream that ended before its second half.
struct Provider {
    halves: [Bytes; 2],
    connections: AtomicUsize,
    left: mpsc::UnboundedSender<()>,
}

impl Provider {
    async fn serve(self: Arc<Self>, signed: &Signed) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = signed.acceptor("h2");
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                self.connections.fetch_add(1, Ordering::SeqCst);
                let (provider, acceptor) = (Arc::clone(&self), acceptor.clone());
                tokio::spawn(async move {
                    let socket = TokioIo::new(acceptor.accept(socket).await.unwrap());
                    let answer = service_fn(move |request| Arc::clone(&provider).answer(request));
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(socket, answer).await);
                });
            }
        });
        address
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible>
    {
        let asked = request.into_body().collect().await.unwrap().to_bytes();
        let asked: Json = serde_json::from_slice(&asked).unwrap();
        let whole = asked.to_string().contains("whole");
        let (said, hears) = mpsc::channel(1);
        tokio::spawn(async move {
            let [first, second] = self.halves.clone();
            said.send(first).await.unwrap();
            if whole {
                said.send(second).await.unwrap();
            } else {
                said.closed().await;
                self.left.send(()).unwrap();
            }
        });
        let frames = futures_util::stream::unfold(hears, |mut hears| async {
            Some((Ok(Frame::data(hears.recv().await?)), hears))
        });
        let response = Response::builder().header("content-type", "text/event-stream");
        Ok(response.body(StreamBody::new(frames)).unwrap())
    }
}

fn call(case: &Json, text: &str) -> Call {
    let mut call = case["call"].clone();
    call["stream"] = json!(true);
    call["system"] = json!([text]);
    serde_json::from_value(call).unwrap()
}

#[tokio::test]
async fn leaving_a_stream_stops_it_at_the_provider_and_leaves_the_connection_to_others() {
    let case: Json = serde_json::from_str(include_str!("golden/anthropic/text.json")).unwrap();
    let (_, events) = streamed(case["events"].as_array().unwrap(), &case["provider"]);
    let events = String::from_utf8(events).unwrap();
    let (first, second) = events.split_at(events.find("event: content_block_stop").unwrap());
    let halves = [first, second].map(|half| Bytes::copy_from_slice(half.as_bytes()));
    let (left, mut hears) = mpsc::unbounded_channel();
    let provider = Arc::new(Provider { halves, connections: AtomicUsize::new(0), left });
    let signed = Signed::for_loopback();
    let address = Arc::clone(&provider).serve(&signed).await;
    let config = net::Config { roots: signed.roots(), ..net::Config::default() };
    let models = models_by(&case, &address, net::Client::new(config));
    let resolved = models.resolve(case["call"]["model"].as_str().unwrap()).unwrap();

    let mut begun = resolved.converse(&mut call(&case, "half")).await.unwrap();
    begun.next().await.unwrap().unwrap();
    let mut other = resolved.converse(&mut call(&case, "whole")).await.unwrap();
    drop(begun);
    hears.recv().await.unwrap();
    let mut collect = Collect::default();
    while let Some(delta) = other.next().await {
        collect.absorb(delta.unwrap());
    }
    assert_eq!(json!(collect.finish().unwrap()), case["reply"]);
    assert_eq!(provider.connections.load(Ordering::SeqCst), 1);
}
