"""Collaborators in a turn: who is asked, what each reads, what the client sees, and what fails."""

import threading

import pytest

from support.agents import function, hand_back, refused, result
from support.model import Say, text_of, tool_names, tool_results
from support.team import Team, associate, tell
from support.tools import ONCE, READ, answer

REFUND = function("refund", "Refunds a charge", charge=("string required", "its number"))
FIND = function("find", "Finds an order", order=("string required", "its number"))


@pytest.fixture
def team(agent, models, cp):
    def make(**fields):
        return Team(agent, models, cp, **fields)
    return make


def with_tool(schema, serve, executor=READ):
    def set_up(one):
        one.serve(serve)
        one.group(schema, executor=executor)
    return set_up


def test_two_collaborators_work_side_by_side(team, model):
    """I1, I4: each waits for the other; one after the other they would never end."""
    together = threading.Barrier(2, timeout=10)
    one = team(billing=None, orders=None)
    for name in ("billing", "orders"):
        one.models[name].turn(Say(f"<answer>{name} is done</answer>", before=together.wait))
    model.turn(Say("Both.", tell(("billing", "check the bill"), ("orders", "check the order"))),
               Say("<answer>All is done.</answer>"))
    turn = one.talk("I was charged twice for one order")
    assert turn.text == "All is done."
    assert tool_results(model.requests[1]) == ["billing is done", "orders is done"]
    for name, said in (("billing", "check the bill"), ("orders", "check the order")):
        request, = one.models[name].requests
        assert text_of(request["messages"][-1]["content"]) == said


def test_the_supervisor_is_told_whom_it_may_ask(team, model):
    """The tool has AWS's name and shape, and each collaborator's instruction."""
    one = team(billing=None, orders=None)
    model.turn(Say("<answer>Hello.</answer>"))
    one.talk("Hello")
    request, = model.requests
    assert tool_names(request) == ["AgentCommunication__sendMessage"]
    about = request["tools"][0]["function"]
    assert about["parameters"]["properties"]["recipient"]["enum"] == ["billing", "orders"]
    assert "Asked about everything that is billing." in about["description"]


def test_each_part_of_the_trace_says_whose_it_is(team, model):
    """P1: callerChain and collaboratorName; the supervisor's part shows what it asked and got."""
    one = team(billing=with_tool(REFUND, lambda e: "refunded"))
    one.models["billing"].turn(
        Say(calls=[("shop__refund", {"charge": "7"})]), Say("<answer>Done.</answer>"))
    model.turn(Say(calls=tell(("billing", "refund 7"))), Say("<answer>Refunded.</answer>"))
    turn = one.talk("Refund charge 7")
    boss, member = one.supervisor, one.members["billing"]
    own = [part for part in turn.parts if "collaboratorName" not in part]
    inner = [part for part in turn.parts if part.get("collaboratorName") == "billing"]
    assert len(own) + len(inner) == len(turn.parts) and len(inner) == 7
    top = own[0]["callerChain"][0]
    assert top["agentAliasArn"].endswith(f"/{boss.id}/TSTALIASID")
    assert all(part["callerChain"] == [top] and part["agentId"] == boss.id for part in own)
    for part in inner:
        assert part["callerChain"] == [top, {"agentAliasArn": one.arn("billing")}]
        assert part["agentId"] == member.id and part["agentVersion"] == "1"
        assert part["agentAliasId"] == one.aliases["billing"]
        assert part["sessionId"] == own[0]["sessionId"]
    steps = [part["trace"]["orchestrationTrace"] for part in own]
    asked, = [s["invocationInput"] for s in steps if "invocationInput" in s]
    assert asked["invocationType"] == "AGENT_COLLABORATOR"
    assert asked["agentCollaboratorInvocationInput"] == {
        "agentCollaboratorName": "billing", "agentCollaboratorAliasArn": one.arn("billing"),
        "input": {"type": "TEXT", "text": "refund 7"}}
    got = [s["observation"] for s in steps if "observation" in s][0]
    output = got["agentCollaboratorInvocationOutput"]
    assert got["type"] == "AGENT_COLLABORATOR" and got["traceId"] == asked["traceId"]
    assert output["output"] == {"type": "TEXT", "text": "Done."}
    assert output["metadata"]["totalTimeMs"] >= 0
    ids = [next(iter(p["trace"]["orchestrationTrace"].values()))["traceId"] for p in inner]
    assert all(i.startswith(asked["traceId"] + "-") for i in ids), ids


def test_without_trace_nothing_of_a_collaborator_is_heard(team, model):
    one = team(billing=None)
    one.models["billing"].turn(Say("<answer>secret</answer>"))
    model.turn(Say(calls=tell(("billing", "hm"))), Say("<answer>Hi.</answer>"))
    turn = one.talk("Hi", trace=False)
    assert (turn.order, turn.text) == (["chunk"], "Hi.")


def test_a_tool_is_called_as_its_own_agents(team, model):
    """E3: the event has the collaborator's agent, its own input, and the client's session."""
    one = team(billing=with_tool(REFUND, lambda e: "refunded"))
    one.models["billing"].turn(Say(calls=[("shop__refund", {"charge": "7"})]), Say("Done."))
    model.turn(Say(calls=tell(("billing", "refund 7"))), Say("Refunded."))
    one.talk("Please refund", session="theirs",
             sessionState={"sessionAttributes": {"tier": "gold"},
                           "promptSessionAttributes": {"today": "Monday"}})
    call, = one.members["billing"].calls()
    assert call.event["agent"] == {
        "name": one.members["billing"].name, "id": one.members["billing"].id,
        "alias": one.aliases["billing"], "version": "1"}
    assert (call.event["inputText"], call.event["sessionId"]) == ("refund 7", "theirs")
    assert call.event["sessionAttributes"] == {"tier": "gold"}
    assert call.event["promptSessionAttributes"] == {"today": "Monday"}


def test_what_collaborators_change_of_the_session_is_kept_side_by_side(team, model):
    """Two change an attribute each at the same time; neither loses what the other did."""
    together = threading.Barrier(2, timeout=10)

    def sets(name):
        def serve(event):
            together.wait()
            return answer(event, "ok", sessionAttributes={**event["sessionAttributes"], name: "set"})
        return serve

    one = team(billing=with_tool(FIND, sets("billing")), orders=with_tool(FIND, sets("orders")))
    for name in ("billing", "orders"):
        one.models[name].turn(Say(calls=[("shop__find", {"order": "1"})]), Say("Done."))
    model.turn(Say(calls=tell(("billing", "go"), ("orders", "go"))), Say("Done."), said="both")
    model.turn(Say(calls=tell(("billing", "go"))), Say("Done."), said="again")
    state = {"sessionAttributes": {"tier": "gold"}}
    one.talk("both", session="shared", sessionState=state)
    together.reset()
    threading.Thread(target=lambda: one.talk("again", session="shared"), daemon=True).start()
    together.wait()
    seen = one.members["billing"].calls()[-1].event["sessionAttributes"]
    assert seen == {"tier": "gold", "billing": "set", "orders": "set"}


def test_each_collaborator_remembers_its_own_thread(team, model):
    """The second turn of a session goes on; another session starts anew."""
    one = team(billing=None, orders=None)
    for name in ("billing", "orders"):
        one.models[name].turn(Say(f"<answer>{name} heard</answer>"))
    for n, name in enumerate(("billing", "orders", "billing")):
        model.turn(Say(calls=tell((name, f"message {n}"))), Say("Done."), said=f"turn {n}")
    for n in range(3):
        one.talk(f"turn {n}", session="long")
    one.talk("turn 0", session="other")
    told = [[text_of(m["content"]) for m in r["messages"] if m["role"] != "system"]
            for r in one.models["billing"].requests]
    assert told == [
        ["message 0"],
        ["message 0", "<answer>billing heard</answer>", "message 2"],
        ["message 0"]]


def test_the_conversation_is_relayed_only_to_those_who_are_to_have_it(team, model):
    one = team(billing=None, orders=None, relay=("orders",))
    for name in ("billing", "orders"):
        one.models[name].turn(Say("<answer>ok</answer>"))
    model.turn(Say("<answer>Hello Ada.</answer>"), said="I am Ada")
    model.turn(Say("Asking.", tell(("billing", "who?"), ("orders", "who?"))), Say("Done."), said="ask")
    one.talk("I am Ada", session="team")
    one.talk("ask them", session="team")
    read = {name: [(m["role"], text_of(m["content"])) for m in one.models[name].requests[0]["messages"]
                   if m["role"] != "system"] for name in one.models}
    assert read["billing"] == [("user", "who?")]
    assert read["orders"] == [
        ("user", "I am Ada"), ("assistant", "<answer>Hello Ada.</answer>"),
        ("user", "ask them\nwho?")]


def test_one_that_fails_does_not_sink_the_turn(team, model):
    """Its provider refuses, its tool declares failure; the supervisor answers with what it has."""
    one = team(billing=None, orders=with_tool(FIND, lambda e: answer(e, "no such order", "FAILURE")),
               support=None)
    one.models["billing"].turn(Say("over the limit", status=400))
    one.models["orders"].turn(Say(calls=[("shop__find", {"order": "1"})]))
    one.models["support"].turn(Say("<answer>fine</answer>"))
    model.turn(Say(calls=tell(("billing", "a"), ("orders", "b"), ("support", "c"))),
               Say("<answer>Support says fine.</answer>"))
    turn = one.talk("All of you")
    assert turn.text == "Support says fine."
    failed, found, fine = tool_results(model.requests[1])
    assert "collaborator_failed: billing" in failed and "no such order" in found
    assert fine == "fine"
    kinds = [next(iter(part["trace"])) for part in turn.parts if part.get("collaboratorName")]
    assert kinds.count("failureTrace") == 2


def test_an_alias_that_went_missing_is_told_to_the_supervisor(team, model, cp):
    one = team(billing=None)
    model.turn(Say(calls=tell(("billing", "hm"))), Say("<answer>Billing is away.</answer>"))
    cp.delete_agent(agentId=one.members["billing"].id, skipResourceInUseCheck=True)
    assert one.talk("Hm").text == "Billing is away."
    told, = tool_results(model.requests[1])
    assert "collaborator_unavailable: billing" in told


def test_a_team_follows_its_aliases_and_a_turn_keeps_what_it_began_with(team, model, cp):
    one = team(billing=None)
    member = one.members["billing"]
    one.models["billing"].turn(Say("<answer>ok</answer>"))
    model.turn(Say(calls=tell(("billing", "hm"))), Say("Done."))
    one.talk("First")
    member.update(instruction="You are the second version of the one that writes the bills.")
    member.prepare()
    one.talk("Second")
    cp.update_agent_alias(
        agentId=member.id, agentAliasId=one.aliases["billing"], agentAliasName="moved")
    one.talk("Third")
    system = [text_of(r["messages"][0]["content"]) for r in one.models["billing"].requests]
    assert ["second version" in text for text in system] == [False, False, True]


def test_aliases_that_come_to_lead_in_a_circle_end_at_the_last_level(team, model, agent, models, cp):
    """Each step was allowed when it was taken; a turn goes four levels down and no further."""
    one = team(worker=None)
    top = one.supervisor
    live = top.alias()
    low_model = models.model(top.name + ".low")
    low = agent(foundationModel=low_model.id).prepare()
    alias = low.alias()
    associate(cp, top, "low", low, alias)
    low.update(agentCollaboration="SUPERVISOR")
    associate(cp, low, "boss", top, live)
    cp.update_agent_alias(
        agentId=low.id, agentAliasId=alias, agentAliasName="low", routingConfiguration=[
            {"agentVersion": low.show_alias(low.prepare().alias())["routingConfiguration"][0]["agentVersion"]}])
    cp.update_agent_alias(agentId=top.id, agentAliasId=live, agentAliasName="top", routingConfiguration=[
        {"agentVersion": top.show_alias(top.prepare().alias())["routingConfiguration"][0]["agentVersion"]}])
    model.turn(Say(calls=tell(("low", "down"))), Say("<answer>top</answer>"))
    low_model.turn(Say(calls=tell(("boss", "up"))), Say("<answer>low</answer>"))
    turn = one.talk("go", alias=live)
    assert turn.text == "top"
    assert (len(model.requests), len(low_model.requests)) == (6, 4)
    assert max(len(part["callerChain"]) for part in turn.parts) == 5
    assert "collaborator_unavailable: low" in tool_results(model.requests[3])[0]


def test_a_supervisor_that_keeps_delegating_comes_to_an_end(team, model):
    one = team(billing=None)
    one.models["billing"].turn(Say("<answer>again</answer>"))
    model.turn(Say(calls=tell(("billing", "again"))))
    turn = one.talk("Go on for ever")
    assert "number of steps" in turn.text
    assert turn.traces[-1]["failureTrace"]["failureReason"]


def handing(schema=REFUND):
    def set_up(one):
        one.group(schema)
    return set_up


def test_a_call_that_a_collaborator_hands_off_comes_back_in_one_round_trip(team, model):
    """E3 (aws-sdk-js-v3 issue 6840): its input names agent and collaborator, its result reaches it."""
    one = team(billing=handing())
    one.models["billing"].turn(
        Say(calls=[("shop__refund", {"charge": "7"})]), Say("<answer>Refunded 7.</answer>"))
    model.turn(Say(calls=tell(("billing", "refund 7"))), Say("<answer>All done.</answer>"))
    first = one.talk("Refund charge 7", session="team")
    given = first.control["invocationInputs"][0]["functionInvocationInput"]
    assert given["agentId"] == one.members["billing"].id
    assert (given["collaboratorName"], given["function"]) == ("billing", "refund")
    outputs = [s["observation"]["agentCollaboratorInvocationOutput"] for s in
               (t.get("orchestrationTrace", {}) for t in first.traces)
               if "agentCollaboratorInvocationOutput" in s.get("observation", {})]
    assert outputs[0]["output"]["type"] == "RETURN_CONTROL"
    assert outputs[0]["output"]["returnControlPayload"] == first.control
    back = hand_back(first.control, result(first.control, 0, "ok", agentId=given["agentId"]))
    second = one.talk(session="team", **back)
    assert (second.text, second.control) == ("All done.", None)
    assert tool_results(one.models["billing"].requests[1]) == ["ok"]
    assert len(model.requests) == 2, "the supervisor is not asked again what is known already"


def test_hand_offs_of_several_go_together_five_at_most(team, model):
    """Whole collaborators at a time: three and three are two hand-offs."""
    one = team(billing=handing(), orders=handing(FIND))
    one.models["billing"].turn(
        Say(calls=[("shop__refund", {"charge": n}) for n in "123"]), Say("billing done"))
    one.models["orders"].turn(
        Say(calls=[("shop__find", {"order": n}) for n in "45"]),
        Say(calls=[("shop__find", {"order": n}) for n in "678"]), Say("orders done"))
    model.turn(Say(calls=tell(("billing", "go"), ("orders", "go"))), Say("Done."))
    turn = one.talk("Go", session="team")
    assert [len(turn.control["invocationInputs"])] == [5]
    seen = []
    while turn.control:
        inputs = [next(iter(i.values())) for i in turn.control["invocationInputs"]]
        seen.append([i["collaboratorName"] for i in inputs])
        backs = [result(turn.control, n, "ok", agentId=i["agentId"]) for n, i in enumerate(inputs)]
        turn = one.talk(session="team", **hand_back(turn.control, *backs))
    assert seen == [["billing"] * 3 + ["orders"] * 2, ["orders"] * 3]
    assert turn.text == "Done."


def test_results_for_the_wrong_agent_are_refused_and_the_hand_off_stands(team, model):
    one = team(billing=handing())
    one.models["billing"].turn(Say(calls=[("shop__refund", {"charge": "7"})]), Say("ok"))
    model.turn(Say(calls=tell(("billing", "go"))), Say("Done."))
    turn = one.talk("Go", session="team")
    wrong = result(turn.control, 0, "ok", agentId="ABCDEFGHIJ")
    with refused("ValidationException", "ABCDEFGHIJ"):
        one.talk(session="team", **hand_back(turn.control, wrong))
    right = hand_back(turn.control, result(turn.control, 0, "ok"))
    assert one.talk(session="team", **right).text == "Done."


def test_new_words_call_off_what_a_collaborator_handed_over(team, model):
    one = team(billing=handing())
    one.models["billing"].turn(
        Say(calls=[("shop__refund", {"charge": "7"})]), said="refund")
    one.models["billing"].turn(Say("never mind then"), said="stop")
    model.turn(Say(calls=tell(("billing", "refund 7"))), said="refund")
    model.turn(Say(calls=tell(("billing", "stop"))), Say("Stopped."), said="forget it")
    assert one.talk("refund", session="team").control
    assert one.talk("forget it", session="team").text == "Stopped."
    closed, = tool_results(one.models["billing"].requests[1])
    assert "cancelled" in closed


def test_a_hand_off_of_a_collaborator_waits_through_a_restart(fresh, models, tools):
    from support.agents import Agent, unique
    cp, rt = fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime")
    model = models.model(unique("test.model"))
    one = Team(lambda **fields: Agent(cp, rt, model, tools, **fields), models, cp, billing=handing())
    one.models["billing"].turn(
        Say(calls=[("shop__refund", {"charge": "7"})]), Say("<answer>Refunded.</answer>"))
    model.turn(Say(calls=tell(("billing", "refund 7"))), Say("<answer>Done.</answer>"))
    first = one.talk("Refund", session="team")
    fresh.kill()
    fresh.start()
    rt = fresh.client("bedrock-agent-runtime")
    back = hand_back(first.control, result(first.control, 0, "ok"))
    assert one.talk(session="team", rt=rt, **back).text == "Done."


def test_a_call_of_unknown_outcome_is_refused_to_the_whole_team(fresh, models, tools):
    """The server dies while a collaborator's tool may have changed something."""
    from support.agents import Agent, unique
    cp = fresh.client("bedrock-agent")
    rt = fresh.client("bedrock-agent-runtime", retries={"max_attempts": 1})
    model = models.model(unique("test.model"))
    die = threading.Event()

    def serve(event):
        if not die.is_set():
            die.set()
            fresh.kill()
        return "refunded"

    one = Team(lambda **fields: Agent(cp, rt, model, tools, **fields), models, cp,
               billing=with_tool(REFUND, serve, ONCE))
    one.models["billing"].turn(
        Say(calls=[("shop__refund", {"charge": "7"})]), Say("a person has to look"))
    model.turn(Say(calls=tell(("billing", "refund 7"))), Say("<answer>Wait.</answer>"))
    try:
        one.talk("Refund", session="team")
    except Exception:  # the connection broke
        pass
    fresh.start()
    rt = fresh.client("bedrock-agent-runtime")
    assert one.talk("Refund", session="team", rt=rt).text == "Wait."
    assert len(one.members["billing"].calls()) == 1
    first, second = one.models["billing"].requests[-2:]
    assert all("unknown_outcome" in text for text in tool_results(second))
