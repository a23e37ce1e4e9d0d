"""`craton explain`, and the numbers at the ends of messages; completion; verbs that are misspelt."""

import re
import socket

import pytest

from support.server import REPOSITORY, Craton, free_port
from support.terminal import run

PAGES = REPOSITORY / "docs" / "errors"
AT_THE_END = re.compile(r"\((CR\d{4})\)\s*$")


def test_a_number_is_explained_as_its_page_says():
    for asked in ["CR0013", "cr0013", "(CR0013)", "13"]:
        done = run("explain", asked)
        assert done.returncode == 0
        assert done.stdout == (PAGES / "CR0013.md").read_text()
        assert "What to do" in done.stdout


def test_all_numbers_are_listed():
    lines = run("explain").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(p.stem for p in PAGES.glob("CR*.md"))


def test_a_number_without_a_page_is_an_error():
    done = run("explain", "CR9999")
    assert done.returncode == 1 and "CR9999" in done.stderr and "(CR0033)" in done.stderr


def number(*arguments, **more):
    """The number at the end of what a verb that fails says; its page has to be there."""
    done = run(*arguments, timeout=30, **more)
    assert done.returncode == 1, done.stdout
    found = AT_THE_END.search(done.stderr)
    assert found, f"no number at the end of {done.stderr!r}"
    assert run("explain", found[1]).returncode == 0
    return found[1]


@pytest.fixture
def written(tmp_path):
    def write(text, name="craton.toml"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_server_that_does_not_start_says_why_by_number(written, tmp_path):
    def up(config):
        return listening("127.0.0.1:0", "--config", written(config))

    def listening(at, *arguments):
        return number("up", "--listen", at, "--data-dir", str(tmp_path / "data"), *arguments)

    assert up("[nonsense]") == "CR0002"
    assert listening("127.0.0.1:0", "--config", str(tmp_path / "none")) == "CR0001"
    assert up('[[models]]\nmatch = "*"\nprovider = "nobody"\n') == "CR0008"
    assert up('dev = false\n') == "CR0007"
    assert listening("0.0.0.0:0", "--dev") == "CR0007"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert listening(f"127.0.0.1:{taken.getsockname()[1]}") == "CR0009"
    file = written("", "file")
    assert number("up", "--listen", "127.0.0.1:0", "--data-dir", f"{file}/below") == "CR0003"


def test_a_data_directory_that_is_open_is_said_by_number(tmp_path):
    server = Craton(tmp_path / "server").start()
    try:
        data = str(server.home / "data")
        assert number("up", "--listen", "127.0.0.1:0", "--data-dir", data) == "CR0004"
    finally:
        server.stop()


def test_verbs_that_find_no_server_no_agent_or_no_file_say_so_by_number(plain, written):
    nobody = f"http://127.0.0.1:{free_port()}"
    for verb in [["trace", "--last"], ["chat", "support"], ["trace", "a"]]:
        assert number(*verb, url=nobody) == "CR0019"
    assert number("trace", "--last", url="http://[") == "CR0022"
    assert number("trace", "no-such-run", url=plain.url) == "CR0021"
    assert number("chat", "no-such-agent", "--message", "hello", url=plain.url) == "CR0029"
    assert number("deploy", "/nowhere.yaml", url=plain.url) == "CR0025"
    assert number("deploy", written("agent: x\n", "a.yaml"), url=plain.url) == "CR0026"
    assert number("deploy", written("agents: {a: {model: m, instruction: i}}", "a.yaml"),
                  url=nobody) == "CR0026", "an instruction has 40 characters"
    assert number("doctor", "--config", "/nowhere.toml", "--listen", "127.0.0.1:0") == "CR0028"


def test_a_model_without_a_provider_is_said_by_number(tmp_path):
    server = Craton(tmp_path / "mapped", '[providers.a]\nkind = "rules"\n').start()
    try:
        converse = server.client("bedrock-runtime").converse
        with pytest.raises(Exception, match=r"\(CR0010\)"):
            converse(modelId="m", messages=[{"role": "user", "content": [{"text": "hi"}]}])
    finally:
        server.stop()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_completion_knows_every_verb(shell):
    done = run("completion", shell)
    assert done.returncode == 0
    for verb in ["up", "deploy", "doctor", "explain", "trace", "chat", "demo", "env"]:
        assert verb in done.stdout
    assert "--data-dir" in done.stdout or "data-dir" in done.stdout


def test_a_misspelt_verb_or_flag_gets_the_one_that_is_meant():
    done = run("depoly")
    assert done.returncode == 2 and "deploy" in done.stderr
    done = run("up", "--data-dri", "x")
    assert done.returncode == 2 and "--data-dir" in done.stderr


def test_every_verb_has_help_with_examples():
    verbs = re.findall(r"^  (\w+) ", run("--help").stdout.split("Commands:")[1]
                       .split("Options:")[0], re.M)
    assert {"up", "chat", "deploy", "demo", "doctor", "explain", "trace"} <= set(verbs)
    for verb in verbs:
        said = run(verb, "--help").stdout
        if verb != "help":
            assert "Examples:" in said and f"craton {verb}" in said, verb
