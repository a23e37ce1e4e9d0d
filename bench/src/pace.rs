//! A model that takes its time: it streams words at a steady pace, each of them the time at which
//! it was sent.
//!
//! Sender and receiver read one clock of the machine, so whoever hears a word knows how old it is.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};

use crate::Error;

/// From the request to the first word.
pub(crate) const FIRST: Duration = Duration::from_millis(200);
/// From the request to the last word.
pub(crate) const WHOLE: Duration = Duration::from_secs(2);

/// Of a word: it needs no space to tell it from the next.
pub(crate) const DIGITS: usize = 16;

/// Microseconds of the machine's monotonic clock, the same in every process.
pub(crate) fn micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1_000_000 + nanos / 1000
}

pub(crate) async fn serve(listen: SocketAddr, words: u32) -> Result<(), Error> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let service = service_fn(move |request| answer(request, words));
        let connection = server::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(socket), service);
        // A client that goes away ends its connection, which is no event here.
        tokio::spawn(async move { drop(connection.await) });
    }
}

type Words = StreamBody<std::pin::Pin<Box<dyn stream::Stream<Item = Piece> + Send>>>;
type Piece = Result<Frame<Bytes>, Infallible>;

async fn answer(request: Request<Incoming>, words: u32) -> Result<Response<Words>, hyper::Error> {
    let begun = Instant::now();
    request.into_body().collect().await?;
    let said = stream::unfold(0, move |step| async move {
        let text = match step {
            0 => event("<answer>", None),
            step if step <= words => {
                sleep_until(begun + due(step, words)).await;
                event(&format!("{:0width$}", micros(), width = DIGITS), None)
            }
            step if step == words + 1 => event("</answer>", Some("stop")) + "data: [DONE]\n\n",
            _ => return None,
        };
        Some((Ok(Frame::data(Bytes::from(text))), step + 1))
    });
    let body: Words = StreamBody::new(Box::pin(said));
    let mut response = Response::new(body);
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    Ok(response)
}

/// When a word (from 1) is said: the first after [`FIRST`], the last after [`WHOLE`].
fn due(word: u32, words: u32) -> Duration {
    FIRST + (WHOLE - FIRST) * (word - 1) / words.saturating_sub(1).max(1)
}

fn event(content: &str, finish: Option<&str>) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "pace",
        "choices": [{ "index": 0, "delta": { "content": content }, "finish_reason": finish }],
    });
    format!("data: {chunk}\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_word_are_said_when_they_should_be() {
        assert_eq!((due(1, 100), due(100, 100)), (FIRST, WHOLE));
        assert_eq!(due(1, 1), FIRST);
    }
}
