"""InvokeInlineAgent with collaborators that come with the request."""

import json
import uuid

import pytest

from support.agents import DRAFT_ALIAS, function, hand_back, hear, refused, result, unique
from support.model import Say, tool_names, tool_results
from support.server import ACCOUNT, REGION
from support.tools import READ

SEND = "AgentCommunication__sendMessage"
LEADER = "You lead the support of a shop and ask your collaborators what you do not know yourself."
MEMBER = "You work for the support of a shop and answer the questions that its leader asks you."
ARN = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent-alias/INLINE_AGENT/"


def ask(recipient, content):
    return (SEND, {"recipient": recipient, "content": content})


def group(*functions, executor=None, name="desk"):
    given = {"lambda": executor} if executor else {"customControl": "RETURN_CONTROL"}
    return {"actionGroupName": name, "actionGroupExecutor": given,
            "functionSchema": {"functions": list(functions)}}


class Team:
    """A supervisor and its collaborators, each on a model of its own."""

    def __init__(self, rt, models, tools, mode="SUPERVISOR"):
        self.rt, self.models, self.tools = rt, models, tools
        self.lead = self.model()
        self.request = {"foundationModel": self.lead.id, "instruction": LEADER,
                        "agentCollaboration": mode, "collaborators": [],
                        "collaboratorConfigurations": []}

    def model(self):
        return self.models.model(unique("test.model"))

    def describe(self, name, **fields):
        """A member of `collaborators`; gives its model."""
        model = self.model()
        self.request["collaborators"].append(
            {"agentName": name, "foundationModel": model.id, "instruction": MEMBER, **fields})
        return model

    def add(self, name, when="Ask it what it knows.", relay=None, **fields):
        self.request["collaboratorConfigurations"].append(named(name, when, relay))
        return self.describe(name, **fields)

    def talk(self, text=None, session=None, **fields):
        given = {"inputText": text} if text else {}
        return hear(self.rt.invoke_inline_agent(
            sessionId=session or str(uuid.uuid4()), enableTrace=True,
            **{**self.request, **given, **fields}))


def named(name, when="Ask it what it knows.", relay=None):
    asked = {"collaboratorName": name, "collaboratorInstruction": when}
    return asked | ({"relayConversationHistory": relay} if relay else {})


@pytest.fixture
def team(rt, models, tools):
    return lambda **fields: Team(rt, models, tools, **fields)


def test_a_supervisor_asks_two_at_once_and_puts_their_answers_together(team):
    one = team()
    orders = one.add("orders", "Knows what was ordered.").turn(Say("One keyboard."))
    billing = one.add("billing", "Knows what was paid.").turn(Say("Paid twice."))
    one.lead.turn(Say("I ask both.", [ask("orders", "Order 7?"), ask("billing", "Charges of 7?")]),
                  Say("<answer>One keyboard, paid twice.</answer>"))
    turn = one.talk("What happened to order 7?")
    assert turn.text == "One keyboard, paid twice."
    assert tool_names(one.lead.requests[0]) == [SEND]
    described = one.lead.requests[0]["tools"][0]["function"]
    assert "Knows what was ordered." in described["description"]
    assert described["parameters"]["properties"]["recipient"]["enum"] == ["orders", "billing"]
    assert tool_results(one.lead.requests[1]) == ["One keyboard.", "Paid twice."]
    for member, asked in ((orders, "Order 7?"), (billing, "Charges of 7?")):
        messages = member.requests[0]["messages"]
        assert messages[0]["content"].startswith(MEMBER) and messages[-1]["content"] == asked


def test_the_trace_says_who_speaks(team):
    """Alias ARNs are the names that the request gave."""
    one = team()
    one.add("orders").turn(Say("One keyboard."))
    one.lead.turn(Say(calls=[ask("orders", "Order 7?")]), Say("A keyboard."))
    turn = one.talk("Order 7?", session="inline-team-trace")
    top = {"agentAliasArn": ARN + DRAFT_ALIAS}
    chains = {part.get("collaboratorName"): part["callerChain"] for part in turn.parts}
    assert chains == {None: [top], "orders": [top, {"agentAliasArn": ARN + "orders"}]}
    asked, = [i["agentCollaboratorInvocationInput"] for i in turn.all("invocationInput")]
    assert asked == {"agentCollaboratorAliasArn": ARN + "orders", "agentCollaboratorName": "orders",
                     "input": {"type": "TEXT", "text": "Order 7?"}}
    told, = [o["agentCollaboratorInvocationOutput"] for o in turn.all("observation")
             if o["type"] == "AGENT_COLLABORATOR"]
    assert told["agentCollaboratorName"] == "orders"
    assert told["output"] == {"type": "TEXT", "text": "One keyboard."}
    assert not any({"agentId", "agentAliasId", "agentVersion"} & set(part) for part in turn.parts)


def test_a_collaborators_function_gets_the_event_of_its_own_agent(team, tools):
    one, name = team(), unique("orders")
    tools.serve(name, lambda event: "shipped")
    one.add(name, actionGroups=[group(function("look"), executor=READ)]).turn(
        Say(calls=[("desk__look", {})]), Say("It was shipped."))
    one.lead.turn(Say(calls=[ask(name, "Where is it?")]), Say("On its way."))
    assert one.talk("Where is it?", session="inline-team-event").text == "On its way."
    event = tools.calls_of(name)[0].event
    assert event["agent"] == {"name": name, "id": "INLINE_AGENT", "alias": name, "version": "DRAFT"}
    assert event["sessionId"] == "inline-team-event"


def test_control_returns_through_the_supervisor_in_one_round_trip(team):
    """The client gets the calls of both collaborators at once, and brings both results at once."""
    one = team()
    models = [one.add(name, actionGroups=[group(function("pay", to="string"), name=name)])
              for name in ("left", "right")]
    for model, name in zip(models, ("left", "right")):
        model.turn(Say(calls=[(f"{name}__pay", {"to": name})]), Say(f"{name} is paid."))
    one.lead.turn(Say(calls=[ask("left", "Pay"), ask("right", "Pay")]), Say("Both are paid."))
    turn = one.talk("Pay both", session="inline-team-roc")
    calls = [i["functionInvocationInput"] for i in turn.control["invocationInputs"]]
    assert [(c["actionGroup"], c["agentId"], c["collaboratorName"]) for c in calls] == [
        ("left", "INLINE_AGENT", "left"), ("right", "INLINE_AGENT", "right")]
    results = [result(turn.control, at, f"paid {at}", agentId="INLINE_AGENT") for at in (0, 1)]
    rest = one.talk(session="inline-team-roc",
                    inlineSessionState=hand_back(turn.control, *results)["sessionState"])
    assert rest.text == "Both are paid."
    assert [tool_results(model.requests[1]) for model in models] == [["paid 0"], ["paid 1"]]
    assert tool_results(one.lead.requests[1]) == ["left is paid.", "right is paid."]


def test_a_collaborator_may_have_collaborators(team):
    """They stand in the same flat list; its own configurations name them."""
    one = team()
    chief = one.add("chief", agentCollaboration="SUPERVISOR",
                    collaboratorConfigurations=[named("clerk")])
    clerk = one.describe("clerk").turn(Say("Shelf 9."))
    chief.turn(Say(calls=[ask("clerk", "Which shelf?")]), Say("On shelf 9."))
    one.lead.turn(Say(calls=[ask("chief", "Where does it lie?")]), Say("It lies on shelf 9."))
    turn = one.talk("Where is it?")
    assert turn.text == "It lies on shelf 9." and len(clerk.requests) == 1
    deepest = max((part["callerChain"] for part in turn.parts), key=len)
    assert [caller["agentAliasArn"] for caller in deepest] == [
        ARN + DRAFT_ALIAS, ARN + "chief", ARN + "clerk"]


@pytest.mark.parametrize(("relay", "reads"), [("TO_COLLABORATOR", True), ("DISABLED", False), (None, False)])
def test_a_collaborator_reads_the_conversation_only_if_it_is_relayed(team, relay, reads):
    one = team()
    orders = one.add("orders", relay=relay).turn(Say("A keyboard."))
    one.lead.turn(Say("Hello Ada."), said="I am Ada")
    one.lead.turn(Say(calls=[ask("orders", "Order 7?")]), Say("A keyboard."), said="")
    session = str(uuid.uuid4())
    one.talk("I am Ada", session)
    one.talk("Order 7?", session)
    assert ("I am Ada" in json.dumps(orders.requests[0]["messages"])) == reads


def test_a_router_hands_the_whole_turn_to_one(team):
    """The classifier is asked first, then the one that it names, and nobody else."""
    one = team(mode="SUPERVISOR_ROUTER")
    orders = one.add("orders").turn(Say("<answer>A keyboard.</answer>"))
    billing = one.add("billing")
    one.lead.turn(Say("<a>orders</a>"))
    turn = one.talk("What did I order?")
    assert turn.text == "A keyboard."
    assert [len(m.requests) for m in (one.lead, orders, billing)] == [1, 1, 0]
    assert any("routingClassifierTrace" in trace for trace in turn.traces)


def test_the_classifiers_prompt_is_the_requests_own_to_write(team):
    """ROUTING_CLASSIFIER, a prompt that only inline agents have."""
    one = team(mode="SUPERVISOR_ROUTER")
    one.add("orders", "Knows what was ordered.").turn(Say("A keyboard."))
    one.lead.turn(Say("<a>orders</a>"))
    text = json.dumps({"system": "Sort the mail. $reachable_agents$",
                       "messages": [{"role": "user", "content": "Letter: $question$"}]})
    one.request["promptOverrideConfiguration"] = {"promptConfigurations": [{
        "promptType": "ROUTING_CLASSIFIER", "promptCreationMode": "OVERRIDDEN", "promptState": "ENABLED",
        "basePromptTemplate": text}]}
    assert one.talk("What did I order?").text == "A keyboard."
    asked = str(one.lead.requests[0]["messages"])
    assert "Sort the mail." in asked and "orders" in asked and "Letter: What did I order?" in asked


def test_an_agent_of_the_account_may_be_asked_beside_inline_ones(team, agent, tools):
    """By the ARN of its alias; its parts of the trace bear its own ids."""
    one, stored = team(), agent().serve(lambda event: "shipped")
    stored.group(function("look"), executor=READ)
    alias = stored.prepare().alias()
    arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent-alias/{stored.id}/{alias}"
    stored.model.turn(Say(calls=[("shop__look", {})]), Say("It was shipped."))
    one.request["collaboratorConfigurations"].append(named("orders") | {"agentAliasArn": arn})
    one.add("billing").turn(Say("Paid."))
    one.lead.turn(Say(calls=[ask("orders", "Where?"), ask("billing", "Paid?")]), Say("Shipped and paid."))
    turn = one.talk("Where is it?")
    assert turn.text == "Shipped and paid."
    assert tool_results(one.lead.requests[1]) == ["It was shipped.", "Paid."]
    chains = [part["callerChain"] for part in turn.parts if part.get("collaboratorName") == "orders"]
    assert chains and all(c == [{"agentAliasArn": ARN + DRAFT_ALIAS}, {"agentAliasArn": arn}] for c in chains)
    assert stored.calls()[0].event["agent"]["id"] == stored.id


def test_an_alias_that_is_not_there_cannot_be_asked(team):
    one = team()
    gone = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent-alias/NOSUCHAGNT/NOSUCHALIA"
    one.request["collaboratorConfigurations"].append(named("orders") | {"agentAliasArn": gone})
    with refused("ResourceNotFoundException", "NOSUCHAGNT"):
        one.talk("hi")
    foreign = gone.replace(ACCOUNT, "999999999999")
    one.request["collaboratorConfigurations"][0]["agentAliasArn"] = foreign
    with refused("ValidationException", "names no alias of account"):
        one.talk("hi")


def test_one_that_fails_does_not_sink_the_turn(team):
    one = team()
    one.add("orders").turn(Say("out of order", status=400))
    one.add("billing").turn(Say("Paid."))
    one.lead.turn(Say(calls=[ask("orders", "?"), ask("billing", "?")]), Say("Paid, as far as I know."))
    assert one.talk("Was it paid?").text == "Paid, as far as I know."
    assert tool_results(one.lead.requests[1])[1] == "Paid."


def test_a_collaborator_waits_for_its_client_through_a_restart(fresh, models, tools):
    one = Team(fresh.client("bedrock-agent-runtime"), models, tools)
    one.add("payments", actionGroups=[group(function("pay"))]).turn(
        Say(calls=[("desk__pay", {})]), Say("Paid."))
    one.lead.turn(Say(calls=[ask("payments", "Pay")]), Say("It is paid."))
    turn = one.talk("Pay", session="inline-team-restart")
    fresh.kill()
    fresh.start()
    rest = one.talk(session="inline-team-restart", inlineSessionState=hand_back(
        turn.control, result(turn.control, 0, "paid by hand"))["sessionState"])
    assert rest.text == "It is paid."


def spoilt(request, name):
    member, = request["collaborators"]
    other = {**member, "agentName": "other"}
    return request | {
        "no team": {"collaborators": [], "collaboratorConfigurations": []},
        "no mode": {"agentCollaboration": "DISABLED"},
        "not described": {"collaborators": [], },
        "misspelt": {"collaborators": [{**member, "agentName": "order"}]},
        "not asked": {"collaborators": [member, other]},
        "no name": {"collaborators": [{k: v for k, v in member.items() if k != "agentName"}]},
        "described twice": {"collaborators": [member, member]},
        "asked twice": {"collaboratorConfigurations": [named("orders"), named("orders")]},
        "a circle": {"collaborators": [
            {**member, "agentCollaboration": "SUPERVISOR", "collaboratorConfigurations": [named("other")]},
            {**other, "agentCollaboration": "SUPERVISOR", "collaboratorConfigurations": [named("orders")]}]},
        "itself": {"collaborators": [
            {**member, "agentCollaboration": "SUPERVISOR", "collaboratorConfigurations": [named("orders")]}]},
        "short": {"collaborators": [{**member, "instruction": "Short."}]},
        "both": {"collaboratorConfigurations": [named("orders") | {"agentAliasArn": ARN[:-13] + "A" * 10 + "/" + "B" * 10}]},
        "a guardrail": {"collaborators": [{**member, "guardrailConfiguration": {
            "guardrailIdentifier": "g1", "guardrailVersion": "1"}}]},
        "knowledge": {"collaborators": [{**member, "knowledgeBases": [
            {"knowledgeBaseId": "KB1", "description": "faq"}]}]},
        "a bad group": {"collaborators": [{**member, "actionGroups": [
            {"actionGroupName": "empty", "actionGroupExecutor": {"customControl": "RETURN_CONTROL"}}]}]},
    }[name]


@pytest.mark.parametrize(("name", "match"), [
    ("no team", "names no collaborator"), ("no mode", "agentCollaboration is DISABLED"),
    ("not described", "orders has neither"), ("misspelt", "orders has neither"),
    ("not asked", "describes other"), ("no name", "no agentName"),
    ("described twice", "two collaborators named orders"),
    ("asked twice", "two collaborators named orders"), ("a circle", "circle"), ("itself", "circle"),
    ("both", "leave one out"), ("short", "instruction"), ("a guardrail", "guardrailConfiguration"), ("knowledge", "knowledgeBases"),
    ("a bad group", "empty.*needs"),
])
def test_a_team_that_cannot_work_is_refused(team, raw_rt, name, match):
    one = team()
    one.rt = raw_rt
    one.add("orders")
    one.request = spoilt(one.request, name)
    with refused("ValidationException", match):
        one.talk("hi")
    assert one.lead.requests == []


def test_eleven_collaborators_are_too_many(team):
    one = team()
    for number in range(11):
        one.add(f"member-{number}")
    with refused("ServiceQuotaExceededException", "collaboratorConfigurations"):
        one.talk("hi")
