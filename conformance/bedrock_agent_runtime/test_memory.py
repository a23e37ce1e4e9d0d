"""Memory across sessions: InvokeAgent with memoryId, GetAgentMemory, DeleteAgentMemory."""

import datetime

import pytest

from support.agents import DRAFT_ALIAS, refused, unique, until
from support.model import Say

SUMMARY = {"enabledMemoryTypes": ["SESSION_SUMMARY"]}
# What Craton's own prompt for summaries says; an agent's own would say something else.
SUMS_UP = "what an agent is to remember"


def system(request):
    return "\n".join(m["content"] for m in request["messages"] if m["role"] == "system")


def remembers(model, *texts):
    """The model sums sessions up with these texts in order, and says hello to everything else."""
    left = list(texts)

    def reply(request):
        if SUMS_UP in system(request):
            return Say(left.pop(0))
        return Say("hello")

    model.turn(reply)


def talk(one, text, session, memory, **fields):
    return one.talk(text, session=session, memoryId=memory, **fields)


def end(one, session, memory):
    return one.talk(session=session, memoryId=memory, endSession=True)


def known(one, memory, **fields):
    answer = one.rt.get_agent_memory(
        agentId=one.id, agentAliasId=DRAFT_ALIAS, memoryId=memory, memoryType="SESSION_SUMMARY",
        **fields)
    return [content["sessionSummary"] for content in answer["memoryContents"]], answer


def test_a_session_that_ended_is_remembered_at_once(agent, model):
    """G5: read-your-writes, recall in the prompt and so in the trace, each summary of its session."""
    remembers(model, "<summary><topic name='user goals'>Ann likes tea.</topic></summary>")
    one = agent(memoryConfiguration=SUMMARY).prepare()
    memory = unique("ann")
    turn = talk(one, "I am Ann and I like tea.", "tea", memory)
    assert turn.answer["memoryId"] == memory and turn.answer["sessionId"] == "tea"
    assert known(one, memory)[0] == [], "a session that goes on is not summed up"
    end(one, "tea", memory)
    turn = talk(one, "What do I like?", "tea-2", memory)
    asked = turn.all("modelInvocationInput")[0]["text"]
    assert "Ann likes tea." in asked
    summary, = known(one, memory)[0]
    assert summary["summaryText"] == "<topic name='user goals'>Ann likes tea.</topic>"
    assert summary["sessionId"] == "tea" and summary["memoryId"] == memory
    lasts = summary["sessionExpiryTime"] - summary["sessionStartTime"]
    assert datetime.timedelta(days=29, hours=23) < lasts < datetime.timedelta(days=30, hours=1)


def test_get_agent_memory_waits_for_what_is_being_written(agent, model):
    """AWS's takes minutes; here whoever asks right after the end reads it."""
    remembers(model, "noted")
    one = agent(memoryConfiguration=SUMMARY).prepare()
    memory = unique("ben")
    talk(one, "hi", "quick", memory)
    end(one, "quick", memory)
    assert [s["summaryText"] for s in known(one, memory)[0]] == ["noted"]


def test_a_summary_is_a_run_that_can_be_looked_at(agent, model, craton):
    """The call to the model is journalled as every other is, and the conversation is what it reads."""
    remembers(model, "noted")
    one = agent(memoryConfiguration=SUMMARY).prepare()
    memory = unique("cat")
    talk(one, "The order is A-17.", "looked", memory)
    end(one, "looked", memory)
    known(one, memory)
    asked = model.requests[-1]
    assert SUMS_UP in system(asked) and "The order is A-17." in str(asked["messages"])
    assert "tools" not in asked or asked["tools"] == []


def test_the_latest_sessions_are_recalled_and_all_are_listed_in_pages(agent, model):
    """maxRecentSessions bounds the recall; GetAgentMemory pages through all, the latest first."""
    remembers(model, "first", "second", "third")
    configuration = {**SUMMARY, "sessionSummaryConfiguration": {"maxRecentSessions": 2}}
    one = agent(memoryConfiguration=configuration).prepare()
    memory = unique("dan")
    for session in ("d1", "d2", "d3"):
        talk(one, "hi", session, memory)
        end(one, session, memory)
    asked = talk(one, "hi", "d4", memory).all("modelInvocationInput")[0]["text"]
    assert "second" in asked and "third" in asked and "first" not in asked
    page, answer = known(one, memory, maxItems=2)
    assert [s["summaryText"] for s in page] == ["third", "second"]
    page, answer = known(one, memory, maxItems=2, nextToken=answer["nextToken"])
    assert [s["summaryText"] for s in page] == ["first"] and "nextToken" not in answer


def test_what_is_deleted_is_not_recalled(agent, model):
    """DeleteAgentMemory: one session, then all; of this memory and no other."""
    remembers(model, "first", "second", "other")
    one = agent(memoryConfiguration=SUMMARY).prepare()
    memory, other = unique("eve"), unique("fay")
    for session, whose in (("e1", memory), ("e2", memory), ("f1", other)):
        talk(one, "hi", session, whose)
        end(one, session, whose)
    known(one, memory), known(one, other)
    keys = {"agentId": one.id, "agentAliasId": DRAFT_ALIAS, "memoryId": memory}
    one.rt.delete_agent_memory(**keys, sessionId="e1")
    assert [s["summaryText"] for s in known(one, memory)[0]] == ["second"]
    one.rt.delete_agent_memory(**keys)
    assert known(one, memory)[0] == []
    assert [s["summaryText"] for s in known(one, other)[0]] == ["other"]
    asked = talk(one, "hi", "e3", memory).all("modelInvocationInput")[0]["text"]
    assert "second" not in asked


def test_memory_is_off_by_default(agent, model):
    """Without a configuration nothing is summed up, and a memoryId is refused rather than ignored."""
    model.turn(Say("hello"))
    one = agent().prepare()
    assert "memoryConfiguration" not in one.cp.get_agent(agentId=one.id)["agent"]
    with refused("ValidationException", "has no memory"):
        talk(one, "hi", "none", "somebody")
    one.talk("hi", session="none")
    one.talk(session="none", endSession=True)
    assert len(model.requests) == 1


def test_the_configuration_is_given_back_and_taken_away(agent):
    """Defaults: 30 days, 20 sessions. An update without it switches memory off."""
    one = agent(memoryConfiguration=SUMMARY)
    given = one.cp.get_agent(agentId=one.id)["agent"]["memoryConfiguration"]
    assert given == {**SUMMARY, "storageDays": 30,
                     "sessionSummaryConfiguration": {"maxRecentSessions": 20}}
    del one.fields["memoryConfiguration"]
    one.update()
    assert "memoryConfiguration" not in one.cp.get_agent(agentId=one.id)["agent"]


@pytest.mark.parametrize("bad", [
    {"storageDays": 366, **SUMMARY}, {"storageDays": -1, **SUMMARY},
    {"enabledMemoryTypes": []}, {"enabledMemoryTypes": ["EVERYTHING"]},
    {"sessionSummaryConfiguration": {"maxRecentSessions": 0}, **SUMMARY},
])
def test_a_bad_configuration_is_refused(raw_cp, bad):
    """The model's bounds."""
    with refused("ValidationException", "memoryConfiguration"):
        raw_cp.create_agent(agentName=unique("agent"), memoryConfiguration=bad)


def test_a_memory_of_an_agent_that_is_not_there(agent):
    """Both operations name what does not exist."""
    one = agent(memoryConfiguration=SUMMARY)
    keys = {"agentId": "NOTTHERE01", "agentAliasId": DRAFT_ALIAS, "memoryId": "ann"}
    with refused("ResourceNotFoundException"):
        one.rt.get_agent_memory(**keys, memoryType="SESSION_SUMMARY")
    with refused("ResourceNotFoundException"):
        one.rt.delete_agent_memory(**keys)


def test_a_session_stays_with_its_memory(agent, model):
    """One session cannot belong to two people; without an id it stays with the first."""
    remembers(model, "noted")
    one = agent(memoryConfiguration=SUMMARY).prepare()
    memory = unique("gus")
    talk(one, "hi", "whose", memory)
    with refused("ValidationException", "belongs to memory"):
        talk(one, "hi", "whose", "somebody-else")
    one.talk("still me", session="whose")
    one.talk(session="whose", endSession=True)
    assert [s["summaryText"] for s in known(one, memory)[0]] == ["noted"]


def test_a_model_that_cannot_sum_up_spoils_nothing(agent, model):
    """Nothing is made up, and the next session begins without."""
    model.turn(lambda request: Say("no", status=400) if SUMS_UP in system(request) else Say("hello"))
    one = agent(memoryConfiguration=SUMMARY).prepare()
    memory = unique("hal")
    talk(one, "hi", "broken", memory)
    end(one, "broken", memory)
    assert talk(one, "hi again", "broken-2", memory).text == "hello"
    assert known(one, memory)[0] == []
    until(lambda: any(SUMS_UP in system(request) for request in model.requests))
