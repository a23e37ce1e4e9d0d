//! The ledger: what became of calls that may change something, and an operator's word on them.

use engine::ledger::{
    LedgerRow, Resolution, ResolveError, State, UndoError, UndoState, WantedEffects,
};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use wire::fault::Fault;

use super::query::{Query, wrong};
use super::{Asked, found, internal, tenant};
use crate::cx::Cx;

/// Rows of one page, unless fewer are asked for.
const PAGE: usize = 100;
/// Bytes of a result that an operator brings; the same as of a tool's answer.
const RESULT: usize = craton_core::limits::TOOL_ANSWER_BYTES;

/// All of the tenant, the latest first.
pub(super) async fn list(cx: &Cx, query: &str) -> Result<Json, Fault> {
    let query = Query::read(query, &["run", "session", "tool", "state", "last", "after"])?;
    let run = match query.text("run") {
        Some(id) => Some(found(cx, id).await?.run),
        None => None,
    };
    page(cx, &query, run).await
}

/// Those of one run, in the order of its calls.
pub(super) async fn of_run(cx: &Cx, id: &str, query: &str) -> Result<Json, Fault> {
    let query = Query::read(query, &["tool", "state", "last", "after"])?;
    let run = found(cx, id).await?.run;
    page(cx, &query, Some(run)).await
}

async fn page(cx: &Cx, query: &Query, run: Option<String>) -> Result<Json, Fault> {
    let what = format!("a number of 1 to {PAGE}");
    let last: usize = query.value("last", &what)?.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&last) {
        return Err(wrong("last", &last.to_string(), &what));
    }
    let wanted = WantedEffects {
        run,
        session: query.text("session").map(str::to_owned),
        tool: query.text("tool").map(str::to_owned),
        states: query.text("state").map_or(Ok(Vec::new()), states)?,
        after: query.text("after").map(str::to_owned),
        last,
    };
    let page = cx.engine.list_effects(&tenant(cx), &wanted).await.map_err(internal)?;
    serde_json::to_value(page).map_err(Fault::internal)
}

fn states(text: &str) -> Result<Vec<State>, Fault> {
    let state = |word: &str| {
        serde_json::from_value(json!(word)).map_err(|_| {
            let what = format!("one or several of {}", State::WORDS.join(", "));
            wrong("state", word, &what)
        })
    };
    text.split(',').map(state).collect()
}

/// What an operator found out. Nothing said: somebody looked, and the call may be made again.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Word {
    outcome: Option<Outcome>,
    result: Option<Json>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Done,
    NotDone,
}

pub(super) async fn resolve(
    cx: &Cx,
    id: &str,
    key: &str,
    asked: &Asked<'_>,
) -> Result<Json, Fault> {
    let resolution = resolution(cx, asked.body)?;
    let run = found(cx, id).await?.run;
    let row = cx.engine.resolve(&tenant(cx), id, key, &resolution).await;
    let row = row.map_err(|error| match error {
        ResolveError::NoRun(id) => Fault::not_found("run, request or session", &id),
        ResolveError::NoEffect(key) => Fault::not_found("unknown effect", &key),
        ResolveError::OutcomeNeeded(_) => Fault::validation(format!("{error}, by outcome")),
        ResolveError::Known { .. } | ResolveError::Otherwise { .. } => {
            Fault::conflict(error.to_string())
        }
        ResolveError::Busy(_) => Fault::new("ServiceUnavailableException", 503, error.to_string()),
        ResolveError::Store(error) => Fault::internal(error),
    })?;
    let run = row.as_ref().map_or(run, |row| row.run.clone());
    Ok(json!({ "run": run, "key": key, "resolved": true, "effect": row }))
}

fn resolution(cx: &Cx, body: &[u8]) -> Result<Resolution, Fault> {
    let word = match body.trim_ascii() {
        [] => Word::default(),
        body => serde_json::from_slice(body).map_err(|cause| {
            Fault::validation(format!(
                "the body is not {{\"outcome\": \"done\" or \"not_done\", \"result\": …}}: {cause}"
            ))
        })?,
    };
    let result = word.result.filter(|result| !result.is_null()).map(|result| match result {
        Json::String(text) => text,
        other => other.to_string(),
    });
    if result.is_some() && word.outcome != Some(Outcome::Done) {
        return Err(Fault::validation("a result stands beside the outcome done alone".to_owned()));
    }
    if let Some(length) = result.as_ref().map(String::len).filter(|length| *length > RESULT) {
        return Err(Fault::validation(format!("result has {length} bytes of at most {RESULT}")));
    }
    let done = word.outcome.map(|outcome| outcome == Outcome::Done);
    Ok(Resolution { done, result, by: operator(cx) })
}

pub(super) async fn undo(cx: &Cx, id: &str, key: &str) -> Result<Json, Fault> {
    let row = cx.engine.undo(&tenant(cx), id, key, &operator(cx)).await;
    let row = row.map_err(|error| match error {
        UndoError::NoRun(id) => Fault::not_found("run, request or session", &id),
        UndoError::NoEffect(key) => Fault::not_found("effect", &key),
        UndoError::NoUndo { .. } | UndoError::Unfit { .. } => Fault::validation(error.to_string()),
        UndoError::Undone(_)
        | UndoError::UnderWay(_)
        | UndoError::InDoubt { .. }
        | UndoError::NotDone { .. } => Fault::conflict(error.to_string()),
        UndoError::Store(error) => Fault::internal(error),
    })?;
    let undone = row.undo.as_ref().filter(|undo| undo.state == UndoState::Done);
    if undone.is_none() {
        return Err(Fault::new("DependencyFailedException", 424, not_undone(&row)));
    }
    Ok(json!({ "run": row.run, "key": key, "undone": true, "effect": row }))
}

fn not_undone(row: &LedgerRow) -> String {
    let (tool, why) = row
        .undo
        .as_ref()
        .map_or(("", ""), |undo| (undo.tool.as_str(), undo.message.as_deref().unwrap_or_default()));
    format!("the call {} was not taken back; {tool}: {why}", row.key)
}

/// Who acts, as the ledger names them.
fn operator(cx: &Cx) -> String {
    match cx.caller.arn.as_str() {
        "" => "an operator".to_owned(),
        arn => arn.to_owned(),
    }
}
