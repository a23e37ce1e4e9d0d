"""Content blocks of Converse: carried to the model, or refused by their place."""

import base64
import struct

import pytest

from support.agents import refused, unique
from support.model import Say
from support.server import ACCOUNT


def png(width=1, height=1, size=0):
    """A picture's header with as many bytes behind it."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0)
    return head + b"\0" * max(0, size - len(head))


def image(source, kind="png"):
    return {"image": {"format": kind, "source": source if isinstance(source, dict) else {"bytes": source}}}


def document(name="paper", kind="txt", **source):
    return {"document": {"name": name, "format": kind, "source": source or {"bytes": b"words"}}}


def ask(client, model, *blocks, role="user", **fields):
    messages = [{"role": role, "content": [{"text": "look"}, *blocks]}]
    if role == "assistant":
        messages.insert(0, {"role": "user", "content": [{"text": "hi"}]})
    return client.converse(modelId=model.id, messages=messages, **fields)


@pytest.fixture
def heard(brt, model):
    """What reaches a model behind chat completions of one block."""
    model.turn(Say("seen"))

    def ask_it(*blocks, **fields):
        ask(brt, model, *blocks, **fields)
        return model.requests[-1]["messages"][-1]["content"]
    return ask_it


def test_an_image_reaches_the_model(heard):
    picture = png(8000, 8000)
    parts = heard(image(picture))
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    assert parts[1] == {"type": "image_url", "image_url": {"url": url}}


def test_documents_reach_the_model(heard):
    words = heard(document("one", "md", text="# One"), document("two (2)", "csv"))
    assert words == "look\none:\n# One\ntwo (2):\nwords"


def test_an_object_of_a_mapped_bucket_is_read(heard, bucket):
    name = unique("picture")
    (bucket / f"{name}.png").write_bytes(png())
    parts = heard(image({"s3Location": {"uri": f"s3://deployments/{name}.png", "bucketOwner": ACCOUNT}}))
    assert parts[1]["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(png()).decode()


def test_objects_of_one_request_are_read_up_to_a_sum(brt, model, bucket):
    """A9: a small request cannot make the server hold any amount of objects."""
    name = unique("picture")
    (bucket / f"{name}.png").write_bytes(png(size=3_932_160))
    one = image({"s3Location": {"uri": f"s3://deployments/{name}.png"}})
    messages = [{"role": "user", "content": [one] * 20}, {"role": "assistant", "content": [{"text": "seen"}]},
                {"role": "user", "content": [{"text": "look"}, one]}]
    with refused("ValidationException", "with messages.2.content.1.image the objects in S3 .* more than 78643200 bytes"):
        brt.converse(modelId=model.id, messages=messages)
    assert model.requests == []


def test_guarded_words_are_said_to_the_model(heard, model):
    words = heard({"guardContent": {"text": {"text": "rely on this", "qualifiers": ["grounding_source"]}}},
                  system=[{"text": "one"}, {"guardContent": {"text": {"text": "two"}}}])
    assert words == "look\nrely on this"
    assert model.requests[-1]["messages"][0]["content"] == "one\n\ntwo"


def test_a_cache_point_costs_no_word(heard):
    assert heard({"cachePoint": {"type": "default", "ttl": "1h"}}) == "look"


def test_a_tool_may_return_text_json_and_pictures(brt, model):
    model.turn(Say(calls=[("look", {})]), Say("done"))
    tools = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]}
    messages = [{"role": "user", "content": [{"text": "go"}]}]
    said = brt.converse(modelId=model.id, messages=messages, toolConfig=tools)["output"]["message"]
    use = said["content"][0]["toolUse"]["toolUseId"]
    given = [{"text": "t"}, {"json": {"a": [1, None]}}, image(png()), document("returned")]
    messages += [said, {"role": "user", "content": [
        {"toolResult": {"toolUseId": use, "content": given, "status": "error"}}]}]
    brt.converse(modelId=model.id, messages=messages, toolConfig=tools)
    results, = [m for m in model.requests[-1]["messages"] if m["role"] == "tool"]
    assert results["content"] == 'error: t\n{"a":[1,null]}'
    assert [part["type"] for part in model.requests[-1]["messages"][-1]["content"]] == ["text", "image_url", "text"]


S3 = {"s3Location": {"uri": "s3://deployments/not-there.png"}}
TOOL = {"tool": {"name": "look"}}
PLACE = "messages.0.content.1"


@pytest.mark.parametrize(("block", "words"), [
    (image(png(size=3_932_161)), f"{PLACE}.image has 3932161 bytes"),
    (image(png(8001, 1)), f"{PLACE}.image is 8001 by 1 pixels"),
    (image(png(), "webp"), f"{PLACE}.image.source.bytes: The image was specified using the image/webp media type"),
    (image(b"GIF" * 9, "gif"), f"{PLACE}.image.source.bytes: Could not process image"),
    ({"guardContent": image(png(), "jpeg")}, f"{PLACE}.guardContent.image.source.bytes: The image was specified"),
    ({"guardContent": image(png(1, 8001))}, f"{PLACE}.guardContent.image is 1 by 8001 pixels"),
    (image(png(1, 8001)), f"{PLACE}.image is 1 by 8001 pixels"),
    (document(bytes=b"x" * 4_718_593), f"{PLACE}.document has 4718593 bytes"),
    (document("a.txt"), "document file name can only contain"),
    (document("a  b"), "document file name can only contain"),
    (document("a\u3000b"), "document file name can only contain"),
    (image({"s3Location": {"uri": "s3://nobodys/key"}}), f"{PLACE}.image.source.s3Location.*nobodys is not mapped"),
    (image(S3), f"{PLACE}.image.source.s3Location.*there is no file not-there.png"),
    (image({"s3Location": {"uri": "s3://deployments/../secret"}}), "leaves the bucket's folder"),
    ({"toolAddition": TOOL}, f"{PLACE}.toolAddition"),
    ({"toolRemoval": TOOL}, f"{PLACE}.toolRemoval"),
    ({"toolUse": {"toolUseId": "t", "name": "a", "input": {}, "type": "server_tool_use"}}, f"{PLACE}.toolUse.type"),
    ({"reasoningContent": {"reasoningText": {"text": "x"}}}, f"{PLACE} is a reasoningContent block"),
])
def test_a_block_beyond_the_limits_is_refused_by_its_place(brt, model, block, words):
    """A9: nothing of it reaches a model."""
    with refused("ValidationException", words):
        ask(brt, model, block)
    assert model.requests == []


@pytest.mark.parametrize(("role", "blocks", "words"), [
    ("user", [image(png())] * 21, "21 image blocks, more than the 20"),
    ("user", [document(f"paper {n}") for n in range(6)], "more than 5 documents in a request"),
    ("user", [document(), document()], "duplicate document names"),
    ("assistant", [image(png())], "messages.1.content has images or documents"),
    ("assistant", [document()], "messages.1.content has images or documents"),
])
def test_so_many_of_a_kind_are_refused(brt, model, role, blocks, words):
    with refused("ValidationException", words):
        ask(brt, model, *blocks, role=role)


def test_a_document_comes_with_words(brt, model):
    with refused("ValidationException", "no text block"):
        brt.converse(modelId=model.id, messages=[{"role": "user", "content": [document()]}])


@pytest.mark.parametrize(("block", "kind"), [
    ({"video": {"format": "mp4", "source": {"bytes": b"x"}}}, "video"),
    ({"audio": {"format": "wav", "source": {"bytes": b"x"}}}, "audio"),
])
def test_a_block_that_the_provider_has_no_place_for_names_block_and_model(brt, claude, block, kind):
    model = claude.model(unique("claude.model"))
    with refused("ValidationException", f"(?s){kind}.*{model.id}"):
        ask(brt, model, block)
    assert model.requests == []
