"""`craton record`, `replay`, `fork`, `dry-run`, and `craton up --cassette`."""

import ctypes
import json
import os
import platform
import struct
import subprocess

import pytest

from support.agents import Agent, DRAFT_ALIAS, dry, function, hand_back, hear, refused, result
from support.model import Say
from support.server import Craton, binary
from support.terminal import run
from support.tools import KEYED, ONCE, READ

STREAM = {"streamingConfigurations": {"streamFinalResponse": True}}
# Numbers of the system calls that make a socket.
SOCKETS = {"x86_64": (41, 53), "aarch64": (198, 199)}


def play(rt, agent_id, session):
    """A script as its author wrote it: three turns, a stream and a hand-off. What it hears."""
    heard = []
    for text, fields in (("Where is A-1?", {}), ("And now?", STREAM), ("Do it.", {})):
        turn = hear(rt.invoke_agent(
            agentId=agent_id, agentAliasId=DRAFT_ALIAS, sessionId=session, inputText=text,
            enableTrace=True, **fields))
        heard.append((turn.chunks, turn.parts, turn.control))
        while turn.control:
            turn = hear(rt.invoke_agent(
                agentId=agent_id, agentAliasId=DRAFT_ALIAS, sessionId=session, enableTrace=True,
                **hand_back(turn.control, result(turn.control, 0, "signed"))))
            heard.append((turn.chunks, turn.parts, turn.control))
    return heard


@pytest.fixture
def recorded(request, fresh, model, tools, tmp_path):
    """A session played live and recorded; its server is stopped, and so is all that it spoke to."""
    secret = getattr(request, "param", "")
    model.turn(Say("I look.", [("shop__look", {"id": "A-1"})]), Say("<answer>In Ghent.</answer>"), said="Where")
    model.turn(Say("<answer>Still there, and it goes on tomorrow.</answer>"), said="And now?")
    model.turn(Say("", [("desk__sign", {})]), Say("<answer>Signed.</answer>"), said="Do it.")
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools)
    one.serve(lambda e: {"place": "Ghent", "api_key": secret})
    one.group(function("look", id="string required"), executor=READ)
    one.group(function("sign"), name="desk")
    one.prepare()
    heard = play(one.rt, one.id, "mine")
    file = tmp_path / "session.yaml"
    wrote = run("record", "mine", "--session", "-o", str(file), url=fresh.url)
    assert wrote.returncode == 0, wrote.stderr
    fresh.stop()
    return one.id, heard, file


def without_sockets():
    """From here on a system call that makes a socket ends the process (seccomp)."""
    numbers = SOCKETS[platform.machine()]
    steps = [(0x20, 0, 0, 0)]                                   # load the number of the call
    steps += [(0x15, len(numbers) - at, 0, nr) for at, nr in enumerate(numbers)]
    steps += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x80000000)]   # allow; kill the process
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
        os._exit(99)


@pytest.mark.skipif(platform.machine() not in SOCKETS, reason="system calls have other numbers here")
def test_a_replay_is_the_same_byte_for_byte_and_opens_no_socket(recorded):
    """S1: SHA-256 of events and frames equal, with a kernel that ends whoever opens a socket."""
    _, _, file = recorded
    control = subprocess.run(["python3", "-c", "import socket; socket.socket()"],
                             preexec_fn=without_sockets, capture_output=True)
    assert control.returncode == -31, "the filter ends who opens one"
    played = subprocess.run([binary(), "replay", "--json", str(file)], preexec_fn=without_sockets,
                            capture_output=True, text=True)
    assert played.returncode == 0, played.stderr
    told = json.loads(played.stdout)
    assert told["same"] and not told["edited"] and told["recorded"] == told["replayed"]
    assert told["runs"] == 3 and len(told["recorded"]["events"]) == 64


def test_an_unmodified_script_hears_its_session_again_without_provider_and_tools(recorded, model, tmp_path):
    """S1: `up --cassette`, frame by frame, under another session id."""
    agent_id, heard, file = recorded
    server = Craton(tmp_path / "stage")
    log = open(server.home / "log.txt", "ab")
    server.process = subprocess.Popen(
        [binary(), "up", "--cassette", str(file), "--listen", f"127.0.0.1:{server.port}"],
        stdout=log, stderr=log, cwd=server.home)
    try:
        server._wait_until_it_answers()
        rt = server.client("bedrock-agent-runtime")
        asked = len(model.requests)
        again = play(rt, agent_id, "another")
        for one, other in zip(again, heard):
            assert one == other
        assert len(again) == len(heard) and len(model.requests) == asked
        with refused("ValidationException", "no such request"):
            hear(rt.invoke_agent(agentId=agent_id, agentAliasId=DRAFT_ALIAS, sessionId="other", inputText="Why?"))
        with refused("NotImplementedException", "cassette"):
            server.client("bedrock-agent", retries={"total_max_attempts": 1}).list_agents()
    finally:
        server.stop()


@pytest.mark.parametrize("recorded", ["sk-live-0123456789abcdefghij"], indirect=True)
def test_no_secret_is_in_the_file_and_what_was_changed_is_named_by_its_byte(recorded, tmp_path):
    """S1: masked; a hand-edited cassette is read, and the request that changes is told."""
    _, _, file = recorded
    text = file.read_text()
    assert "sk-live-0123456789" not in text and "masked-" in text
    head, runs = text.split("\nruns:\n")
    edited = tmp_path / "edited.yaml"
    edited.write_text(head + "\nruns:\n" + runs.replace("Ghent", "Paris", 1))
    found = run("replay", str(edited))
    assert found.returncode == 1
    assert "edited" in found.stdout and "request 3 (model) differs from byte" in found.stdout
    assert "Paris" in found.stdout and "Ghent" in found.stdout
    edited.write_text("cassette: 7\n")
    newer = run("replay", str(edited))
    assert newer.returncode == 2 and "(CR0039)" in newer.stderr


def test_a_fork_reuses_what_is_before_its_step(craton, agent, model):
    """S2: nothing before the step is done again; after it the change alone differs."""
    model.turn(Say(calls=[("shop__pay", {})]), Say(calls=[("more__look", {})]), Say("<answer>Done.</answer>"))
    one = agent().serve(lambda e: e["function"] + " did")
    one.group(function("pay"), executor=ONCE)
    one.group(function("look"), executor=READ, name="more")
    one.prepare()
    turn = one.talk("Go.")
    id = turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]
    before = [call.event["function"] for call in one.calls()]
    forked = run("fork", f"{id}@4", "--set", "tool-result=more__look:{\"open\": true}", url=craton.url)
    assert forked.returncode == 0, forked.stderr
    assert [call.event["function"] for call in one.calls()] == before, "no tool was called"
    assert "reused" in forked.stderr
    fork = forked.stdout.split()[1]
    found = run("diff", id, fork, url=craton.url)
    assert "tool result, at step 4, tool more__look" in found.stdout
    wrong = run("fork", f"{id}@99", url=craton.url)
    assert wrong.returncode == 1 and "fork it at 1 to" in wrong.stderr


def test_a_dry_run_calls_no_writer(craton, agent, model):
    """S6: the plan and its effects; reading tools are called, the others are not."""
    model.turn(Say(calls=[("shop__look", {})]), Say(calls=[("pay__charge", {"cents": 5})]), Say("<answer>Paid.</answer>"))
    one = agent().serve(lambda e: e["function"] + " did")
    one.group(function("look"), executor=READ)
    one.group(function("charge", cents="integer required"), executor=KEYED, name="pay")
    one.prepare()
    done = run("dry-run", one.id, "Pay.", "--json", url=craton.url)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["dry"] and told["answer"] == {"text": "Paid."} and told["modelCalls"] == 3
    assert [(e["tool"], e["class"], e["source"]) for e in told["effects"]] == [
        ("shop__look", "read", "real"), ("pay__charge", "keyed", "nothing")]
    assert [call.event["function"] for call in one.calls()] == ["look"]
    assert not any(row.get("session", "").startswith("dry-run") for row in craton.door("/effects")["effects"])


def test_a_header_makes_invoke_agent_a_dry_run(craton, agent, model):
    """S6: an unmodified client hears what the turn would say; what is no turn is refused."""
    model.turn(Say(calls=[("shop__look", {})]), Say(calls=[("pay__charge", {"cents": 5})]), Say("<answer>Paid.</answer>"))
    one = agent().serve(lambda e: e["function"] + " did")
    one.group(function("look"), executor=READ)
    one.group(function("charge", cents="integer required"), executor=KEYED, name="pay")
    one.prepare()
    rt = dry(craton.client("bedrock-agent-runtime"))
    turn = hear(rt.invoke_agent(agentId=one.id, agentAliasId=DRAFT_ALIAS, sessionId="dry-header",
                                inputText="Pay.", enableTrace=True))
    headers = turn.answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-craton-dry-run"] == "true" and "x-craton-run-id" not in headers
    assert b"".join(turn.chunks) == b"Paid." and turn.parts
    assert [call.event["function"] for call in one.calls()] == ["look"]
    assert craton.door("/effects?session=dry-header")["effects"] == []
    with refused("ValidationException", "DeleteAgent was not done"):
        dry(craton.client("bedrock-agent")).delete_agent(agentId=one.id)
    assert craton.client("bedrock-agent").get_agent(agentId=one.id)["agent"]["agentStatus"] == "PREPARED"
