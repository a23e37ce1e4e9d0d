"""CrewAI over Converse: by its own Bedrock provider, and by LiteLLM's."""

import threading

import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.events import LLMStreamChunkEvent, crewai_event_bus
from crewai.tools import tool

from support.model import Say, tool_names, tool_results

# What a model can do, both look up in lists of names.
NAME = "anthropic.claude-3-5-sonnet-20240620-v1:0"


@pytest.fixture(params=["its own", "LiteLLM"])
def by(request, craton, monkeypatch):
    # LiteLLM signs and sends by itself, and does not read AWS_ENDPOINT_URL.
    monkeypatch.setenv("AWS_BEDROCK_RUNTIME_ENDPOINT", craton.url)
    return request.param


@pytest.fixture
def model(models):
    models.models.pop(NAME, None)
    return models.model(NAME)


def llm(by, **fields):
    made = LLM(model=f"bedrock/{NAME}", is_litellm=by == "LiteLLM", **fields)
    assert type(made).__module__.startswith("crewai.llms.providers.bedrock") == (by == "its own")
    return made


def crew(llm, description, *tools):
    clerk = Agent(role="Clerk", goal="Answer customers", backstory="You work in a shop.",
                  tools=list(tools), llm=llm)
    task = Task(description=description, expected_output="One sentence.", agent=clerk)
    return Crew(agents=[clerk], tasks=[task])


def test_a_crew_with_a_tool(model, by):
    asked = []

    @tool("get_order")
    def get_order(order_id: str) -> str:
        """Looks up an order by its number."""
        asked.append(order_id)
        return "shipped on Monday"

    model.turn(Say(calls=[("get_order", {"order_id": "A-1001"})]), Say("It left on Monday."))
    answer = crew(llm(by), "Where is order A-1001?", get_order).kickoff()
    assert answer.raw == "It left on Monday." and asked == ["A-1001"]
    first, second = model.requests
    assert tool_names(first) == ["get_order"] and "A-1001" in str(first["messages"])
    assert tool_results(second) == ["shipped on Monday"]


def test_words_arrive_while_the_model_speaks(model, by):
    heard, pieces = threading.Event(), []

    with crewai_event_bus.scoped_handlers():
        @crewai_event_bus.on(LLMStreamChunkEvent)
        def listen(_, event):
            pieces.append(event.chunk)
            heard.set()

        model.turn(Say(pieces=["Good ", "morn", "ing"], between=lambda: heard.wait(10)))
        answer = crew(llm(by, stream=True), "Say good morning.").kickoff()
    assert heard.is_set() and answer.raw == "Good morning"
    assert "".join(pieces) == "Good morning"


def test_a_call_of_the_model_alone(model, by):
    model.turn(Say("Hello!"))
    assert llm(by, temperature=0.3, max_tokens=50).call("Hi") == "Hello!"
    request, = model.requests
    assert (request["temperature"], request["max_tokens"]) == (0.3, 50)
