"""What became of calls that may change something: lost replies, crashes, probes, people, undos.

The tool server of these cases counts what really happened; the server's ledger has to agree with it.
"""

import json
import os
import random
import threading
import time
import uuid

import pytest

from support.agents import Agent, function, hear, until
from support.model import Say, last_words, tool_results
from support.server import Craton
from support.terminal import run
from support.unreliable import SHOP, Unreliable, settings

LONG = os.environ.get("CRATON_LONG") == "1"
CALLS = 3_000 if LONG else 600
CRASHES = 500 if LONG else 25
CLASSES = ["look", "keep", "pay", "charge"]


@pytest.fixture
def shop():
    server = Unreliable()
    yield server
    server.close()


@pytest.fixture
def home(tmp_path, shop, models):
    server = Craton(tmp_path / "craton", settings(shop, models)).start()
    yield server
    server.stop()


@pytest.fixture
def one(home, model):
    """An agent whose tools are all of the shop's."""
    made = Agent(home.client("bedrock-agent"), home.client("bedrock-agent-runtime"), model, None)
    names = ["look", "status", "keep", "pay", "charge", "refund", "sign"]
    made.group(*(function(name, n="string required") for name in names), executor=SHOP)
    return made.prepare()


def ledger(home, query=""):
    """All rows, over all pages."""
    rows, after = [], ""
    while True:
        page = home.door(f"/effects?last=100{query}{after}")
        rows += page["effects"]
        if "next" not in page:
            return rows
        after = f"&after={page['next'].replace('/', '%2F')}"


def use(tool, n):
    return (f"shop__{tool}", {"n": str(n)})


def batches(model, per_turn, tools):
    """Each turn `go K` uses the tools in turn, `per_turn` of them, with numbers of its own."""
    def calls(request):
        turn = int(last_words(request["messages"])[0].split()[-1])
        numbers = range(turn * per_turn, (turn + 1) * per_turn)
        return Say(calls=[use(tools[n % len(tools)], n) for n in numbers])

    model.turn(calls, Say("<answer>done</answer>"), said="^go ")


def together(work, threads):
    """Does `work(n)` in so many threads; what failed in one fails the case."""
    failures = []

    def guarded(n):
        try:
            work(n)
        except BaseException as error:
            failures.append(error)

    running = [threading.Thread(target=guarded, args=(n,)) for n in range(threads)]
    [thread.start() for thread in running]
    [thread.join() for thread in running]
    if failures:
        raise failures[0]


def test_lost_replies_over_all_classes_double_nothing_and_are_all_surfaced(home, shop, one, model):
    """A third of the replies are lost after the effect."""
    shop.share, per_turn, threads = 0.34, 10, 6
    batches(model, per_turn, CLASSES)
    turns = CALLS // per_turn

    def work(place):
        for turn in range(place, turns, threads):
            assert one.talk(f"go {turn}", trace=False).text == "done"

    together(work, threads)
    rows = {row["key"]: row for row in ledger(home)}
    states = {}
    for (tool, n), keys in shop.keys.items():
        (key,) = keys       # one key, in the event and in the header, on every attempt
        effects, lost = shop.effects_of(key), shop.lost[key]
        if tool == "look":
            assert key not in rows
            continue
        row = rows[key]
        assert row["arguments"] == f'{{"n":"{n}"}}' and effects == 1, row
        if tool != "keep":
            assert shop.attempts[tool, n] == 1, "what does not know its key is sent once"
        known = "resolved" if tool == "charge" else "ambiguous"
        assert row["state"] == (known if lost else "done"), row
        if row["state"] == "resolved":
            assert row["ruling"] == {"by": "probe shop__status", "done": True}
        states.setdefault(tool, set()).add(row["state"])
    assert len(shop.keys) == CALLS and len(rows) == CALLS * 3 // 4
    assert states["pay"] == {"done", "ambiguous"} and states["charge"] == {"done", "resolved"}
    told = [text for request in model.requests for text in tool_results(request)]
    surfaced = sum("unknown_outcome" in text for text in told)
    assert surfaced == sum(row["state"] == "ambiguous" for row in rows.values())


class Driver:
    """A client that does not give up: it sends the same request until it hears the answer."""

    def __init__(self, home, agent):
        self.rt = home.client("bedrock-agent-runtime", retries={"total_max_attempts": 1},
                              read_timeout=10, connect_timeout=1)
        self.id, self.agent = None, agent
        self.rt.meta.events.register("before-send.bedrock-agent-runtime.InvokeAgent", self.claim)

    def claim(self, request, **_):
        request.headers["amz-sdk-invocation-id"] = self.id

    def ask(self, text, session, deadline):
        self.id = str(uuid.uuid4())
        while time.monotonic() < deadline:
            try:
                return hear(self.agent.invoke(text, session=session, rt=self.rt)).text
            except Exception:   # the server is dead, or dies while it answers
                time.sleep(0.02)
        raise AssertionError(f"{text}: no answer in time")


def test_kill_9_at_random_points_loses_nothing_and_doubles_nothing(home, shop, one, model):
    """Whoever has the answer has the effects; each effect has its row; nothing happens twice."""
    per_turn, threads, over, answered = 4, 3, threading.Event(), []
    batches(model, per_turn, ["keep", "pay", "charge", "keep"])
    deadline, dice = time.monotonic() + 30 + 6 * CRASHES, random.Random(7)

    def work(place):
        driver, turn = Driver(home, one), place
        while not over.is_set():
            assert driver.ask(f"go {turn}", f"session-{place}-{turn}", deadline) == "done"
            answered.append(turn)
            turn += threads

    def crash():
        for _ in range(CRASHES):
            time.sleep(dice.uniform(0.0, 0.25))
            home.kill()
            home.start()
        over.set()

    together(lambda place: crash() if place == threads else work(place), threads + 1)
    rows = {(row["tool"], row["arguments"]): row for row in ledger(home)}
    assert {row["state"] for row in rows.values()} <= {"done", "resolved", "ambiguous"}
    for turn in answered:
        for n in range(turn * per_turn, (turn + 1) * per_turn):
            tool = ["keep", "pay", "charge", "keep"][n % per_turn]
            row = rows[f"shop__{tool}", f'{{"n":"{n}"}}']
            effects = shop.effects_of(row["key"])
            done = row["state"] == "done" or row.get("ruling", {}).get("done") is True
            assert effects == 1 if done else effects <= 1, (effects, row)
            if row["state"] == "ambiguous":
                assert tool == "pay", "keys and probes leave no doubt"
            if row.get("ruling", {}).get("done") is False:
                assert effects == 0, row
    keys = {row["key"] for row in rows.values()}
    assert {key for key, count in shop.effects.items() if count} <= keys, "each effect has its row"
    assert all(count == 1 for count in shop.effects.values())
    assert len(answered) > CRASHES // 5, "turns come to their ends between the crashes"


def lost(shop, one, model, tool):
    """A turn whose one call takes effect and is not heard of; what it says, and its row's key."""
    model.turn(Say(calls=[use(tool, 1)]), Say("<answer>done</answer>"))
    shop.share = 1.0


def test_a_turn_waits_for_a_person(home, shop, one, model):
    """Over a restart, until somebody says what became of the call; then the client hears the answer."""
    lost(shop, one, model, "sign")
    heard = []
    driver = Driver(home, one)
    asking = threading.Thread(target=lambda: heard.append(
        driver.ask("go", "waits", time.monotonic() + 60)))
    asking.start()
    row, = until(lambda: ledger(home, "&state=ambiguous"))
    until(lambda: home.door(f"/runs?status=pending")["runs"])
    home.kill()
    home.start()
    path = f"/runs/{row['run']}/effects/{row['key']}/resolve"
    assert home.tell(path)[0] == 400, "the turn needs to know"
    assert home.tell(path, {"outcome": "perhaps"})[0] == 400
    assert home.tell(path, {"outcome": "not_done", "result": "x"})[0] == 400
    status, said = home.tell(path, {"outcome": "done", "result": {"signed": True}})
    assert status == 200 and said["effect"]["state"] == "resolved", said
    assert home.tell(path, {"outcome": "done"})[0] == 200, "the same may be said twice"
    assert home.tell(path, {"outcome": "not_done"})[0] == 409
    asking.join(60)
    assert heard == ["done"]
    assert tool_results(model.requests[-1]) == ['{"signed":true}']
    assert shop.effects_of(row["key"]) == 1
    row, = home.door(f"/runs/{row['run']}/effects")["effects"]
    assert row["ruling"]["done"] is True and row["result"] == '{"signed":true}'


def test_an_ambiguous_call_is_resolved_after_its_turn(home, shop, one, model):
    """An identical call is refused until then, and made after that."""
    lost(shop, one, model, "pay")
    assert one.talk("go", session="one").text == "done"
    shop.share = 0.0
    one.talk("again", session="one")
    assert "unknown_outcome" in tool_results(model.requests[-1])[-1]
    row, = ledger(home, "&state=ambiguous&session=one")
    shown = run("effects", "--state", "ambiguous", url=home.url).stdout.splitlines()
    assert shown[0].startswith("RUN ") and row["key"] in shown[1] and len(shown) == 2
    resolved = run("effects", "resolve", "one", row["key"], "not-done", url=home.url)
    assert resolved.returncode == 0, resolved.stderr
    listed, = json.loads(run("effects", "--state", "resolved", "--json", url=home.url).stdout)
    assert listed["ruling"]["done"] is False
    assert home.tell(f"/runs/one/effects/{row['key']}/resolve")[0] == 200
    assert home.tell(f"/runs/one/effects/nothing/resolve")[0] == 404
    one.talk("and again", session="one")
    assert tool_results(model.requests[-1])[-1] == "pay 1"
    assert {row["state"] for row in ledger(home)} == {"resolved", "done"}
    view = home.door("/runs/one")
    assert [row["state"] for row in view["effects"]] == ["done"]
    step, = (step for step in view["steps"] if step["kind"] == "tool")
    assert step["effect"] == {"class": "once", "key": view["effects"][0]["key"], "state": "done"}


def test_a_call_is_taken_back_once(home, shop, one, model):
    """By the tool that its policy names, which hears of the call, its key and its result."""
    model.turn(Say(calls=[use("charge", 1), use("pay", 2)]), Say("<answer>done</answer>"))
    one.talk("go", session="one")
    charge, pay = home.door("/runs/one/effects")["effects"]
    heard, serve = [], shop.serve
    shop.serve = lambda event, header: heard.append((event, header)) or serve(event, header)
    status, said = home.tell(f"/runs/one/effects/{pay['key']}/undo")
    assert status == 400 and "names no undo" in said["message"]
    shop.share = 1.0
    status, said = home.tell(f"/runs/one/effects/{charge['key']}/undo")
    assert status == 424 and "unknown" in said["message"]
    shop.share = 0.0
    undone = run("effects", "undo", "one", charge["key"], url=home.url)
    assert undone.returncode == 0 and "shop__refund" in undone.stdout, undone.stderr
    assert home.tell(f"/runs/one/effects/{charge['key']}/undo")[0] == 409
    assert len(heard) == 4 and len({(event["idempotencyKey"], header) for event, header in heard}) == 1
    event, header = heard[0]
    assert event["function"] == "refund" and header == event["idempotencyKey"] != charge["key"]
    assert event["craton"]["undo"] == {
        "tool": "shop__charge", "idempotencyKey": charge["key"],
        "arguments": {"n": "1"}, "result": "charge 1",
    }
    assert home.door("/effects?state=undone")["effects"][0]["undo"]["state"] == "done"
