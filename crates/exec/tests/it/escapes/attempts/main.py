"""The handler of the attempts: each runs in a child of its own, so that it cannot spoil the next."""

import errno
import importlib
import inspect
import json
import os
import select
import signal
import sys
import time
import traceback
import types

from common import CLONE_NEWNS, CLONE_NEWUTS, Refused, call

FAMILIES = ["files", "procfs", "namespaces", "capabilities", "processes", "keyring", "kernel",
            "sockets", "metadata", "descriptors", "devices"]
PATIENCE = 6


def attempts(family):
    """Every function of one argument called `w` is an attempt, but for those that begin with _."""
    module = importlib.import_module(family)
    return [(name, found) for name, found in vars(module).items()
            if inspect.isfunction(found) and found.__module__ == family
            and list(inspect.signature(found).parameters) == ["w"]
            and not name.startswith("_")]


def handler(event, context):
    world = types.SimpleNamespace(**event["world"])
    return [{"family": family, "name": name, **alone(attempt, world)}
            for family in FAMILIES for name, attempt in attempts(family)]


def alone(attempt, world):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            told = outcome(attempt, world)
        except BaseException as error:
            told = {"broken": repr(error)}
        os.write(writer, json.dumps(told).encode()[:60000])
        os._exit(0)
    os.close(writer)
    told = listen(reader, child)
    os.close(reader)
    return told


def listen(reader, child):
    heard, until = b"", time.monotonic() + PATIENCE
    while select.select([reader], [], [], max(until - time.monotonic(), 0))[0]:
        part = os.read(reader, 65536)
        if not part:
            break
        heard += part
    else:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if heard:
        return json.loads(heard)
    if os.WIFSIGNALED(status):
        return {"refused": signal.Signals(os.WTERMSIG(status)).name}
    return {"broken": "it ended with %d and said nothing" % status}


def outcome(attempt, world):
    if not world.jailed and os.geteuid() == 0:
        # What it changes must not reach the next attempt.
        call("unshare", CLONE_NEWNS | CLONE_NEWUTS)
    try:
        did = attempt(world)
    except Refused as refusal:
        return {"refused": "Refused", "words": str(refusal)}
    except OSError as error:
        return {"refused": named(error), "words": str(error)}
    except Exception:
        return {"broken": traceback.format_exc(limit=-3)}
    return {"did": str(did)} if did else {"refused": "Refused", "words": "nothing came of it"}


def named(error):
    if isinstance(error, TimeoutError) or error.errno is None:
        return "ETIMEDOUT"
    if type(error).__name__ == "gaierror":
        return "EAI"
    return errno.errorcode.get(error.errno, str(error.errno))


# Runtimes of other languages run this file as a program.
if __name__ == "__main__":
    json.dump(handler(json.load(sys.stdin), None), sys.stdout)
