//! A run's stream for a client that lost it: the events of InvokeAgent, numbered, as server-sent
//! events.
//!
//! `id` is the position to come back with. Beside InvokeAgent's events there are `reset` (the text
//! since an event is void and comes again), `paused` and `continued`, and as the last one `parked`
//! or `end`.

use engine::live::Out;
use engine::tail::{Heard, TailError, What};
use futures_util::StreamExt as _;
use serde_json::{Value as Json, json};
use store::StoreError;
use wire::bedrock_agent_runtime::types::PayloadPart;
use wire::fault::Fault;
use wire::shape::Shape as _;

use super::query::{Query, wrong};
use super::{Answer, Asked, Event, found, tenant};
use crate::cx::Cx;

const POSITION: &str =
    "the id of an event of this stream, such as 7, 7-1 or 12.340; 0 is the begin";

pub(super) async fn open(cx: &Cx, id: &str, asked: &Asked<'_>) -> Result<Answer, Fault> {
    let query = Query::read(asked.query, &["from", "trace"])?;
    let traces = query.value("trace", "true or false")?;
    // A browser that comes back by itself does so to the address it began with.
    let from = match asked.last_event_id {
        Some(last) => last.parse().map_err(|_| wrong("Last-Event-ID", last, POSITION))?,
        None => query.value("from", POSITION)?.unwrap_or_default(),
    };
    let record = found(cx, id).await?;
    let tail = cx.engine.tail(&tenant(cx), record, from, traces).await.map_err(refused)?;
    Ok(Answer::Events(tail.map(event).boxed()))
}

fn refused(error: TailError) -> Fault {
    match error {
        TailError::Beyond { .. } => Fault::validation(error.to_string()),
        TailError::NoConfig(_) => Fault::conflict(error.to_string()),
        TailError::Store(error) => Fault::internal(error),
    }
}

fn event(heard: Result<Heard, StoreError>) -> Result<Event, Fault> {
    let Heard { position, what } = heard.map_err(Fault::internal)?;
    let (name, data) = match what {
        What::Out(out) => out_event(out),
        What::Reset { event } => named("reset", json!({ "event": event })),
        What::Paused => named("paused", json!({})),
        What::Continued => named("continued", json!({})),
        What::Parked { invocation_id } => {
            named("parked", json!({ "status": "parked", "invocationId": invocation_id }))
        }
        What::Ended(status) => named("end", json!({ "status": status })),
    };
    Ok(Event { id: position.to_string(), name, data })
}

/// The JSON that the frames of InvokeAgent's stream carry.
fn out_event(out: Out) -> (String, Json) {
    match out {
        Out::Chunk(text) => {
            let part = PayloadPart { attribution: None, bytes: Some(text.into()) };
            named("chunk", Json::from(part.into_value()))
        }
        Out::Trace(part) => named("trace", Json::from(*part)),
        Out::ReturnControl(payload) => named("returnControl", Json::from(*payload)),
        Out::Fault { code, message } => (member(&code), json!({ "message": message })),
    }
}

/// An exception's member of the stream's union begins in lower case.
fn member(code: &str) -> String {
    let mut chars = code.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn named(name: &str, data: Json) -> (String, Json) {
    (name.to_owned(), data)
}
