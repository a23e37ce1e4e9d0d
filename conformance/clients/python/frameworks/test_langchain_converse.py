"""LangChain's ChatBedrockConverse: tool loops whole, streamed and awaited, thoughts, pictures, schemas, caches."""

import asyncio
import json
import threading

import pytest
from langchain_aws import ChatBedrockConverse
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from support.agents import unique
from support.messages import Thoughtful
from support.model import Say, tool_names, tool_results

# One pixel.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


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


def loop(stream, chat, said):
    """An agent's loop whose every step is read as a stream: the answer, and all chunks that had words."""
    pieces = []
    while True:
        whole = None
        for chunk in stream(chat, said):
            pieces += [chunk.text] if chunk.text else []
            whole = chunk if whole is None else whole + chunk
        said.append(whole)
        if not whole.tool_calls:
            return whole, pieces
        said += [multiply.invoke(call) for call in whole.tool_calls]


def test_a_tool_loop_over_streams(model):
    model.turn(Say(pieces=["I ", "multiply."], calls=[("multiply", {"a": 6, "b": 7}), ("multiply", {"a": 2, "b": 2})]),
               Say(pieces=["42 ", "and 4."]))
    chat = ChatBedrockConverse(model=model.id).bind_tools([multiply])
    answer, pieces = loop(lambda chat, said: chat.stream(said), chat, [HumanMessage("6 times 7, and 2 times 2?")])
    assert pieces == ["I ", "multiply.", "42 ", "and 4."] and answer.text == "42 and 4."
    assert answer.response_metadata["stopReason"] == "end_turn"
    assert tool_results(model.requests[1]) == ["42", "4"]
    assert all(request["stream"] for request in model.requests)


def test_a_tool_loop_awaited(model):
    """Many at once, each with words of its own: `ainvoke` to the tool, `astream` to the answer."""
    for number in range(4):
        model.turn(Say(calls=[("multiply", {"a": number, "b": 10})]), Say(pieces=["It is ", f"{number}0."]),
                   said=f"^{number} times")
    chat = ChatBedrockConverse(model=model.id).bind_tools([multiply])

    async def ask(number):
        said = [HumanMessage(f"{number} times 10?")]
        said.append(await chat.ainvoke(said))
        said += [await multiply.ainvoke(call) for call in said[-1].tool_calls]
        return [chunk.text async for chunk in chat.astream(said) if chunk.text], said[-1].content

    async def run():
        return await asyncio.gather(*(ask(number) for number in range(4)))

    assert asyncio.run(run()) == [(["It is ", f"{n}0."], str(n * 10)) for n in range(4)]


def test_thoughts_go_back_as_they_came(claude):
    """A signed thought and a redacted one, over the Messages API, which refuses an altered one."""
    model = claude.model(unique("claude.model"))
    model.turn(Thoughtful(redacted="EmwKAhgB/+==", calls=[("multiply", {"a": 6, "b": 7})]), Say("42."))
    # Named another provider, LangChain would take the thoughts for another model's and drop them.
    chat = ChatBedrockConverse(model=model.id).bind_tools([multiply])
    said = [HumanMessage("6 times 7?")]
    said.append(chat.invoke(said))
    said += [multiply.invoke(call) for call in said[-1].tool_calls]
    assert chat.invoke(said).content == "42."
    kinds = [block["type"] for block in model.requests[1]["messages"][1]["content"]]
    assert kinds == ["thinking", "redacted_thinking", "tool_use"]


def test_cache_points_and_metadata(claude):
    """A point after the instruction, one after the tools; the metadata is the caller's and stays here."""
    model = claude.model(unique("claude.model"))
    model.turn(Say("42."))
    point = ChatBedrockConverse.create_cache_point()
    chat = ChatBedrockConverse(
        model=model.id, provider="anthropic", request_metadata={"user": "anna", "team": "till"},
    ).bind_tools([multiply, point])
    answer = chat.invoke([SystemMessage(["You multiply.", point]), HumanMessage("6 times 7?")])
    assert answer.usage_metadata["input_token_details"] == {
        "cache_read": 3, "cache_creation": 0, "ephemeral_5m_input_tokens": 2}
    request, = model.requests
    assert request["system"][-1]["cache_control"] == request["tools"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "anna" not in json.dumps(request)


def test_a_picture(model):
    model.turn(Say("A dot."))
    picture = {"type": "image", "base64": PIXEL, "mime_type": "image/png"}
    said = HumanMessage([{"type": "text", "text": "What is this?"}, picture])
    assert ChatBedrockConverse(model=model.id).invoke([said]).content == "A dot."
    text, image = model.requests[0]["messages"][0]["content"]
    assert text["text"] == "What is this?" and image["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


def test_structured_output_by_the_models_own_schema(model):
    """`outputConfig` in place of a tool."""
    class City(BaseModel):
        name: str

    model.turn(Say(json.dumps({"name": "Oslo"})))
    chat = ChatBedrockConverse(model=model.id).with_structured_output(City, method="json_schema")
    assert chat.invoke("A city, please") == City(name="Oslo")
    wanted = model.requests[0]["response_format"]["json_schema"]["schema"]
    assert wanted["properties"]["name"]["type"] == "string" and "tools" not in model.requests[0]


def test_tokens_are_counted_by_the_server(model):
    chat = ChatBedrockConverse(model=model.id)
    short, long = [chat.get_num_tokens_from_messages([HumanMessage("word " * n)]) for n in (3, 300)]
    assert 0 < short < 100 < long and not model.requests


def test_a_profile_is_followed_to_its_model(models, craton):
    """LangChain asks GetInferenceProfile for what stands behind an ARN."""
    base = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0"
    models.model(base).turn(Say("Hello!"), said="profiled")
    profile = craton.client("bedrock").create_inference_profile(
        inferenceProfileName=unique("langchain"), modelSource={"copyFrom": base})["inferenceProfileArn"]
    chat = ChatBedrockConverse(model=profile, provider="anthropic")
    assert chat.invoke("profiled").content == "Hello!"
