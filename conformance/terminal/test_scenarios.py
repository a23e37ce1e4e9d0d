"""`craton test`: scenarios on a server of its own, with reports and exit codes."""

import json
import signal
import subprocess
import threading
import xml.etree.ElementTree as xml

import pytest

from support.model import Say
from support.server import binary
from support.terminal import environment, run

WEATHER = """
agent:
  instruction: You tell people what the weather is like where they are, in one sentence.
  tools:
    get_weather:
      description: Looks up the weather in a city
      parameters: {city: "string required, The city, such as Oslo"}
      responses: [{when: {city: Oslo}, response: {sky: snow}}, {when: {city: Rome}, response: {sky: sun}}]
scenarios:
  - name: Oslo
    input: What is the weather in Oslo?
    calls: [{get_weather: {city: Oslo}}]
    answer: snow
"""
WRONG = """
  - name: "<Rome> & \\x07"
    input: What is the weather in Rome?
    calls: [{get_weather: {city: {matches: ^P}}}]
    never: [get_weather]
    answer: {contains: rain, matches_not: sun}
    budget: {tokens: 1}
  - name: nobody answers
    input: What is the weather in Paris?
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="weather.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name
    return write


def test_what_is_as_expected_ends_with_0(write):
    """R1"""
    done = run("test", write(WEATHER), "--rules")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("1 passed, 0 failed, 0 left out; ")


def test_each_thing_that_is_not_is_said_and_ends_with_1(write, tmp_path):
    """S8"""
    done = run("test", write(WEATHER + WRONG), "--rules", "--junit", tmp_path / "o.xml", "--summary", tmp_path / "o.md")
    assert done.returncode == 1
    for wrong in ["get_weather was called otherwise: city", "must never be called", 'does not contain "rain"',
                  "must not match sun", "tokens, 1 are allowed", "has no response for"]:
        assert wrong in done.stdout, wrong
    root = xml.parse(tmp_path / "o.xml").getroot()
    suite, = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "1", "1", "0"]
    fine, failed, broke = suite
    assert [case.tag for case in suite] == ["testcase"] * 3
    assert fine.find("failure") is None and "snow" in fine.find("system-out").text
    assert failed.get("name") == "<Rome> & \ufffd" and "rain" in failed.find("failure").text
    assert broke.find("error").get("message").endswith("give one under `tools`")
    assert "## Oslo" not in (tmp_path / "o.md").read_text() and "## nobody answers" in (tmp_path / "o.md").read_text()


# What the schema of Jenkins' xUnit plugin (`junit-10.xsd`) lets stand where: attributes that must and may be
# there, and children in their order.
JUNIT = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "disabled", "errors"}, ["testsuite"]),
    "testsuite": ({"name", "tests"}, {"failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname",
                                      "id", "package"}, ["properties", "testcase", "system-out", "system-err"]),
    "testcase": ({"name", "classname"}, {"assertions", "time", "status"},
                 ["skipped", "error", "failure", "system-out", "system-err"]),
    "skipped": (set(), {"message"}, []),
    "error": (set(), {"message", "type"}, []),
    "failure": (set(), {"message", "type"}, []),
    "system-out": (set(), set(), []),
}


def fits_junit(element):
    must, may, children = JUNIT[element.tag]
    assert must <= set(element.attrib) <= must | may, element.attrib
    places = [children.index(child.tag) for child in element]
    assert places == sorted(places), [child.tag for child in element]
    for number in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
        assert element.get(number).isdecimal()
    if "time" in element.attrib:
        assert float(element.get("time")) >= 0
    if element.tag == "testsuite":
        for number, tag in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]:
            assert int(element.get(number)) == len(element.findall(f"testcase/{tag}"))
        assert int(element.get("tests")) == len(element.findall("testcase"))
    for child in element:
        fits_junit(child)


@pytest.mark.parametrize("more, outcomes", [((), {"failure", "error"}), (("--max-cost", "0"), {"skipped"})])
def test_the_report_fits_the_schema_of_jenkins(write, tmp_path, more, outcomes):
    """S8: in two suites, with everything that a scenario can come to."""
    files = write(WEATHER + WRONG), write(WEATHER, "other.yaml")
    run("test", *files, "--rules", "--junit", tmp_path / "o.xml", *more)
    root = xml.parse(tmp_path / "o.xml").getroot()
    fits_junit(root)
    assert len(root) == 2 and int(root.get("tests")) == 4
    found = {child.tag for case in root.iter("testcase") for child in case} - {"system-out"}
    assert found == outcomes


JUDGED = WEATHER + """
  - name: judged
    input: What is the weather in Rome?
    answer: {contains: sun, judge: it is polite}
"""


def test_a_judge_is_asked_and_its_word_counts(write, craton, model, tmp_path):
    """S8: an answer that the judge refuses fails, in the scores of a model too; a judge without a verdict is an error."""
    file = write(JUDGED)
    play = ("test", file, "--endpoint", craton.url, "--judge", model.id)
    model.turn(Say('{"pass": true, "why": "fine"}'), said="polite")
    done = run(*play)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = json.loads(model.requests[0]["messages"][-1]["content"])
    assert asked["criterion"] == "it is polite" and "Rome" in asked["question"] and "sun" in asked["answer"]
    model._turns.clear()
    model.turn(Say('{"pass": false, "why": "it is curt"}'), said="polite")
    done = run(*play)
    assert done.returncode == 1 and "judged: it is curt" in done.stdout
    done = run("bench", "models", file, "--endpoint", craton.url, "--judge", model.id, "--models", "craton.rules", "--json")
    row, = json.loads(done.stdout)["models"]
    assert (row["passed"], row["answerSuccess"]) == (1, 0.5)
    model._turns.clear()
    model.turn(Say("I would rather not say."), said="polite")
    done = run(*play)
    assert done.returncode == 1 and "gave no verdict" in done.stdout and "ERR" in done.stdout
    done = run(*play[:-2])
    assert done.returncode == 0 and "not judged: no --judge is named" in done.stdout


def test_what_cannot_fail_is_noted(write):
    done = run("test", write(WEATHER + "    never: [get_wether]\n"), "--rules")
    assert done.returncode == 0 and "get_wether is no tool of this agent" in done.stdout


@pytest.mark.parametrize("text, wrong", [
    ("", "missing field `scenarios`"),
    ("weather", "expected a mapping with `scenarios`"),
    (WEATHER + "    calls: []\n", "duplicate field `calls` at line"),
    (WEATHER + "  - {name: b, input: c, answer: {contain: x}}\n", "line 14: scenario \"b\": answer: unknown field `contain`"),
    (WEATHER + "  - {name: b, input: c, fails: true}\n", "line 14: scenario \"b\": fails: true names no exception"),
    (WEATHER + "  - name: b\n    input: c\n    answer: {matches: '('}\n", "line 16: scenario \"b\": answer:"),
    (WEATHER + "  - {name: b}\n", "line 14: scenario \"b\": give either `input` or `turns`"),
    ("scenarios: []", "no scenarios"),
    (WEATHER + "    unknown: 1\n", "unknown"),
    (WEATHER.replace("city: Oslo}}]\n    answer", "city: {matches: '('}}}]\n    answer"), "no regular expression"),
    (WEATHER.replace("agent:", "agent: nobody\nx:"), "unknown field"),
    ("agent: {inline: {foundationModel: craton.rules, actionGroup: []}}\nscenarios: [{name: a, input: b}]",
     "inline.actionGroup is no member; those are"),
    ("agent: nobody\nscenarios: [{name: a, input: b}]", "there is no agent nobody"),
    ("agent: {deploy: none.yaml}\nscenarios: [{name: a, input: b}]", "none.yaml"),
])
def test_what_cannot_be_played_ends_with_2(write, text, wrong):
    done = run("test", write(text))
    assert done.returncode == 2 and wrong in done.stderr, done.stderr


def test_a_baseline_shows_the_first_step_that_is_otherwise(write, tmp_path):
    """S7: what changed, and what it costs."""
    before, summary = tmp_path / "before.json", tmp_path / "o.md"
    assert run("test", write(WEATHER), "--rules", "--results", before).returncode == 0
    assert json.loads(before.read_text())["scenarios"][0]["outcome"] == "passed"
    other = write(WEATHER.replace("{sky: snow}", "{sky: snow, wind: none}"))
    done = run("test", other, "--rules", "--baseline", before, "--summary", summary)
    assert done.returncode == 0 and "otherwise from step 1 on" in done.stdout
    assert "wind" in summary.read_text() and "cost $" in summary.read_text()


def test_on_a_running_server_the_diff_of_both_runs_is_in_the_summary(write, plain, tmp_path):
    """S7: `craton diff` in the summary."""
    before, summary = tmp_path / "before.json", tmp_path / "o.md"
    assert run("test", write(WEATHER), "--endpoint", plain.url, "--results", before).returncode == 0
    other = write(WEATHER.replace("{sky: snow}", "{sky: snow, wind: none}"))
    run("test", other, "--endpoint", plain.url, "--baseline", before, "--summary", summary)
    assert "first difference:" in summary.read_text()


def test_it_plays_on_a_running_server_and_leaves_no_agent(write, plain):
    done = run("test", write(WEATHER), "--endpoint", plain.url)
    assert done.returncode == 0, done.stderr
    agents = plain.client("bedrock-agent").list_agents()["agentSummaries"]
    assert [one for one in agents if one["agentName"].startswith("test-")] == []


TEAM = """
scenarios:
  - {name: a, agent: {deploy: agents.yaml, name: one, simulate: true}, input: Hello}
  - {name: b, agent: {deploy: agents.yaml, name: two, simulate: true}, input: Hello}
"""
AGENTS = "agents: {%s}" % ", ".join(
    f"{name}: {{model: craton.rules, instruction: You help the customers of a shop with their orders.}}"
    for name in ("one", "two"))


def left(server):
    names = [one["agentName"] for one in server.client("bedrock-agent").list_agents()["agentSummaries"]]
    return [name for name in names if name.startswith(("test-", "one-", "two-"))]


def test_of_a_file_of_several_agents_none_is_left_and_nothing_is_complained_of(write, plain):
    write(AGENTS, "agents.yaml")
    done = run("test", write(TEAM), "--endpoint", plain.url)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert left(plain) == []


def test_agents_of_a_test_that_could_not_begin_are_deleted_too(write, plain):
    write(AGENTS, "agents.yaml")
    done = run("test", write(TEAM + "  - {name: c, agent: nobody, input: Hello}\n"), "--endpoint", plain.url)
    assert done.returncode == 2 and "there is no agent nobody" in done.stderr
    assert left(plain) == []


@pytest.mark.parametrize("text, wrong", [
    (WEATHER.replace("agent:\n", "agent:\n  alias: nope\n"), "has no alias nope"),
    (TEAM.replace("simulate: true", "simulate: true, alias: nope"), "has no alias nope"),
    (TEAM, "could not be created"),
])
def test_agents_are_deleted_where_making_them_failed_half_way(write, plain, text, wrong):
    """S8: whether it is the alias that is not there, or the server that refuses the second agent of a file."""
    group = "action_groups: {g: {executor: return_control, openapi: 's3://nowhere/api.json'}}"
    refused = AGENTS.replace("two: {", "two: {%s, " % group)
    write(refused if wrong == "could not be created" else AGENTS, "agents.yaml")
    done = run("test", write(text), "--endpoint", plain.url)
    assert done.returncode == 2 and wrong in done.stderr, done.stderr
    assert left(plain) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_130_and_leaves_no_agent(write, plain, sign):
    many = WEATHER + "".join(
        f"  - {{name: q{n}, input: 'What is the weather in Oslo?'}}\n" for n in range(2000))
    going = subprocess.Popen([binary(), "test", str(write(many)), "--endpoint", plain.url], text=True,
                             env=environment(plain.url), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert going.stdout.readline().startswith("ok")
    going.send_signal(sign)
    _, said = going.communicate(timeout=20)
    assert going.returncode == 130 and "interrupted" in said, said
    assert left(plain) == []


def test_a_server_that_is_not_there_is_said_once_and_ends_with_2(write):
    done = run("test", write(WEATHER), "--endpoint", "http://127.0.0.1:9")
    assert done.returncode == 2 and done.stdout == "" and "CR0019" in done.stderr


def test_no_scenario_begins_past_what_may_be_spent(write):
    done = run("test", write(WEATHER), "--rules", "--max-cost", "0")
    assert done.returncode == 1 and "--max-cost" in done.stdout


def test_a_scenario_that_takes_too_long_is_broken_off(write, plain, tmp_path):
    done = run("test", write(WEATHER + "    time_limit_seconds: 0\n"), "--rules")
    assert done.returncode == 1 and "longer than its 0 seconds" in done.stdout


def test_what_a_turn_did_that_broke_off_is_shown_and_paid_for(write, craton, model, tmp_path):
    """S8: over its time within a model call that does not come back; the first call of the turn was answered."""
    go_on = threading.Event()
    model.turn(Say(calls=[("tools__get_weather", {"city": "Oslo"})]), Say("It snows.", before=lambda: go_on.wait(20)))
    results = tmp_path / "r.json"
    file = write(WEATHER + "    time_limit_seconds: 2\n")
    done = run("test", file, "--endpoint", craton.url, "--model", model.id, "--results", results)
    go_on.set()
    assert done.returncode == 1 and "longer than its 2 seconds" in done.stdout, done.stdout + done.stderr
    played, = json.loads(results.read_text())["scenarios"]
    assert played["outcome"] == "broke" and len(played["runs"]) == 1, played
    assert "get_weather" in played["did"][0] and "1 steps, 18 tokens" in done.stdout, done.stdout


def test_a_recorded_conversation_is_held_against_a_scenario_without_a_server(write, plain, tmp_path):
    """S8: on a cassette, and a scenario that the recording does not meet."""
    results, tape = tmp_path / "r.json", tmp_path / "talk.yaml"
    assert run("test", write(WEATHER), "--endpoint", plain.url, "--results", results).returncode == 0
    recorded, = json.loads(results.read_text())["scenarios"][0]["runs"]
    assert run("record", recorded, "-o", tape, url=plain.url).returncode == 0
    done = run("test", write(WEATHER), "--cassette", tape)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("test", write(WEATHER + WRONG), "--cassette", tape)
    assert done.returncode == 1 and "no recorded run begins with" in done.stdout
    tape.write_text(tape.read_text().replace("snow", "hail"))
    done = run("test", write(WEATHER), "--cassette", tape)
    assert done.returncode == 1 and "CR0039" in done.stdout


def test_models_are_compared_and_the_good_one_is_named(write):
    """J7"""
    done = run("bench", "models", write(WEATHER), "--models", "craton.clumsy:1,craton.rules", "--json")
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert table["recommended"] == "craton.rules"
    good, bad = table["models"]
    assert (good["model"], good["toolAccuracy"], good["argumentAccuracy"], good["answerSuccess"]) == ("craton.rules", 1, 1, 1)
    assert good["latencyMs"]["p95"] >= good["latencyMs"]["p50"] > 0 and good["usdPerSuccess"] is not None
    assert bad["passed"] == 0 and bad["usdPerSuccess"] is None and not bad["goodEnough"]


def test_a_model_that_nobody_maps_is_not_compared_by_another_s_figures(write):
    """J7: in development the rules answer for any id."""
    done = run("bench", "models", write(WEATHER), "--models", "anthropic.claude-none", "--json")
    table = json.loads(done.stdout)
    assert table["recommended"] is None and table["models"][0]["answeredBy"] == "rules"
    done = run("test", write(WEATHER), "--model", "anthropic.claude-none")
    assert done.returncode == 0 and "anthropic.claude-none was not asked: craton.rules answered" in done.stderr
