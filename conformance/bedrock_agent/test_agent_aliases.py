"""CreateAgentAlias, GetAgentAlias, ListAgentAliases, UpdateAgentAlias, DeleteAgentAlias."""

import threading
import uuid

import pytest

from support.agents import refused
from support.model import Say
from support.server import ACCOUNT, REGION


@pytest.fixture
def prepared(agent, model):
    """An agent whose model says which instruction it was given."""
    model.turn(lambda request: Say(str(request["messages"][0]["content"]).split(",")[0]))
    return agent(instruction="version one, with words to fill the forty characters up").prepare()


def rewrite(agent, words):
    agent.update(instruction=f"{words}, with words to fill the forty characters up")
    return agent.prepare()


def test_every_field_round_trips(cp, prepared):
    one = prepared
    token = uuid.uuid4().hex + "-a"
    answer = cp.create_agent_alias(
        agentId=one.id, agentAliasName="prod", description="what customers get",
        clientToken=token, tags={"stage": "prod"})
    made = answer["agentAlias"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert made["agentAliasStatus"] == "CREATING"
    shown = one.show_alias(made["agentAliasId"])
    assert shown["agentAliasStatus"] == "PREPARED"
    assert shown["agentAliasName"] == "prod"
    assert shown["description"] == "what customers get"
    assert shown["clientToken"] == token
    assert shown["routingConfiguration"] == [{"agentVersion": "1"}]
    assert shown["aliasInvocationState"] == "ACCEPT_INVOCATIONS"
    arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent-alias/{one.id}/{shown['agentAliasId']}"
    assert shown["agentAliasArn"] == arn
    assert cp.list_tags_for_resource(resourceArn=arn)["tags"] == {"stage": "prod"}
    again = cp.create_agent_alias(
        agentId=one.id, agentAliasName="prod", description="what customers get",
        clientToken=token, tags={"stage": "prod"})
    assert again["agentAlias"]["agentAliasId"] == shown["agentAliasId"]


def test_moving_an_alias_back_is_an_instant_rollback(cp, prepared):
    """A5: N+1 to N; the next invocation runs N."""
    one = prepared
    prod = one.alias("prod")
    rewrite(one, "version two")
    where = {"agentId": one.id, "agentAliasId": prod, "agentAliasName": "prod"}
    moved = cp.update_agent_alias(**where)
    assert moved["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert moved["agentAlias"]["agentAliasStatus"] == "UPDATING"
    assert one.show_alias(prod)["routingConfiguration"] == [{"agentVersion": "2"}]
    assert one.talk("who?", alias=prod).text == "version two"
    cp.update_agent_alias(**where, routingConfiguration=[{"agentVersion": "1"}])
    assert one.talk("who?", alias=prod).text == "version one"
    history = one.show_alias(prod)["agentAliasHistoryEvents"]
    assert [e["routingConfiguration"][0]["agentVersion"] for e in history] == ["1", "2", "1"]
    assert "endDate" not in history[-1] and history[0]["endDate"] <= history[1]["endDate"]


def test_an_invocation_finishes_on_the_version_it_began_with(cp, agent, model):
    """A5: the model is held while the alias moves; the trace names the old version to the end."""
    entered, moved = threading.Event(), threading.Event()

    def hold():
        entered.set()
        assert moved.wait(10)

    model.turn(Say("slow", before=hold), said="slow").turn(Say("quick"))
    one = agent().prepare()
    prod = one.alias("prod")
    rewrite(one, "version two")
    two = one.alias("two")
    turns = []
    thread = threading.Thread(target=lambda: turns.append(one.talk("slow please", alias=prod)))
    thread.start()
    assert entered.wait(10)
    cp.update_agent_alias(agentId=one.id, agentAliasId=prod, agentAliasName="prod",
                          routingConfiguration=[{"agentVersion": "2"}])
    other = one.talk("quick please", alias=prod)
    moved.set()
    thread.join(20)
    assert {part["agentVersion"] for part in turns[0].parts} == {"1"}
    assert {part["agentVersion"] for part in other.parts} == {"2"}
    assert two


def test_three_aliases_three_behaviours_one_client(prepared):
    """A7: dev, staging and prod differ by the alias id alone."""
    one = prepared
    aliases = {"one": one.alias("prod")}
    for word, name in (("two", "staging"), ("three", "dev")):
        rewrite(one, f"version {word}")
        aliases[word] = one.alias(name)
    for word, alias in aliases.items():
        assert one.talk("who?", alias=alias).text == f"version {word}"


def test_the_test_alias_is_always_there(cp, agent):
    one = agent()
    shown = one.show_alias("TSTALIASID")
    assert shown["routingConfiguration"] == [{"agentVersion": "DRAFT"}]
    with refused("ValidationException", "TSTALIASID"):
        cp.delete_agent_alias(agentId=one.id, agentAliasId="TSTALIASID")


def test_a_paused_alias_takes_no_invocations(cp, prepared):
    one = prepared
    prod = one.alias("prod")
    where = {"agentId": one.id, "agentAliasId": prod, "agentAliasName": "prod"}
    cp.update_agent_alias(**where, aliasInvocationState="REJECT_INVOCATIONS")
    assert one.show_alias(prod)["aliasInvocationState"] == "REJECT_INVOCATIONS"
    with pytest.raises(one.rt.exceptions.ClientError):
        one.talk("hi", alias=prod)
    cp.update_agent_alias(**where, aliasInvocationState="ACCEPT_INVOCATIONS")
    assert one.talk("hi", alias=prod).text


def test_the_list_pages(cp, prepared):
    made = {prepared.alias() for _ in range(3)}
    pages = cp.get_paginator("list_agent_aliases").paginate(
        agentId=prepared.id, PaginationConfig={"PageSize": 2})
    seen = [s["agentAliasId"] for page in pages for s in page["agentAliasSummaries"]]
    assert len(seen) == len(set(seen)) and made <= set(seen)


def test_names_are_unique_in_an_agent_only(cp, agent, prepared):
    prepared.alias("prod")
    with refused("ConflictException", "prod"):
        cp.create_agent_alias(agentId=prepared.id, agentAliasName="prod")
    agent().prepare().alias("prod")


def test_an_agent_that_is_not_prepared_gives_no_version(cp, agent):
    with refused("ValidationException", "NOT_PREPARED|repare"):
        cp.create_agent_alias(agentId=agent().id, agentAliasName="early")


def test_an_alias_leads_to_a_version_that_exists(cp, prepared):
    with refused("ResourceNotFoundException"):
        cp.create_agent_alias(agentId=prepared.id, agentAliasName="x",
                              routingConfiguration=[{"agentVersion": "9"}])


def test_a_deleted_alias_is_gone(cp, prepared):
    alias = prepared.alias()
    answer = cp.delete_agent_alias(agentId=prepared.id, agentAliasId=alias)
    assert (answer["agentAliasId"], answer["agentAliasStatus"]) == (alias, "DELETING")
    with refused("ResourceNotFoundException"):
        prepared.show_alias(alias)
    with refused("ResourceNotFoundException"):
        prepared.talk("hi", alias=alias)


def test_an_unknown_alias_or_agent_is_not_found(cp, prepared):
    one = prepared.id
    for call, fields in [
        (cp.get_agent_alias, {"agentId": one, "agentAliasId": "NOSUCHALIA"}),
        (cp.update_agent_alias, {"agentId": one, "agentAliasId": "NOSUCHALIA", "agentAliasName": "x"}),
        (cp.delete_agent_alias, {"agentId": one, "agentAliasId": "NOSUCHALIA"}),
        (cp.create_agent_alias, {"agentId": "NOSUCHAGNT", "agentAliasName": "x"}),
        (cp.list_agent_aliases, {"agentId": "NOSUCHAGNT"}),
    ]:
        with refused("ResourceNotFoundException"):
            call(**fields)


def test_routing_leads_to_one_version_only(raw_cp, prepared):
    two = [{"agentVersion": "1"}, {"agentVersion": "1"}]
    with refused("ValidationException", "at 'routingConfiguration' failed to satisfy constraint"):
        raw_cp.create_agent_alias(agentId=prepared.id, agentAliasName="x", routingConfiguration=two)
