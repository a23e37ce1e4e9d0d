"""ListAgents: POST /agents/ with maxResults and nextToken."""

import pytest

from support.agents import refused
from support.server import Craton


@pytest.fixture(scope="module")
def five(craton):
    """Five agents in an account of their own."""
    cp = craton.client("bedrock-agent", key="222233334444")
    names = [f"list-{place}" for place in range(5)]
    ids = {cp.create_agent(agentName=name, description=name)["agent"]["agentId"]: name for name in names}
    return cp, ids


def test_pages_hold_every_agent_once(five):
    cp, ids = five
    pages = list(cp.get_paginator("list_agents").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["agentSummaries"]) for page in pages] == [2, 2, 1]
    listed = [summary for page in pages for summary in page["agentSummaries"]]
    assert {s["agentId"]: s["agentName"] for s in listed} == ids
    assert listed[0]["agentStatus"] == "NOT_PREPARED"
    assert listed[0]["description"] == listed[0]["agentName"]


def test_a_token_that_is_none_is_refused(five):
    with refused("ValidationException", "(?i)token"):
        five[0].list_agents(nextToken="made-up")


def test_page_sizes_have_bounds(craton):
    raw = craton.client("bedrock-agent", parameter_validation=False)
    for size in (0, 1001):
        with refused("ValidationException", f"Value '{size}' at 'maxResults'"):
            raw.list_agents(maxResults=size)
