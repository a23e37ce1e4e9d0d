"""GetAgentVersion, ListAgentVersions, DeleteAgentVersion: numbered versions never change."""

import pytest

from support.agents import function, refused
from support.model import Say
from support.tools import READ


@pytest.fixture
def two(agent, model):
    """An agent with versions 1 and 2, which differ in their instruction."""
    model.turn(Say("ok"))
    one = agent(instruction="Instruction number one, as long as an instruction has to be.")
    one.group(function("look"), executor=READ)
    one.prepare()
    first = one.alias("first")
    one.update(instruction="Instruction number two, as long as an instruction has to be.")
    one.prepare()
    return one, first, one.alias("second")


def test_an_alias_without_routing_cuts_the_next_version(cp, two):
    """A4"""
    one, first, second = two
    routes = [one.show_alias(a)["routingConfiguration"][0]["agentVersion"] for a in (first, second)]
    assert routes == ["1", "2"]
    listed = cp.list_agent_versions(agentId=one.id)["agentVersionSummaries"]
    assert {"DRAFT", "1", "2"} >= {v["agentVersion"] for v in listed} >= {"1", "2"}
    assert all(v["agentName"] == one.name for v in listed)


def test_a_version_keeps_what_it_was_cut_from(cp, two, model):
    """A4: model, instruction and action groups; later edits of the draft never reach it."""
    one, first, second = two
    shown = cp.get_agent_version(agentId=one.id, agentVersion="1")["agentVersion"]
    assert shown["version"] == "1"
    assert shown["instruction"].startswith("Instruction number one")
    assert shown["foundationModel"] == model.id
    groups = cp.list_agent_action_groups(agentId=one.id, agentVersion="1")["actionGroupSummaries"]
    assert [g["actionGroupName"] for g in groups] == ["shop"]
    one.talk("hi", alias=first)
    before = model.requests[-1]["messages"], model.requests[-1]["tools"]
    one.group(function("peek"), executor=READ, name="later")
    one.update(instruction="Instruction number three, as long as an instruction has to be.")
    one.prepare()
    one.talk("hi", alias=first)
    assert (model.requests[-1]["messages"], model.requests[-1]["tools"]) == before


def test_a_version_cannot_be_changed(raw_cp, two):
    """A4: only the draft takes action groups."""
    with refused("ValidationException", "agentVersion"):
        raw_cp.create_agent_action_group(
            agentId=two[0].id, agentVersion="1", actionGroupName="late",
            actionGroupExecutor={"lambda": READ}, functionSchema={"functions": [{"name": "late"}]})


def test_the_list_pages(cp, two):
    pages = cp.get_paginator("list_agent_versions").paginate(
        agentId=two[0].id, PaginationConfig={"PageSize": 1})
    seen = [v["agentVersion"] for page in pages for v in page["agentVersionSummaries"]]
    assert len(seen) == len(set(seen)) and {"1", "2"} <= set(seen)


def test_a_version_that_an_alias_leads_to_is_in_use(cp, two):
    one, first, _ = two
    with refused("ConflictException", first):
        cp.delete_agent_version(agentId=one.id, agentVersion="1")
    cp.delete_agent_alias(agentId=one.id, agentAliasId=first)
    answer = cp.delete_agent_version(agentId=one.id, agentVersion="1")
    assert (answer["agentVersion"], answer["agentStatus"]) == ("1", "DELETING")
    with refused("ResourceNotFoundException"):
        cp.get_agent_version(agentId=one.id, agentVersion="1")


def test_a_deleted_number_is_not_given_again(cp, two):
    """A4"""
    one, _, second = two
    cp.delete_agent_alias(agentId=one.id, agentAliasId=second)
    cp.delete_agent_version(agentId=one.id, agentVersion="2")
    third = one.alias("third")
    assert one.show_alias(third)["routingConfiguration"] == [{"agentVersion": "3"}]


def test_an_unknown_version_is_not_found(cp, two):
    for call in (cp.get_agent_version, cp.delete_agent_version):
        with refused("ResourceNotFoundException"):
            call(agentId=two[0].id, agentVersion="77")
    with refused("ResourceNotFoundException"):
        cp.list_agent_versions(agentId="NOSUCHAGNT")
