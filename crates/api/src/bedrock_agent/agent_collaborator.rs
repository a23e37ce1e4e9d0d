//! Collaborators of a supervisor. None can be associated yet, so every list is truly empty; scripts
//! that clean up read it before they delete an agent.

use wire::bedrock_agent::types::{ListAgentCollaboratorsRequest, ListAgentCollaboratorsResponse};
use wire::fault::Fault;

use super::document;
use super::page::Page;
use crate::cx::Cx;

pub(crate) async fn list(
    cx: &Cx,
    input: ListAgentCollaboratorsRequest,
) -> Result<ListAgentCollaboratorsResponse, Fault> {
    let list = format!("collaborators/{}/{}", input.agent_id, input.agent_version);
    Page::open(list, input.max_results, input.next_token.as_deref())?;
    document::expect(cx, &input.agent_id, &input.agent_version).await?;
    let (agent_collaborator_summaries, next_token) = (Vec::new(), None);
    Ok(ListAgentCollaboratorsResponse { agent_collaborator_summaries, next_token })
}
