"""examples/support-agent: the same agent managed and by hand, against one binary (A10, A12)."""

import ast
import io
import json
import re
import signal
import subprocess
import sys
import tokenize
import urllib.request

import pytest

from support.agents import unique, until
from support.server import REPOSITORY, Craton, binary, free_port
from support.terminal import environment

EXAMPLE = REPOSITORY / "examples" / "support-agent"


class Desk:
    """The example's payment desk, with its own ledger."""

    def __init__(self, home, port):
        self._process = subprocess.Popen(
            [sys.executable, EXAMPLE / "payments.py", "--port", str(port), "--ledger", home / "ledger.db"],
            stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()

    def ledger(self):
        with urllib.request.urlopen(f"{self.url}/refunds", timeout=10) as answer:
            refunds = json.loads(answer.read())["refunds"]
        return [(refund["order_id"], refund["amount"]) for refund in refunds]

    def hold(self, seconds):
        body = json.dumps({"seconds": seconds}).encode()
        urllib.request.urlopen(f"{self.url}/hold", data=body, timeout=10).close()

    def close(self):
        self._process.kill()
        self._process.wait()


PORT = free_port()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A server whose functions reach the payment desk, as the example's readme has it."""
    hosts = f'[functions.hosts]\n"*" = ["127.0.0.1:{PORT}"]\n'
    server = Craton(tmp_path_factory.mktemp("plain"), hosts).start()
    yield server
    server.stop()


@pytest.fixture
def desk(tmp_path):
    one = Desk(tmp_path, PORT)
    yield one
    one.close()


class Shop:
    """The agent in one of its two forms, through the command line that both have."""

    def __init__(self, plain, desk, home):
        self.url, self.desk, self.home, self.session = plain.url, desk, home, unique("ada")

    def python(self, *arguments):
        return [sys.executable, *map(str, arguments)]

    def run(self, *arguments):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60,
                              env=environment(self.url), cwd=self.home)
        assert done.returncode == 0, done.stderr
        return done.stdout


class ByHand(Shop):
    def command(self, *arguments):
        return self.python(EXAMPLE / "by_hand.py", "--payments", self.desk.url, "--session", self.session,
                           *arguments)

    def approve(self, handed_out, result):
        assert json.loads(handed_out)["name"] == "request_refund_approval"
        return self.run("--result", result)


class Managed(Shop):
    def __init__(self, *given):
        super().__init__(*given)
        deploy = f"import deploy, json; print(json.dumps(deploy.deploy({self.desk.url!r}, name={unique('shop')!r})))"
        done = subprocess.run(
            self.python("-c", deploy), capture_output=True, text=True, cwd=EXAMPLE,
            env=environment(self.url, PYTHONDONTWRITEBYTECODE="1"))
        assert done.returncode == 0, done.stderr
        self.ids = json.loads(done.stdout)

    def command(self, *arguments):
        return self.python(EXAMPLE / "ask.py", "--agent", self.ids["agentId"], "--alias",
                           self.ids["agentAliasId"], "--session", self.session, *arguments)

    def approve(self, handed_out, result):
        control = json.loads(handed_out)
        wanted, = control["invocationInputs"]
        assert wanted["functionInvocationInput"]["function"] == "request_refund_approval"
        return self.run("--invocation", control["invocationId"], "--result", result)


@pytest.mark.parametrize("form", [Managed, ByHand])
def test_managed_and_by_hand_do_the_same(form, plain, desk, tmp_path):
    """A10: an order, a refund, an approval that waits while no process of the client runs."""
    shop = form(plain, desk, tmp_path)
    assert "shipped" in shop.run("Where is my order A-1001?")
    shop.run("Please refund $42.50 for order A-1001")
    handed_out = shop.run("Please refund $620 for order A-1003 because the desk arrived broken")
    assert desk.ledger() == [("A-1001", 42.5)]
    assert "R-9" in shop.approve(handed_out, '{"approved": true, "refund_id": "R-9"}')
    assert desk.ledger() == [("A-1001", 42.5)]


def test_by_hand_a_killed_refund_is_made_once(plain, desk, tmp_path):
    """The loop that is counted is as careful as Craton: killed right after the desk has committed."""
    shop = ByHand(plain, desk, tmp_path)
    desk.hold(5)
    process = subprocess.Popen(
        shop.command("Please refund $42.50 for order A-1001"), env=environment(plain.url), cwd=tmp_path)
    until(desk.ledger)
    process.send_signal(signal.SIGKILL)
    process.wait()
    desk.hold(0)
    assert "R-1" in shop.run()
    assert desk.ledger() == [("A-1001", 42.5)]


def lines_of(path, without=()):
    """Lines that hold code: no blank ones, no comments, no docstrings; without some definitions."""
    text = path.read_text()
    if path.suffix != ".py":
        return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))
    left_out = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) \
                and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            left_out |= set(range(body[0].lineno, body[0].end_lineno + 1))
        if getattr(node, "name", None) in without:
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
               tokenize.ENDMARKER}
    held = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped:
            held |= set(range(token.start[0], token.end[0] + 1))
    return len(held - left_out)


def declared():
    """Lines of deploy.py that declare the agent itself: instruction and tools. by_hand.py imports them."""
    names = {"INSTRUCTION", "ORDER", "AMOUNT", "ORDERS", "APPROVALS"}
    tree = ast.parse((EXAMPLE / "deploy.py").read_text())
    assigned = [n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id in names]
    assert len(assigned) == len(names)
    return sum(n.end_lineno - n.lineno + 1 for n in assigned)


def test_the_loop_needs_a_fifth_of_the_code():
    """A12. The loop: what runs the conversation, `by_hand.py` against `ask.py`. All: with what both
    need beside it, which is instruction, tools and their code, and for Craton the Lambda envelope."""
    tools = EXAMPLE / "functions" / "orders.py"
    loop = {"by hand": lines_of(EXAMPLE / "by_hand.py"), "with Craton": lines_of(EXAMPLE / "ask.py")}
    whole = {
        "by hand": loop["by hand"] + declared() + lines_of(tools, without=["lambda_handler"]),
        "with Craton": loop["with Craton"] + lines_of(EXAMPLE / "agent.yaml") + lines_of(tools),
    }
    for what, count in (("the loop", loop), ("all of it", whole)):
        less = 1 - count["with Craton"] / count["by hand"]
        print(f"{what}: {count['by hand']} lines by hand, {count['with Craton']} with Craton, {less:.0%} less")
    assert loop["with Craton"] <= loop["by hand"] / 5
    assert whole["with Craton"] < whole["by hand"] * 0.6


def test_the_first_answer_takes_less_than_two_minutes():
    """A12: from the binary in an empty home, by the demo and by up, deploy and chat."""
    done = subprocess.run([sys.executable, EXAMPLE / "first_answer.py", "--craton", binary()],
                          capture_output=True, text=True, timeout=240)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    totals = re.findall(r"([\d.]+) s  to the first answer", done.stdout)
    assert len(totals) == 2 and all(float(total) < 120 for total in totals)
