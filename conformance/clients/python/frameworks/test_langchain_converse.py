"""LangChain's ChatBedrockConverse: bind_tools, messages with tool results, streamed chunks."""

import threading

import pytest
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from support.agents import refused
from support.model import Say, tool_names, tool_results


@tool
def multiply(a: int, b: int) -> int:
    """Multiplies two numbers."""
    return a * b


def test_a_tool_loop(model):
    model.turn(Say("Let me see.", [("multiply", {"a": 6, "b": 7}), ("multiply", {"a": 2, "b": 2})]),
               Say("42 and 4."))
    chat = ChatBedrockConverse(model=model.id, temperature=0, max_tokens=100).bind_tools([multiply])
    messages = [SystemMessage("You multiply."), HumanMessage("6 times 7, and 2 times 2?")]
    while True:
        answer = chat.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            break
        messages += [multiply.invoke(call) for call in answer.tool_calls]
    assert [m.content for m in messages if isinstance(m, ToolMessage)] == ["42", "4"]
    assert answer.content == "42 and 4."
    assert answer.response_metadata["stopReason"] == "end_turn"
    assert answer.usage_metadata["total_tokens"] == 18
    first, second = model.requests
    assert tool_names(first) == ["multiply"]
    assert first["messages"][0] == {"role": "system", "content": "You multiply."}
    assert tool_results(second) == ["42", "4"]


def test_words_and_calls_arrive_while_the_model_speaks(model):
    heard = threading.Event()
    model.turn(Say(pieces=["I ", "multiply."], calls=[("multiply", {"a": 6, "b": 7})],
                   between=lambda: heard.wait(10)))
    whole = None
    for chunk in ChatBedrockConverse(model=model.id).bind_tools([multiply]).stream("6 times 7?"):
        if chunk.text:
            heard.set()
        whole = chunk if whole is None else whole + chunk
    assert heard.is_set() and whole.text == "I multiply."
    call, = whole.tool_calls
    assert (call["name"], call["args"]) == ("multiply", {"a": 6, "b": 7})
    assert whole.usage_metadata["total_tokens"] == 18


def test_structured_output_is_a_forced_tool(model):
    class Weather(BaseModel):
        """The weather in a city"""

        city: str = Field(description="The city")
        degrees: float

    model.turn(Say(calls=[("Weather", {"city": "Oslo", "degrees": -3.5})]))
    chat = ChatBedrockConverse(model=model.id).with_structured_output(Weather)
    assert chat.invoke("Oslo, please") == Weather(city="Oslo", degrees=-3.5)
    assert model.requests[0]["tool_choice"] == {"type": "function", "function": {"name": "Weather"}}


def test_a_refusal_is_read_as_one(model):
    model.turn(Say("that is too much", status=400))
    with pytest.raises(Exception, match="that is too much"):
        ChatBedrockConverse(model=model.id).invoke("x")


def test_an_application_inference_profile_needs_its_base_model_named(models):
    """LangChain asks GetInferenceProfile otherwise, which is not served and says so."""
    arn = "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/langchain"
    models.model(arn).turn(Say("Hello!"))
    with refused("NotImplementedException", "GetInferenceProfile"):
        ChatBedrockConverse(model=arn, provider="anthropic")
    chat = ChatBedrockConverse(
        model=arn, provider="anthropic", base_model_id="anthropic.claude-3-5-sonnet-20240620-v1:0")
    assert chat.invoke("Hi").content == "Hello!"
