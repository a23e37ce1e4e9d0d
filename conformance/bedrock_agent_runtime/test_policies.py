"""Tools under policies: what reaches the tool, what the model reads, what the client is asked and told."""

import time

import pytest

from support.agents import Agent, function, hand_back, package, refused, result, unique
from support.model import Say, tool_results
from support.server import ROLE, Craton
from support.tools import arn

REFUND = function("refund", "Gives money back", order_id="string required", amount="number",
                  accountStatus="string")
FIND = function("find", "Finds an order", order_id="string required")
NAMES = ["desk", "shop", "slow", "broken", "replica", "plain"]
DESK, SHOP, SLOW, BROKEN, REPLICA, PLAIN = (arn(name) for name in NAMES)


@pytest.fixture(scope="module")
def server(tmp_path_factory, settings, tools):
    """A server of its own: the breakers of these tools open."""
    mapped = "\n".join(f'"{one}" = "{tools.url}"' for one in map(arn, NAMES))
    config = settings.replace("[functions.map]\n", f"[functions.map]\n{mapped}\n") + f"""
[tools."{DESK}:refund"]
effect = "once"
hand_off = ["amount > 500"]
arguments = {{ deny = ["accountStatus"], schema = {{ properties = {{ amount = {{ maximum = 2000 }} }} }} }}

[tools."{SHOP}"]
effect = "read"
cache_seconds = 3600
result_bytes = 40

[tools."{SLOW}"]
effect = "keyed"
retry = {{ attempts = 2, base_seconds = 0.1 }}
timeout_seconds = 0.5

[tools."{BROKEN}"]
effect = "read"
fallback = "{REPLICA}"
"""
    one = Craton(tmp_path_factory.mktemp("policies"), config).start()
    yield one
    one.stop()


@pytest.fixture
def agent(server, model, tools):
    def make():
        return Agent(server.client("bedrock-agent"), server.client("bedrock-agent-runtime"), model, tools)
    return make


def refunding(agent, model, **arguments):
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1", **arguments})]), Say("<answer>Done.</answer>"))
    one = agent().serve(lambda e: "refunded")
    one.group(REFUND, executor=DESK)
    return one.prepare()


def test_a_refund_up_to_the_threshold_is_made(agent, model):
    """E5"""
    one = refunding(agent, model, amount=500)
    assert one.talk("Refund A-1").text == "Done."
    assert [call.given["amount"] for call in one.calls()] == ["500"]


@pytest.mark.parametrize("amount", [500.01, 2000])
def test_a_refund_above_the_threshold_waits_for_a_person(agent, model, amount):
    """E5: the client is asked to confirm; the call is made once it does."""
    one = refunding(agent, model, amount=amount)
    turn = one.talk("Refund A-1", session="above")
    given = turn.control["invocationInputs"][0]["functionInvocationInput"]
    assert given["function"] == "refund" and given["actionInvocationType"] == "USER_CONFIRMATION"
    assert any("amount > 500" in r["text"] for r in turn.all("rationale"))
    assert one.calls() == []
    rest = one.talk(session="above", **hand_back(turn.control, result(turn.control, 0, "", confirmationState="CONFIRM")))
    assert rest.text == "Done." and len(one.calls()) == 1


def test_a_refund_that_a_person_denies_is_not_made(agent, model):
    """E5"""
    one = refunding(agent, model, amount=900)
    turn = one.talk("Refund A-1", session="denied")
    rest = one.talk(session="denied", **hand_back(turn.control, result(turn.control, 0, "", confirmationState="DENY")))
    assert rest.text == "Done." and one.calls() == []
    assert "call_denied" in tool_results(model.requests[-1])[0]


def test_a_refund_without_its_amount_waits_for_a_person(agent, model):
    """E5: what cannot be told is for a person."""
    one = refunding(agent, model)
    assert one.talk("Refund A-1", session="unsaid").control


def test_a_field_that_is_denied_never_leaves(agent, model):
    """D10: in these words."""
    one = refunding(agent, model, amount=1, accountStatus="gold")
    assert one.talk("Refund A-1").text == "Done."
    assert tool_results(model.requests[-1]) == ["error: You don't have permission to modify accountStatus"]
    assert one.calls() == []


def test_bounds_are_checked_before_anything_is_sent(agent, model):
    """D10"""
    one = refunding(agent, model, amount=2001)
    assert one.talk("Refund A-1").text == "Done."
    assert "not_permitted: amount: 2001 is greater than the maximum of 2000" in tool_results(model.requests[-1])[0]
    assert one.calls() == []


def test_an_equal_call_is_answered_from_the_cache(agent, model):
    """D12: also in another session; other arguments are asked for."""
    def ask(order):
        model.turn(Say(calls=[("shop__find", {"order_id": order})]), Say("ok"), said=order)
        one.talk(f"Where is {order}?")
        return tool_results(model.requests[-1])[0]

    one = agent().serve(lambda e: e["parameters"][0]["value"])
    one.group(FIND, executor=SHOP)
    one.prepare()
    assert [ask("C-1"), ask("C-1"), ask("C-2")] == ["C-1", "C-1", "C-2"]
    assert len(one.calls()) == 2


def test_a_long_result_is_cut_and_the_model_is_told(agent, model):
    one = agent().serve(lambda e: "ü" * 1000)
    one.group(FIND, executor=SHOP)
    model.turn(Say(calls=[("shop__find", {"order_id": "long"})]), Say("ok"))
    one.prepare().talk("Where is it?")
    said = tool_results(model.requests[-1])[0]
    assert said == "ü" * 20 + "\n(result_truncated: these are the first 40 of 2000 bytes; ask for less)"


def test_a_refund_that_times_out_is_made_once_and_the_agent_is_told(agent, model):
    """K12, D11: one refund under one key, in little time."""
    done = {}

    def refund(event):
        done.setdefault(event["idempotencyKey"], 0)
        done[event["idempotencyKey"]] = 1
        time.sleep(2)
        return "refunded"

    one = agent().serve(refund)
    one.group(REFUND, executor=SLOW)
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1", "amount": 5})]), Say("A person has to look."))
    began = time.monotonic()
    turn = one.prepare().talk("Refund A-1")
    assert time.monotonic() - began < 2
    assert turn.text == "A person has to look."
    assert "unknown_outcome" in tool_results(model.requests[-1])[0]
    assert len(done) == 1 and len({call.key for call in one.calls()}) == 1


def test_a_replica_answers_for_a_tool_that_breaks(server, agent, model):
    """K5: both are in the trace."""
    asked = []

    def find(event):
        asked.append(event["function"])
        return "shipped" if len(asked) > 1 else (503, "overloaded")

    one = agent().serve(find)
    one.group(FIND, executor=BROKEN)
    model.turn(Say(calls=[("shop__find", {"order_id": "A-1"})]), Say("ok"))
    turn = one.prepare().talk("Where is it?")
    assert tool_results(model.requests[-1]) == ["shipped"] and len(asked) == 2
    assert len(turn.all("invocationInput")) == 2
    texts = [o["actionGroupInvocationOutput"]["text"] for o in turn.all("observation")
             if "actionGroupInvocationOutput" in o]
    assert REPLICA in texts[0] and texts[1] == "shipped"
    run = turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]
    step, = [s for s in server.door(f"/runs/{run}")["steps"] if s["kind"] == "tool"]
    assert step["conduct"]["fallback"]["function"] == REPLICA


def test_a_loop_is_broken_and_its_breaker_opens(server, agent, model):
    """K1: five calls, then a fallback answer and a failure trace; operators see the breaker."""
    one = agent().serve(lambda e: "still nothing")
    words = ["Parcel A-1", "parcel a-1", "A-1, parcel?", "parcel  A-1", "PARCEL A-1", "parcel A-1", "parcel a-1"]
    one.group(function("look", "Looks", words="string required"), executor=PLAIN, name="loop")
    model.turn(*[Say(calls=[("loop__look", {"words": text})]) for text in words])
    turn = one.prepare().talk("Where is it?")
    assert turn.text.startswith("I kept asking for the same thing")
    assert len(one.calls()) == 5
    assert any("failureTrace" in trace for trace in turn.traces)
    breakers = server.door("/breakers")["breakers"]
    assert {"tool": "loop__look", "state": "open"}.items() <= breakers[0].items()


def test_results_that_change_are_no_loop(agent, model):
    """K1"""
    one = agent().serve(lambda e: str(time.monotonic_ns()))
    one.group(function("wait", "Waits", words="string required"), executor=PLAIN, name="loop")
    model.turn(*[Say(calls=[("loop__wait", {"words": "x"})]) for _ in range(7)], Say("<answer>There.</answer>"))
    assert one.prepare().talk("Wait for it").text == "There."
    assert len(one.calls()) == 7


def test_tags_set_a_policy_and_wrong_ones_are_refused(server):
    """A tag's value has no `<`: conditions have words for it."""
    lam = server.client("lambda")
    code = {"ZipFile": package(main="def handler(e, c): return 1")}
    made = dict(Code=code, Runtime="python3.12", Role=ROLE, Handler="main.handler")
    tags = {"craton:timeout": "2.5", "craton:hand-off:refund": "amount gt 500", "craton:cache": "60"}
    arn = lam.create_function(FunctionName=unique("tagged"), Tags=tags, **made)["FunctionArn"]
    for key, value in {"craton:timeout": "soon", "craton:cache": "0", "craton:hand-off": "amount gt",
                       "craton:attempts:refund": "none"}.items():
        with refused("InvalidParameterValueException", key):
            lam.tag_resource(Resource=arn, Tags={key: value})
        with refused("InvalidParameterValueException", key):
            lam.create_function(FunctionName=unique("tagged"), Tags={key: value}, **made)
