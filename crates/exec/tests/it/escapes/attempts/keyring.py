"""Keys that the kernel keeps, for the user, the session and the machine."""

import ctypes

from common import Refused, call, first, proof

SESSION, USER, USER_SESSION = -3, -4, -5
JOIN, UPDATE, REVOKE, SETPERM, DESCRIBE, LINK, SEARCH, READ = 1, 2, 3, 5, 6, 8, 10, 11
SET_TIMEOUT, INVALIDATE, GET_PERSISTENT, GET_KEYRING = 15, 21, 22, 0


def content(w, key):
    held = ctypes.create_string_buffer(256)
    call("keyctl", READ, key, held, 256, 0)
    return proof(w, held.raw)


def a_key_of_its_own(w):
    call("add_key", b"user", b"attempt", b"x", 1, -2)
    return "made a key"


def a_key_in_the_session(w):
    call("add_key", b"user", b"attempt", b"x", 1, SESSION)
    return "made a key in the session"


def a_key_in_the_user_s_ring(w):
    call("add_key", b"user", b"attempt", b"x", 1, USER)
    return "made a key for the user"


def the_servers_key_by_its_number(w):
    return content(w, w.key)


def the_servers_key_by_its_name(w):
    return content(w, call("request_key", b"user", w.key_name.encode(), None, 0))


def the_servers_key_by_searching(w):
    return content(w, call("keyctl", SEARCH, USER, b"user", w.key_name.encode(), 0))


def the_servers_key_by_guessing_numbers(w):
    return first(range(w.key - 2, w.key + 3), lambda key: content(w, key))


def the_servers_key_is_described(w):
    told = ctypes.create_string_buffer(256)
    call("keyctl", DESCRIBE, w.key, told, 256, 0)
    if w.key_name.encode() not in told.raw:
        raise Refused("another key")
    return "described the server's key"


def the_servers_key_is_replaced(w):
    call("keyctl", UPDATE, w.spare_key, b"x", 1, 0)
    return "replaced a key of the server"


def the_servers_key_gets_other_rights(w):
    call("keyctl", SETPERM, w.spare_key, 0x3F3F3F3F, 0, 0)
    return "changed the rights of a key"


def the_servers_key_expires(w):
    call("keyctl", SET_TIMEOUT, w.spare_key, 3600, 0, 0)
    return "made a key expire"


def another_session(w):
    call("keyctl", JOIN, b"attempt", 0, 0, 0)
    return "joined a session of its own making"


def the_rings_of_the_user(w):
    call("keyctl", GET_KEYRING, USER, 1, 0, 0)
    return "has the user's ring"


def the_ring_of_the_session_is_linked(w):
    call("keyctl", LINK, USER, SESSION, 0, 0)
    return "linked the user's ring into the session"


def a_ring_that_outlives_everything(w):
    call("keyctl", GET_PERSISTENT, -1, SESSION, 0, 0)
    return "has a persistent ring"
