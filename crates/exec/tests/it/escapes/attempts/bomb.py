"""The handler of the bombs: one in each call, in the process of the runtime itself."""

import errno
import types

import bombs
from common import Refused


def handler(event, context):
    if "bomb" not in event:
        return "well"
    try:
        return getattr(bombs, event["bomb"])(types.SimpleNamespace(**event["world"]))
    except Refused as refusal:
        return "refused: %s" % refusal
    except MemoryError:
        return "refused: MemoryError"
    except OSError as error:
        return "refused: %s" % errno.errorcode.get(error.errno, error)
