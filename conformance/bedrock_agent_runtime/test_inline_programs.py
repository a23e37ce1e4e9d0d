"""InvokeInlineAgent as programs use it that were written after AWS's own samples of inline agents.

What such a program has in common: Python functions become an action group that returns control, one
loop calls them and goes on until there is an answer, every request brings the whole agent and the
first words again, and the trace is summed up on the way.
"""

import inspect
import uuid

import pytest

from support.model import Say, tool_names, tool_results
from support.agents import refused, unique

KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array"}


def tool_group(name, *tools, confirm=False):
    """An action group out of functions: their names, docstrings and annotations."""
    def described(tool):
        parameters = inspect.signature(tool).parameters.values()
        return {
            "name": tool.__name__, "description": inspect.getdoc(tool),
            "requireConfirmation": "ENABLED" if confirm else "DISABLED",
            "parameters": {p.name: {
                "type": KINDS[p.annotation], "description": f"The {p.name}",
                "required": p.default is inspect.Parameter.empty} for p in parameters},
        }
    return {
        "actionGroupName": name, "actionGroupExecutor": {"customControl": "RETURN_CONTROL"},
        "functionSchema": {"functions": [described(tool) for tool in tools]},
    }


class Program:
    """The loop, and what it learnt from the traces."""

    def __init__(self, rt, agent, tools):
        self.rt, self.agent = rt, agent
        self.tools = {tool.__name__: tool for tool in tools}
        self.requests, self.input_tokens, self.output_tokens, self.steps = 0, 0, 0, []

    def run(self, words, session=None, decide=lambda call: "CONFIRM"):
        session, state, answer = session or str(uuid.uuid4()), {}, ""
        while not answer:
            self.requests += 1
            given = {"inlineSessionState": state} if state else {}
            response = self.rt.invoke_inline_agent(
                sessionId=session, inputText=words, enableTrace=True, endSession=False,
                streamingConfigurations={"streamFinalResponse": False},
                bedrockModelConfigurations={"performanceConfig": {"latency": "standard"}},
                **given, **self.agent)
            state = {}
            for event in response["completion"]:
                if "returnControl" in event:
                    state = self.results(event["returnControl"], decide)
                if "trace" in event:
                    self.sum_up(event["trace"])
                if "chunk" in event:
                    answer += event["chunk"]["bytes"].decode()
        return answer

    def results(self, control, decide):
        results = []
        for member in control["invocationInputs"]:
            call = member["functionInvocationInput"]
            named = {name: call[name] for name in ("actionGroup", "function", "agentId")}
            parameters = {p["name"]: CASTS[p["type"]](p["value"]) for p in call["parameters"]}
            if call["actionInvocationType"] != "RESULT":
                named["confirmationState"] = decide(call)
            if named.get("confirmationState") != "DENY":
                said = str(self.tools[call["function"]](**parameters))
                named["responseBody"] = {"TEXT": {"body": said}}
            results.append({"functionResult": named})
        return {"invocationId": control["invocationId"], "returnControlInvocationResults": results}

    def sum_up(self, part):
        for kind, trace in part["trace"].items():
            for step, value in trace.items() if kind != "failureTrace" else ():
                self.steps.append(step)
                usage = value.get("metadata", {}).get("usage", {}) if step.startswith("model") else {}
                self.input_tokens += usage.get("inputTokens", 0)
                self.output_tokens += usage.get("outputTokens", 0)


CASTS = {"string": str, "integer": int, "number": float, "boolean": lambda text: text == "true",
         "array": lambda text: text}


def current_weather(place: str, unit: str = "celsius"):
    """Gets the weather of a place as it is now."""
    return {"Lisbon": "19 degrees", "Bergen": "7 degrees, rain"}[place] + f", in {unit}"


def coordinates(place: str):
    """Looks up where a place lies."""
    return {"Bergen": (60.39, 5.32)}[place]


@pytest.fixture
def agent(model):
    return {
        "foundationModel": model.id, "agentName": unique("forecast"),
        "instruction": "You are a friendly assistant who tells people what the weather is like.",
        "actionGroups": [tool_group("WeatherActionGroup", current_weather, coordinates)],
    }


def test_functions_of_the_program_are_called_until_there_is_an_answer(rt, agent, model):
    """Two calls in one reply come in one hand-off; a third comes in the next one."""
    model.turn(
        Say("Both at once.", [("WeatherActionGroup__current_weather", {"place": "Lisbon"}),
                              ("WeatherActionGroup__current_weather", {"place": "Bergen"})]),
        Say(calls=[("WeatherActionGroup__coordinates", {"place": "Bergen"})]),
        Say("<answer>Lisbon is dry, Bergen is not.</answer>"))
    program = Program(rt, agent, [current_weather, coordinates])
    assert program.run("Lisbon or Bergen?") == "Lisbon is dry, Bergen is not."
    assert program.requests == 3 and len(model.requests) == 3
    assert tool_results(model.requests[2]) == [
        "19 degrees, in celsius", "7 degrees, rain, in celsius", "(60.39, 5.32)"]
    assert tool_names(model.requests[0]) == [
        "WeatherActionGroup__current_weather", "WeatherActionGroup__coordinates"]
    assert (program.input_tokens, program.output_tokens) == (33, 21)
    assert "rationale" in program.steps and program.steps.count("observation") == 4


def test_a_conversation_goes_on_over_several_runs(rt, agent, model):
    model.turn(Say(calls=[("WeatherActionGroup__current_weather", {"place": "Bergen"})]),
               Say("It rains in Bergen."), said="Bergen")
    model.turn(Say("I said that it rains."), said="again")
    program, session = Program(rt, agent, [current_weather]), str(uuid.uuid4())
    program.run("What is it like in Bergen?", session)
    assert program.run("Say that again, please", session) == "I said that it rains."
    assert "It rains in Bergen." in str(model.requests[2]["messages"])


def test_code_in_a_sandbox_is_refused_by_name(rt, agent):
    """`AMAZON.CodeInterpreter`, with which AWS's first sample of inline agents begins."""
    agent["actionGroups"] = [{"actionGroupName": "code",
                              "parentActionGroupSignature": "AMAZON.CodeInterpreter"}]
    with refused("ValidationException", "parentActionGroupSignature"):
        Program(rt, agent, []).run("What is 2 ** 64?")


@pytest.mark.parametrize(("word", "told"), [("CONFIRM", "7 degrees, rain, in celsius"), ("DENY", None)])
def test_a_call_that_needs_confirmation_is_asked_about(rt, agent, model, word, told):
    """`USER_CONFIRMATION_AND_RESULT`: the word and, if it was yes, the result in one."""
    agent["actionGroups"] = [tool_group("WeatherActionGroup", current_weather, confirm=True)]
    model.turn(Say(calls=[("WeatherActionGroup__current_weather", {"place": "Bergen"})]), Say("Well then."))
    asked = []
    program = Program(rt, agent, [current_weather])
    answer = program.run("Bergen?", decide=lambda call: asked.append(call) or word)
    assert answer == "Well then."
    assert [call["actionInvocationType"] for call in asked] == ["USER_CONFIRMATION_AND_RESULT"]
    heard, = tool_results(model.requests[1])
    assert heard == told if told else "degrees" not in heard


def test_an_agent_with_user_input_asks_back(rt, agent, model):
    """`AMAZON.UserInput` beside groups of one's own: the question ends the turn, the answer begins the next."""
    agent["actionGroups"].append(
        {"actionGroupName": "UserInputAction", "parentActionGroupSignature": "AMAZON.UserInput"})
    model.turn(Say(calls=[("user__askuser", {"question": "Which place?"})]), said="weather")
    model.turn(Say("In Bergen it rains."), said="Bergen")
    program, session = Program(rt, agent, []), str(uuid.uuid4())
    assert program.run("What is the weather?", session) == "Which place?"
    assert program.run("Bergen", session) == "In Bergen it rains."
