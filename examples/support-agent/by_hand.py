"""The support agent by hand, over Converse: what the managed one does, with nothing left out of it.

It keeps sessions apart and lets them expire, saves each step before it acts, goes on after a crash,
repeats a lost call only where that is safe, runs independent calls side by side, checks arguments and
lets the model repair them, hands approvals out and waits for them through a restart, has an end to its
steps, and leaves a trace. `ask.py` has the same command line and leaves all that to the server.

    python by_hand.py --payments http://127.0.0.1:4800 --session ada "Where is my order A-1001?"
    python by_hand.py --payments http://127.0.0.1:4800 --session ada --result '{"status": "paid"}'
"""

import argparse
import concurrent.futures
import fcntl
import hashlib
import json
import os
import pathlib
import sqlite3
import sys
import time

import boto3

sys.path.insert(0, str(pathlib.Path(__file__).parent / "functions"))
from deploy import APPROVALS, INSTRUCTION, MODEL, ORDERS  # noqa: E402
from orders import get_order, get_refund_status, process_refund  # noqa: E402

ACTIONS = {"get_order": get_order, "get_refund_status": get_refund_status, "process_refund": process_refund}
EFFECTS = {"get_order": "read", "get_refund_status": "read", "process_refund": "keyed"}
TOOLS = {tool["name"]: tool for tool in ORDERS + APPROVALS}
HANDED_OUT = {tool["name"] for tool in APPROVALS}
KINDS = {"string": str, "number": (int, float), "boolean": bool}
STEPS, REPAIRS, HISTORY = 25, 3, 60
IDLE, PATIENCE, LONGEST = 1800, 60, 25_000

SCHEMA = """
CREATE TABLE IF NOT EXISTS talk (session TEXT PRIMARY KEY, messages TEXT NOT NULL, touched REAL NOT NULL);
CREATE TABLE IF NOT EXISTS effect (key TEXT PRIMARY KEY, body TEXT);
CREATE TABLE IF NOT EXISTS trace (session TEXT, at REAL, what TEXT, detail TEXT);
"""


class Store:
    """The sessions. One process at a time works on a session; the others wait for the lock."""

    def __init__(self, path, session):
        self.session = session
        name = hashlib.sha256(session.encode()).hexdigest()[:16]
        self._lock = open(f"{path}.{name}.lock", "w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._rows = sqlite3.connect(path, timeout=PATIENCE)
        self._rows.executescript(SCHEMA)

    def load(self):
        row = self._rows.execute(
            "SELECT messages, touched FROM talk WHERE session = ?", (self.session,)).fetchone()
        return json.loads(row[0]) if row and time.time() - row[1] < IDLE else []

    def save(self, messages):
        with self._rows:
            self._rows.execute("INSERT OR REPLACE INTO talk VALUES (?, ?, ?)",
                               (self.session, json.dumps(messages), time.time()))

    def intend(self, key):
        """Whether the call was begun before, and what it gave if that is known."""
        row = self._rows.execute("SELECT body FROM effect WHERE key = ?", (key,)).fetchone()
        if row is None:
            with self._rows:
                self._rows.execute("INSERT INTO effect VALUES (?, NULL)", (key,))
        return row is not None, row[0] if row else None

    def conclude(self, key, body):
        with self._rows:
            self._rows.execute("UPDATE effect SET body = ? WHERE key = ?", (body, key))

    def note(self, what, detail):
        with self._rows:
            self._rows.execute("INSERT INTO trace VALUES (?, ?, ?, ?)",
                               (self.session, time.time(), what, json.dumps(detail)))


class Agent:
    def __init__(self, store, model):
        self.store, self.model = store, model
        self.messages = store.load()
        self.runtime = boto3.client("bedrock-runtime")
        self.pool = concurrent.futures.ThreadPoolExecutor()

    def ask(self, words):
        """A new question; calls that were handed out and never answered are called off."""
        if self.messages and self.messages[-1]["role"] == "assistant" and self.open_calls():
            self.close({call["toolUseId"]: error("cancelled: the user went on") for call in self.open_calls()})
        content = [{"text": words}]
        if self.messages and self.messages[-1]["role"] == "user":
            self.messages[-1]["content"] += content
        else:
            self.messages.append({"role": "user", "content": content})
        self.messages = cut(self.messages)
        self.store.save(self.messages)
        return self.go_on()

    def answer_hand_off(self, bodies):
        """Results for the calls that were handed out, in their order."""
        calls = [call for call in self.open_calls() if call["name"] in HANDED_OUT]
        if len(calls) != len(bodies):
            raise SystemExit(f"{len(calls)} results are wanted, {len(bodies)} came")
        return self.go_on({call["toolUseId"]: text(body) for call, body in zip(calls, bodies)})

    def go_on(self, handed_back=None):
        """Steps until there is an answer or something to hand out. A restart begins here too."""
        repairs = 0
        for step in range(STEPS):
            if self.messages[-1]["role"] == "user":
                self.speak()
            calls = self.open_calls()
            if not calls:
                return self.messages[-1]["content"][-1]["text"], []
            results = self.perform(calls) | (handed_back or {})
            waiting = [call for call in calls if call["toolUseId"] not in results]
            if waiting:
                return None, waiting
            repairs = repairs + 1 if all(r["status"] == "error" for r in results.values()) else 0
            if repairs > REPAIRS:
                return "I could not make the calls that this needs.", []
            handed_back = None
            self.close(results)
        return "This took too many steps.", []

    def speak(self):
        said = self.runtime.converse(
            modelId=self.model, messages=self.messages, system=[{"text": INSTRUCTION}],
            toolConfig={"tools": [specification(tool) for tool in TOOLS.values()]})
        self.store.note("model", said["usage"])
        self.messages.append(said["output"]["message"])
        self.store.save(self.messages)

    def open_calls(self):
        if not self.messages or self.messages[-1]["role"] != "assistant":
            return []
        return [block["toolUse"] for block in self.messages[-1]["content"] if "toolUse" in block]

    def perform(self, calls):
        """Runs what can run side by side; what is to be handed out gets no result."""
        results, running = {}, {}
        for place, call in enumerate(calls):
            wrong = mistake(call)
            if wrong:
                results[call["toolUseId"]] = error(wrong)
            elif call["name"] not in HANDED_OUT:
                key = self.key(place, call)
                begun, body = self.store.intend(key)
                if body is not None:
                    results[call["toolUseId"]] = text(body)
                elif begun and EFFECTS.get(call["name"], "once") == "once":
                    results[call["toolUseId"]] = error("unknown_outcome: do not repeat this, tell the user")
                else:
                    self.store.note("call", call)
                    running[self.pool.submit(ACTIONS[call["name"]], call["input"], key)] = (call, key)
        for done in concurrent.futures.as_completed(running):
            call, key = running[done]
            results[call["toolUseId"]] = self.outcome(done, call, key)
        return results

    def outcome(self, done, call, key):
        try:
            body = done.result(timeout=PATIENCE)
        except Exception as broken:  # a tool's mistakes are for the model to read, not for us to end by
            self.store.note("failed", repr(broken))
            return error("unknown_outcome: the tool broke off; do not repeat this, tell the user")
        body = body if isinstance(body, str) else json.dumps(body)
        body = body if len(body) <= LONGEST else "error: the tool's answer is too long"
        self.store.conclude(key, body)
        self.store.note("result", body)
        return text(body)

    def key(self, place, call):
        """The same for every attempt of one call, and for no other."""
        what = [self.store.session, len(self.messages), place, call["name"], call["input"]]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    def close(self, results):
        content = [{"toolResult": {"toolUseId": call["toolUseId"], **results[call["toolUseId"]]}}
                   for call in self.open_calls()]
        self.messages.append({"role": "user", "content": content})
        self.store.save(self.messages)


def text(body):
    return {"content": [{"text": body}], "status": "success"}


def error(body):
    return {"content": [{"text": body}], "status": "error"}


def cut(messages):
    """The last of a long conversation, beginning with words of the user's and no orphaned result."""
    while len(messages) > HISTORY or (messages and "toolResult" in messages[0]["content"][0]):
        del messages[0]
        while messages and messages[0]["role"] != "user":
            del messages[0]
    return messages


def mistake(call):
    """What is wrong with a call, in words that let the model repair it."""
    tool = TOOLS.get(call["name"])
    if not tool:
        return f"there is no tool {call['name']}; there are {', '.join(TOOLS)}"
    if not isinstance(call["input"], dict):
        return "the arguments are no object"
    for name, parameter in tool["parameters"].items():
        if name not in call["input"]:
            if parameter["required"]:
                return f"the argument {name} is missing"
        elif not isinstance(call["input"][name], KINDS[parameter["type"]]):
            return f"the argument {name} must be a {parameter['type']}"
    surplus = set(call["input"]) - set(tool["parameters"])
    return f"there is no argument {', '.join(sorted(surplus))}" if surplus else None


def specification(tool):
    properties = {n: {"type": p["type"], "description": p["description"]}
                  for n, p in tool["parameters"].items()}
    required = [n for n, p in tool["parameters"].items() if p["required"]]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"toolSpec": {"name": tool["name"], "description": tool["description"],
                         "inputSchema": {"json": schema}}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--payments", default="http://127.0.0.1:4800")
    parser.add_argument("--state", default="talks.db")
    parser.add_argument("--session", required=True)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--result", action="append", help="of a call that was handed out")
    parser.add_argument("words", nargs="?", help="nothing goes on with a turn that was cut off")
    given = parser.parse_args()
    os.environ["PAYMENTS_URL"] = given.payments
    agent = Agent(Store(given.state, given.session), given.model)
    if given.result:
        answer, waiting = agent.answer_hand_off(given.result)
    else:
        answer, waiting = agent.ask(given.words) if given.words else agent.go_on()
    for call in waiting:
        print(json.dumps({"name": call["name"], "input": call["input"]}))
    if answer:
        print(answer)


if __name__ == "__main__":
    main()
