"""The AWS SDK for Rust: the program of clients/rust, built from crates.io by its own lock file."""

import json
import threading

import pytest

from support.agents import unique
from support.model import Say, tool_names, tool_results
from support.program import Program
from support.server import ROLE, target

BINARY = target() / "clients" / "rust" / "debug" / "clients"


@pytest.fixture
def rust(craton, model):
    """Starts one case of the program."""
    started = []

    def run(case, server=craton, variables=None, **given):
        if not BINARY.exists():
            pytest.fail(f"{BINARY} is not there; `cargo xtask test` builds it")
        started.append(Program([BINARY, case], server.url, {"model": model.id, **given},
                               **variables or {}))
        return started[-1]

    yield run
    for program in started:
        program.close()


@pytest.fixture
def agent(cp, rust):
    """An agent that the SDK itself has made, whose calls return to the program."""
    made = rust("set_up", name=unique("rust-agent"), role=ROLE).result()
    yield made
    cp.delete_agent(agentId=made["agentId"], skipResourceInUseCheck=True)


def break_off():
    raise ConnectionResetError


def test_a_tool_loop_over_converse(rust, model):
    """T2"""
    model.turn(Say(calls=[("weather", {"city": "Oslo"})]), Say("It is 18 degrees."))
    assert rust("tool_loop").result() == {
        "stops": ["tool_use", "end_turn"], "text": "It is 18 degrees.", "tokens": 18}
    assert tool_names(model.requests[0]) == ["weather"]
    assert json.loads(tool_results(model.requests[1])[0]) == {"city": "Oslo", "degrees": 18}


def test_words_arrive_while_the_model_speaks(rust, model):
    heard, late = threading.Event(), []
    model.turn(Say(pieces=["one ", "two"], between=lambda: late.append(not heard.wait(30))))
    program = rust("streamed")
    assert program.hear() == "one "
    heard.set()
    assert program.hear() == "two"
    assert program.result() == {"stop": "end_turn", "tokens": 18}
    assert late == [False]


def test_a_keep_alive_is_an_unknown_event(rust, model):
    """The SDK hands it on as the variant that its `_ =>` arms are for; the text is untouched."""
    enough = threading.Event()
    model.turn(Say(pieces=["one ", "two"], between=lambda: enough.wait(30)))
    program = rust("kept_alive")
    assert program.hear() is True
    enough.set()
    assert program.result() == "one two"


def test_refusals_are_typed_before_the_stream_and_in_it(rust, model):
    model.turn(Say("slow down", status=429))
    error = rust("refused_before_the_stream").result()
    assert (error["typed"], error["status"]) == (True, 429) and "slow down" in error["message"]
    model._turns.clear()
    model.turn(Say(pieces=["half an ans", "wer"], between=break_off))
    error = rust("refused_in_the_stream").result()
    assert (error["typed"], error["text"]) == (True, "half an ans")
    assert "broke off" in error["message"]


def test_credentials_hold_whatever_the_path_has_in_it(rust, secured, credentials, spelled):
    spelled.turn(Say("let in"))
    program = rust("streamed", server=secured, variables=credentials, model=spelled.id)
    assert program.hear() == "let in"
    assert program.result()["stop"] == "end_turn"


def test_an_agent_is_made_and_listed_page_by_page(rust, agent, cp):
    names = [a["agentName"] for a in cp.list_agents(maxResults=1000)["agentSummaries"]]
    assert sorted(rust("listed").result()) == sorted(names)
    assert rust("not_found").result() is True


def test_control_returns_to_the_program_and_back(rust, agent, model):
    """T2"""
    model.turn(Say(calls=[("desk__pay", {"amount": 5, "to": "Ada"})]), Say("Ada has her 5."))
    seen = rust("return_of_control", agent=agent, session="rust").result()
    (group, function, parameters), = seen["calls"]
    assert (group, function) == ("desk", "pay")
    assert sorted(parameters) == [["amount", "number", "5"], ["to", "string", "Ada"]]
    assert seen["text"] == "Ada has her 5." and all(seen["traces"])
    assert tool_results(model.requests[1]) == ["paid"]


def test_an_agents_words_arrive_while_its_model_speaks(rust, agent, model):
    heard, late = threading.Event(), []
    model.turn(Say(pieces=["<answer>The parcel", " is in", " Ghent.</answer>"],
                   between=lambda: late.append(not heard.wait(30))))
    program = rust("agent_streamed", agent=agent, session="rust")
    text = program.hear()
    heard.set()
    while isinstance(said := program.hear(), str):
        text += said
    assert late == [False]
    assert text == said["text"] == "The parcel is in Ghent." and said["traces"]


def test_a_refusal_in_an_agents_stream_is_typed(rust, agent, model):
    model.turn(Say("no", status=400))
    assert rust("agent_refused", agent=agent, session="rust").result()["typed"] is True
