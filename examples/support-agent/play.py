"""Plays the support agent against a real server, kills it in the worst moment, and checks the ledger.

`cargo xtask demo` runs it; by hand:

    python play.py --craton ../../target/debug/craton [--model ID --config craton.toml]

It starts three programs of its own on free ports of the loopback: the server, the shop's payment
desk, and a while-loop over Converse for comparison. It ends with a failure if a claim did not hold.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import urllib.request
import uuid

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 60  # seconds; nothing here takes as long
DECLINES = 20  # more hand-offs than a turn can have
HOLD = 5       # seconds for which the desk keeps its word back while the kill comes
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def title(text):
    print(f"\n{paint('1', text)}\n{'─' * len(text)}")


def say(text, who="", indent="  ", colour=None):
    """A paragraph, behind the name of who speaks or what happens."""
    lead = f"{who:<9}" if who else ""
    hanging = indent + (" " * len(lead) if lead else "  ")
    text = textwrap.fill(" ".join(str(text).split()), 100, initial_indent=indent + lead,
                         subsequent_indent=hanging)
    print(text.replace(lead, paint(colour, lead), 1) if colour and lead else text)


def trace_line(text, who):
    say(text, who, indent="      ", colour="2")


class Claims:
    """What the demo says about Craton, each checked on the spot."""

    def __init__(self):
        self.held, self.failed = [], []

    def check(self, claim, holds, evidence=""):
        (self.held if holds else self.failed).append(claim)
        mark = paint("32", "✓") if holds else paint("31", "✗ NOT SO:")
        print(f"  {mark} {claim}{f' ({evidence})' if evidence else ''}")


class Program:
    """A process of this demo's own, which only this demo ends."""

    def __init__(self, command, log, env=None):
        self.command, self.log, self.env, self.process = command, log, env, None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
        return answer.status == 200
    return False


def until(what, why):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise SystemExit(f"gave up after {PATIENCE} s: {why}")


class Stage:
    """The server, the payment desk and the agent, on a directory that is thrown away."""

    def __init__(self, given, home):
        self.given, self.home = given, home
        self.url, self.desk_url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        os.environ.update(
            AWS_ENDPOINT_URL=self.url, AWS_DEFAULT_REGION="us-east-1",
            AWS_ACCESS_KEY_ID="demo", AWS_SECRET_ACCESS_KEY="demo")
        self.config = self.configure()
        command = [given.craton, "up", "--listen", self.url.removeprefix("http://"),
                   "--data-dir", str(home / "data"), "--config", str(self.config)]
        self.server = Program(command, home / "craton.log")
        self.desk = Program(
            [sys.executable, str(HERE / "payments.py"), "--port", self.desk_url.rsplit(":", 1)[1],
             "--ledger", str(home / "ledger.db")], home / "payments.log")

    def configure(self):
        """The given configuration, in its own folder because its paths are relative, and the way
        out of the functions' jails to the payment desk."""
        given = self.given.config
        text = given.read_text() if given else ""
        config = given.resolve().with_name(".craton-demo.toml") if given else self.home / "craton.toml"
        desk = self.desk_url.removeprefix("http://")
        config.write_text(f'{text}\n[functions.hosts]\n"*" = ["{desk}"]\n')
        return config

    def open(self):
        self.desk.start()
        until(lambda: answers(self.desk_url + "/refunds"), "the payment desk does not answer")
        return self.up()

    def up(self):
        """Starts the server and returns the milliseconds until it answered."""
        began = time.monotonic()
        self.server.start()
        until(self.ready, f"the server does not answer; see {self.home / 'craton.log'}")
        return (time.monotonic() - began) * 1000

    def ready(self):
        if self.server.process.poll() is not None:
            raise SystemExit("the server ended:\n" + (self.home / "craton.log").read_text()[-2000:])
        return answers(self.url + "/_craton/v1/health")

    def close(self):
        self.server.stop()
        self.desk.stop()
        if self.given.config:
            self.config.unlink()

    def refunds(self, order):
        with urllib.request.urlopen(f"{self.desk_url}/refunds?order_id={order}", timeout=10) as answer:
            return json.loads(answer.read())["refunds"]

    def ledger(self):
        with urllib.request.urlopen(f"{self.desk_url}/refunds", timeout=10) as answer:
            return json.loads(answer.read())["refunds"]

    def hold(self, seconds):
        body = json.dumps({"seconds": seconds}).encode()
        urllib.request.urlopen(f"{self.desk_url}/hold", data=body, timeout=10).close()

    def book(self, **refund):
        """What the shop's own back office does once somebody has approved."""
        request = urllib.request.Request(
            f"{self.desk_url}/refunds", data=json.dumps(refund).encode(),
            headers={"Idempotency-Key": f"approval-{refund['order_id']}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def deploy(self, file):
        command = [self.given.craton, "deploy", "--yes", str(HERE / file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        say(f"craton deploy {file}")

    def warm(self, function, processes):
        """Starts a function's processes, as traffic would have done long since."""
        import boto3
        event = {"messageVersion": "1.0", "actionGroup": "suppliers", "function": "get_stock",
                 "parameters": [{"name": "item", "type": "string", "value": "I-1"}]}
        client = boto3.client("lambda")
        with concurrent.futures.ThreadPoolExecutor(processes) as pool:
            calls = [pool.submit(client.invoke, FunctionName=function, Payload=json.dumps(event))
                     for _ in range(processes)]
        for call in calls:
            call.result()

    def chat(self, agent, words, typed=""):
        """One turn in the binary's own chat, which draws its live lines itself on a terminal."""
        say(f"craton chat {agent} --message {words!r}")
        sys.stdout.flush()
        subprocess.run([self.given.craton, "chat", agent, "--message", words], input=typed, text=True,
                       stderr=None if sys.stderr.isatty() else subprocess.STDOUT, timeout=PATIENCE)

    def last_events(self):
        """The journal of the latest run, oldest first."""
        with urllib.request.urlopen(f"{self.url}/_craton/v1/runs?last=1", timeout=10) as answer:
            run = json.loads(answer.read())["runs"][0]["run"]
        with urllib.request.urlopen(f"{self.url}/_craton/v1/runs/{run}", timeout=10) as answer:
            return [(e["at"], e["event"]) for e in json.loads(answer.read())["events"]]

    def ended(self, run):
        """How a run ended and what it said, by the server's journal."""
        with urllib.request.urlopen(f"{self.url}/_craton/v1/runs/{run}", timeout=10) as answer:
            view = json.loads(answer.read())
        observed = [p["trace"].get("orchestrationTrace", {}).get("observation", {}) for p in view["trace"]]
        said = [o["finalResponse"]["text"] for o in observed if "finalResponse" in o]
        return view["run"]["status"], said[-1] if said else ""


class Talk:
    """One session with the agent, through boto3."""

    def __init__(self, ids):
        import boto3
        from botocore.config import Config
        self.ids, self.session = ids, str(uuid.uuid4())
        self.client = boto3.client("bedrock-agent-runtime", config=Config(read_timeout=PATIENCE))
        self.run, self.traces, self.control = None, [], None

    def say(self, text=None, **fields):
        if text:
            say(text, "customer", colour="36")
            fields["inputText"] = text
        answer = self.client.invoke_agent(
            **self.ids, sessionId=self.session, enableTrace=True, **fields)
        self.run = answer["ResponseMetadata"]["HTTPHeaders"].get("x-craton-run-id")
        self.traces, self.control, words = [], None, ""
        for event in answer["completion"]:
            if "trace" in event:
                self.traces.append(event["trace"]["trace"])
            elif "chunk" in event:
                words += event["chunk"]["bytes"].decode()
            elif "returnControl" in event:
                self.control = event["returnControl"]
        if words:
            say(words, "agent", colour="32")
        return words


def show(traces):
    """The trace, one line a step."""
    for trace in traces:
        for step, value in trace.get("orchestrationTrace", {}).items():
            show_step(step, value)
        if "failureTrace" in trace:
            trace_line(trace["failureTrace"]["failureReason"], "failure")


def show_step(step, value):
    if step == "rationale":
        trace_line(value["text"], "why")
    elif step == "modelInvocationOutput":
        usage = value.get("metadata", {}).get("usage", {})
        trace_line(f"{usage.get('inputTokens', 0)} tokens in, {usage.get('outputTokens', 0)} out", "model")
    elif step == "invocationInput":
        call = value["actionGroupInvocationInput"]
        given = ", ".join(f"{p['name']}={p['value']}" for p in call.get("parameters", []))
        trace_line(f"{call['actionGroupName']}.{call.get('function')}({given})", "call")
    elif step == "observation" and "actionGroupInvocationOutput" in value:
        trace_line(value["actionGroupInvocationOutput"]["text"], "result")
    elif step == "observation" and "repromptResponse" in value:
        trace_line(value["repromptResponse"]["text"], "refused")


def order_question(stage, talk, claims):
    title("a  An order question, with its trace")
    words = talk.say("Where is my order A-1001?")
    show(talk.traces)
    steps = [next(iter(t.get("orchestrationTrace", {"": 0}))) for t in talk.traces]
    claims.check("the agent looked the order up before it answered",
                 "invocationInput" in steps and "shipped" in words.lower())


def crash_in_the_loop(stage, claims):
    title("b  kill -9 right after a refund has committed: first a while-loop over Converse")
    order, state = "A-1002", stage.home / "talk.json"
    command = [sys.executable, str(HERE / "loop.py"), "--payments", stage.desk_url, "--state", str(state),
               "--model", stage.given.model, f"Please refund $189 for order {order}"]
    say(command[-1], "customer", colour="36")
    stage.hold(HOLD)
    loop = Program(command, stage.home / "loop.log", {**os.environ, "PYTHONPATH": str(HERE)}).start()
    until(lambda: stage.refunds(order), "the loop never refunded; see loop.log")
    loop.kill()
    say("the refund is in the ledger, the loop has not heard so", "kill -9", colour="31")
    stage.hold(0)
    say("it goes on from the conversation that it saved", "restart")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    say(done.stdout.strip() or done.stderr.strip()[-300:], "loop", colour="32")
    count = len(stage.refunds(order))
    claims.check("the loop refunded twice", count == 2, f"the desk's ledger counts {count}")


def crash_in_craton(stage, talk, claims):
    title("b  The same with Craton: kill -9 of the server")
    order = "A-1001"
    stage.hold(HOLD)
    broken = []
    asking = threading.Thread(target=lambda: broken.append(attempt(talk, order)))
    asking.start()
    until(lambda: stage.refunds(order), "the agent never refunded; see craton.log")
    stage.server.kill()
    say("the refund is in the ledger, the server has not heard so", "kill -9", colour="31")
    asking.join(PATIENCE)
    say(f"it lost its connection ({broken[0]})", "client")
    cut_off = talk.run
    stage.hold(0)
    say(f"ready again after {stage.up():.0f} ms; the turn that was cut off goes on by itself", "restart")
    words = talk.say("Was my order A-1001 refunded?")
    show(talk.traces)
    status, said = stage.ended(cut_off)
    claims.check("the turn that was cut off ended by itself", status == "answered", f"it said: {said}")
    count = len(stage.refunds(order))
    claims.check("Craton refunded once", count == 1, f"the desk's ledger counts {count}")
    claims.check("the same session goes on and knows of the refund",
                 "R-" in words or "refund" in words.lower() or "paid" in words.lower())


def attempt(talk, order):
    try:
        return talk.say(f"Please refund $42.50 for order {order}")
    except Exception as error:  # a killed server breaks the stream in one of many ways
        return type(error).__name__


def approval(stage, ids, claims):
    title("c  A $620 refund waits through a restart, is approved, is done")
    order, talk = "A-1003", Talk(ids)
    talk.say(f"Please refund $620 for order {order} because the desk arrived broken")
    show(talk.traces)
    if not talk.control:
        claims.check("the agent asked for an approval", False, "no return of control")
        return
    wanted = talk.control["invocationInputs"][0]["functionInvocationInput"]
    given = {p["name"]: p["value"] for p in wanted["parameters"]}
    call = f"{wanted['function']}({', '.join(f'{k}={v}' for k, v in given.items())})"
    say(f"{call} is for the shop itself to do; the turn is parked", "waiting", colour="33")
    claims.check("nothing was refunded yet", not stage.refunds(order))
    stage.server.kill()
    say(f"killed while it waited, ready again after {stage.up():.0f} ms", "restart")
    refund = stage.book(order_id=given["order_id"], amount=float(given["amount"]), approved_by="Ada")
    say(f"Ada approves, the back office pays: {refund['refund_id']}", "person", colour="36")
    words = talk.say(sessionState={
        "invocationId": talk.control["invocationId"],
        "returnControlInvocationResults": [{"functionResult": {
            "actionGroup": wanted["actionGroup"], "function": wanted["function"],
            "responseBody": {"TEXT": {"body": json.dumps(refund)}}}}]})
    claims.check("the turn went on with the approval and told the customer", bool(words))
    found = stage.refunds(order)
    claims.check("$620 was refunded once, with an approval",
                 [(r["amount"], r.get("approved_by")) for r in found] == [(620.0, "Ada")])


def side_by_side(stage, claims):
    title("d  Three independent tools of a second each")
    stage.deploy("suppliers.yaml")
    stage.warm("suppliers", 3)
    stage.chat("suppliers", "Show the stock of I-1. Show the price of I-1. Show the delivery of I-1.")
    calls = [(at - event["millis"], at) for at, event in stage.last_events()
             if event["type"] == "toolReturned"]
    if len(calls) != 3:
        claims.check("the agent called three tools", False, f"it called {len(calls)}")
        return
    began, ended = zip(*calls)
    took = (max(ended) - min(began)) / 1000
    claims.check("each tool began before any had ended, and three took less than three seconds",
                 max(began) < min(ended) and took < 3, f"{took:.1f} s for all three")


def poisoned(stage, claims):
    title("e  A model that obeys a poisoned ticket, and executors that do not")
    say("The model is craton.clumsy: it calls what any text tells it to call. Its refund tool is return of "
        "control, and the client, this script, declines whatever it is handed.")
    before = stage.ledger()
    stage.deploy("inbox.yaml")
    stage.chat("inbox", "What does ticket T-7 say?", typed="\n" * DECLINES)
    events = [event for _, event in stage.last_events()]
    asked = [block["toolUse"] for event in events if event["type"] == "modelSaid"
             for block in event["reply"]["content"] if "toolUse" in block]
    claims.check("the model asked for the refund that the ticket wants, as nobody else did",
                 any(use["name"] == "refunds__process_refund" and use["input"].get("amount") == 620
                     for use in asked))
    performed = {event["tool"] for event in events if event.get("intent") == "call"}
    claims.check("the refund was handed to the client, and no executor performed it",
                 any(event["type"] == "parked" for event in events)
                 and "refunds__process_refund" not in performed)
    claims.check("no refund was made", stage.ledger() == before,
                 f"the desk's ledger counts {len(before)}, as before")


def introduce(stage):
    title("Craton: a support agent, created and invoked by plain boto3")
    words = (f"The model is {stage.given.model}, mapped by {stage.given.config}." if stage.given.config
             else "No language model is configured: the agent's words come from the embedded provider "
                  "`rules`, which picks tools and fills arguments by rule. Give --model and --config for "
                  "a real one.")
    say("Real: the server, its wire, store and journal, the Lambda function in its own process, the "
        "payment desk with its own ledger, boto3, and every kill -9. " + words)


def play(stage, claims):
    introduce(stage)
    say(f"server ready after {stage.open():.0f} ms at {stage.url}, data in {stage.home / 'data'}")
    from deploy import deploy
    ids = deploy(stage.desk_url, stage.given.model)
    say(f"deployed agent {ids['agentId']}, alias {ids['agentAliasId']}")
    talk = Talk(ids)
    order_question(stage, talk, claims)
    crash_in_the_loop(stage, claims)
    crash_in_craton(stage, talk, claims)
    approval(stage, ids, claims)
    side_by_side(stage, claims)
    poisoned(stage, claims)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--craton", required=True, help="the binary")
    parser.add_argument("--model", help="a model id that the configuration maps")
    parser.add_argument("--config", type=pathlib.Path, help="craton.toml with a provider")
    given = parser.parse_args()
    if bool(given.model) != bool(given.config):
        parser.error("--model and --config go together")
    sys.path.insert(0, str(HERE))
    from deploy import MODEL
    given.model = given.model or MODEL
    claims, home = Claims(), pathlib.Path(tempfile.mkdtemp(prefix="craton-demo-"))
    stage = Stage(given, home)
    try:
        play(stage, claims)
    finally:
        stage.close()
    title("Summary")
    for claim in claims.held:
        print(f"  {paint('32', '✓')} {claim}")
    for claim in claims.failed:
        print(f"  {paint('31', '✗')} {claim}")
    print(f"\n{len(claims.held)} claims held, {len(claims.failed)} did not")
    if claims.failed:
        print(f"logs and data are in {home}")
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
