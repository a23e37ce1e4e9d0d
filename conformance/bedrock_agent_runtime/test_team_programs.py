"""Supervisors as programs set them up and listen to them that were written after AWS's own samples.

What such a program has in common: agents made from a table, a wait for each status, aliases of the
specialists associated one by one, and a walk through the trace that knows each speaker by the last
alias of its caller chain and counts tokens per agent.
"""

import collections
import time
import uuid

import pytest

from support.agents import function, unique
from support.model import Say, tool_results
from support.server import ROLE
from support.tools import READ

SEND = "AgentCommunication__sendMessage"


class Studio:
    """The helper of such a program: names in, agents out."""

    def __init__(self, cp, rt):
        self.cp, self.rt, self.ids, self.made = cp, rt, {}, []

    def wait(self, read, wanted, *failed):
        for _ in range(200):
            status = read()
            if status == wanted:
                return
            assert status not in failed, status
            time.sleep(0.02)
        raise AssertionError(f"never {wanted}")

    def agent(self, name, model, instruction, *functions, collaboration="DISABLED", executor=READ):
        made = self.cp.create_agent(
            agentName=unique(name), description=f"Agent {name}", foundationModel=model.id,
            instruction=instruction, agentResourceRoleArn=ROLE, idleSessionTTLInSeconds=1800,
            agentCollaboration=collaboration)["agent"]
        self.ids[name], status = made["agentId"], lambda: self.status(name)
        self.made.append(name)
        self.wait(status, "NOT_PREPARED", "FAILED")
        if functions:
            self.cp.create_agent_action_group(
                agentId=self.ids[name], agentVersion="DRAFT", actionGroupName=f"{name}-actions",
                actionGroupExecutor={"lambda": executor}, functionSchema={"functions": list(functions)})
        return made["agentName"]

    def status(self, name):
        return self.cp.get_agent(agentId=self.ids[name])["agent"]["agentStatus"]

    def prepare(self, name):
        self.cp.prepare_agent(agentId=self.ids[name])
        self.wait(lambda: self.status(name), "PREPARED", "FAILED")

    def alias(self, name):
        """The ARN of a new alias of a prepared agent."""
        made = self.cp.create_agent_alias(agentId=self.ids[name], agentAliasName="for-the-team")["agentAlias"]
        where = {"agentId": self.ids[name], "agentAliasId": made["agentAliasId"]}
        self.wait(lambda: self.cp.get_agent_alias(**where)["agentAlias"]["agentAliasStatus"],
                  "PREPARED", "FAILED")
        return made["agentAliasArn"]

    def associate(self, supervisor, table):
        for name, instruction, relay in table:
            self.cp.associate_agent_collaborator(
                agentId=self.ids[supervisor], agentVersion="DRAFT", collaboratorName=name,
                agentDescriptor={"aliasArn": self.alias(name)}, collaborationInstruction=instruction,
                relayConversationHistory="TO_COLLABORATOR" if relay else "DISABLED")
        self.prepare(supervisor)

    def invoke(self, name, words, session=None):
        response = self.rt.invoke_agent(
            agentId=self.ids[name], agentAliasId="TSTALIASID", sessionId=session or str(uuid.uuid4()),
            inputText=words, enableTrace=True, endSession=False)
        answer, told = "", []
        for event in response["completion"]:
            answer += event.get("chunk", {}).get("bytes", b"").decode()
            if "trace" in event:
                told.append(event["trace"])
        return answer, told

    def speaker(self, part):
        """The name of the agent that a part is of, by its alias's ARN."""
        agent = part["callerChain"][-1]["agentAliasArn"].split("/")[-2]
        return next(name for name, known in self.ids.items() if known == agent)

    def tokens(self, parts):
        counted = collections.Counter()
        for part in parts:
            for trace in part["trace"].values():
                said = trace.get("modelInvocationOutput", {})
                counted[self.speaker(part)] += said.get("metadata", {}).get("usage", {}).get("inputTokens", 0)
        return +counted

    def clean_up(self):
        for name in reversed(self.made):
            self.cp.delete_agent(agentId=self.ids[name], skipResourceInUseCheck=True)


@pytest.fixture
def studio(cp, rt):
    one = Studio(cp, rt)
    yield one
    one.clean_up()


@pytest.fixture
def voices(models):
    return {name: models.model(unique("test.model")) for name in ("loans", "mortgages", "desk")}


@pytest.fixture
def bank(studio, voices, tools):
    """An assistant for mortgages: one specialist knows what is owed, one what a new loan costs."""
    def make(mode):
        owed = studio.agent(
            "mortgages", voices["mortgages"], "You know the mortgages that customers of the bank have.",
            function("get_details", "Shows a customer's mortgage", customer_id="string required"))
        rates = studio.agent(
            "loans", voices["loans"], "You know what the bank asks for a new loan, today and in the past.",
            function("get_rates", "Shows interest rates", years=("integer required", "Such as 15")))
        tools.serve(owed, lambda event: {"outstanding": 150000, "rate": 5.2})
        tools.serve(rates, lambda event: {"rate": 4.8})
        for name in ("mortgages", "loans"):
            studio.prepare(name)
        studio.agent("desk", voices["desk"], "You answer customers of the bank and ask your colleagues first.",
                     collaboration=mode)
        studio.associate("desk", [
            ("mortgages", "Ask it what a customer owes and pays now.", True),
            ("loans", "Ask it what a new loan would cost.", False)])
        return studio
    return make


def test_a_supervisor_asks_both_and_compares(bank, voices):
    voices["mortgages"].turn(
        Say("I look.", [("mortgages-actions__get_details", {"customer_id": "998"})]), Say("5.2 % on 150,000."))
    voices["loans"].turn(Say(calls=[("loans-actions__get_rates", {"years": 15})]), Say("4.8 % for 15 years."))
    voices["desk"].turn(
        Say("Both know a part.", [
            (SEND, {"recipient": "mortgages", "content": "What does customer 998 pay?"}),
            (SEND, {"recipient": "loans", "content": "What do 15 years cost today?"})]),
        Say("<answer>You would save 0.4 %.</answer>"))
    studio = bank("SUPERVISOR")
    answer, parts = studio.invoke("desk", "I am customer 998. Should I refinance for 15 years?")
    assert answer == "You would save 0.4 %."
    assert tool_results(voices["desk"].requests[1]) == ["5.2 % on 150,000.", "4.8 % for 15 years."]
    assert studio.tokens(parts) == {"desk": 22, "mortgages": 22, "loans": 22}
    assert {part.get("collaboratorName") for part in parts} == {None, "mortgages", "loans"}
    assert all(studio.speaker(part) == part.get("collaboratorName", "desk") for part in parts)


def test_a_router_sends_a_simple_question_to_the_one_who_knows(bank, voices):
    """Two model calls for the whole answer: the classifier's and the specialist's own."""
    voices["desk"].turn(Say("<a>loans</a>"))
    voices["loans"].turn(Say("4.8 % for 15 years."))
    studio = bank("SUPERVISOR_ROUTER")
    answer, parts = studio.invoke("desk", "What do 15 years cost today?")
    assert answer == "4.8 % for 15 years."
    assert {name: len(voice.requests) for name, voice in voices.items()} == {"desk": 1, "loans": 1, "mortgages": 0}
    kinds = [next(iter(part["trace"])) for part in parts]
    assert kinds[0] == "routingClassifierTrace" and "orchestrationTrace" in kinds


def test_a_conversation_that_is_relayed_is_read_by_whom_it_is_relayed_to(bank, voices):
    voices["desk"].turn(Say("Hello."), said="customer 998")
    voices["desk"].turn(
        Say(calls=[(SEND, {"recipient": name, "content": "What applies?"}) for name in ("mortgages", "loans")]),
        Say("That applies."), said="applies")
    for name in ("mortgages", "loans"):
        voices[name].turn(Say("This."))
    studio, session = bank("SUPERVISOR"), str(uuid.uuid4())
    studio.invoke("desk", "I am customer 998.", session)
    studio.invoke("desk", "What applies to me?", session)
    assert "customer 998" in str(voices["mortgages"].requests[0]["messages"])
    assert "customer 998" not in str(voices["loans"].requests[0]["messages"])
