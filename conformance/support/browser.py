"""Headless Chromium over the WebDriver protocol (W3C), spoken to ChromeDriver by plain HTTP."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from .agents import until
from .server import free_port

# Debian's Chromium looks its maker up in the network unless it is told not to.
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1200,900",
]
# How ChromeDriver says that the page was loaded anew while it looked.
CHANGED = ("stale element", "aborted by navigation", "with given id")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    def __init__(self, home):
        driver = shutil.which("chromedriver")
        assert driver, "chromedriver is missing; install it (Debian: apt-get install chromium-driver)"
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = open(home / "chromedriver.log", "wb")
        self._process = subprocess.Popen([driver, f"--port={port}"], stdout=self._log, stderr=self._log)
        self._wait()
        self._home = home
        self._session = None

    def _wait(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if self._send("GET", "/status")["ready"]:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("chromedriver does not answer")

    def _send(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self._url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.loads(error.read())["value"]["message"]) from None

    def start(self, scripts=True):
        """A browser without past; `scripts` turns JavaScript off."""
        self.quit()
        options = {"args": ARGUMENTS}
        if not scripts:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"
        return self

    def open(self, url):
        self._send("POST", f"{self._session}/url", {"url": url})
        return self

    @property
    def url(self):
        return self._send("GET", f"{self._session}/url")

    @property
    def source(self):
        return self._send("GET", f"{self._session}/source")

    def run(self, script, *arguments):
        body = {"script": script, "args": list(arguments)}
        return self._send("POST", f"{self._session}/execute/sync", body)

    def all(self, selector):
        found = self._send("POST", f"{self._session}/elements", {"using": "css selector", "value": selector})
        return [one[ELEMENT] for one in found]

    def text(self, selector):
        """The texts of all elements, as a person sees them."""
        return self._settled(lambda: [self._send("GET", f"{self._session}/element/{one}/text") for one in self.all(selector)])

    def click(self, selector):
        """The first of them; a page that is still being loaded may not have it yet."""
        until(lambda: self._settled(lambda: self.all(selector)))
        self._settled(lambda: self._send("POST", f"{self._session}/element/{self.all(selector)[0]}/click"))

    def _settled(self, act):
        """A page that changes meanwhile is looked at again."""
        while True:
            try:
                return act()
            except AssertionError as error:
                if not any(sign in str(error) for sign in CHANGED):
                    raise

    def cookies(self):
        return self._send("GET", f"{self._session}/cookie")

    def complaints(self):
        """What the page's console said: scripts and styles that the policy refused, errors."""
        said = self._send("POST", f"{self._session}/se/log", {"type": "browser"})
        return [one["message"] for one in said if "favicon" not in one["message"]]

    def quit(self):
        if self._session:
            self._send("DELETE", self._session)
            self._session = None

    def close(self):
        self.quit()
        self._process.terminate()
        self._process.wait(10)
        self._log.close()
