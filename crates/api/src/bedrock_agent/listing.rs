//! Action groups that an MCP server performs: its tools are listed when the agent is prepared, and
//! pinned with it.
//!
//! What was listed stays with the draft's groups, so that a version that is cut later has the tools
//! that were prepared. Nothing here calls a tool.

use craton_core::agent::config::{Executor, McpListing, Schema};
use craton_core::agent::tool::mcp;

use super::document::{self, ActionGroup};
use crate::cx::Cx;

/// Asks the servers behind enabled groups what they list; says of which group it went wrong.
pub(crate) async fn take(cx: &Cx, groups: &mut [ActionGroup]) -> Result<(), String> {
    for group in groups.iter_mut().filter(|group| group.enabled && group.signature.is_none()) {
        let listed = listed(cx, group).await;
        group.listing = listed.map_err(|why| format!("action group {}: {why}", group.name))?;
    }
    Ok(())
}

async fn listed(cx: &Cx, group: &ActionGroup) -> Result<Option<McpListing>, String> {
    let tools = cx.engine.tools();
    let function = match &group.executor {
        Some(Executor::Lambda(function)) => Some(function.as_str()),
        Some(Executor::ReturnControl) | None => None,
    };
    let server = function.and_then(|function| Some((function, tools.mcp_server(function)?)));
    let (function, server) = match (server, &group.schema) {
        (Some(found), _) => found,
        (None, Some(_)) => return Ok(None),
        (None, None) => return Err(unserved(function)),
    };
    let picks = match &group.schema {
        Some(Schema::Functions(picks)) => Some(picks.as_slice()),
        None => None,
        Some(Schema::OpenApi(_) | Schema::Mcp(_)) => {
            return Err(format!(
                "MCP server {server} says what its tools take; give the group a functionSchema with \
                 the names of those that the agent uses, or no schema for all of them"
            ));
        }
    };
    let listed = tools.listing(&document::tenant(cx), function).await;
    let listed = listed.map_err(|error| error.to_string())?;
    mcp::pin(server, &listed, picks).map(Some)
}

fn unserved(function: Option<&str>) -> String {
    let function = function.unwrap_or("its executor");
    format!("it has no schema, and no MCP server stands behind {function}; give it a schema")
}
