"""`/_craton/runs` and `/_craton/runs/{id}`: one page to look at, in headless Chromium."""

import re
import threading
import urllib.error
import urllib.request

import pytest

from support.agents import Agent, function, hear, until
from support.browser import Browser
from support.model import Say
from support.server import ACCOUNT, Craton
from support.terminal import run as verb
from support.tools import KEYED, READ

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    yield chromium.start()
    chromium.quit()


def run_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.headers, answer.read().decode()


@pytest.fixture
def looked(agent, model):
    """A run of two model calls and a tool."""
    model.turn(Say("I look.", [("shop__look", {"id": "A-1"})]), Say("<answer>It is in Ghent.</answer>"))
    one = agent().serve(lambda e: "shelf 9")
    one.group(function("look", id="string required"), executor=READ)
    return run_of(one.prepare().talk("Where is A-1?").answer)


def test_a_run_is_a_waterfall_that_unfolds(craton, browser, looked):
    browser.open(f"{craton.url}/_craton/runs/{looked}")
    rows = browser.text("details.step > summary")
    assert [row.split("\n")[0] for row in rows] == ["model", "tool", "model"]
    assert "shop__look" in rows[1] and "answered" in rows[1]
    assert "11 / 7 tokens" in rows[0] and re.search(r"\d ms", rows[0])
    bars = browser.run("return [...document.querySelectorAll('svg rect')].map(r => r.getBoundingClientRect())")
    assert len(bars) == 3 and all(bar["width"] > 0 for bar in bars)
    assert bars[0]["x"] <= bars[1]["x"] <= bars[2]["x"]
    assert browser.text("#answer") == ["It is in Ghent."] and browser.text("#status") == ["answered"]
    assert "shelf 9" not in browser.text("details.step")[1], "what is folded is not seen"
    browser.click("details.step.tool > summary")
    opened = browser.text("details.step.tool")[0]
    assert "shelf 9" in opened and '"id": "A-1"' in opened
    browser.click("details.step.model > summary")
    prompt = browser.text("details.step.model")[0]
    assert "byte for byte what was sent" in prompt and "Where is A-1?" in prompt
    assert browser.complaints() == []


def test_hostile_text_stays_text(craton, browser, agent, model):
    """Prompts, arguments and results come from anybody."""
    model.turn(Say(HOSTILE, [("shop__look", {"id": HOSTILE})]), Say(f"<answer>{HOSTILE}</answer>"))
    one = agent().serve(lambda e: HOSTILE)
    one.group(function("look", id="string required"), executor=READ)
    answer = one.prepare().talk(HOSTILE).answer
    page = f"{craton.url}/_craton/runs/{run_of(answer)}"
    _, html = fetch(page)
    assert "<script>document" not in html and "<img" not in html and "&lt;script&gt;document" in html
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert browser.run("return document.title") != "owned"
    assert browser.all("img") == [] and HOSTILE in browser.text("#answer")[0]
    assert browser.complaints() == []


def test_the_page_lets_nothing_in_from_elsewhere(craton, looked):
    headers, html = fetch(f"{craton.url}/_craton/runs/{looked}")
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
    nonce = re.search(r"style-src 'nonce-(\w+)'", policy).group(1)
    assert f'<style nonce="{nonce}">' in html
    assert fetch(f"{craton.url}/_craton/runs/{looked}")[0]["content-security-policy"] != policy
    assert not re.search(r'(src|href)="(https?:)?//', html)


class Held:
    def __init__(self):
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, event):
        self.entered.set()
        self.let_go.wait(20)
        return "shelf 9"


@pytest.fixture
def under_way(agent, model):
    held = Held()
    model.turn(Say(calls=[("shop__look", {})]), Say("<answer>It is in Ghent.</answer>"))
    one = agent().serve(held)
    one.group(function("look"), executor=KEYED)
    answer = one.prepare().invoke("Where?")
    assert held.entered.wait(10)
    yield answer, held
    held.let_go.set()


def test_a_page_follows_its_run_while_it_goes_on(craton, browser, under_way):
    answer, held = under_way
    browser.open(f"{craton.url}/_craton/runs/{run_of(answer)}")
    assert "under way" in browser.text("details.step.tool")[0]
    browser.click("details.step.model > summary")
    browser.run("window.same = true")
    held.let_go.set()
    until(lambda: browser.text("#status") == ["answered"])
    assert browser.text("#answer") == ["It is in Ghent."] and len(browser.all("details.step")) == 3
    assert browser.run("return window.same"), "it was not loaded anew"
    assert browser.run("return document.querySelector('details.model').open"), "what was unfolded stays so"
    assert browser.complaints() == []


def test_a_browser_without_scripts_sees_the_same(craton, chromium, under_way):
    answer, held = under_way
    browser = chromium.start(scripts=False)
    browser.open(f"{craton.url}/_craton/runs/{run_of(answer)}")
    assert "under way" in browser.text("details.step.tool")[0]
    held.let_go.set()
    hear(answer)
    until(lambda: browser.text("#status") == ["answered"], timeout=20)
    browser.click("details.step.tool > summary")
    assert "shelf 9" in browser.text("details.step.tool")[0]


def test_the_list_leads_to_runs(craton, browser, looked):
    browser.open(f"{craton.url}/_craton/runs")
    assert looked in browser.text("tbody tr")[0]
    browser.click(f"a[href*='{looked.replace('-', '%2D')}']")
    until(lambda: browser.text("h1") == [looked])
    browser.open(f"{craton.url}/_craton/runs?status=cancelled&session=none")
    assert "There is none." in browser.text("main")[0]


@pytest.mark.parametrize("path, code", [("/runs/nobody", 404), ("/runs?status=odd", 400), ("/open?token=x", 403)])
def test_what_cannot_be_shown_is_said_on_a_page(craton, path, code):
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(f"{craton.url}/_craton{path}")
    assert caught.value.code == code and "<h1>" in caught.value.read().decode()


KEYS = f"""
dev = false
[[keys]]
access_key = "AKIDADMIN"
secret_key = "s3cret"
account = "{ACCOUNT}"
actions = ["craton:*", "bedrock:*", "iam:*", "lambda:*"]
[[keys]]
access_key = "AKIDUSER"
secret_key = "s3cret"
account = "{ACCOUNT}"
"""


@pytest.fixture
def keyed(tmp_path, settings, model, tools):
    """A server that knows its callers, and a run on it."""
    server = Craton(tmp_path / "keyed", KEYS + settings).start()
    signed = {"key": "AKIDADMIN", "secret": "s3cret"}
    model.turn(Say("<answer>Hi.</answer>"))
    one = Agent(server.client("bedrock-agent", **signed), server.client("bedrock-agent-runtime", **signed),
                model, tools).prepare()
    yield server, run_of(one.talk("hi").answer)
    server.stop()


def test_outside_dev_mode_a_link_that_works_once_lets_a_browser_in(keyed, browser):
    """The cookie that it leaves shows pages, and orders nothing."""
    server, run = keyed
    page = f"{server.url}/_craton/runs/{run}"
    assert "craton trace --last --open" in browser.open(page).text("main")[0]
    opened = verb("trace", run, "--open", url=server.url, AWS_ACCESS_KEY_ID="AKIDADMIN",
                  AWS_SECRET_ACCESS_KEY="s3cret", DISPLAY="", WAYLAND_DISPLAY="")
    link = opened.stdout.strip()
    assert opened.returncode == 0 and link.startswith(f"{server.url}/_craton/open?token="), opened
    browser.open(link)
    assert browser.url == page.replace("-", "%2D") or browser.url == page
    assert browser.text("#answer") == ["Hi."]
    cookie, = browser.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["path"] == "/_craton"
    assert browser.run("return document.cookie") == ""
    assert run in browser.open(f"{server.url}/_craton/runs").text("tbody")[0]
    orders = browser.run(f"return fetch('/_craton/v1/runs/{run}/pause', {{method: 'POST'}}).then(a => a.status)")
    assert orders == 403
    assert browser.run(f"return fetch('/_craton/v1/runs/{run}').then(a => a.status)") == 403
    assert browser.run(f"return fetch('/_craton/v1/runs/{run}/stream').then(a => a.status)") == 200
    assert "was used" in browser.open(link).text("main")[0]


def test_a_key_without_the_permission_gets_no_link(keyed):
    server, run = keyed
    refused = verb("trace", run, "--open", url=server.url, AWS_ACCESS_KEY_ID="AKIDUSER",
                   AWS_SECRET_ACCESS_KEY="s3cret")
    assert refused.returncode == 1 and "not authorized" in refused.stderr
    request = urllib.request.Request(f"{server.url}/_craton/v1/links", data=b"", method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 403


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_others_see_nothing_in_dev_mode(craton, headers):
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(f"{craton.url}/_craton/runs", **headers)
    assert caught.value.code == 403
