"""`craton demo`: the support example with nothing but the binary, on a directory that is thrown away."""

import os
import re
import socket

import pytest

from support.terminal import Terminal, run


@pytest.fixture
def demo(tmp_path):
    """Runs it far from any repository, with a temporary directory of the case's own."""
    return lambda *arguments, **more: run("demo", *arguments, TMPDIR=str(tmp_path), **more)


def test_one_question_is_answered_and_nothing_stays(demo, tmp_path):
    done = demo("--message", "Where is my order A-1001?")
    assert done.returncode == 0, done.stderr
    assert "A-1001" in done.stdout and "shipped" in done.stdout
    assert "orders.get_order(order_id=A-1001)" in done.stderr and "craton.rules answers" in done.stderr
    assert "is deleted" in done.stderr and not list(tmp_path.iterdir())


def test_refunds_are_made_and_approvals_are_the_persons(demo):
    done = demo(said="Please refund $42.50 for order A-1001\n"
                     "Please refund $620 for order A-1003 because the desk arrived broken\n"
                     'result: {"approved": true, "refund_id": "R-77"}\n'
                     "Was my order A-1001 refunded?\n")
    assert done.returncode == 0, done.stderr
    first, approved, asked = done.stdout.splitlines()
    assert "R-1" in first and "R-77" in approved and "R-1" in asked
    assert "approvals.request_refund_approval(amount=620, order_id=A-1003" in done.stderr


def test_without_python_the_person_is_the_function(demo, tmp_path):
    done = demo(said="Where is my order A-1001?\n" 'result: {"status": "shipped"}\n', PATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "the function needs Python 3 (python3: No such file or directory" in done.stderr
    assert "orders.get_order(order_id=A-1001)" in done.stderr and "shipped" in done.stdout


def test_a_port_that_is_taken_is_left_alone(demo):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 4747))
            other.listen()
        except OSError:
            pass  # somebody else holds it, which serves as well
        done = demo("--message", "Where is my order A-1001?")
    assert done.returncode == 0 and "shipped" in done.stdout
    assert "serves at http://127.0.0.1:4747," not in done.stderr


def test_a_demo_that_failed_leaves_what_tells_why(demo, tmp_path):
    done = demo("--message", "Please refund $620 for order A-1003 because it broke")
    assert done.returncode == 1 and done.stdout == ""
    assert "the agent still waits for the results" in done.stderr
    home, = re.findall(r"data and log are in (\S+)", done.stderr)
    assert {"craton.log", "data", "support-agent"} <= set(os.listdir(home))


def test_without_a_temporary_directory_the_message_says_what_to_set(demo, tmp_path):
    done = run("demo", TMPDIR=str(tmp_path / "not-there"))
    assert done.returncode == 1 and "set TMPDIR" in done.stderr


def test_on_a_terminal_it_suggests_questions_and_chats(tmp_path):
    screen = Terminal("demo", TMPDIR=str(tmp_path))
    try:
        screen.until("a shop's support agent is deployed").until("try:")
        screen.until("Where is my order A-1001?").until("Please refund $620 for order A-1003")
        screen.until("you> ").type("Where is my order A-1001?\r")
        screen.until("ms orders.get_order(order_id=A-1001)").until("shipped, carrier PostNL")
        screen.until("you> ").type("/quit\r").until("is deleted")
        assert screen.end() == 0 and not list(tmp_path.iterdir())
    finally:
        screen.close()
