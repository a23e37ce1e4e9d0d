"""An MCP server by hand, over standard input and output or, with an argument, over HTTP.

It does what a call's arguments say, keeps what it was sent in a file, and can be told to misbehave.
"""
import http.server, json, os, socket, sys, time

SCHEMA = {"type": "object", "properties": {"do": {"type": "string"}}}
SENT = os.environ.get("SENT")
description = "Does what it is told"


def tried(act):
    try:
        return act() or "ok"
    except OSError as error:
        return type(error).__name__


def result(params):
    global description
    asked = params["arguments"]
    match asked["do"]:
        case "echo":
            value = {"value": asked.get("value")}
            return {"content": [{"type": "text", "text": json.dumps(value)}], "structuredContent": value}
        case "fail":
            return {"isError": True, "content": [{"type": "text", "text": asked["message"]}]}
        case "describe":
            description = asked["as"]
            return {"content": []}
        case "expire":
            return {"content": []}
        case "large":
            return {"content": [{"type": "text", "text": "x" * 7_000_000}]}
        case "ask":
            return {"resultType": "input_required", "inputRequests": {}}
        case "odd":
            return {"content": [{"type": "hologram"}]}
        case "look":
            said = {path: tried(lambda: open(path).read()) for path in asked.get("read", [])}
            said |= {path: tried(lambda: open(path, "w").close()) for path in asked.get("write", [])}
            said |= {f"{host}:{port}": tried(lambda: socket.create_connection((host, port), 10).recv(1)[0] and None)
                     for host, port in asked.get("reach", [])}
            return {"content": [], "structuredContent": said}
        case "die":
            os._exit(3)
        case "hang":
            time.sleep(60)


def answer(message):
    if SENT:
        with open(SENT, "a") as sent:
            sent.write(json.dumps(message) + "\n")
    if "id" not in message:
        return None
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    params = message.get("params", {})
    match message["method"]:
        case "initialize":
            return reply | {"result": {
                "protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "by-hand", "version": "1"}}}
        case "tools/list" if "cursor" not in params:
            return reply | {"result": {"nextCursor": "2", "tools": [
                {"name": "do", "description": description, "inputSchema": SCHEMA,
                 "annotations": {"readOnlyHint": True, "idempotentHint": True}}]}}
        case "tools/list":
            return reply | {"result": {"tools": [
                {"name": "other", "inputSchema": {"type": "object"}}]}}
        case "tools/call" if "code" in params["arguments"]:
            return reply | {"error": {"code": params["arguments"]["code"], "message": "no such thing"}}
        case "tools/call":
            return reply | {"result": result(params)}
    return reply | {"error": {"code": -32601, "message": "no such method"}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    session = "1"

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = message.get("params", {}).get("arguments", {})
        if os.environ.get("TOKEN") and self.headers["Authorization"] != "Bearer " + os.environ["TOKEN"]:
            return self.reply(401, b"")
        if self.headers["Mcp-Session-Id"] not in (None, Handler.session):
            return self.reply(404, b"")
        if "status" in asked:
            return self.reply(asked["status"], b"")
        said = answer(message)
        if asked.get("do") == "expire":
            Handler.session = "2"
        if asked.get("then") == "hang up":
            self.close_connection = True
            return None
        if said is None:
            return self.reply(202, b"")
        body = json.dumps(said).encode()
        if asked.get("by") != "events":
            return self.reply(200, body, "application/json")
        note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'
        events = b"data: " + note + b"\n\n"
        if asked.get("then") != "break off":
            events += b"id: 1\nevent: message\ndata: " + body + b"\n\n"
        self.reply(200, events, "text/event-stream")

    def do_DELETE(self):
        self.reply(200, b"")

    def reply(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Mcp-Session-Id", Handler.session)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """Clients that leave are what these tests are about."""


if len(sys.argv) > 1:
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
print("ready", file=sys.stderr, flush=True)
for line in sys.stdin:
    said = answer(json.loads(line))
    if said is not None:
        print(json.dumps(said), flush=True)
