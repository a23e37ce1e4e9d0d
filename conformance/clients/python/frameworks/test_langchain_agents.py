"""LangChain's runnables of agents, stored and inline: they invoke and take calls by return of control."""

import pytest
from langchain_aws.agents import BedrockAgentsRunnable, BedrockInlineAgentsRunnable
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool

from support.agents import function, unique
from support.model import Say, tool_names, tool_results
from support.server import ROLE

INSTRUCTION = "You help the customers of a shop with their orders, politely and briefly."


@tool("shop::get_order")
def get_order(order_id: str) -> str:
    """Looks up an order by its number."""
    return f"{order_id} has shipped"


def run(agent, text, tools):
    """The loop that LangChain's agent executors run, over the runnable's own types."""
    known, steps = {one.name: one for one in tools}, []
    answer = agent.invoke({"input": text})
    while isinstance(answer, list):
        steps += [(action, known[action.tool].invoke(action.tool_input)) for action in answer]
        answer = agent.invoke({"input": text, "intermediate_steps": steps})
    return answer, steps


def test_created_by_langchain_it_hands_calls_over(model, cp):
    """RETURN_CONTROL, and the trace on."""
    model.turn(Say(calls=[("shop__get_order", {"order_id": "A-1"})]),
               Say(calls=[("shop__get_order", {"order_id": "A-2"})]), Say("Both have shipped."))
    agent = BedrockAgentsRunnable.create_agent(
        agent_name=unique("langchain"), agent_resource_role_arn=ROLE, foundation_model=model.id,
        instruction=INSTRUCTION, tools=[get_order], enable_trace=True, idle_session_ttl_in_seconds=600)
    answer, steps = run(agent, "Where are A-1 and A-2?", [get_order])
    assert answer.return_values["output"] == "Both have shipped."
    assert [(action.tool, result) for action, result in steps] == [
        ("shop::get_order", "A-1 has shipped"), ("shop::get_order", "A-2 has shipped")]
    assert len({action.session_id for action, _ in steps} | {answer.session_id}) == 1
    assert "orchestrationTrace" in answer.trace_log
    assert tool_names(model.requests[0]) == ["shop__get_order"]
    assert tool_results(model.requests[2]) == ["A-1 has shipped", "A-2 has shipped"]
    cp.delete_agent(agentId=agent.agent_id, skipResourceInUseCheck=True)


def test_created_a_second_time_it_is_the_same_agent(model, cp):
    """The runnable looks through ListAgents for the name."""
    fields = {"agent_name": unique("langchain"), "agent_resource_role_arn": ROLE,
              "foundation_model": model.id, "instruction": INSTRUCTION}
    one = BedrockAgentsRunnable.create_agent(**fields)
    assert BedrockAgentsRunnable.create_agent(**fields).agent_id == one.agent_id
    cp.delete_agent(agentId=one.agent_id, skipResourceInUseCheck=True)


def test_an_agent_whose_tools_are_functions_answers_at_once(agent, model, functions):
    """Lambda-backed: the loop runs in the server, LangChain reads chunks and traces."""
    arn = functions("""
def handler(event, context):
    order = {p["name"]: p["value"] for p in event["parameters"]}["order_id"]
    return {"messageVersion": "1.0", "response": {
        "actionGroup": event["actionGroup"], "function": event["function"],
        "functionResponse": {"responseBody": {"TEXT": {"body": order + " has shipped"}}}}}
""")["FunctionArn"]
    model.turn(Say(calls=[("shop__get_order", {"order_id": "A-1"})]), Say("It has shipped."))
    one = agent()
    one.group(function("get_order", order_id="string required"), executor=arn)
    one.prepare()
    answer = BedrockAgentsRunnable(
        agent_id=one.id, agent_alias_id=one.alias(), enable_trace=True,
        region_name=None, credentials_profile_name=None, endpoint_url=None,
    ).invoke({"input": "Where is A-1?", "session_id": "langchain"})
    assert answer.return_values["output"] == "It has shipped."
    assert answer.session_id == "langchain" and "get_order" in answer.trace_log
    assert tool_results(model.requests[1]) == ["A-1 has shipped"]


def test_a_session_goes_on_and_ends(agent, model):
    model.turn(Say("Noted."), Say("Anna."), said="")
    one = agent().prepare()
    runnable = BedrockAgentsRunnable(
        agent_id=one.id, region_name=None, credentials_profile_name=None, endpoint_url=None)
    runnable.invoke({"input": "I am Anna", "session_id": "anna"})
    runnable.invoke({"input": "Who am I?", "session_id": "anna"})
    said = [m["content"] for m in model.requests[1]["messages"] if m["role"] == "user"]
    assert said == ["I am Anna", "Who am I?"]
    ended = runnable.invoke({"input": "Bye", "session_id": "anna", "end_session": True})
    assert "Session is terminated" in ended.return_values["output"]
    runnable.invoke({"input": "Who am I?", "session_id": "anna"})
    assert len([m for m in model.requests[-1]["messages"] if m["role"] == "user"]) == 1


def test_an_inline_agent_hands_calls_over(model):
    """LangChain's BedrockInlineAgentsRunnable, with messages in and out: its agent is in each request."""
    model.turn(Say(calls=[("shop__get_order", {"order_id": "A-1"})]), Say("It has shipped."))
    agent = BedrockInlineAgentsRunnable.create(inline_agent_config={
        "foundation_model": model.id, "instruction": INSTRUCTION, "tools": [get_order],
        "enable_trace": True, "idle_session_ttl_in_seconds": 600})
    said = [HumanMessage("Where is A-1?")]
    said.append(agent.invoke(said))
    call, = said[-1].tool_calls
    said.append(ToolMessage(get_order.invoke(call["args"]), tool_call_id=call["id"]))
    said.append(agent.invoke(said))
    assert said[-1].content == "It has shipped."
    assert "orchestrationTrace" in said[-1].additional_kwargs["trace_log"]
    assert tool_results(model.requests[1]) == ["A-1 has shipped"]
