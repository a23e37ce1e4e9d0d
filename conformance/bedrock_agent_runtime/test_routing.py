"""SUPERVISOR_ROUTER: a classifier hands a whole turn to one collaborator, or leaves it to the supervisor."""

import pytest

from support.agents import Agent, function, hand_back, result
from support.model import Say, text_of
from support.team import Team, associate, tell

REFUND = function("refund", "Refunds a charge", charge=("string required", "its number"))
# Words of the classifier's own prompt, which no user says here.
CLASSIFIER = "These agents can work on a user's request"


@pytest.fixture
def team(agent, models, cp):
    def make(**fields):
        return Team(agent, models, cp, mode="SUPERVISOR_ROUTER", **fields)
    return make


def routing(turn):
    """The members of the routing classifier's trace parts, in order."""
    return [member for trace in turn.traces
            for member in trace.get("routingClassifierTrace", {}).items()]


def test_the_chosen_collaborator_answers_the_user(team, model):
    """I1: one classifier call, then its own turn; the supervisor's model is not asked."""
    one = team(billing=None, orders=None)
    one.models["billing"].turn(Say("<answer>You owe nothing.</answer>"))
    model.turn(Say("<a>billing</a>"), said=CLASSIFIER)
    turn = one.talk("What do I owe?")
    assert turn.text == "You owe nothing."
    request, = model.requests
    asked = text_of(request["messages"][-1]["content"])
    assert "tools" not in request and "Asked about everything that is orders." in asked
    heard, = one.models["billing"].requests
    assert text_of(heard["messages"][-1]["content"]) == "What do I owe?"
    kinds = [kind for kind, _ in routing(turn)]
    assert kinds == [
        "modelInvocationInput", "modelInvocationOutput", "invocationInput", "observation"]
    members = dict(routing(turn))
    assert members["modelInvocationInput"]["type"] == "ROUTING_CLASSIFIER"
    assert members["modelInvocationOutput"]["metadata"]["usage"] == {"inputTokens": 11, "outputTokens": 7}
    given = members["invocationInput"]["agentCollaboratorInvocationInput"]
    assert given["agentCollaboratorName"] == "billing"
    assert given["input"] == {"type": "TEXT", "text": "What do I owe?"}
    output = members["observation"]["agentCollaboratorInvocationOutput"]["output"]
    assert output == {"type": "TEXT", "text": "You owe nothing."}
    inner = [part for part in turn.parts if "collaboratorName" in part]
    assert [len(part["callerChain"]) for part in inner] == [2, 2, 2]


def test_the_collaborators_words_flow_to_the_client(team, model):
    """Streaming goes through: the text comes in the pieces that its model speaks."""
    one = team(billing=None)
    one.models["billing"].turn(Say(pieces=["<answer>You ", "owe ", "nothing.</answer>"]))
    model.turn(Say("<a>billing</a>"), said=CLASSIFIER)
    turn = one.talk("What do I owe?", trace=False,
                    streamingConfigurations={"streamFinalResponse": True})
    assert turn.text == "You owe nothing." and len(turn.chunks) > 1


@pytest.mark.parametrize("words", ["<a>undecidable</a>", "<a>nobody</a>", "I cannot tell", "<a></a>"])
def test_whatever_else_it_says_the_supervisor_takes_the_turn(team, model, words):
    one = team(billing=None)
    one.models["billing"].turn(Say("<answer>nothing</answer>"))
    model.turn(Say(words), said=CLASSIFIER)
    model.turn(Say(calls=tell(("billing", "how much?"))), Say("<answer>Nothing.</answer>"))
    turn = one.talk("Hm")
    assert turn.text == "Nothing."
    assert [kind for kind, _ in routing(turn)] == ["modelInvocationInput", "modelInvocationOutput"]


def test_the_supervisor_answers_for_a_classifier_or_a_collaborator_that_fails(team, model):
    one = team(billing=None)
    one.models["billing"].turn(Say("no", status=400))
    model.turn(Say("no", status=400), said=CLASSIFIER + ".*first")
    model.turn(Say("<a>billing</a>"), said=CLASSIFIER)
    model.turn(Say("<answer>I am here.</answer>"))
    assert one.talk("the first").text == "I am here."
    assert one.talk("the second").text == "I am here."


def test_a_follow_up_stays_with_the_collaborator_that_answered_last(team, model):
    one = team(billing=None, orders=None)
    one.models["orders"].turn(Say("<answer>Which order?</answer>"), said="where")
    one.models["orders"].turn(Say("<answer>In Ghent.</answer>"), said="4711")
    model.turn(Say("<a>orders</a>"), said=CLASSIFIER + ".*says now:.*where")
    model.turn(Say("<a>keep_previous_agent</a>"), said=CLASSIFIER)
    assert one.talk("where is it?", session="follow").text == "Which order?"
    assert one.talk("4711", session="follow").text == "In Ghent."
    first, second = (text_of(r["messages"][-1]["content"]) for r in model.requests)
    assert "keep_previous_agent" in second and "keep_previous_agent" not in first
    assert "Which order?" in second
    last = one.models["orders"].requests[-1]["messages"]
    assert [text_of(m["content"]) for m in last if m["role"] != "system"] == [
        "where is it?", "<answer>Which order?</answer>", "4711"]


def test_a_hand_off_of_the_chosen_one_resumes_straight_there(team, model):
    def set_up(one):
        one.group(REFUND)

    one = team(billing=set_up)
    one.models["billing"].turn(
        Say(calls=[("shop__refund", {"charge": "7"})]), Say("<answer>Refunded.</answer>"))
    model.turn(Say("<a>billing</a>"), said=CLASSIFIER)
    turn = one.talk("Refund 7", session="straight")
    given, = turn.control["invocationInputs"]
    assert given["functionInvocationInput"]["collaboratorName"] == "billing"
    back = hand_back(turn.control, result(turn.control, 0, "ok"))
    assert one.talk(session="straight", **back).text == "Refunded."
    assert len(model.requests) == 1


@pytest.mark.parametrize("mode", ["SUPERVISOR", "SUPERVISOR_ROUTER"])
def test_the_embedded_rules_supervise_too(plain, tools, mode):
    """Without any model: the words of each collaborator's instruction say who is asked."""
    cp, rt = plain.client("bedrock-agent"), plain.client("bedrock-agent-runtime")
    supervisor = Agent(cp, rt, None, tools, agentCollaboration=mode)
    find = function("get_order", "Looks an order up: where it is", order_id=("string required", "The number of the order, e.g. 4471"))
    for name, about in (("billing", "Charges, invoices and refunds."),
                        ("orders", "Where an order is, and its delivery.")):
        one = Agent(cp, rt, None, tools)
        one.group(find)
        associate(cp, supervisor, name, one, one.prepare().alias(), about)
    turn = supervisor.prepare().talk("Where is my order 4471?", session="rules")
    given = turn.control["invocationInputs"][0]["functionInvocationInput"]
    assert given["collaboratorName"] == "orders"
    back = hand_back(turn.control, result(turn.control, 0, {"order": "4471", "status": "in Ghent"}))
    assert "in Ghent" in supervisor.talk(session="rules", **back).text
