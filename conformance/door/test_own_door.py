"""`/_craton/v1`: what AWS has no operation for. Its paths and members are only ever added."""

import json
import re
import threading
import urllib.request

from support.agents import function, hand_back, refused, result
from support.model import Say, tool_results


def post(craton, path):
    request = urllib.request.Request(f"{craton.url}/_craton/v1{path}", data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


def run_of(turn):
    return turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]


def test_runs_are_listed_and_shown(craton, agent, model):
    """P8: by run, by request and by session."""
    model.turn(Say("Done."))
    turn = agent().prepare().talk("Hi", session="listed-runs")
    listed = craton.door("/runs?session=listed-runs")["runs"]
    assert [run["run"] for run in listed] == [run_of(turn)]
    for id in (run_of(turn), "listed-runs"):
        shown = craton.door(f"/runs/{id}")
        assert shown["run"]["status"] == "answered" and shown["run"]["providers"] == ["test"]
        assert shown["trace"] and shown["events"]


def test_a_parked_turn_can_be_called_off(craton, agent, model):
    model.turn(Say(calls=[("desk__ask", {})]))
    one = agent()
    one.group(function("ask"), name="desk")
    turn = one.prepare().talk("ask", session="called-off")
    assert post(craton, f"/runs/{run_of(turn)}/cancel")["cancelled"] is True
    assert post(craton, f"/runs/{run_of(turn)}/cancel")["cancelled"] is False
    with refused("ValidationException"):
        one.talk(session="called-off", **hand_back(turn.control, result(turn.control, 0, "x")))


def test_a_turn_under_way_can_be_called_off(craton, agent, model):
    """It ends at its next event; its client hears of it."""
    entered, let_go = threading.Event(), threading.Event()

    def hold():
        entered.set()
        let_go.wait(10)

    model.turn(Say("never", before=hold))
    answer = agent().prepare().invoke("go", session="under-way")
    assert entered.wait(10)
    run = answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]
    assert post(craton, f"/runs/{run}/cancel")["cancelled"] is True
    try:
        with refused("ConflictException", "called off|operator"):
            list(answer["completion"])
    finally:
        let_go.set()


def test_an_unknown_outcome_can_be_resolved(craton, agent, model, functions, shared):
    """Once a person has looked, the identical call may be made again."""
    arn = functions("""
import os
def handler(event, context):
    if not os.path.exists(event['parameters'][0]['value']):
        open(event['parameters'][0]['value'], 'w').close()
        os._exit(3)
    return {'messageVersion': '1.0', 'response': {
        'actionGroup': event['actionGroup'], 'function': event['function'],
        'functionResponse': {'responseBody': {'TEXT': {'body': 'refunded'}}}}}
""")["FunctionArn"]
    mark = craton.seen(shared / "called")
    model.turn(Say(calls=[("shop__refund", {"order_id": mark})]), Say("ok"))
    one = agent()
    one.group(function("refund", order_id="string required"), executor=arn)
    one.prepare()
    first = one.talk("refund", session="resolved")
    assert "unknown" in tool_results(model.requests[-1])[-1]
    one.talk("refund", session="resolved")
    assert "refunded" not in tool_results(model.requests[-1])[-1]
    events = json.dumps(craton.door(f"/runs/{run_of(first)}")["events"])
    key = re.search(r'"key": "([^"]+)"', events).group(1)
    assert post(craton, f"/runs/{run_of(first)}/effects/{key}/resolve")["resolved"] is True
    one.talk("refund", session="resolved")
    assert tool_results(model.requests[-1])[-1] == "refunded"
