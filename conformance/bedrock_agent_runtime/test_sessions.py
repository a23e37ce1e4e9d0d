"""Sessions: what a turn still reads of them, what becomes of one that is too long, files."""

import threading

import pytest
from botocore.exceptions import EventStreamError

from support.agents import function, hear, refused
from support.model import Say, text_of
from support.tools import READ

GET_ORDER = function("get_order", "Looks one order up", order_id=("string required", "its number"))


def said(request):
    """The user's words in a request, in order."""
    return [text_of(m["content"]) for m in request["messages"] if m["role"] == "user"]


def tagged(agent, **tags):
    one = agent()
    arn = one.cp.get_agent(agentId=one.id)["agent"]["agentArn"]
    one.cp.tag_resource(
        resourceArn=arn, tags={f"craton:session-{key}": value for key, value in tags.items()})
    return one.prepare(), arn


def test_a_session_remembers_and_another_does_not(agent, model):
    """G1: the same sessionId is the same context; a new one begins without any."""
    model.turn(lambda request: Say(f"heard {len(said(request))}"))
    one = agent().prepare()
    assert one.talk("My name is Ann.", session="g1").text == "heard 1"
    assert one.talk("What is my name?", session="g1").text == "heard 2"
    assert said(model.requests[1]) == ["My name is Ann.", "What is my name?"]
    assert one.talk("What is my name?", session="g1-other").text == "heard 1"


def test_the_last_exchanges_count(agent, model):
    """G3: `craton:session-exchanges` keeps the last ten; the eleventh before is not read any more."""
    model.turn(lambda request: Say(f"heard {len(said(request))}"))
    one, _ = tagged(agent, exchanges="10")
    heard = [one.talk(f"question {n}", session="ten").text for n in range(13)]
    assert heard == [f"heard {min(n, 10) + 1}" for n in range(13)]
    assert said(model.requests[-1])[0] == "question 2"


def test_the_last_tokens_count(agent, model):
    """G3: `craton:session-tokens` keeps the newest whole exchanges that fit."""
    model.turn(lambda request: Say("yes"))
    one, _ = tagged(agent, tokens="5000")
    for text in ("a" * 12_000, "b" * 12_000, "c"):
        one.talk(text, session="tokens")
    assert [words[0] for words in said(model.requests[-1])] == ["b", "c"]


@pytest.mark.parametrize("tags", [{"days": "0"}, {"exchanges": "ten"}, {"weeks": "2"}])
def test_a_tag_that_says_nothing_usable_is_refused(agent, tags):
    """S7: a setting never goes unheard."""
    with refused("ValidationException", "craton:session-"):
        tagged(agent, **tags)


def test_a_conversation_that_is_too_long_goes_on(agent, model):
    """K9, B7: the oldest exchanges go, whole ones, and the client hears an answer."""
    def short(request):
        if len(said(request)) > 3:
            return Say("This model's maximum context length is 100 tokens", status=400)
        return Say(f"heard {len(said(request))}")

    model.turn(short)
    one = agent().prepare()
    heard = [one.talk(f"q{n}", session="long") for n in range(5)]
    assert [turn.text for turn in heard] == ["heard 1", "heard 2", "heard 3", "heard 2", "heard 3"]
    assert said(model.requests[-1]) == ["q2", "q3", "q4"], "what was left out stays out"
    steps = heard[3].steps()
    assert steps == ["modelInvocationInput", "modelInvocationOutput"] * 2 + ["observation FINISH"]
    refusal, _ = heard[3].all("modelInvocationOutput")
    assert "maximum context length" in refusal["rawResponse"]["content"]


def test_a_tool_result_that_is_too_long_is_cut_and_the_model_is_told(agent, model):
    """K9: a single exchange that is too long keeps the beginning of its largest results."""
    def small(request):
        if sum(len(text_of(m["content"])) for m in request["messages"]) > 12_000:
            return Say("prompt is too long: 9999 tokens > 5000 maximum", status=400)
        return Say("enough")

    model.turn(Say(calls=[("shop__get_order", {"order_id": "A-1"})]), small)
    one = agent().serve(lambda e: "row\n" * 4_000)
    one.group(GET_ORDER, executor=READ)
    assert one.prepare().talk("Show all rows", session="cut").text == "enough"
    result, = [text_of(m["content"]) for m in model.requests[-1]["messages"] if m["role"] == "tool"]
    assert "[craton: the result is cut here, after 8000 of 16000 bytes" in result


def test_what_cannot_be_shortened_is_a_clear_exception(agent, model):
    """K9: and the session can be used afterwards."""
    model.turn(Say("Input is too long for requested model.", status=400), said="^x+$")
    model.turn(Say("fine"))
    one = agent().prepare()
    with pytest.raises(EventStreamError, match="longer than the model can read") as caught:
        one.talk("x" * 500, session="toolong")
    assert caught.value.response["Error"]["Code"] == "validationException"
    assert one.talk("short", session="toolong").text in ("fine", "")


def test_given_history_comes_first(agent, model):
    """conversationHistory is what was said before a fresh session, and is not read again later."""
    def block(role, text):
        return {"role": role, "content": [{"text": text}]}

    model.turn(Say("noted"))
    one = agent().prepare()
    history = {"messages": [block("user", "I am Ann."), block("assistant", "Hello Ann.")]}
    state = {"conversationHistory": history}
    one.talk("Who am I?", session="given", sessionState=state)
    one.talk("And now?", session="given", sessionState=state)
    assert said(model.requests[0]) == ["I am Ann.", "Who am I?"]
    assert said(model.requests[1]) == ["I am Ann.", "Who am I?", "And now?"]


def attached(name, media, data, use="CHAT"):
    content = {"mediaType": media, "data": data}
    source = {"sourceType": "BYTE_CONTENT", "byteContent": content}
    return {"name": name, "useCase": use, "source": source}


def test_files_come_with_the_question(agent, model, bucket):
    """Images and documents reach the model beside the words, from bytes and from a bucket."""
    (bucket / "terms.txt").write_text("Returns within 30 days.")
    model.turn(Say("seen"))
    one = agent().prepare()
    files = [
        attached("photo.png", "image/png", b"\x89PNG fake"),
        {"name": "terms.txt", "useCase": "CHAT", "source": {
            "sourceType": "S3", "s3Location": {"uri": "s3://deployments/terms.txt"}}},
    ]
    one.talk("What is this?", session="files", sessionState={"files": files})
    parts = model.requests[0]["messages"][-1]["content"]
    assert parts[0]["text"] == "What is this?"
    assert parts[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert "Returns within 30 days." in str(parts[2]) or "file" in parts[2]["type"]
    # They belong to the conversation from then on.
    one.talk("Sure?", session="files")
    assert "image_url" in str(model.requests[1]["messages"])


@pytest.mark.parametrize("files, words", [
    ([attached("a.py", "text/plain", b"x", use="CODE_INTERPRETER")], "code interpreter"),
    ([attached("a.exe", "application/x-msdownload", b"x")], "none of image/png"),
    ([attached(f"{n}.txt", "text/plain", b"x") for n in range(6)], "more than 5"),
    ([attached("a.txt", "text/plain", b"x" * 6_000_000),
      attached("b.txt", "text/plain", b"x" * 6_000_000)], "more than 10485760 bytes"),
    ([{"name": "a.txt", "useCase": "CHAT", "source": {"sourceType": "S3"}}], "sourceType S3"),
    ([{"name": "a.txt", "useCase": "CHAT", "source": {
        "sourceType": "S3", "s3Location": {"uri": "s3://nowhere/a.txt"}}}], "not mapped"),
])
def test_files_that_cannot_be_taken_are_refused(agent, model, files, words):
    """The reason names the file, its type or its use; nothing is asked of the model."""
    one = agent().prepare()
    with refused("ValidationException", words):
        one.talk("Look", sessionState={"files": files})
    assert model.requests == []


def test_attributes_reach_the_function(agent, model):
    """G2: session attributes last, those of the prompt come with one turn."""
    model.turn(Say(calls=[("shop__get_order", {"order_id": "A-1"})]), Say("done"))
    one = agent().serve(lambda e: "ok")
    one.group(GET_ORDER, executor=READ)
    one.prepare().talk("one", session="attributes", sessionState={
        "sessionAttributes": {"customer": "7"}, "promptSessionAttributes": {"today": "Friday"}})
    one.talk("two", session="attributes")
    events = [call.event for call in one.calls()]
    assert [e["sessionAttributes"] for e in events] == [{"customer": "7"}] * 2
    assert [e["promptSessionAttributes"] for e in events] == [{"today": "Friday"}, {}]


def test_turns_side_by_side_end_in_one_conversation(agent, model):
    """A session is strictly serial: who comes second reads what the first said."""
    entered, let_go = threading.Event(), threading.Event()

    def hold():
        entered.set()
        let_go.wait(10)

    model.turn(Say("one", before=hold), said="^first$")
    model.turn(lambda request: Say(f"heard {len(said(request))}"))
    one = agent().prepare()
    first = threading.Thread(target=lambda: one.talk("first", session="serial"))
    first.start()
    assert entered.wait(10)
    second = one.invoke("second", session="serial")
    let_go.set()
    first.join(10)
    assert hear(second).text == "heard 2"
