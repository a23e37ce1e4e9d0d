"""Strands Agents over BedrockModel: the loop is Strands', each step is one call of Converse."""

import threading

import pytest
from strands import Agent, tool
from strands.models import BedrockModel
from strands.types.exceptions import ModelThrottledException

from support.model import Say, tool_names, tool_results


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
