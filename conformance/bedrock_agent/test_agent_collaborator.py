"""Associate, Get, Update, List and DisassociateAgentCollaborator; agentCollaboration of agents."""

import uuid

import pytest

from support.agents import refused, until
from support.server import ACCOUNT, REGION
from support.team import alias_arn, associate

ASKED = "Asked about bills."


@pytest.fixture
def pair(agent, cp):
    """A supervisor, and an agent under an alias."""
    one = agent().prepare()
    return agent(agentCollaboration="SUPERVISOR"), one, one.alias()


def collaborators(cp, agent_id, version="DRAFT"):
    listed = cp.list_agent_collaborators(agentId=agent_id, agentVersion=version)
    return listed["agentCollaboratorSummaries"]


def test_what_is_associated_is_shown_and_listed(cp, pair):
    """I4"""
    supervisor, one, alias = pair
    made = associate(cp, supervisor, "billing", one, alias, ASKED,
                     relayConversationHistory="TO_COLLABORATOR")
    assert made["agentId"] == supervisor.id and made["agentVersion"] == "DRAFT"
    assert made["agentDescriptor"] == {"aliasArn": alias_arn(cp, one.id, alias)}
    assert (made["collaboratorName"], made["collaborationInstruction"]) == ("billing", ASKED)
    assert made["relayConversationHistory"] == "TO_COLLABORATOR"
    got = cp.get_agent_collaborator(
        agentId=supervisor.id, agentVersion="DRAFT", collaboratorId=made["collaboratorId"])
    assert got["agentCollaborator"] == made
    listed, = collaborators(cp, supervisor.id)
    assert listed.items() <= made.items()
    assert supervisor.status() == "NOT_PREPARED"


def test_a_collaborator_keeps_its_conversation_to_itself_by_default(cp, pair):
    made = associate(cp, pair[0], "billing", *pair[1:])
    assert made["relayConversationHistory"] == "DISABLED"


def test_an_update_replaces_all_of_it(cp, pair):
    supervisor, one, alias = pair
    made = associate(cp, supervisor, "billing", one, alias,
                     relayConversationHistory="TO_COLLABORATOR")
    changed = cp.update_agent_collaborator(
        agentId=supervisor.id, agentVersion="DRAFT", collaboratorId=made["collaboratorId"],
        agentDescriptor=made["agentDescriptor"], collaboratorName="bills",
        collaborationInstruction="Asked about bills only.")["agentCollaborator"]
    assert (changed["collaboratorName"], changed["relayConversationHistory"]) == ("bills", "DISABLED")
    assert changed["createdAt"] == made["createdAt"] <= changed["lastUpdatedAt"]


def test_versions_keep_the_team_that_they_were_cut_with(cp, pair):
    supervisor, one, alias = pair
    made = associate(cp, supervisor, "billing", one, alias)
    live = supervisor.prepare().alias()
    cp.disassociate_agent_collaborator(
        agentId=supervisor.id, agentVersion="DRAFT", collaboratorId=made["collaboratorId"])
    assert collaborators(cp, supervisor.id) == []
    version = supervisor.show_alias(live)["routingConfiguration"][0]["agentVersion"]
    kept, = collaborators(cp, supervisor.id, version)
    assert (kept["collaboratorId"], kept["agentVersion"]) == (made["collaboratorId"], version)
    shown = cp.get_agent_version(agentId=supervisor.id, agentVersion=version)["agentVersion"]
    assert shown["agentCollaboration"] == "SUPERVISOR"


def test_one_token_associates_once(cp, pair):
    token = str(uuid.uuid4())
    first = associate(cp, pair[0], "billing", *pair[1:], clientToken=token)
    assert associate(cp, pair[0], "billing", *pair[1:], clientToken=token) == first
    assert len(collaborators(cp, pair[0].id)) == 1
    with refused("ConflictException", "clientToken"):
        associate(cp, pair[0], "other", *pair[1:], clientToken=token)


def test_a_name_is_taken_once_in_a_team(cp, pair):
    made = associate(cp, pair[0], "billing", *pair[1:])
    with refused("ConflictException", "billing"):
        associate(cp, pair[0], "billing", *pair[1:])
    other = associate(cp, pair[0], "orders", *pair[1:])
    with refused("ConflictException", "billing"):
        cp.update_agent_collaborator(
            agentId=pair[0].id, agentVersion="DRAFT", collaboratorId=other["collaboratorId"],
            agentDescriptor=made["agentDescriptor"], collaboratorName="billing",
            collaborationInstruction=ASKED)


def test_ten_are_the_most(cp, pair):
    """AWS: ten collaborators of one supervisor."""
    for n in range(10):
        associate(cp, pair[0], f"member{n}", *pair[1:])
    with refused("ServiceQuotaExceededException", "10 collaborators"):
        associate(cp, pair[0], "one-more", *pair[1:])
    names = [one["collaboratorName"] for one in collaborators(cp, pair[0].id)]
    assert names == [f"member{n}" for n in range(10)]
    pages = cp.get_paginator("list_agent_collaborators").paginate(
        agentId=pair[0].id, agentVersion="DRAFT", PaginationConfig={"PageSize": 3})
    assert [len(page["agentCollaboratorSummaries"]) for page in pages] == [3, 3, 3, 1]


def arn(agent, alias, account=ACCOUNT, region=REGION):
    return f"arn:aws:bedrock:{region}:{account}:agent-alias/{agent}/{alias}"


@pytest.mark.parametrize(("code", "descriptor", "word"), [
    ("ValidationException", {}, "aliasArn"),
    ("ValidationException", {"aliasArn": "arn:aws:bedrock:us-east-1:1:agent/ABCDEFGHIJ"}, "aliasArn"),
    ("ValidationException", {"aliasArn": arn("{one}", "TSTALIASID")}, "working draft"),
    ("ValidationException", {"aliasArn": arn("{own}", "TSTALIASID")}, "itself"),
    ("ValidationException", {"aliasArn": arn("{one}", "{alias}", account="999999999999")}, "account"),
    ("ValidationException", {"aliasArn": arn("{one}", "{alias}", region="eu-west-1")}, "eu-west-1"),
    ("ResourceNotFoundException", {"aliasArn": arn("{one}", "ABCDEFGHIJ")}, "ABCDEFGHIJ"),
    ("ResourceNotFoundException", {"aliasArn": arn("ABCDEFGHIJ", "{alias}")}, "ABCDEFGHIJ"),
])
def test_an_alias_that_cannot_be_asked_is_refused_and_changes_nothing(
        cp, raw_cp, pair, code, descriptor, word):
    supervisor, one, alias = pair
    names = {"own": supervisor.id, "one": one.id, "alias": alias}
    descriptor = {key: value.format(**names) for key, value in descriptor.items()}
    with refused(code, word):
        raw_cp.associate_agent_collaborator(
            agentId=supervisor.id, agentVersion="DRAFT", collaboratorName="billing",
            agentDescriptor=descriptor, collaborationInstruction=ASKED)
    assert collaborators(cp, supervisor.id) == []


@pytest.mark.parametrize(("field", "value"), [
    ("collaboratorName", "no spaces"), ("collaboratorName", "a--b"), ("collaboratorName", "x" * 101),
    ("collaborationInstruction", ""), ("collaborationInstruction", "x" * 4001),
    ("relayConversationHistory", "SOMETIMES"), ("agentVersion", "1"), ("clientToken", "short"),
])
def test_a_field_out_of_bounds_is_refused_by_name(raw_cp, cp, pair, field, value):
    supervisor, one, alias = pair
    given = {
        "agentId": supervisor.id, "agentVersion": "DRAFT", "collaboratorName": "billing",
        "agentDescriptor": {"aliasArn": alias_arn(cp, one.id, alias)},
        "collaborationInstruction": ASKED, field: value}
    with refused("ValidationException", field):
        raw_cp.associate_agent_collaborator(**given)


def test_teams_do_not_go_round_in_circles(agent, cp):
    """The agent below works for the one above already, over one level and over two."""
    top, middle, low = (agent(agentCollaboration="SUPERVISOR") for _ in range(3))
    worker = agent().prepare()
    associate(cp, low, "worker", worker, worker.alias())
    associate(cp, middle, "low", low, low.prepare().alias())
    associate(cp, top, "middle", middle, middle.prepare().alias())
    live = top.prepare().alias()
    for below in (middle, low):
        with refused("ValidationException", "in turn"):
            associate(cp, below, "boss", top, live)


def test_an_agent_that_works_alone_gets_no_collaborators(agent, cp, pair):
    alone = agent()
    with refused("ValidationException", "agentCollaboration"):
        associate(cp, alone, "billing", *pair[1:])


def test_a_supervisor_without_collaborators_is_not_prepared(agent, cp):
    supervisor = agent(agentCollaboration="SUPERVISOR_ROUTER")
    with refused("ValidationException", "AssociateAgentCollaborator"):
        cp.prepare_agent(agentId=supervisor.id)
    assert supervisor.status() == "NOT_PREPARED"


@pytest.mark.parametrize("mode", ["DISABLED", "SUPERVISOR", "SUPERVISOR_ROUTER"])
def test_the_mode_of_an_agent_is_shown_and_can_be_changed(agent, cp, mode):
    one = agent()
    one.update(agentCollaboration=mode)
    assert cp.get_agent(agentId=one.id)["agent"]["agentCollaboration"] == mode


def test_an_alias_in_use_is_not_deleted(cp, pair):
    supervisor, one, alias = pair
    made = associate(cp, supervisor, "billing", one, alias)
    with refused("ConflictException", supervisor.id):
        cp.delete_agent_alias(agentId=one.id, agentAliasId=alias)
    cp.disassociate_agent_collaborator(
        agentId=supervisor.id, agentVersion="DRAFT", collaboratorId=made["collaboratorId"])
    cp.delete_agent_alias(agentId=one.id, agentAliasId=alias)
    until(lambda: alias not in str(cp.list_agent_aliases(agentId=one.id)))


@pytest.mark.parametrize("operation", [
    "get_agent_collaborator", "update_agent_collaborator", "disassociate_agent_collaborator"])
def test_what_does_not_exist_is_not_found(cp, pair, operation):
    supervisor, one, alias = pair
    more = {
        "agentDescriptor": {"aliasArn": alias_arn(cp, one.id, alias)}, "collaboratorName": "x",
        "collaborationInstruction": ASKED} if operation.startswith("update") else {}
    for agent_id in (supervisor.id, "ABCDEFGHIJ"):
        with refused("ResourceNotFoundException"):
            getattr(cp, operation)(
                agentId=agent_id, agentVersion="DRAFT", collaboratorId="ABCDEFGHIJ", **more)
