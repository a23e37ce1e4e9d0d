"""GetAgent: GET /agents/{agentId}/."""

from support.agents import refused


def test_an_agent_is_shown_as_it_is(cp, agent):
    one = agent()
    shown = cp.get_agent(agentId=one.id)["agent"]
    assert (shown["agentId"], shown["agentName"]) == (one.id, one.name)


def test_an_unknown_agent_is_not_found(cp):
    with refused("ResourceNotFoundException", "NOSUCHAGNT"):
        cp.get_agent(agentId="NOSUCHAGNT")


def test_an_id_of_the_wrong_form_is_refused(raw_cp):
    with refused("ValidationException", "Value 'x' at 'agentId' failed to satisfy constraint"):
        raw_cp.get_agent(agentId="x")


def test_another_region_does_not_see_it(craton, agent):
    """Every key begins with the tenant: account and region."""
    one = agent()
    with refused("ResourceNotFoundException"):
        craton.client("bedrock-agent", region="eu-west-1").get_agent(agentId=one.id)
    with refused("ResourceNotFoundException"):
        craton.client("bedrock-agent", key="111122223333").get_agent(agentId=one.id)
