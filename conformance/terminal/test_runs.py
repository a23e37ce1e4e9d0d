"""`craton ps`, `top`, `kill`, `pause` and `resume`: what runs, and an operator's orders to it."""

import json
import re
import threading

import pytest

from support.agents import function, hear, refused, until
from support.model import Say
from support.terminal import Terminal, run
from support.tools import KEYED


class Held:
    """A tool that answers when it is let go. Of a keyed call the intent is durable once it is entered."""

    def __init__(self):
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, event):
        self.entered.set()
        self.let_go.wait(20)
        return "done"


@pytest.fixture
def under_way(craton, agent, model):
    """A run that waits for its tool: its id, its answer, and the tool."""
    held = Held()
    model.turn(Say(calls=[("shop__look", {})]), Say("<answer>Done.</answer>"))
    one = agent().serve(held)
    one.group(function("look"), executor=KEYED)
    answer = one.prepare().invoke("look", session=f"verbs-{one.id}")
    assert held.entered.wait(10)
    yield answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"], answer, held
    held.let_go.set()


def test_ps_shows_each_run_and_what_it_waits_for(craton, under_way):
    """S15"""
    id, answer, held = under_way
    shown = run("ps", url=craton.url)
    assert shown.returncode == 0 and shown.stdout.startswith("RUN ")
    line, = [line for line in shown.stdout.splitlines() if line.startswith(id)]
    assert re.search(r"running .* 1 +tool shop__look$", line), line
    session = line.split()[4]
    listed = json.loads(run("ps", "--json", "--session", session, url=craton.url).stdout)
    assert [one["run"] for one in listed] == [id]
    held.let_go.set()
    hear(answer)
    assert id not in run("ps", url=craton.url).stdout


def test_nothing_under_way_is_said(plain):
    shown = run("ps", url=plain.url)
    assert (shown.returncode, shown.stdout) == (0, "") and "no run" in shown.stderr


def test_pause_holds_a_run_and_resume_lets_it_go_on(craton, under_way, model):
    """S15"""
    id, answer, held = under_way
    assert "is held" in run("pause", id, url=craton.url).stdout
    held.let_go.set()
    until(lambda: "operator" in run("ps", url=craton.url).stdout)
    assert len(model.requests) == 1
    assert "goes on" in run("resume", id, url=craton.url).stdout
    assert hear(answer).text == "Done."
    over = run("pause", id, url=craton.url)
    assert over.returncode == 1 and "is over" in over.stderr


def test_kill_calls_a_run_off_once(craton, under_way):
    """S15"""
    id, answer, held = under_way
    assert run("kill", id, url=craton.url).stdout == f"run {id} is called off\n"
    with refused("ConflictException", "operator"):
        hear(answer)
    until(lambda: run("kill", id, url=craton.url).returncode == 1)
    again = run("kill", id, url=craton.url)
    assert "over already" in again.stderr and "CR0035" in again.stderr


def test_a_run_that_is_not_there_is_said(craton):
    for verb in ("kill", "pause", "resume", "trace"):
        shown = run(verb, "nobody", url=craton.url)
        assert shown.returncode == 1 and "nobody" in shown.stderr and "(CR0021)" in shown.stderr


def test_top_shows_rates_and_runs(craton, under_way):
    """S15: once for a script; again and again on a terminal."""
    id, _, _ = under_way
    once = run("top", "--once", "--interval", "1", url=craton.url)
    assert once.returncode == 0 and "\x1b" not in once.stdout
    assert re.search(r"^\S+  [1-9]\d* live: [1-9]\d* running, ", once.stdout)
    assert "per second:" in once.stdout and id in once.stdout
    screen = Terminal("top", "--interval", "1", url=craton.url, columns=160)
    try:
        screen.until("per second:").until(id).until("per second:").until(id)
        assert "\x1b[2J" in screen.raw
    finally:
        screen.close()
