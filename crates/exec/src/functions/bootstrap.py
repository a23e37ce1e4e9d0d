"""The Python runtime of Craton: loops on the Lambda Runtime API and calls the handler.

Runs as `python -I -S -X utf8 bootstrap.py warm|fork [managed packages]`: all events in this process,
or each in a fork of it that never saw another. It talks HTTP over a plain socket,
because the server is always ours, on loopback, and answers with a Content-Length: the standard
client would cost more than the handler. Whoever started it ends it with the server; when the Runtime
API goes away, the whole process group ends.
"""

import importlib
import importlib.machinery
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback

API = "/2018-06-01/runtime"
MANAGED = ("boto3", "botocore")
HOST, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)


def die():
    """Ends this process and whatever the handler started."""
    try:
        os.killpg(0, signal.SIGKILL)
    finally:
        os._exit(1)


class Connection:
    """One keep-alive connection to the Runtime API."""

    def __init__(self):
        self.socket = socket.create_connection((HOST, int(PORT)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def ask(self, method, path, body=b"", headers=""):
        head = "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n" % (
            method, path, HOST, len(body), headers)
        self.socket.sendall(head.encode("latin-1", "replace") + body)
        return self.answer()

    def answer(self):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        parts, have = [self.buffer], len(self.buffer)
        while have < length:
            parts.append(self.receive())
            have += len(parts[-1])
        joined = b"".join(parts)
        body, self.buffer = joined[:length], joined[length:]
        return int(lines[0].split(" ", 2)[1]), headers, body

    def fill(self):
        self.buffer += self.receive()

    def receive(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the Runtime API closed the connection")
        return data


class Fault(Exception):
    """An error with a type of the runtime's own."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.trace = kind, list(trace)


class ManagedPackages:
    """Last on sys.meta_path: asks the server for boto3 when nothing else provides it."""

    reason = None

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in MANAGED or path is not None:
            return None
        if cls.reason is None:
            status, _, body = Connection().ask("GET", "/craton/packages")
            if status == 200:
                directory = body.decode()
                if directory not in sys.path:
                    sys.path.append(directory)
                return importlib.machinery.PathFinder.find_spec(name, [directory])
            cls.reason = body.decode("utf-8", "replace")
        raise ModuleNotFoundError("No module named %r (%s)" % (name, cls.reason), name=name)


class Identity:
    def __init__(self, given):
        self.cognito_identity_id = given.get("cognitoIdentityId")
        self.cognito_identity_pool_id = given.get("cognitoIdentityPoolId")


class Client:
    def __init__(self, given):
        self.installation_id = given.get("installation_id")
        self.app_title = given.get("app_title")
        self.app_version_name = given.get("app_version_name")
        self.app_version_code = given.get("app_version_code")
        self.app_package_name = given.get("app_package_name")


class ClientContext:
    def __init__(self, given):
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = Client(given.get("client") or {})


class Context:
    """AWS: the attributes of the Python context object (Lambda developer guide)."""

    def __init__(self, headers):
        env = os.environ
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.identity = Identity(parsed(headers, "lambda-runtime-cognito-identity") or {})
        client = parsed(headers, "lambda-runtime-client-context")
        self.client_context = None if client is None else ClientContext(client)
        self._deadline = int(headers.get("lambda-runtime-deadline-ms", "0"))

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))


def parsed(headers, name):
    given = headers.get(name)
    if not given:
        return None
    try:
        # Header values are read as latin-1; the server sends UTF-8.
        return json.loads(given.encode("latin-1").decode("utf-8"))
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s: %s" % (name, error))


class Log(logging.Handler):
    """AWS: root logger lines are level, time, request id and message, separated by tabs."""

    request = ""

    def filter(self, record):
        record.aws_request_id = Log.request
        return super().filter(record)

    def emit(self, record):
        sys.stdout.write(self.format(record))


def set_up_output():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    handler = Log()
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n",
        "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)


def flush():
    """What was printed is in the pipe before the answer: the server reads it then."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass  # The handler closed or replaced it.


def set_up_path():
    """AWS: the function's code, then PYTHONPATH, the standard library, then provided packages."""
    first = [os.environ["LAMBDA_TASK_ROOT"]]
    first += [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:0] = [p for p in first if p not in sys.path]
    sys.path += sys.argv[2:]
    sys.argv[:] = [sys.argv[0]]
    sys.meta_path.append(ManagedPackages)
    import site  # Under -S this adds nothing to the path; it gives exit() and quit() back.
    site.setquit()


def load(handler):
    module_name, dot, function_name = handler.rpartition(".")
    if not dot:
        raise Fault("Runtime.MalformedHandlerName",
                    "Bad handler '%s': expected module.function" % handler)
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict",
                    "Cannot use built-in module %s as a handler module" % module_name)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s%s" % (
            module_name, error, advice(module_name, error))) from None
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault("Runtime.UserCodeSyntaxError",
                    "Syntax error in module '%s': %s" % (module_name, error), trace) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (
            function_name, module_name)) from None


def advice(module_name, error):
    """What to do about it, after AWS's own words."""
    missing = (error.name or "").split(".")[0]
    if not missing or missing in MANAGED:
        return ""
    if missing == module_name.replace("/", ".").split(".")[0]:
        return " (the zip has no %s at its top; its handler must be reachable from there)" % (
            module_name.replace(".", "/") + ".py")
    return (" (package it with the function: pip install -t . %s in the directory that is zipped,"
            " then update the function's code)" % missing)


def plain(value):
    """What JSON has no word for. AWS: decimals become numbers (awslambdaric's encoder)."""
    if type(value).__name__ == "Decimal" and hasattr(value, "is_nan"):
        if value.is_nan():
            return float("nan")
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def encode(result):
    if isinstance(result, bytes):
        return result
    try:
        return json.dumps(result, default=plain).encode()
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error) from None


def decode(body):
    try:
        return json.loads(body)
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error) from None


def described(error, request):
    """AWS: the shape of a function's error (Lambda developer guide, Python exceptions)."""
    if isinstance(error, Fault):
        kind, trace = error.kind, error.trace
    else:
        kind = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        trace = traceback.format_list([f for f in frames if f.filename != __file__
                                       and not f.filename.startswith("<frozen importlib")])
    return {"errorMessage": str(error), "errorType": kind, "requestId": request,
            "stackTrace": trace}


def report(connection, path, error, request=""):
    body = described(error, request)
    lines = ["[ERROR] %s: %s" % (body["errorType"], body["errorMessage"])]
    if body["stackTrace"]:
        lines.append("Traceback (most recent call last):")
        lines += [line.rstrip("\n") for line in body["stackTrace"]]
    sys.stdout.write("\n".join(lines) + "\n")
    flush()
    kind = body["errorType"].encode("ascii", "replace").decode()
    connection.ask("POST", path, json.dumps(body).encode(),
                   "Lambda-Runtime-Function-Error-Type: %s\r\n" % kind)


def take(connection):
    _, headers, body = connection.ask("GET", API + "/invocation/next")
    return headers, body


def work(connection, handler, event, about_to_answer=None):
    headers, body = event
    request = Log.request = headers["lambda-runtime-aws-request-id"]
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
    path = API + "/invocation/" + request
    try:
        result = encode(handler(decode(body), Context(headers)))
    except Exception as error:
        if about_to_answer:
            about_to_answer()
        report(connection, path + "/error", error, request)
    else:
        flush()
        if about_to_answer:
            about_to_answer()
        connection.ask("POST", path + "/response", result)


def serve_warm(connection, handler):
    while True:
        work(connection, handler, take(connection))


def serve_by_forks(connection, handler):
    """A fork for each event. Whoever started this process ends what a fork leaves behind, before the
    next event comes."""
    import ctypes
    prctl, dumpable = ctypes.CDLL(None, use_errno=True).prctl, 4
    while True:
        # Between forks nobody may look into this process, and what it holds goes to every fork.
        if prctl(dumpable, 0, 0, 0, 0) != 0:
            os._exit(1)
        event = take(connection)
        heard, tell = os.pipe()
        fork = os.fork()
        if fork == 0:
            os.close(heard)
            connection.socket.close()
            prctl(dumpable, 1, 0, 0, 0)
            work(Connection(), handler, event, lambda: os.write(tell, b"."))
            os._exit(0)
        os.close(tell)
        _, status = os.waitpid(fork, 0)
        # What the fork started may hold the other end.
        os.set_blocking(heard, False)
        try:
            answered = os.read(heard, 1) == b"."
        except BlockingIOError:
            answered = False
        os.close(heard)
        if not answered:
            end_as(status)


def end_as(status):
    """What a fork does instead of answering, this process does: that is what the server sees."""
    if os.WIFSIGNALED(status):
        sign = os.WTERMSIG(status)
        if sign != signal.SIGKILL:
            signal.signal(sign, signal.SIG_DFL)
        os.kill(os.getpid(), sign)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)


def main():
    serve = serve_by_forks if sys.argv[1] == "fork" else serve_warm
    set_up_output()
    set_up_path()
    try:
        connection = Connection()
    except OSError:
        die()
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        report(connection, API + "/init/error", error)
        os._exit(1)
    try:
        serve(connection, handler)
    except OSError:
        die()


# A process that multiprocessing starts anew imports this file under another name.
if __name__ == "__main__":
    main()
