"""Action groups whose function stands under [apis]: the API itself is called, as its document says."""

import base64
import json
import pathlib
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.agents import function, refused
from support.model import Say, tool_results
from support.server import Craton
from support.tools import arn

TOKEN, KEY = "token-of-the-shop", "key-of-the-shop"


class Api:
    """A small shop over HTTP. It remembers every request; `do` decides what a path does."""

    def __init__(self):
        self.requests, self.lose, self.tokens = [], set(), 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                url = urllib.parse.urlsplit(self.path)
                request = {
                    "method": self.command, "path": url.path,
                    "query": urllib.parse.parse_qsl(url.query, keep_blank_values=True),
                    "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body,
                }
                api.requests.append(request)
                status, media, said = api.do(request)
                if status == "lost":
                    self.close_connection = True
                    return
                said = said if isinstance(said, bytes) else said.encode()
                self.send_response(status)
                self.send_header("location" if 300 <= status < 400 else "content-type", media)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_DELETE = serve

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def do(self, request):
        path, json_type = request["path"], "application/json"
        if path == "/token":
            self.tokens += 1
            return 200, json_type, json.dumps({"access_token": TOKEN, "token_type": "Bearer"})
        if path.endswith("/missing"):
            problem = {"type": "https://shop.example/order-not-found", "status": 404,
                       "detail": "no order matches missing", "trace": ["secret.py:3"]}
            return 404, "application/problem+json", json.dumps(problem)
        if path.endswith("/page"):
            return 502, "text/html", "<html><title>Bad gateway</title><p>secret-page</html>"
        if path.endswith("/inside"):
            return 302, self.inside, ""
        if path.endswith("/refunds"):
            return "lost", "", ""
        return 200, json_type, json.dumps({"done": request["method"]})

    def close(self):
        self._http.shutdown()


def operation(id, verb="get", parameters=(), **fields):
    return {verb: {"operationId": id, "description": f"Does {id}", "parameters": list(parameters),
                   "responses": {"200": {"description": "done"}}, **fields}}


def parameter(name, place, schema=None, **fields):
    return {"name": name, "in": place, "schema": schema or {"type": "string"},
            **({"required": True} if place == "path" else {}), **fields}


ID = parameter("id", "path")
DOCUMENT = {
    "openapi": "3.0.3", "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "https://nobody.invalid/elsewhere"}],
    "security": [{"Key": []}],
    "paths": {
        "/orders/{id}": operation("getOrder", parameters=[
            ID, parameter("tags", "query", {"type": "array", "items": {"type": "string"}}),
            parameter("filter", "query", {"type": "object"}, style="deepObject", explode=True),
            parameter("X-Lang", "header"), parameter("theme", "cookie")]),
        "/orders/{id}/lines": operation("addLine", "put", [ID], security=[{"Machine": []}], requestBody={
            "required": True, "content": {"application/json": {"schema": {
                "type": "object", "required": ["sku"], "properties": {
                    "sku": {"type": "string"}, "count": {"type": "integer"}}}}}}),
        "/orders/{id}/notes": operation("addNote", "post", [ID], security=[{"Basic": []}], requestBody={
            "required": True, "content": {"application/x-www-form-urlencoded": {"schema": {
                "type": "object", "properties": {"text": {"type": "string"}}}}}}),
        "/orders/{id}/refunds": operation("refund", "post", [ID], security=[]),
    },
}


@pytest.fixture(scope="module")
def api():
    server = Api()
    yield server
    server.close()


@pytest.fixture(scope="module")
def craton(tmp_path_factory, settings, api):
    """A server with a shop under [apis]."""
    home = tmp_path_factory.mktemp("apis")
    for name, value in (("key", KEY), ("password", "word"), ("client", "client-secret")):
        (home / name).write_text(value + "\n")
    secret = lambda name: f"file:{pathlib.Path(home / name)}"
    server = Craton(home, settings + f"""
[apis.shop]
functions = ["{arn('shop-api')}"]
server = "{api.url}/v1"
headers = {{ "X-Client" = "craton" }}

[apis.shop.auth.Key]
kind = "api_key"
in = "query"
name = "key"
value = "{secret('key')}"

[apis.shop.auth.Machine]
kind = "oauth2"
token_url = "{api.url}/token"
client_id = "me"
client_secret = "{secret('client')}"

[apis.shop.auth.Basic]
kind = "basic"
user = "ann"
password = "{secret('password')}"
""").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cp(craton):
    return craton.client("bedrock-agent")


@pytest.fixture(scope="module")
def rt(craton):
    return craton.client("bedrock-agent-runtime")


@pytest.fixture
def shop(agent, api):
    """An agent whose action group is the shop."""
    api.requests.clear()
    one = agent()
    one.group(executor=arn("shop-api"), name="shop", apiSchema={"payload": json.dumps(DOCUMENT)})
    return one.prepare()


def asks(model, *calls):
    model.turn(Say(calls=list(calls)), Say("Done."))


def test_operations_are_called_at_the_api(shop, model, api):
    """D4: path, query, header, cookie and body as the document has them; credentials by its security."""
    asks(model, ("get__shop__getOrder", {
        "id": "A/1 ä", "tags": ["a,b", "c"], "filter": {"by": {"kind": "x&y"}}, "X-Lang": "de",
        "theme": "dark; x"}), ("put__shop__addLine", {"id": "1", "sku": "S-1", "count": 2}),
        ("post__shop__addNote", {"id": "1", "text": "a b&c"}))
    turn = shop.talk("Go")
    assert turn.text == "Done."
    by_path = {request["path"]: request for request in api.requests}
    got = by_path["/v1/orders/A%2F1%20%C3%A4"]
    assert got["method"] == "GET" and got["body"] == b""
    assert got["query"] == [
        ("tags", "a,b"), ("tags", "c"), ("filter[by][kind]", "x&y"), ("key", KEY)]
    assert got["headers"]["x-lang"] == "de" and got["headers"]["x-client"] == "craton"
    assert got["headers"]["cookie"] == "theme=dark%3B%20x"
    put = by_path["/v1/orders/1/lines"]
    assert (put["method"], json.loads(put["body"])) == ("PUT", {"sku": "S-1", "count": 2})
    assert put["headers"]["authorization"] == f"Bearer {TOKEN}" and put["query"] == []
    assert len(put["headers"]["idempotency-key"]) == 64
    post = by_path["/v1/orders/1/notes"]
    assert post["body"] == b"text=a+b%26c"
    ann = base64.b64encode(b"ann:word").decode()
    assert post["headers"]["authorization"] == f"Basic {ann}"
    assert [json.loads(r)["done"] for r in tool_results(model.requests[1])] == ["GET", "PUT", "POST"]


def test_no_credential_is_told(shop, model, craton):
    """Q3: neither trace nor log nor model has a credential."""
    asks(model, ("get__shop__getOrder", {"id": "1"}), ("put__shop__addLine", {"id": "1", "sku": "S"}))
    turn = shop.talk("Go")
    told = craton.log() + str(turn.parts) + str(model.requests)
    assert all(secret not in told for secret in (KEY, TOKEN, "client-secret"))


def test_an_error_of_the_api_is_one_line_for_the_model(shop, model):
    """D7: code and message of a problem, the title of a page; no page, no trace."""
    asks(model, ("get__shop__getOrder", {"id": "missing"}), ("get__shop__getOrder", {"id": "page"}))
    shop.talk("Go")
    missing, page = tool_results(model.requests[1])
    assert "http_404: order-not-found: no order matches missing" in missing
    assert "http_502: Bad gateway" in page
    assert "secret" not in missing + page and "\n" not in missing + page


def test_a_lost_reply_is_sent_once_and_told_as_unknown(shop, model, api):
    """D9: a POST whose answer never came is not repeated."""
    asks(model, ("post__shop__refund", {"id": "1"}))
    shop.talk("Go")
    assert "unknown_outcome" in tool_results(model.requests[1])[0]
    assert len(api.requests) == 1


def test_a_redirect_inside_is_refused(shop, model, api, tools):
    """Q4: another port of this machine is a private network, whoever leads there."""
    api.inside = tools.url
    asks(model, ("get__shop__getOrder", {"id": "inside"}))
    shop.talk("Go")
    said, = tool_results(model.requests[1])
    assert "may not be reached" in said
    assert len(api.requests) == 1


def test_a_value_does_not_leave_its_place(shop, model, api):
    asks(model, ("get__shop__getOrder", {"id": "../../token"}))
    shop.talk("Go")
    said, = tool_results(model.requests[1])
    assert "has no place in a path" in said and "nothing was sent" in said
    assert api.requests == []


def test_a_function_schema_is_refused_by_name(agent, model, api):
    api.requests.clear()
    one = agent()
    one.group(function("look", where="string"), executor=arn("shop-api"))
    asks(model, ("shop__look", {"where": "here"}))
    one.prepare().talk("Go")
    said, = tool_results(model.requests[1])
    assert "HTTP API shop" in said and "OpenAPI document" in said
    assert api.requests == []


def test_invoke_is_refused_by_name(craton, api):
    """Nothing says which operation a plain event means."""
    with refused("InvalidParameterValueException", "HTTP API shop"):
        craton.client("lambda", retries={"total_max_attempts": 1}).invoke(FunctionName=arn("shop-api"))
