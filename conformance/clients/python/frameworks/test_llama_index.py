"""LlamaIndex's BedrockConverse: chat with tools by hand, its FunctionAgent, and streams."""

import asyncio
import threading

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.bedrock_converse import BedrockConverse

from support.agents import unique
from support.model import Say, tool_names, tool_results


# LlamaIndex takes no name that is not on its own list.
NAME = "anthropic.claude-3-5-sonnet-20240620-v1:0"


@pytest.fixture
def model(models):
    models.models.pop(NAME, None)
    return models.model(NAME)


def bedrock(model):
    return BedrockConverse(model=model.id, max_tokens=200, temperature=0.1)


def stock(asked):
    def get_stock(article: str) -> str:
        """How many pieces of an article are in stock."""
        asked.append(article)
        return "7 pieces"

    return FunctionTool.from_defaults(fn=get_stock)


def test_a_tool_loop(model):
    asked = []
    tool = stock(asked)
    model.turn(Say("I look.", [("get_stock", {"article": "lamp"})]), Say("There are 7."))
    llm, history = bedrock(model), [ChatMessage(role="user", content="How many lamps?")]
    answer = llm.chat_with_tools([tool], chat_history=history)
    history.append(answer.message)
    for call in llm.get_tool_calls_from_response(answer):
        result = tool(**call.tool_kwargs)
        history.append(ChatMessage(role="tool", content=str(result),
                                   additional_kwargs={"tool_call_id": call.tool_id}))
    answer = llm.chat_with_tools([tool], chat_history=history)
    assert answer.message.content == "There are 7."
    assert asked == ["lamp"] and tool_results(model.requests[1]) == ["7 pieces"]
    assert tool_names(model.requests[0]) == ["get_stock"]


def test_its_agent_runs_the_loop_over_the_stream(model):
    asked = []
    model.turn(Say("I look.", [("get_stock", {"article": "lamp"})]), Say(pieces=["There ", "are 7."]))
    agent = FunctionAgent(tools=[stock(asked)], llm=bedrock(model), system_prompt="Be brief.")

    async def run():
        return await agent.run("How many lamps?")

    answer = asyncio.run(run())
    assert str(answer) == "There are 7." and asked == ["lamp"]
    assert model.requests[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert model.requests[0]["stream"] is True
    assert tool_results(model.requests[1]) == ["7 pieces"]


def test_words_arrive_while_the_model_speaks(model):
    heard = threading.Event()
    model.turn(Say(pieces=["Good ", "morn", "ing"], between=lambda: heard.wait(10)))
    said = []
    for chunk in bedrock(model).stream_chat([ChatMessage(role="user", content="Hi")]):
        said.append(chunk.delta)
        heard.set()
    assert "".join(said) == "Good morning" and chunk.message.content == "Good morning"


def test_an_inference_profile_goes_by_its_arn(models, craton):
    base = f"arn:aws:bedrock:us-east-1::foundation-model/{NAME}"
    model = models.model(base).turn(Say("Hello!"), said="Hi")
    profile = craton.client("bedrock").create_inference_profile(
        inferenceProfileName=unique("llama"), modelSource={"copyFrom": base})["inferenceProfileArn"]
    llm = BedrockConverse(model=NAME, application_inference_profile_arn=profile)
    assert llm.complete("Hi").text == "Hello!"
    assert model.requests[-1]["model"] == base
