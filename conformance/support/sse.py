"""A run's stream at the server's own door, as server-sent events, and what they add up to."""

import base64
import dataclasses
import json
import urllib.request


@dataclasses.dataclass
class Heard:
    id: str
    name: str
    data: dict


def listen(craton, run, start=None, last_event_id=None, timeout=20, **query):
    """The events after a position, as they come; `start` goes as `from`."""
    if start is not None:
        query["from"] = start
    pairs = "&".join(f"{name}={value}" for name, value in query.items())
    request = urllib.request.Request(f"{craton.url}/_craton/v1/runs/{run}/stream?{pairs}")
    if last_event_id:
        request.add_header("last-event-id", last_event_id)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        yield from events(answer)


def events(lines):
    """Server-sent events by the rules of HTML's standard, as far as this server uses them."""
    fields = {}
    for line in lines:
        line = line.decode().rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Heard(fields.get("id"), fields["event"], json.loads(fields["data"]))
            fields = {}


def event_of(heard):
    """The number of the journal's event that a position stands behind."""
    return int(heard.id.replace("-", ".").split(".")[0])


def text(all_heard):
    """The answer, less what was declared void."""
    pieces = []
    for heard in all_heard:
        if heard.name == "chunk":
            pieces.append((event_of(heard), base64.b64decode(heard.data["bytes"]).decode()))
        elif heard.name == "reset":
            pieces = [piece for piece in pieces if piece[0] < heard.data["event"]]
    return "".join(piece for _, piece in pieces)


def names(all_heard):
    return [heard.name for heard in all_heard]
