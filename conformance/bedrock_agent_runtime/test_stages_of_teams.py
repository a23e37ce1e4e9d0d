"""Prompts of the stages that supervisors, inline agents and agents with memory have."""

import json
import uuid

import pytest

from support.agents import hear, until
from support.model import Say, text_of
from support.team import Team

MEMORY = {"memoryConfiguration": {"enabledMemoryTypes": ["SESSION_SUMMARY"], "storageDays": 30}}


def own(kind, text):
    return {"promptType": kind, "promptCreationMode": "OVERRIDDEN", "basePromptTemplate": text,
            "promptState": "ENABLED"}


def prompts(*configurations):
    return {"promptOverrideConfiguration": {"promptConfigurations": list(configurations)}}


def orchestration(system):
    return prompts(own("ORCHESTRATION", json.dumps({"system": system, "messages": [
        {"role": "user", "content": "$question$"},
        {"role": "assistant", "content": "$agent_scratchpad$"}]})))


def words(request):
    return "\n".join(text_of(message["content"]) for message in request["messages"])


def test_a_supervisors_template_knows_its_collaborators(agent, models, cp, model):
    """C1: $agent_collaborators$ and the guidelines of teams."""
    model.turn(Say("<answer>ok</answer>"))
    one = Team(agent, models, cp, billing=None)
    one.supervisor.update(agentCollaboration="SUPERVISOR", **orchestration(
        "[$agent_collaborators$] [$multi_agent_collaboration_guideline$]"))
    one.supervisor.prepare().talk("Hi")
    system = text_of(model.requests[-1]["messages"][0]["content"])
    assert system.startswith("[- billing: Asked about everything that is billing.] [- Other agents")


@pytest.mark.parametrize(("slot", "seen"), [
    ("$reachable_agents$", "- billing: Ask it about invoices."),
    ("$agent_collaborators$", "- billing: Ask it about invoices."),
    ("$last_user_request$", "the new question"),
    ("$question$", "the new question"),
    ("$conversation$", "User: the old question"),
    ("$last_agent_response$", "old answer"),
])
def test_an_inline_supervisor_routes_by_its_own_prompt(rt, models, model, slot, seen):
    """C1, I3: the routing classifier's template, which only the run-time API has."""
    billing = models.model(f"test.{uuid.uuid4().hex}").turn(Say("<answer>old answer</answer>"))
    model.turn(Say("<a>billing</a>"))
    session = str(uuid.uuid4())
    fields = {
        "foundationModel": model.id, "agentCollaboration": "SUPERVISOR_ROUTER",
        "instruction": "You lead the support of a shop and ask your collaborators.",
        "collaborators": [{"agentName": "billing", "foundationModel": billing.id,
                           "instruction": "You answer questions about the invoices of the shop."}],
        "collaboratorConfigurations": [{"collaboratorName": "billing",
                                        "collaboratorInstruction": "Ask it about invoices."}],
        **prompts(own("ROUTING_CLASSIFIER", f"ROUTE <x>{slot}</x>")),
    }
    for text in ("the old question", "the new question"):
        turn = hear(rt.invoke_inline_agent(
            sessionId=session, inputText=text, enableTrace=True, **fields))
        assert turn.text == "old answer"
    asked = words(model.requests[-1])
    assert asked.startswith("ROUTE <x>") and seen in asked and slot not in asked
    input_, = [t["routingClassifierTrace"]["modelInvocationInput"] for t in turn.traces
               if "modelInvocationInput" in t.get("routingClassifierTrace", {})]
    assert input_["type"] == "ROUTING_CLASSIFIER"
    assert input_["promptCreationMode"] == "OVERRIDDEN" and "ROUTE" in input_["text"]


def test_memory_is_written_and_read_by_templates(agent, model):
    """C1: $conversation$ and $past_conversation_summary$, then $memory_content$ and its guidelines."""
    model.turn(Say("<summary>likes tea</summary>"), said="SUM .*I like tea")
    model.turn(Say("<summary>likes cake</summary>"), said="SUM ")
    model.turn(Say("<answer>noted</answer>"))
    system = "M[$memory_guideline$|$memory_content$|$memory_action_guideline$]"
    given = orchestration(system)
    given["promptOverrideConfiguration"]["promptConfigurations"].append(
        own("MEMORY_SUMMARIZATION", "SUM [$past_conversation_summary$] [$conversation$]"))
    one = agent(**MEMORY, **given).prepare()
    session = str(uuid.uuid4())
    one.talk("I like tea", session=session, memoryId="me")
    hear(one.invoke(session=session, memoryId="me", endSession=True))
    summed = until(lambda: [r for r in model.requests if "SUM " in words(r)])
    assert words(summed[0]).endswith(
        "SUM [] [User: I like tea\nAssistant: noted]")
    one.talk("Hello", memoryId="me")
    read = text_of(model.requests[-1]["messages"][0]["content"])
    assert read.startswith("M[You remember") and "likes tea" in read
    assert "Look into your memory" in read
