"""PrepareAgent: POST /agents/{agentId}/ answers 202 PREPARING; then the draft is what runs."""

import pytest

from support.agents import function, refused
from support.model import Say
from support.tools import READ


def test_a_prepared_agent_answers_at_once(cp, agent, model):
    """A2: create, prepare, and the test alias answers."""
    model.turn(Say("Hello!"))
    one = agent()
    answer = cp.prepare_agent(agentId=one.id)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (answer["agentStatus"], answer["agentVersion"]) == ("PREPARING", "DRAFT")
    shown = cp.get_agent(agentId=one.id)["agent"]
    assert shown["agentStatus"] == "PREPARED"
    assert shown["preparedAt"] == answer["preparedAt"]
    assert one.talk("Hi").text == "Hello!"


def test_edits_that_are_not_prepared_are_not_live(agent, model):
    """A3"""
    model.turn(Say("ok"))
    one = agent(instruction="The old instruction, which is long enough to be one.").prepare()
    one.update(instruction="The new instruction, which is long enough to be one.")
    assert one.status() == "NOT_PREPARED"
    one.talk("which?")
    one.prepare().talk("and now?")
    seen = [request["messages"][0]["content"] for request in model.requests]
    assert "The old instruction" in str(seen[0]) and "The new instruction" in str(seen[1])


@pytest.mark.parametrize("change", ["create", "update", "delete"])
def test_a_change_of_an_action_group_asks_for_a_new_prepare(cp, agent, change):
    """A3"""
    one = agent()
    group = one.group(function("look"), executor=READ)
    one.prepare()
    where = {"agentId": one.id, "agentVersion": "DRAFT"}
    if change == "create":
        one.group(function("peek"), executor=READ, name="other")
    elif change == "update":
        cp.update_agent_action_group(
            **where, actionGroupId=group, actionGroupName="renamed",
            actionGroupExecutor={"lambda": READ}, functionSchema={"functions": [function("look")]},
        )
    else:
        cp.delete_agent_action_group(**where, actionGroupId=group, skipResourceInUseCheck=True)
    assert one.status() == "NOT_PREPARED"


def test_an_agent_without_model_cannot_be_prepared(cp, agent):
    made = cp.create_agent(agentName="no-model-yet")["agent"]["agentId"]
    with refused("ValidationException", "foundationModel"):
        cp.prepare_agent(agentId=made)
    cp.delete_agent(agentId=made)


def test_an_unknown_agent_is_not_found(cp):
    with refused("ResourceNotFoundException"):
        cp.prepare_agent(agentId="NOSUCHAGNT")


def test_the_slash_tells_prepare_from_inline_invocation(craton, cp, agent):
    """`POST /agents/{id}/` prepares, `POST /agents/{id}` is InvokeInlineAgent."""
    import urllib.error
    import urllib.request

    one = agent()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(
            f"{craton.url}/agents/{one.id}", data=b"{}", method="POST",
            headers={"content-type": "application/json"}))
    assert caught.value.code == 400 and "foundationModel" in caught.value.read().decode()
    assert one.status() == "NOT_PREPARED"
