"""`craton chat`: an agent in the terminal, by pipes and on a terminal."""

import json
import subprocess
import threading
import unicodedata

import pytest

from support.agents import Agent, function, unique, until
from support.model import Say, tool_results
from support.server import binary
from support.terminal import Terminal, environment, run
from support.tools import READ

GET_ORDER = function("get_order", "Shows an order", order_id="string required")
REFUND = function("refund", "Refunds an order", order_id="string required", amount="number required")


@pytest.fixture
def terminal(craton):
    opened = []

    def open_one(*arguments):
        opened.append(Terminal(*arguments, url=craton.url))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def chat(craton, one, *arguments, said=""):
    return run("chat", one.name, *arguments, url=craton.url, said=said)


def test_one_message_is_one_turn_and_only_its_answer_is_standard_output(craton, agent, model):
    model.turn(Say("Looking.", [("shop__get_order", {"order_id": "A-1"})]), Say("It was shipped."))
    one = agent().serve(lambda e: "shipped")
    one.group(GET_ORDER, executor=READ)
    done = chat(craton, one.prepare(), "--message", "Where is A-1?")
    assert (done.stdout, done.returncode) == ("It was shipped.\n", 0)
    assert "shop.get_order(order_id=A-1) → shipped" in done.stderr
    assert f"model {model.id}" in done.stderr and " ms " in done.stderr


def test_each_line_of_a_pipe_is_a_turn_of_one_session(craton, agent, model):
    model.turn(Say("Hello Ada."), said="I am Ada").turn(Say("Ada."), said="my name")
    done = chat(craton, agent().prepare(), said="I am Ada\n\nWhat is my name?\n")
    assert (done.stdout, done.returncode) == ("Hello Ada.\nAda.\n", 0)
    assert "I am Ada" in str(model.requests[1]["messages"])


def needs_a_word(agent, model, executor):
    """An agent with one call that its user confirms."""
    model.turn(Say(calls=[("desk__pay", {"amount": 5})]), Say("Done."))
    one = agent().serve(lambda e: "paid")
    pay = function("pay", amount="number required") | {"requireConfirmation": "ENABLED"}
    one.group(pay, executor=executor, name="desk")
    return one.prepare()


@pytest.mark.parametrize(("line", "performed"), [("result: y", 1), ("result: no", 0), ("result:", 0)])
def test_a_call_that_needs_a_word_gets_it_from_a_line(craton, agent, model, line, performed):
    one = needs_a_word(agent, model, READ)
    done = chat(craton, one, said=f"Pay Ada 5\n{line}\n")
    assert (done.stdout, done.returncode) == ("Done.\n", 0)
    assert "desk.pay(amount=5)" in done.stderr and "needs your word" in done.stderr
    assert len(one.calls()) == performed


def test_a_confirmed_call_of_the_clients_own_wants_its_result_as_well(craton, agent, model):
    one = needs_a_word(agent, model, None)
    done = chat(craton, one, said="Pay Ada 5\nresult: y\nresult: paid by hand\n")
    assert done.stdout == "Done.\n" and "paid by hand" in tool_results(model.requests[1])[0]


def test_new_begins_another_session(craton, agent, model):
    model.turn(Say("ok"))
    done = chat(craton, agent().prepare(), said="I am Ada\n/new\nWhat is my name?\n")
    assert done.returncode == 0
    assert "I am Ada" not in str(model.requests[1]["messages"])


def test_a_session_that_is_named_goes_on(craton, agent, model):
    model.turn(Say("ok"))
    one, session = agent().prepare(), unique("session")
    for words in ("I am Ada", "What is my name?"):
        assert chat(craton, one, "--session", session, "--message", words).returncode == 0
    assert "I am Ada" in str(model.requests[1]["messages"])
    wrong = chat(craton, one, "--session", "a/b", "--message", "x")
    assert wrong.returncode != 0 and "2 to 100 letters" in wrong.stderr


def test_trace_shows_the_latest_run(craton, agent, model):
    model.turn(Say("ok"))
    done = chat(craton, agent().prepare(), said="/trace\nhello there\n/trace\n/nope\n/quit\nnot said\n")
    assert "there is no run to show" in done.stderr
    assert "user     hello there" in done.stderr and "answer   ok" in done.stderr
    assert "there is no command /nope; there are /new, /trace and /quit" in done.stderr
    assert len(model.requests) == 1


def test_an_agent_is_found_by_name_or_id_and_near_names_are_told(craton, agent, model):
    model.turn(Say("ok"))
    one = agent().prepare()
    for word in (one.id, one.name, one.name.upper()):
        done = run("chat", word, "--message", "hi", url=craton.url)
        assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr
    near = run("chat", one.name[:-1] + "x", "--message", "hi", url=craton.url)
    assert near.returncode == 1 and "did you mean" in near.stderr and near.stdout == ""


def test_an_alias_is_found_by_name_or_id(craton, agent, model):
    model.turn(Say("ok"))
    one = agent().prepare()
    alias = one.alias("live")
    for word in (alias, "live", "TSTALIASID"):
        done = chat(craton, one, "--alias", word, "--message", "hi")
        assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr
    wrong = chat(craton, one, "--alias", "life", "--message", "hi")
    assert wrong.returncode == 1
    assert f"there is no alias life; did you mean live ({alias})?" in wrong.stderr


def test_a_call_that_is_handed_out_takes_its_result_from_the_person(craton, agent, model):
    model.turn(Say(calls=[("shop__refund", {"order_id": n, "amount": 5}) for n in "ab"]), Say("Done."))
    one = agent()
    one.group(REFUND)
    done = chat(craton, one.prepare(), said='refund both\nresult: {"paid": true}\nresult:no such order\n')
    assert (done.stdout, done.returncode) == ("Done.\n", 0), done.stderr
    assert "the agent hands you 2 calls" in done.stderr
    assert "shop.refund(amount=5, order_id=a)" in done.stderr
    assert tool_results(model.requests[1]) == ['{"paid": true}', "no such order"]


def test_an_empty_line_declines_a_call(craton, agent, model):
    model.turn(Say(calls=[("shop__refund", {"order_id": "a", "amount": 5})]), Say("I did not."))
    one = agent()
    one.group(REFUND)
    done = chat(craton, one.prepare(), said="refund a\n\n")
    assert (done.stdout, done.returncode) == ("I did not.\n", 0)
    assert "call_declined: a person refused this call" in tool_results(model.requests[1])[0]


def test_the_next_question_of_a_pipe_is_no_result(craton, agent, model):
    """It was written before anybody knew of the call: it declines those that are left, and is asked."""
    model.turn(Say(calls=[("shop__refund", {"order_id": n, "amount": 5}) for n in "abc"]),
               Say("I could not."), said="refund all").turn(Say("Shipped."), said="Where is A-1002?")
    one = agent()
    one.group(REFUND)
    done = chat(craton, one.prepare(), said="refund all\nresult: paid\nWhere is A-1002?\n")
    assert (done.stdout, done.returncode) == ("I could not.\nShipped.\n", 0), done.stderr
    assert "give a line `result: JSON or text`; any other line declines" in done.stderr
    first, *others = tool_results(model.requests[1])
    assert first == "paid" and len(others) == 2
    assert all(other.startswith("call_declined: nobody was there") for other in others)
    assert "Where is A-1002?" not in str(model.requests[1]["messages"])


def test_a_command_is_one_where_a_result_is_waited_for(agent, model, terminal):
    model.turn(Say(calls=[("shop__refund", {"order_id": "a", "amount": 5})]), Say("Done."))
    one = agent()
    one.group(REFUND)
    screen = terminal("chat", one.prepare().name)
    screen.until("you> ").type("refund a\r")
    screen.until("result> ").type("/trace\r").until("handed   to the client")
    screen.until("result> ").type("/nope\r").until("as a result it is `result: /nope`")
    screen.until("result> ").type("/new\r").until("still waits for the results").until("a new session")
    screen.until("you> ").type("refund a\r")
    screen.until("result> ").type("paid /quit\r").until("Done.")
    assert tool_results(model.requests[2]) == ["paid /quit"]
    screen.until("you> ").type("refund a\r")
    screen.until("result> ").type("/quit\r").until("still waits for the results")
    assert screen.end() == 0


def test_a_call_that_nobody_answers_is_a_failure_that_says_how_to_go_on(craton, agent, model):
    model.turn(Say(calls=[("shop__refund", {"order_id": "a", "amount": 5})]))
    one = agent()
    one.group(REFUND)
    done = chat(craton, one.prepare(), "--message", "refund a")
    assert done.returncode == 1 and "the agent still waits for the results" in done.stderr


def test_a_failed_turn_says_what_to_do_and_the_chat_goes_on(craton, agent, model):
    model.turn(Say("ok"), said="good").turn(Say("the model is out of order", status=400), said="bad")
    done = chat(craton, agent().prepare(), said="bad\ngood\n")
    assert (done.stdout, done.returncode) == ("ok\n", 1)
    assert "the model is out of order" in done.stderr and "craton trace" in done.stderr
    assert "1 of 2 turns failed" in done.stderr


def test_a_turn_that_is_refused_at_once_does_not_name_the_run_before(craton, agent, model, cp):
    """The alias goes away between two turns: what is said of the second is not said of the first."""
    one = agent().prepare()
    alias = one.alias("live")
    model.turn(Say("ok", before=lambda: cp.delete_agent_alias(agentId=one.id, agentAliasId=alias)))
    done = chat(craton, one, "--alias", "live", said="first\nsecond\n")
    assert (done.stdout, done.returncode) == ("ok\n", 1)
    assert "ResourceNotFoundException" in done.stderr and "craton trace" not in done.stderr


def test_without_a_server_the_message_says_how_to_start_one():
    done = run("chat", "support", "--endpoint", "http://127.0.0.1:9", "--message", "hi")
    assert done.returncode == 1 and "craton up" in done.stderr


def test_words_are_shown_while_the_model_speaks(craton, agent, model):
    heard = threading.Event()
    model.turn(Say(pieces=["<answer>The first words", " and the last.</answer>"],
                   between=lambda: heard.wait(20)))
    process = subprocess.Popen(
        [binary(), "chat", agent().prepare().name, "--message", "speak"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(craton.url))
    first = process.stdout.read(len("The first"))
    heard.set()
    rest = process.stdout.read()
    assert (first + rest, process.wait(20)) == (b"The first words and the last.\n", 0)


def test_rules_never_pose_as_a_model(plain):
    clients = [plain.client(name) for name in ("bedrock-agent", "bedrock-agent-runtime")]
    one = Agent(*clients, model=None, tools=None).prepare()
    done = run("chat", one.name, url=plain.url, said="hello\nhello\n")
    assert done.returncode == 0
    assert done.stderr.count("craton.rules answers: it picks tools and fills arguments by rule") == 1


def test_each_running_tool_has_a_live_line(agent, model, terminal):
    """Both lines are on the terminal, their clocks running, while both tools still work."""
    seen = threading.Event()
    model.turn(Say(calls=[("shop__get_order", {"order_id": n}) for n in ("A-1", "A-2")]), Say("Both."))
    one = agent().serve(lambda e: f"shown {seen.wait(20)}")
    one.group(GET_ORDER, executor=READ)
    screen = terminal("chat", one.prepare().name)
    screen.until("you> ").type("Compare A-1 and A-2\r")
    screen.until("get_order(order_id=A-1)").until("get_order(order_id=A-2)")
    assert "✓" not in screen.text.split("order_id=A-1")[1]
    screen.until("0.3 s  shop.get_order(order_id=A-1)")
    seen.set()
    screen.until("Both.")
    for order in ("A-1", "A-2"):
        assert f"ms shop.get_order(order_id={order}) → shown True" in screen.text
    assert screen.until("you> ").type("\x04").end() == 0


def test_ctrl_c_ends_the_wait_and_the_turn_goes_on(craton, agent, model, terminal):
    go_on = threading.Event()
    model.turn(Say("Late.", before=lambda: go_on.wait(20)), said="slow").turn(Say("Here."), said="quick")
    screen = terminal("chat", agent().prepare().name)
    screen.until("you> ").type("be slow\r").until("model ").type("\x03")
    screen.until("the turn goes on in the server; `craton trace ")
    run_id = screen.text.split("craton trace ")[-1].split("`")[0]
    go_on.set()
    until(lambda: craton.door(f"/runs/{run_id}")["run"]["status"] == "answered")
    screen.until("you> ").type("be quick\r").until("Here.")
    screen.until("you> ").type("\x03").until("Ctrl-D ends the chat")
    assert screen.until("you> ").type("\x04").end() == 0


def test_a_models_words_cannot_steer_the_terminal(agent, model, terminal):
    model.turn(Say("before \x1b]0;title\x07\x1b[31mafter"))
    screen = terminal("chat", agent().prepare().name)
    screen.until("you> ").type("hi\r").until("before ").until("after")
    assert "\x1b[31m" not in screen.raw and "\x1b]0" not in screen.raw
    assert screen.until("you> ").type("\x04").end() == 0


def test_a_trace_cannot_steer_the_terminal_either(craton, agent, model):
    poison = "before \x1b[2J\x1b]52;c;eA==\x07\x9b31m\x7fafter"
    model.turn(Say("Looking.", [("shop__get_order", {"order_id": "A-1"})]), Say(poison))
    one = agent().serve(lambda e: poison)
    one.group(GET_ORDER, executor=READ)
    session = unique("session")
    assert chat(craton, one.prepare(), "--session", session, "--message", "hi").returncode == 0
    shown = run("trace", session, url=craton.url).stdout
    assert shown.count("before [2J]52;c;eA==31mafter") == 3
    assert not [c for c in shown if unicodedata.category(c) == "Cc" and c != "\n"]
    whole = run("trace", session, "--json", url=craton.url).stdout
    assert not [c for c in whole if unicodedata.category(c) == "Cc" and c != "\n"]
    finished = [e["event"] for e in json.loads(whole)["events"] if e["event"]["type"] == "finished"]
    assert [event["text"] for event in finished] == [poison]
