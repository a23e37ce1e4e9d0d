//! The client: a closed loop of InvokeAgent calls over keep-alive connections.
//!
//! Each invocation is a session of its own, and carries the id that an AWS SDK sends with each
//! request. Every answer is parsed as an event stream, checksums and all, and has to hold the
//! expected text: a server that answers wrongly fast has no figure.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::http1::{self, Link};
use crate::report::{self, Figures};
use crate::{Error, limits, task};

#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Args {
    /// Where the server listens.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    #[arg(long, default_value = "BENCHAGENT")]
    pub(crate) agent: String,
    #[arg(long, default_value = "TSTALIASID")]
    pub(crate) alias: String,
    #[arg(long, default_value_t = 1)]
    pub(crate) concurrency: usize,
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
}

pub(crate) async fn run(args: &Args) -> Result<(), Error> {
    println!("{}", serde_json::to_string(&drive(args).await?)?);
    Ok(())
}

/// Keeps `concurrency` invocations in flight for as long as the plan says.
pub(crate) async fn drive(args: &Args) -> Result<Figures, Error> {
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(args.seconds);
    let workers: Vec<_> =
        (0..args.concurrency).map(|_| tokio::spawn(work(args.clone(), until))).collect();
    let mut millis = Vec::new();
    for worker in workers {
        millis.extend(worker.await??);
    }
    Ok(report::figures(args.concurrency, millis, began.elapsed()))
}

async fn work(args: Args, until: Instant) -> Result<Vec<f64>, Error> {
    let mut link = Link::open(args.address).await?;
    let mut millis = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let answered = tokio::time::timeout(limits::INVOCATION, invoke(&mut link, &args)).await;
        answered.map_err(|_| format!("no answer after {:?}", limits::INVOCATION))??;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(millis)
}

async fn invoke(link: &mut Link, args: &Args) -> Result<(), Error> {
    let request = invocation(&args.agent, &args.alias, &json!({ "inputText": task::INPUT }))?;
    let (status, body) = link.send(request).await?;
    if status != StatusCode::OK {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
    }
    let text = answer(body)?;
    if !text.contains(task::EXPECTED) {
        return Err(format!("a wrong answer: {text:?}").into());
    }
    Ok(())
}

/// An InvokeAgent request, in a session of its own.
pub(crate) fn invocation(
    agent: &str,
    alias: &str,
    body: &serde_json::Value,
) -> Result<Request<Full<Bytes>>, Error> {
    let id = fresh();
    let path = format!("/agents/{agent}/agentAliases/{alias}/sessions/{id}/text");
    let mut request = http1::json("POST", &path, Bytes::from(body.to_string()))?;
    request.headers_mut().insert("amz-sdk-invocation-id", id.parse()?);
    Ok(request)
}

/// The text of all chunks of an event stream; an exception in it is an error.
pub(crate) fn answer(mut body: Bytes) -> Result<String, Error> {
    let mut text = String::new();
    while !body.is_empty() {
        text.push_str(&chunk_text(&read_message_from(&mut body)?)?);
    }
    Ok(text)
}

/// What a message of the stream adds to the answer's text.
pub(crate) fn chunk_text(message: &Message) -> Result<String, Error> {
    match (header(message, ":message-type"), header(message, ":event-type")) {
        (Some("event"), Some("chunk")) => {
            let chunk: serde_json::Value = serde_json::from_slice(message.payload())?;
            let bytes = chunk["bytes"].as_str().ok_or("a chunk without bytes")?;
            Ok(String::from_utf8(BASE64_STANDARD.decode(bytes)?)?)
        }
        (Some("event"), Some(_)) => Ok(String::new()),
        _ => Err(String::from_utf8_lossy(message.payload()).into()),
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    let found = message.headers().iter().find(|header| header.name().as_str() == name)?;
    Some(found.value().as_string().ok()?.as_str())
}

/// An id that no earlier one equals, of this process or another.
pub(crate) fn fresh() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{nanos:016x}-{:04x}-{count:012x}", std::process::id() & 0xffff)
}
