"""`craton cost`, and what `/_craton/v1/cost` says of runs and of calls."""

import json
import pathlib
import urllib.error
import urllib.request

import pytest

from support.agents import Agent, function, unique
from support.model import Say
from support.server import Craton
from support.terminal import run
from support.tools import READ

# The mock model reads 11 tokens and says 7 in each reply.
PRICES = """
as_of = "2026-11-01"
[tool]
call = 0.0001
gb_second = 0
[[models]]
match = "*"
input = 3.0
output = 15.0
"""
READ_KINDS = ("input", "cacheRead", "cacheWrite")
REPLY = (11 * 3.0 + 7 * 15.0) / 1e6


@pytest.fixture
def priced(tmp_path, settings):
    home = tmp_path / "craton"
    home.mkdir()
    pathlib.Path(home / "prices.toml").write_text(PRICES)
    server = Craton(home, f'prices = "{home}/prices.toml"\n' + settings).start()
    yield server
    server.stop()


def asked(server, path):
    with urllib.request.urlopen(f"{server.url}/_craton/v1/{path}") as answer:
        return json.load(answer)


def close(found, wanted):
    assert found == pytest.approx(wanted, abs=1e-9)


def test_a_direct_call_is_on_its_users_bill_also_after_a_restart(priced, model):
    """L1, L9"""
    model.turn(Say("one"), Say("two"))
    client = priced.client("bedrock-runtime")
    messages = [{"role": "user", "content": [{"text": "hi"}]}]
    for user in ("ann", "bob"):
        answer = client.converse(modelId=model.id, messages=messages,
                                 requestMetadata={"userId": user, "tenantId": "acme"})
        close(float(answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-cost"]), REPLY)
    before = asked(priced, "cost?by=user")
    assert {row["of"] for row in before["rows"]} == {"ann", "bob"}
    for row in before["rows"]:
        close(row["cost"]["total"], REPLY)
        assert row["tokens"] == {"input": 11, "output": 7, "cacheRead": 0, "cacheWrite": 0}
    assert [row["of"] for row in asked(priced, "cost?by=tenant")["rows"]] == ["acme"]
    priced.stop()
    priced.start()
    assert asked(priced, "cost?by=user") == before


def test_a_loop_that_a_client_drives_has_the_budget_of_a_session(tmp_path, settings, model):
    """H7, L9: direct calls that name a session count for it, whoever makes them."""
    home = tmp_path / "craton"
    home.mkdir()
    server = Craton(home, settings + "[budgets]\nsession = { tokens = 900 }\n").start()
    try:
        client = server.client("bedrock-runtime")
        messages = [{"role": "user", "content": [{"text": "And then?"}]}]
        model.turn(Say("on and on"))
        with pytest.raises(client.exceptions.ServiceQuotaExceededException, match="this session"):
            for _ in range(60):
                client.converse(modelId=model.id, messages=messages, inferenceConfig={"maxTokens": 50},
                                requestMetadata={"sessionId": "loop"})
        # More than is left also once the last call of the loop has given back what it did not use.
        asks = [{"type": "text", "text": "And then? " * 60}]
        said = {"messages": [{"role": "user", "content": asks}], "max_tokens": 50}
        with pytest.raises(client.exceptions.ServiceQuotaExceededException, match="this session"):
            client.invoke_model(modelId=model.id, body=json.dumps(said),
                                requestMetadata=json.dumps({"craton:session": "loop"}))
        for metadata in ({"session": "another"}, {"team": "till"}):
            client.converse(modelId=model.id, messages=messages, requestMetadata=metadata)
        sums = {row["of"]: row["modelCalls"] for row in asked(server, "cost?by=session")["rows"]}
        assert set(sums) == {"loop", "another"} and 1 < sums["loop"] < 60 and sums["another"] == 1
    finally:
        server.stop()


def test_the_hit_rate_of_caches_stands_beside_what_they_saved(priced, claude):
    """S16: the mock reads 11 tokens, 3 more from its cache, and writes 2."""
    model = claude.model(unique("claude.model"))
    model.turn(Say("42."))
    client = priced.client("bedrock-runtime")
    client.converse(modelId=model.id, messages=[{"role": "user", "content": [{"text": "6 times 7?"}]}])
    row, = asked(priced, "cost?by=model")["rows"]
    counted = row["tokens"]
    close(row["cacheHitRate"], counted["cacheRead"] / sum(counted[kind] for kind in READ_KINDS))
    # Read at a tenth of the input's price, written at a quarter more.
    close(row["saved"], (counted["cacheRead"] * 0.9 - counted["cacheWrite"] * 0.25) * 3.0 / 1e6)
    assert counted["cacheRead"] == 3
    told = run("cost", "--by", "model", url=priced.url).stdout
    assert "SAVED  CACHED" in told and f"{row['cacheHitRate'] * 100:.0f} %" in told


@pytest.mark.parametrize(("query", "words"), [
    ("by=cat", "one of run, session, agent"),
    ("since=soon", "a day such as"),
    ("last=0", "1 to 100"),
    ("depth=1", "unknown query parameter"),
])
def test_a_query_that_means_nothing_is_refused(craton, query, words):
    with pytest.raises(urllib.error.HTTPError) as refused:
        asked(craton, f"cost?{query}")
    assert refused.value.code == 400 and words in json.load(refused.value)["message"]


def test_the_worked_example_needs_no_server():
    """L5, L6"""
    plan = ["cost", "estimate", "--interactions", "10000", "--input-tokens", "500",
            "--output-tokens", "200", "--tools", "3", "--memory-stores", "1",
            "--memory-searches", "1"]
    told = json.loads(run(*plan, "--json").stdout)
    close(told["each"]["model"], 0.0045)
    close(told["day"]["total"], 48.30)
    close(told["month"]["total"], 1449.0)
    guarded = json.loads(run(*plan, "--guardrails", "1", "--json").stdout)
    close(guarded["day"]["total"] - told["day"]["total"], 100.0)
    refused = run(*plan, "--max-cost", "48.29")
    assert refused.returncode == 1 and "(CR0041)" in refused.stderr
    assert run(*plan, "--max-cost", "48.30").returncode == 0


def test_a_turns_lines_are_in_its_run_and_in_the_sums_of_its_agent(priced, model, tools):
    """L1, L2, L7, L8, S7"""
    model.turn(Say(calls=[("shop__look", {})]), Say("<answer>Done.</answer>"))
    one = Agent(priced.client("bedrock-agent"), priced.client("bedrock-agent-runtime"), model, tools)
    one.serve(lambda event: "open")
    one.group(function("look"), executor=READ)
    one.prepare()
    turn = one.talk("Where?")
    ran = asked(priced, "runs/" + turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"])
    lines = {"model": 2 * REPLY, "tools": 0.0001, "knowledge": 0, "memory": 0, "guardrails": 0,
             "transitions": 0, "total": 2 * REPLY + 0.0001}
    for line, sum_ in lines.items():
        close(ran["cost"][line], sum_)
    close(sum(step["cost"] for step in ran["steps"]), lines["total"])
    for by, name in (("agent", one.id), ("run", ran["run"]["run"]),
                     ("session", ran["run"]["sessionId"])):
        row, = [row for row in asked(priced, f"cost?by={by}")["rows"] if row["of"] == name]
        close(row["cost"]["total"], lines["total"])
    told = run("trace", ran["run"]["run"], url=priced.url).stdout
    assert f"cost     ${lines['total']:.6f}: model ${2 * REPLY:.6f}, tools $0.0001\n" in told
    assert told.count(f", ${REPLY:.6f})") == 2 and told.count(", $0.0001)") == 1
    assert one.id in run("cost", "--by", "agent", url=priced.url).stdout
    explained = run("cost", "explain", one.id, url=priced.url).stdout
    assert "the largest lever is: " in explained and "tool cache" in explained
    coming = run("cost", "preflight", one.id, "--max-cost", "0.0001", url=priced.url)
    assert coming.returncode == 1 and "(CR0041)" in coming.stderr and "LIKELY" in coming.stdout
