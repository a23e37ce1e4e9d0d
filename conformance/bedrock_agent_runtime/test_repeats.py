"""A repeated request is one turn: SDKs repeat with the same `amz-sdk-invocation-id`."""

import socket
import threading
import time
import uuid

import pytest

from support.agents import Agent, function, hear
from support.model import Say
from support.tools import KEYED

SLOW = 6.0
PATIENCE = 2


class Effects:
    """A keyed tool: it counts what it really did, once per key, and takes its time to say so."""

    def __init__(self, seconds=0.0):
        self.seconds, self.done, self.asked = seconds, {}, 0
        self._lock = threading.Lock()

    def __call__(self, event):
        with self._lock:
            self.asked += 1
            self.done.setdefault(event["idempotencyKey"], f"R-{len(self.done) + 1}")
        time.sleep(self.seconds)
        return self.done[event["idempotencyKey"]]


@pytest.fixture
def slow(agent, model):
    effects = Effects(SLOW)
    model.turn(Say("On it.", [("shop__refund", {"order_id": "A-1"})]), Say("<answer>Refunded.</answer>"))
    one = agent().serve(effects)
    one.group(function("refund", order_id="string required"), executor=KEYED)
    return one.prepare(), effects


class Withholding:
    """A proxy that passes requests on, and the first connection's answer only after the client has
    given up on it."""

    def __init__(self, port):
        self._target, self.connections, self._listener = port, 0, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
            if self.connections > 1:
                threading.Thread(target=self._pass, args=(server, client), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self._listener.close()


@pytest.mark.parametrize("headers", ["at once", "withheld"])
def test_a_short_read_timeout_and_a_slow_tool_make_one_turn(craton, slow, model, headers):
    """K13: 1 turn, 1 model call per step, 1 effect, the full answer; also when the client times out
    before it sees a header and repeats: the repeat joins the run."""
    one, effects = slow
    proxy = Withholding(craton.port) if headers == "withheld" else None
    rt = craton.client("bedrock-agent-runtime", url=proxy and proxy.url, read_timeout=PATIENCE)
    session = f"k13-{headers.split()[0]}"
    turn = hear(one.invoke("Refund A-1", session=session, rt=rt))
    assert turn.text == "Refunded."
    assert turn.answer["ResponseMetadata"]["RetryAttempts"] == (1 if proxy else 0)
    assert len(model.requests) == 2
    assert effects.asked == 1 and len(effects.done) == 1
    runs = craton.door(f"/runs?session={session}")["runs"]
    assert len(runs) == 1
    if proxy:
        assert proxy.connections == 2
        proxy.close()


def with_invocation_id(craton, word):
    """A client all of whose requests claim to be attempts of one call."""
    rt = craton.client("bedrock-agent-runtime")

    def claim(request, **_):
        request.headers["amz-sdk-invocation-id"] = word

    rt.meta.events.register("before-send.bedrock-agent-runtime.InvokeAgent", claim)
    return rt


def test_a_repeat_of_a_finished_turn_gets_the_same_answer(craton, agent, model):
    """K13"""
    model.turn(Say("<answer>only once</answer>"))
    one = agent().prepare()
    rt = with_invocation_id(craton, str(uuid.uuid4()))
    turns = [hear(one.invoke("hi", session="again", rt=rt, enableTrace=True)) for _ in range(2)]
    assert turns[0].text == turns[1].text == "only once"
    assert turns[0].parts == turns[1].parts
    assert len(model.requests) == 1


def test_repeats_that_overlap_hear_the_same_turn(craton, agent, model):
    """K13: five attempts at once."""
    model.turn(Say("<answer>only once</answer>", before=lambda: time.sleep(0.3)))
    one = agent().prepare()
    rt = with_invocation_id(craton, str(uuid.uuid4()))
    texts = []
    threads = [threading.Thread(target=lambda: texts.append(hear(one.invoke("hi", session="five", rt=rt)).text))
               for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert texts == ["only once"] * 5 and len(model.requests) == 1


def test_the_same_words_under_a_new_id_are_a_new_turn(agent, model):
    """K13: only a repeat is a repeat."""
    model.turn(Say("ok"))
    one = agent().prepare()
    one.talk("hi", session="new")
    one.talk("hi", session="new")
    assert len(model.requests) == 2


def test_a_client_that_goes_away_does_not_stop_the_turn(craton, agent, model):
    """The run finishes; the next turn of the session finds it in its history."""
    entered, gone = threading.Event(), threading.Event()

    def wait(event):
        entered.set()
        assert gone.wait(10)
        return "refunded"

    model.turn(Say(calls=[("shop__refund", {"order_id": "1"})]), Say("Refunded."), said="refund").turn(Say("x"))
    one = agent().serve(wait)
    one.group(function("refund", order_id="string required"), executor=KEYED)
    answer = one.prepare().invoke("refund", session="away")
    assert entered.wait(10)
    answer["completion"].close()
    gone.set()
    one.talk("and?", session="away")
    history = [m for m in model.requests[-1]["messages"] if m["role"] != "system"]
    assert [m["role"] for m in history] == ["user", "assistant", "tool", "assistant", "user"]
    assert len(model.requests) == 3


def at_home(fresh, model, tools, effects, executor):
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools)
    one.serve(effects)
    one.group(function("refund", order_id="string required"), executor=executor)
    return one.prepare()


class Held(Effects):
    """Has its effect at once, and answers only when it is let go."""

    def __init__(self):
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, event):
        said = super().__call__(event)
        self.entered.set()
        self.let_go.wait(20)
        return said


def killed_in_the_call(fresh, one, held, session, invocation_id):
    """Invokes, and kills the server while the tool has had its effect and not yet answered."""
    broken = []

    def invoke():
        try:
            broken.append(hear(one.invoke(
                "refund A-1", session=session, rt=with_invocation_id(fresh, invocation_id))).text)
        except Exception as error:  # the connection breaks in one of many ways
            broken.append(error)

    thread = threading.Thread(target=invoke)
    thread.start()
    assert held.entered.wait(10)
    fresh.kill()
    held.let_go.set()
    fresh.start()
    return thread, broken


def test_kill_in_a_keyed_call_has_one_effect_and_the_answer(fresh, model, tools):
    """The call is repeated with its key after the restart; the repeat of the request joins it."""
    held = Held()
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1"})]), Say("<answer>Refunded.</answer>"))
    from support.tools import KEYED as executor
    one = at_home(fresh, model, tools, held, executor)
    id = str(uuid.uuid4())
    thread, _ = killed_in_the_call(fresh, one, held, "keyed", id)
    again = hear(one.invoke("refund A-1", session="keyed", rt=with_invocation_id(fresh, id)))
    thread.join(30)
    assert again.text == "Refunded."
    assert len(held.done) == 1 and held.asked == 2
    keys = {call.event["idempotencyKey"] for call in one.calls()}
    assert len(keys) == 1
    assert len(model.requests) == 2
    model._turns.clear()
    model.turn(Say("You are welcome."))
    assert one.talk("thanks", session="keyed").text == "You are welcome."


def test_kill_in_a_once_call_has_one_effect_and_an_unknown_outcome(fresh, model, tools):
    """Never dispatched again: the model is told that nobody knows, and an identical call is refused."""
    from support.model import tool_results
    from support.tools import ONCE
    held = Held()
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1"})]), Say("<answer>A person looks.</answer>"))
    one = at_home(fresh, model, tools, held, ONCE)
    id = str(uuid.uuid4())
    thread, _ = killed_in_the_call(fresh, one, held, "once", id)
    again = hear(one.invoke("refund A-1", session="once", rt=with_invocation_id(fresh, id)))
    thread.join(30)
    assert again.text == "A person looks."
    assert held.asked == 1 and len(held.done) == 1
    assert "unknown" in tool_results(model.requests[1])[0]
    one.talk("refund A-1", session="once")
    assert held.asked == 1


def test_a_turn_that_waits_in_the_queue_survives_a_kill(fresh, model, tools):
    """Two turns of one session: one in its tool call, one queued. Both end after the restart."""
    from support.tools import KEYED as executor
    held = Held()
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1"})]), Say("<answer>Refunded.</answer>"),
               said="refund").turn(Say("Second."))
    one = at_home(fresh, model, tools, held, executor)
    second, heard = str(uuid.uuid4()), []

    def queue():
        try:
            heard.append(hear(one.invoke("what else?", session="queue", rt=with_invocation_id(fresh, second))))
        except Exception as error:
            heard.append(error)

    first = threading.Thread(target=lambda: killed_in_the_call(fresh, one, held, "queue", str(uuid.uuid4())))
    first.start()
    assert held.entered.wait(10)
    first.join(30)
    thread = threading.Thread(target=queue)
    thread.start()
    thread.join(30)
    again = hear(one.invoke("what else?", session="queue", rt=with_invocation_id(fresh, second)))
    assert again.text == "Second." and len(held.done) == 1
    last = [m["role"] for m in model.requests[-1]["messages"] if m["role"] != "system"]
    assert last == ["user", "assistant", "tool", "assistant", "user"]


def test_a_server_that_is_told_to_stop_ends_its_turns_first(fresh, model, tools):
    """SIGTERM: the turn under way is finished, its client hears the answer."""
    held, entered = threading.Event(), threading.Event()

    def before():
        entered.set()
        held.wait(10)

    model.turn(Say("<answer>Finished.</answer>", before=before))
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools).prepare()
    texts = []
    thread = threading.Thread(target=lambda: texts.append(one.talk("hi").text))
    thread.start()
    assert entered.wait(10)
    stopping = threading.Thread(target=fresh.stop)
    stopping.start()
    held.set()
    thread.join(20)
    stopping.join(20)
    assert texts == ["Finished."]
    assert fresh.process.returncode == 0
