//! What an agent's memory holds: GetAgentMemory and DeleteAgentMemory.
//!
//! A memory belongs to an alias. A session that is over is in it at once: whoever reads it waits for
//! the summaries that are being written.

use engine::memory::{self, Summary};
use wire::bedrock_agent_runtime::types::{
    DeleteAgentMemoryRequest, DeleteAgentMemoryResponse, GetAgentMemoryRequest,
    GetAgentMemoryResponse, Memory, MemorySessionSummary,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use crate::bedrock_agent::document::{self, tenant};
use crate::bedrock_agent::page::Page;
use crate::cx::Cx;

pub(crate) async fn get(
    cx: &Cx,
    input: GetAgentMemoryRequest,
) -> Result<GetAgentMemoryResponse, Fault> {
    document::alias(cx, &input.agent_id, &input.agent_alias_id).await?;
    let memory = memory::prefix(&input.agent_id, &input.agent_alias_id, Some(&input.memory_id));
    let list = format!("memory/{memory}");
    let page = Page::open(list, input.max_items, input.next_token.as_deref())?;
    let (tenant, before) = (tenant(cx), page.after.as_deref());
    cx.engine.settle_memory(&tenant, &memory).await.map_err(Fault::internal)?;
    let rows = cx.engine.store().list_back::<Summary>(&tenant, &memory, before, page.rows()).await;
    let (found, next_token) = page.cut(rows.map_err(Fault::internal)?);
    let now = cx.engine.now();
    let lasting = found.into_iter().map(|found| found.value).filter(|s| s.expires_at > now);
    Ok(GetAgentMemoryResponse { memory_contents: Some(lasting.map(shown).collect()), next_token })
}

fn shown(summary: Summary) -> Memory {
    Memory::SessionSummary(MemorySessionSummary {
        memory_id: Some(summary.memory_id),
        // AWS: "the time when the memory duration for the session is set to end" (API reference).
        session_expiry_time: Some(Timestamp(summary.expires_at)),
        session_id: Some(summary.session_id),
        session_start_time: Some(Timestamp(summary.began_at)),
        summary_text: Some(summary.text),
    })
}

/// One session's, one memory's, or without a memory id those of the alias.
pub(crate) async fn delete(
    cx: &Cx,
    input: DeleteAgentMemoryRequest,
) -> Result<DeleteAgentMemoryResponse, Fault> {
    document::alias(cx, &input.agent_id, &input.agent_alias_id).await?;
    let memory = memory::prefix(&input.agent_id, &input.agent_alias_id, input.memory_id.as_deref());
    let session = input.session_id.as_deref();
    cx.engine.forget(&tenant(cx), &memory, session).await.map_err(Fault::internal)?;
    Ok(DeleteAgentMemoryResponse {})
}
