"""UpdateAgent: PUT /agents/{agentId}/ answers 202 UPDATING; the draft then waits to be prepared."""

from support.agents import INSTRUCTION, refused
from support.server import ROLE


def test_every_field_changes(cp, agent):
    """A1"""
    one = agent()
    given = {
        "agentName": one.name + "-b", "foundationModel": "amazon.nova-pro-v1:0",
        "instruction": INSTRUCTION + " Speak like a pirate.", "agentResourceRoleArn": ROLE + "-b",
        "description": "changed", "idleSessionTTLInSeconds": 61,
    }
    answer = cp.update_agent(agentId=one.id, **given)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["agent"]["agentStatus"] == "UPDATING"
    shown = cp.get_agent(agentId=one.id)["agent"]
    assert {key: shown[key] for key in given} == given
    assert shown["agentStatus"] == "NOT_PREPARED"


def test_what_is_left_out_is_reset(cp, agent):
    one = agent(description="once there")
    one.update()
    one.fields.pop("description")
    cp.update_agent(agentId=one.id, agentName=one.name, **one.fields)
    assert "description" not in cp.get_agent(agentId=one.id)["agent"]


def test_the_name_of_another_agent_is_refused(cp, agent):
    one, other = agent(), agent()
    with refused("ConflictException", other.name):
        cp.update_agent(agentId=one.id, agentName=other.name, **one.fields)


def test_a_name_given_up_is_free_again(cp, agent):
    one = agent()
    cp.update_agent(agentId=one.id, agentName=one.name + "-new", **one.fields)
    agent(agentName=one.name)


def test_an_unknown_agent_is_not_found(cp, agent):
    with refused("ResourceNotFoundException"):
        cp.update_agent(agentId="NOSUCHAGNT", agentName="nobody", **agent().fields)


def test_required_fields_are_named(raw_cp, agent):
    with refused("ValidationException", "3 validation errors detected"):
        raw_cp.update_agent(agentId=agent().id)
