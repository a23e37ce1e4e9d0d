"""`craton trace` and `craton diff`."""

import json

from support.agents import function
from support.model import Say
from support.terminal import run
from support.tools import READ


def run_of(turn):
    return turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]


def looking(agent, model, *results):
    model.turn(Say(calls=[("shop__look", {})]), Say("<answer>Done.</answer>"))
    states = iter(results)
    one = agent().serve(lambda e: next(states))
    one.group(function("look"), executor=READ)
    one.prepare()
    return [run_of(one.talk("Where?")) for _ in results]


def test_trace_shows_the_steps_and_the_prompts_for_whoever_asks(craton, agent, model):
    """P1"""
    id, = looking(agent, model, "open")
    plain = run("trace", id, url=craton.url).stdout
    assert "call     shop__look {} (read)" in plain and "answer   Done." in plain
    full = run("trace", id, "--prompts", url=craton.url).stdout
    assert full.count("| digest ok") == 2 and '"text": "Where?"' in full
    whole = json.loads(run("trace", id, "--json", url=craton.url).stdout)
    assert whole["steps"] and whole["trace"] and whole["run"]["run"] == id


def test_diff_names_the_first_difference_and_its_cause(craton, agent, model):
    """S4: 0 for the same, 1 for a difference, 2 where that cannot be said."""
    a, b, c = looking(agent, model, "open", "open", "closed")
    same = run("diff", a, b, url=craton.url)
    assert same.returncode == 0 and "nothing differs" in same.stdout
    found = run("diff", b, c, url=craton.url)
    assert found.returncode == 1
    assert found.stdout.splitlines()[2:] == [
        "first difference: tool result, at step 2, tool shop__look", "  in output",
        '  a: "open"', '  b: "closed"']
    assert json.loads(run("diff", b, c, "--json", url=craton.url).stdout)["divergence"]["cause"] == "toolResult"
    missing = run("diff", a, "nobody", url=craton.url)
    assert missing.returncode == 2 and "nobody" in missing.stderr
