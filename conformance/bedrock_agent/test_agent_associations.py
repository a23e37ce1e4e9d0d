"""ListAgentKnowledgeBases, ListAgentCollaborators of an agent that has none: the lists say so."""

import pytest

from support.agents import refused

LISTS = [
    ("list_agent_collaborators", "agentCollaboratorSummaries"),
    ("list_agent_knowledge_bases", "agentKnowledgeBaseSummaries"),
]


@pytest.mark.parametrize(("operation", "member"), LISTS)
def test_the_list_of_an_existing_agent_is_empty(cp, agent, operation, member):
    one = agent()
    listed = getattr(cp, operation)(agentId=one.id, agentVersion="DRAFT")
    assert listed[member] == []
    assert "nextToken" not in listed


@pytest.mark.parametrize(("operation", "member"), LISTS)
def test_an_unknown_agent_or_version_is_not_found(cp, agent, operation, member):
    one = agent()
    for identity in ({"agentId": "ABCDEFGHIJ"}, {"agentId": one.id, "agentVersion": "7"}):
        with refused("ResourceNotFoundException"):
            getattr(cp, operation)(**{"agentVersion": "DRAFT", **identity})


@pytest.mark.parametrize(("operation", "member"), LISTS)
def test_a_token_of_no_list_is_refused(cp, agent, operation, member):
    with refused("ValidationException", "nextToken"):
        getattr(cp, operation)(agentId=agent().id, agentVersion="DRAFT", nextToken="made-up")
