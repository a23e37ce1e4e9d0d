"""ListAgentKnowledgeBases, ListAgentCollaborators of an agent that has none: the lists say so."""

import pytest

from support.agents import refused


@pytest.mark.parametrize(("call", "member"), [
    ("list_agent_knowledge_bases", "agentKnowledgeBaseSummaries"),
    ("list_agent_collaborators", "agentCollaboratorSummaries"),
])
def test_the_list_is_truly_empty(cp, agent, call, member):
    one = agent()
    assert getattr(cp, call)(agentId=one.id, agentVersion="DRAFT")[member] == []
    pages = cp.get_paginator(call).paginate(agentId=one.id, agentVersion="DRAFT")
    assert [page[member] for page in pages] == [[]]
    with refused("ResourceNotFoundException"):
        getattr(cp, call)(agentId="NOSUCHAGNT", agentVersion="DRAFT")
