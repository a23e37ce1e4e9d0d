//! What `/_craton/v1` answers: views of runs, for the CLI and the console.
//!
//! `front` has checked that the caller may use this door. Paths here are relative to the door.

use wire::fault::Fault;

use crate::cx::Cx;

/// Every path of the door that is answered here, as the OpenAPI document names it.
pub const ROUTES: &[(&str, &str)] = &[("GET", "/runs"), ("GET", "/runs/{id}")];

/// One request to the door. `path` has no prefix (`/runs`), `query` is raw.
pub async fn route(
    _cx: &Cx,
    method: &str,
    path: &str,
    _query: &str,
    _body: &[u8],
) -> Result<serde_json::Value, Fault> {
    match (method, path.strip_prefix("/runs")) {
        ("GET", Some(rest)) if rest.is_empty() || rest.starts_with('/') => {
            Err(Fault::not_implemented("craton", "runs", "the engine's journal is not joined yet"))
        }
        _ => {
            let text = format!("there is no {method} {path} behind this door");
            Err(Fault::new("UnknownOperationException", 404, text))
        }
    }
}
