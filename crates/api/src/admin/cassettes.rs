//! Runs as files that can be played again, forks of runs, and runs that change nothing.

use engine::cassette::record::RecordError;
use engine::fork::{Changes, ForkError, StepPlace};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use wire::fault::Fault;

use super::query::{Query, wrong};
use super::{invocations, tenant};
use crate::bedrock_agent_runtime::invoke_agent;
use crate::cx::Cx;
use crate::model_fault;

/// A run as a cassette, with what came of playing it at once.
pub(super) async fn record(cx: &Cx, id: &str, query: &str) -> Result<Json, Fault> {
    let query = Query::read(query, &["session"])?;
    let session = match query.text("session") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(wrong("session", other, "true or false")),
    };
    let recorded = cx.engine.record(&tenant(cx), id, session).await.map_err(unrecorded)?;
    let recorded = recorded.ok_or_else(|| Fault::not_found("run, request or session", id))?;
    let text = recorded.cassette.to_text().map_err(|error| unrecorded(error.into()))?;
    Ok(json!({
        "cassette": text,
        "runs": recorded.cassette.runs.len(),
        "masked": recorded.cassette.masked.values().sum::<usize>(),
        "replayed": recorded.replayed,
    }))
}

fn unrecorded(error: RecordError) -> Fault {
    match error {
        RecordError::Cassette(error) => Fault::validation(format!("the cassette: {error}")),
        RecordError::Store(error) => Fault::internal(error),
    }
}

/// Where a run is forked, and what is otherwise from there on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork {
    step: StepPlace,
    #[serde(default)]
    set: Changes,
}

pub(super) async fn fork(cx: &Cx, id: &str, body: &[u8]) -> Result<Json, Fault> {
    let fork: Fork = serde_json::from_slice(body).map_err(|cause| {
        Fault::validation(format!("the body is not {{\"step\": 3, \"set\": {{…}}}}: {cause}"))
    })?;
    let forked = cx.engine.fork(&tenant(cx), id, &fork.step, &fork.set).await;
    let forked = forked.map_err(|error| match error {
        ForkError::NoRun(id) => Fault::not_found("run, request or session", &id),
        ForkError::NoStep { .. }
        | ForkError::NoTool { .. }
        | ForkError::NoChange(_)
        | ForkError::NoPolicy(_)
        | ForkError::Unfit(_) => Fault::validation(error.to_string()),
        ForkError::Open(..) | ForkError::NoConfig(_) => Fault::conflict(error.to_string()),
        ForkError::Busy(_) => Fault::throttling(error.to_string()),
        ForkError::Model(error) => model_fault::of_agent(error),
        ForkError::Store(error) => Fault::internal(error),
        ForkError::Commit(error) => Fault::internal(error),
    })?;
    serde_json::to_value(forked).map_err(Fault::internal)
}

/// What InvokeAgent takes, and what would come of it.
pub(super) async fn dry_run(cx: &Cx, body: &[u8]) -> Result<Json, Fault> {
    let request = invoke_agent::request(cx, invocations::input(cx, body)?).await?;
    let dry = cx.engine.dry_run(request).await.map_err(invoke_agent::dry_fault)?;
    serde_json::to_value(dry).map_err(Fault::internal)
}
