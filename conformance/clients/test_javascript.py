"""The JavaScript SDK v3 (the Bedrock runtimes over HTTP/2, as they come), Vercel's AI SDK, LangChain.js.

The programs are in js/cases; package-lock.json pins what npm installs for them.
"""

import base64
import pathlib
import shutil
import threading

import pytest

from support.agents import package, unique
from support.model import Say, last_words, text_of, tool_names, tool_results
from support.program import Program
from support.server import ROLE, target

SOURCES = pathlib.Path(__file__).parent / "js"
HOME = target() / "clients" / "js"


@pytest.fixture(scope="session")
def scripts():
    """The programs beside the packages that they import."""
    if not shutil.which("node"):
        pytest.fail("Node.js is not on the PATH; these cases need version 20 or newer")
    if not (HOME / "node_modules").is_dir():
        pytest.fail(f"no packages in {HOME}; `cargo xtask test` installs them")
    # Node.js looks for packages beside the file that imports them.
    shutil.copytree(SOURCES, HOME, dirs_exist_ok=True)
    return HOME / "run.mjs"


@pytest.fixture
def node(scripts, craton, model):
    """Starts one case of a file of js/cases."""
    started = []

    def run(file, case, server=craton, variables=None, **given):
        started.append(Program(["node", str(scripts), file, case], server.url,
                               {"model": model.id, **given}, **variables or {}))
        return started[-1]

    yield run
    for program in started:
        program.close()


@pytest.fixture
def echo(model):
    """The model says what the user said."""
    def say(request):
        return Say(last_words(request["messages"])[0])
    model.turn(say)


def all_at_once(model, count):
    """The model answers nobody before `count` have asked; then everyone with their own words."""
    together = threading.Barrier(count, timeout=30)

    def say(request):
        said = last_words(request["messages"])[0]
        return Say(pieces=[said[:3], said[3:]], before=together.wait)

    model.turn(say)
    return [f"number {n}" for n in range(count)]


def break_off():
    raise ConnectionResetError


def said_before(request):
    return [text_of(m["content"]) for m in request["messages"] if m["role"] == "assistant"]


def test_a_tool_loop_over_converse(node, model):
    """T2"""
    model.turn(Say(calls=[("weather", {"city": "Oslo"})]), Say("It is 18 degrees."))
    assert node("runtime", "toolLoop").result() == {
        "stops": ["tool_use", "end_turn"], "text": "It is 18 degrees.", "latency": "number",
        "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}}
    assert tool_names(model.requests[0]) == ["weather"]
    assert tool_results(model.requests[1]) == ['{"city":"Oslo","degrees":18}']


def test_words_arrive_while_the_model_speaks(node, model):
    """T3: the model goes on only once the program has its first word."""
    heard, late = threading.Event(), []
    model.turn(Say(pieces=["one ", "two"], between=lambda: late.append(not heard.wait(30))))
    program = node("runtime", "streamed")
    assert program.hear() == {"text": "one "}
    heard.set()
    assert program.hear() == {"text": "two"}
    kinds = [next(iter(event)) for event in program.result()]
    assert late == [False]
    assert kinds == ["messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop",
                     "messageStop", "metadata"]


def test_a_refusal_before_the_stream_is_a_typed_exception(node, model):
    model.turn(Say("slow down", status=429))
    error = node("runtime", "refusedBeforeTheStream").result()
    assert (error["class"], error["status"]) == ("ThrottlingException", 429)
    assert "slow down" in error["message"]


def test_a_refusal_in_the_stream_is_a_typed_exception(node, model):
    """T3: what was heard before it stays heard."""
    model.turn(Say(pieces=["half an ans", "wer"], between=break_off))
    error = node("runtime", "refusedInTheStream").result()
    assert (error["text"], error["class"]) == ("half an ans", "ModelStreamErrorException")
    assert "broke off" in error["message"]


def test_many_requests_run_side_by_side(node, model):
    words = all_at_once(model, 50)
    assert node("runtime", "manyAtOnce", count=50).result() == words


def test_many_streams_share_one_session(node, model):
    """T3"""
    words = all_at_once(model, 50)
    assert node("runtime", "manyStreamsOnOneSession", count=50).result() == {
        "texts": words, "sessions": 1}


def test_a_slow_reader_slows_nobody_else_on_its_session(node, model):
    model.turn(Say(pieces=["x" * 50_000] * 40), said="much").turn(Say("word"), said="little")
    assert node("runtime", "oneSlowReader").result() == {"quick": 4, "slow": 2_000_000}


def test_large_bodies_pass_in_both_directions(node, model, echo):
    assert node("runtime", "large", size=12_000_000).result() == 12_000_000


def test_a_body_past_the_limit_is_refused_with_words(node, model):
    error = node("runtime", "tooLarge", size=26_000_000).result()
    assert error["status"] == 413 and "25000000" in error["message"], error
    assert model.requests == []


def test_silence_is_kept_alive_and_the_program_sees_nothing_of_it(node, model):
    """T3: the model goes on only once two keep-alives have crossed the wire."""
    enough = threading.Event()
    model.turn(Say(pieces=["one ", "two"], between=lambda: enough.wait(30)))
    program = node("runtime", "keptAlive")
    assert (program.hear(), program.hear()) == (True, True)
    enough.set()
    assert program.result() == ["messageStart", "contentBlockDelta", "contentBlockDelta",
                                "contentBlockStop", "messageStop", "metadata"]


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_client_outlives_its_server(node, fresh, model, echo, end):
    program = node("runtime", "restarted", server=fresh)
    assert program.hear() == "before"
    getattr(fresh, end)()
    fresh.start()
    program.tell("the server is back")
    assert program.result() == "after"


def test_a_request_that_is_cut_off_is_made_again(node, fresh, model):
    def restart():
        if len(model.requests) == 1:
            fresh.kill()
            fresh.start()
    model.turn(Say("here", before=restart))
    assert node("runtime", "killedInFlight", server=fresh).result() == "here"


def test_an_abort_ends_the_call_while_the_model_still_thinks(node, model):
    asked, over = threading.Event(), threading.Event()
    model.turn(Say("never heard", before=lambda: (asked.set(), over.wait(30))))
    program = node("runtime", "aborted")
    assert asked.wait(30)
    program.tell("leave")
    assert program.result()["name"] == "AbortError"
    over.set()


def test_what_is_not_served_is_refused_by_name(node, model):
    error = node("runtime", "notServed").result()
    assert (error["name"], error["status"]) == ("NotImplementedException", 501)
    assert "ApplyGuardrail" in error["message"]


@pytest.mark.parametrize("file", ["runtime", "ai"])
def test_credentials_hold_whatever_the_path_has_in_it(node, secured, credentials, spelled, file):
    spelled.turn(Say("let in"))
    program = node(file, "letIn", server=secured, variables=credentials, model=spelled.id)
    assert program.result() == "let in"


@pytest.mark.parametrize("wrong, words", [
    ({"AWS_ACCESS_KEY_ID": "AKIACLIENTS", "AWS_SECRET_ACCESS_KEY": "another"}, "signature"),
    ({"AWS_BEARER_TOKEN_BEDROCK": "another"}, ""),
], ids=["signature", "API key"])
def test_wrong_credentials_are_refused_with_words(node, secured, wrong, words):
    error = node("runtime", "letIn", server=secured, variables=wrong).result()
    assert error["status"] == 403 and error["message"] and words in error["message"], error


# Agents


@pytest.fixture
def agent(cp, node, model):
    """An agent that the SDK itself has made, whose calls return to the program."""
    name = unique("js-agent")
    made = node("agents", "setUp", name=name).result()
    assert made.pop("dated") is True
    shown = cp.get_agent(agentId=made["agentId"])["agent"]
    assert shown["agentName"] == name and shown["agentResourceRoleArn"].endswith(f":role/{name}")
    yield made
    cp.delete_agent(agentId=made["agentId"], skipResourceInUseCheck=True)


def test_an_agent_is_made_and_listed_page_by_page(node, agent, cp):
    names = [a["agentName"] for a in cp.list_agents(maxResults=1000)["agentSummaries"]]
    assert sorted(node("agents", "listed").result()) == sorted(names)


def test_refusals_of_the_control_plane_are_typed(node):
    error = node("agents", "notFound").result()
    assert (error["class"], error["status"]) == ("ResourceNotFoundException", 404)
    error = node("agents", "wrongField").result()
    assert (error["class"], error["status"]) == ("ValidationException", 400)
    assert "agentName" in error["message"]


def test_control_returns_to_the_program_and_back(node, agent, model):
    """T2"""
    model.turn(Say(calls=[("desk__pay", {"amount": 5, "to": "Ada"})]), Say("Ada has her 5."))
    first, second = node("agents", "returnOfControl", agent=agent).result()
    call = first["control"]["invocationInputs"][0]["functionInvocationInput"]
    assert (call["actionGroup"], call["function"]) == ("desk", "pay")
    assert sorted((p["name"], p["type"], p["value"]) for p in call["parameters"]) == [
        ("amount", "number", "5"), ("to", "string", "Ada")]
    assert (first["text"], second["text"]) == ("", "Ada has her 5.")
    assert {"modelInvocationInput", "modelInvocationOutput", "observation"} <= set(second["steps"])
    assert tool_results(model.requests[1]) == ["paid"]


def test_an_agents_words_arrive_while_its_model_speaks(node, agent, model):
    """T3"""
    heard, late = threading.Event(), []
    model.turn(Say(pieces=["<answer>The parcel", " is in", " Ghent.</answer>"],
                   between=lambda: late.append(not heard.wait(30))))
    program = node("agents", "streamed", agent=agent)
    text = program.hear()
    heard.set()
    while isinstance(said := program.hear(), str):
        text += said
    assert late == [False]
    assert text == said["text"] == "The parcel is in Ghent." and said["chunks"] > 1
    assert (said["contentType"], said["session"]) == ("application/json", "string")


def test_refusals_of_the_agent_runtime_are_typed(node, agent, model):
    error = node("agents", "notFoundAtRuntime").result()
    assert (error["class"], error["status"]) == ("ResourceNotFoundException", 404)
    model.turn(Say("no", status=400))
    assert node("agents", "refusedInTheStream", agent=agent).result()["class"] == (
        "DependencyFailedException")


def test_an_abort_does_not_stop_the_turn(node, agent, model):
    """The next turn waits for it and knows of it."""
    asked, over = threading.Event(), threading.Event()
    model.turn(Say("of the first turn", before=lambda: (asked.set(), over.wait(30))), said="first")
    model.turn(Say("of the second"), said="second")
    program = node("agents", "aborted", agent=agent, session="aborted")
    assert program.hear() == "the stream is open" and asked.wait(30)
    program.tell("leave")
    assert program.hear() == ""
    over.set()
    assert program.result() == "of the second"
    assert "of the first turn" in said_before(model.requests[-1])


def test_a_turn_survives_its_server_and_the_client_finds_it_again(node, fresh, model):
    over = threading.Event()
    model.turn(Say("of the first turn", before=lambda: over.wait(30)), said="first")
    model.turn(Say("of the second"), said="second")
    agent = node("agents", "setUp", server=fresh, name=unique("js-agent")).result()
    program = node("agents", "killed", server=fresh, agent=agent, session="killed")
    assert program.hear() == "the stream is open"
    fresh.kill()
    assert program.hear() == ""
    over.set()
    fresh.start()
    program.tell("the server is back")
    assert program.result() == "of the second"
    assert "of the first turn" in said_before(model.requests[-1])


# Functions

HANDLER = """
def handler(event, context):
    print('doubling', event['n'])
    return {'doubled': event['n'] * 2}
"""


def test_a_function_is_made_called_and_deleted(node):
    zip_file = base64.b64encode(package(main=HANDLER)).decode()
    seen = node("functions", "lifeOfAFunction", name=unique("js"), zip=zip_file, role=ROLE).result()
    well, badly = seen["well"], seen["badly"]
    assert (well["status"], well["error"], well["payload"]) == (200, None, {"doubled": 40})
    assert "doubling 20" in well["log"]
    assert (badly["status"], badly["error"]) == (200, "Unhandled")
    assert badly["payload"]["errorType"] == "KeyError"
    assert (seen["gone"]["class"], seen["gone"]["status"]) == ("ResourceNotFoundException", 404)


# Vercel's AI SDK


def test_the_ai_sdk_runs_a_tool_loop(node, model):
    """T2"""
    model.turn(Say(calls=[("weather", {"city": "Oslo"})]), Say("It is 18 degrees."))
    assert node("ai", "toolLoop").result() == {
        "text": "It is 18 degrees.", "finishes": ["tool-calls", "stop"], "tokens": 36}
    assert tool_results(model.requests[1]) == ['{"city":"Oslo","degrees":18}']


def test_the_ai_sdk_streams_through_a_tool_call(node, model):
    model.turn(Say("I look.", [("weather", {"city": "Oslo"})]), Say(pieces=["It is ", "18."]))
    program = node("ai", "streamed")
    assert [program.hear() for _ in range(3)] == ["I look.", "It is ", "18."]
    assert {"tool-call", "tool-result", "finish"} <= set(program.result())
    assert len(model.requests) == 2


def test_the_ai_sdk_hears_which_stop_sequence_was_met(node, models):
    """It asks for the field of Anthropic's models alone."""
    model = models.model(f"anthropic.{unique('claude')}-v1:0").turn(Say("1, 2, 3, ", met="4"))
    assert node("ai", "stopped", model=model.id).result() == ["4", "4"]
    assert model.requests[0]["stop"] == ["4"]


def test_the_ai_sdk_shows_the_servers_words(node, model):
    model.turn(Say("slow down", status=429))
    error = node("ai", "refused").result()
    assert error["status"] == 429 and "slow down" in error["message"]


# LangChain.js


def test_langchain_runs_a_tool_loop(node, model):
    """T2"""
    model.turn(Say(calls=[("weather", {"city": "Oslo"})]), Say("It is 18 degrees."))
    assert node("langchain", "toolLoop").result() == {"text": "It is 18 degrees.", "tokens": 18}
    assert tool_results(model.requests[1]) == ['{"city":"Oslo","degrees":18}']


def test_langchains_words_arrive_while_the_model_speaks(node, model):
    heard, late = threading.Event(), []
    model.turn(Say(pieces=["one ", "two"], between=lambda: late.append(not heard.wait(30))))
    program = node("langchain", "streamed")
    assert program.hear() == "one "
    heard.set()
    assert program.hear() == "two"
    assert program.result() == {"text": "one two", "tokens": 18} and late == [False]
