"""Strands Agents over BedrockModel: the loop is Strands', each step is one call of Converse."""

import asyncio
import base64
import json
import threading

import pytest
from pydantic import BaseModel
from strands import Agent, tool
from strands.agent.conversation_manager import NullConversationManager
from strands.models import BedrockModel, CacheConfig
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException

from support.agents import unique
from support.messages import Thoughtful
from support.model import Say, tool_names, tool_results

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


@pytest.fixture
def asked():
    return []


@pytest.fixture
def get_order(asked):
    @tool
    def get_order(order_id: str) -> str:
        """Looks up an order.

        Args:
            order_id: The order's number, such as A-1001
        """
        asked.append(order_id)
        return "shipped on Monday"

    return get_order


@pytest.mark.parametrize("streaming", [True, False])
def test_a_tool_loop(model, get_order, asked, streaming):
    model.turn(Say("I look it up.", [("get_order", {"order_id": "A-1001"})]), Say("It left on Monday."))
    bedrock = BedrockModel(model_id=model.id, streaming=streaming, temperature=0.2, max_tokens=200)
    agent = Agent(bedrock, tools=[get_order], system_prompt="Be brief.", callback_handler=None)
    answer = agent("Where is order A-1001?")
    assert str(answer).strip() == "It left on Monday."
    assert answer.stop_reason == "end_turn" and asked == ["A-1001"]
    assert answer.metrics.accumulated_usage["totalTokens"] == 36
    first, second = model.requests
    assert first["messages"] == [{"role": "system", "content": "Be brief."},
                                 {"role": "user", "content": "Where is order A-1001?"}]
    assert tool_names(first) == ["get_order"]
    assert (first["temperature"], first["max_tokens"]) == (0.2, 200)
    assert tool_results(second) == ["shipped on Monday"]


def test_words_arrive_while_the_model_speaks(model):
    heard, pieces = threading.Event(), []

    def listen(data="", **_):
        if data:
            pieces.append(data)
            heard.set()

    model.turn(Say(pieces=["Good ", "morn", "ing"], between=lambda: heard.wait(10)))
    answer = Agent(BedrockModel(model_id=model.id), callback_handler=listen)("Hi")
    assert heard.is_set() and pieces == ["Good ", "morn", "ing"]
    assert str(answer).strip() == "Good morning"


def test_a_failed_tool_is_told_to_the_model(model):
    @tool
    def fail() -> str:
        """Fails."""
        raise ValueError("the till is closed")

    model.turn(Say(calls=[("fail", {})]), Say("Sorry."))
    assert str(Agent(BedrockModel(model_id=model.id), tools=[fail], callback_handler=None)("x")).strip() == "Sorry."
    assert "the till is closed" in tool_results(model.requests[1])[0]


def test_a_busy_provider_is_throttling(model):
    """Strands knows it by the error's code and would wait and repeat."""
    model.turn(Say("slow down", status=429))
    agent = Agent(BedrockModel(model_id=model.id), callback_handler=None, retry_strategy=None)
    with pytest.raises(ModelThrottledException):
        agent("x")


def test_calls_of_one_reply_run_together_and_come_back_in_order(model, get_order, asked):
    model.turn(Say(calls=[("get_order", {"order_id": "A-1"}), ("get_order", {"order_id": "A-2"})]),
               Say("Both left on Monday."))
    answer = Agent(BedrockModel(model_id=model.id), tools=[get_order], callback_handler=None)("A-1 and A-2?")
    assert str(answer).strip() == "Both left on Monday." and sorted(asked) == ["A-1", "A-2"]
    calls = model.requests[1]["messages"][-3]["tool_calls"]
    assert [json.loads(call["function"]["arguments"])["order_id"] for call in calls] == ["A-1", "A-2"]
    results = [m["tool_call_id"] for m in model.requests[1]["messages"] if m["role"] == "tool"]
    assert results == [call["id"] for call in calls]


@pytest.mark.parametrize("streaming", [True, False])
def test_structured_output(model, streaming):
    """Strands offers the schema as a tool, and asks for it by name if the model has not used it."""
    class Parcel(BaseModel):
        """A parcel on its way."""

        number: str
        kilos: float

    model.turn(Say("It weighs 2.5 kg."), said="What of A-1")
    model.turn(Say(calls=[("Parcel", {"number": "A-1", "kilos": 2.5})]), said="structured output")
    agent = Agent(BedrockModel(model_id=model.id, streaming=streaming), callback_handler=None)
    answer = agent("What of A-1?", structured_output_model=Parcel)
    assert answer.structured_output == Parcel(number="A-1", kilos=2.5)
    assert tool_names(model.requests[0]) == ["Parcel"]
    assert model.requests[1]["tool_choice"] == {"type": "function", "function": {"name": "Parcel"}}


def test_awaited_agents_stream_side_by_side(model, get_order):
    model.turn(Say(calls=[("get_order", {"order_id": "A-1"})]), Say(pieces=["On ", "Monday."]))

    async def ask():
        agent = Agent(BedrockModel(model_id=model.id), tools=[get_order], callback_handler=None)
        return [event["data"] async for event in agent.stream_async("Where is A-1?") if "data" in event]

    async def run():
        return await asyncio.gather(*(ask() for _ in range(3)))

    assert asyncio.run(run()) == [["On ", "Monday."]] * 3


def test_a_picture_and_a_document(model):
    model.turn(Say("A dot."))
    said = [{"text": "What are these?"},
            {"image": {"format": "png", "source": {"bytes": PIXEL}}},
            {"document": {"format": "txt", "name": "note", "source": {"bytes": b"a dot, it says"}}}]
    assert str(Agent(BedrockModel(model_id=model.id), callback_handler=None)(said)).strip() == "A dot."
    text, image, document = model.requests[0]["messages"][0]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    assert text["text"] == "What are these?" and "a dot, it says" in document["text"]


@pytest.mark.parametrize("streaming", [True, False])
def test_caches_thoughts_and_metadata(claude, get_order, streaming):
    """Cache points of all three places, a signed thought that comes back unaltered, metadata that stays here."""
    model = claude.model(unique("claude.model"))
    model.turn(Thoughtful(redacted="EmwKAhgB/+==", calls=[("get_order", {"order_id": "A-1"})]), Say("On Monday."))
    bedrock = BedrockModel(
        model_id=model.id, streaming=streaming,
        cache_config=CacheConfig(strategy="anthropic", tools_ttl="1h"),
        additional_args={"requestMetadata": {"user": "anna"}})
    system = [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    answer = Agent(bedrock, tools=[get_order], system_prompt=system, callback_handler=None)("Where is A-1?")
    assert str(answer).strip() == "On Monday."
    assert answer.metrics.accumulated_usage["cacheReadInputTokens"] == 6
    first, second = model.requests
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert first["system"][0]["cache_control"] == first["tools"][-1]["cache_control"] == hour
    assert second["messages"][-1]["content"][-1]["cache_control"]["type"] == "ephemeral"
    kinds = [block["type"] for block in second["messages"][1]["content"]]
    assert kinds == ["thinking", "redacted_thinking", "tool_use"]
    assert "anna" not in json.dumps(model.requests)


def test_a_prompt_that_is_too_long_is_told_as_one(model):
    """Strands shortens the conversation when it knows the error."""
    model.turn(Say("This model's maximum context length is 8192 tokens", status=400))
    agent = Agent(BedrockModel(model_id=model.id), callback_handler=None, conversation_manager=NullConversationManager())
    with pytest.raises(ContextWindowOverflowException):
        agent("x")
