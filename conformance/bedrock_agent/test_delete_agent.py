"""DeleteAgent: DELETE /agents/{agentId}/ answers 202 DELETING, and refuses an agent in use."""

from support.agents import refused


def test_an_agent_goes_with_all_that_is_its_own(cp, agent):
    one = agent()
    one.group(executor=None, name="asks", functionSchema={"functions": [{"name": "ask"}]})
    answer = cp.delete_agent(agentId=one.id)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (answer["agentId"], answer["agentStatus"]) == (one.id, "DELETING")
    with refused("ResourceNotFoundException"):
        cp.get_agent(agentId=one.id)
    with refused("ResourceNotFoundException"):
        cp.list_agent_action_groups(agentId=one.id, agentVersion="DRAFT")


def test_an_agent_that_an_alias_leads_to_is_in_use(cp, agent, model):
    one = agent().prepare()
    alias = one.alias()
    with refused("ConflictException", alias):
        cp.delete_agent(agentId=one.id)
    cp.delete_agent(agentId=one.id, skipResourceInUseCheck=True)
    with refused("ResourceNotFoundException"):
        cp.get_agent_alias(agentId=one.id, agentAliasId=alias)


def test_its_name_is_free_afterwards(cp, agent):
    one = agent()
    cp.delete_agent(agentId=one.id)
    assert agent(agentName=one.name).id != one.id


def test_an_unknown_agent_is_not_found(cp):
    with refused("ResourceNotFoundException"):
        cp.delete_agent(agentId="NOSUCHAGNT")
