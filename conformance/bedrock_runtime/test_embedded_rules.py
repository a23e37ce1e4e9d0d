"""`craton.rules` answers where no provider is configured, and never poses as a language model."""

from support.agents import Agent, function
from support.tools import READ


def test_without_configuration_the_rules_answer(plain):
    answer = plain.client("bedrock-runtime").converse(
        modelId="anthropic.claude-3-haiku-20240307-v1:0",
        messages=[{"role": "user", "content": [{"text": "Where is order A-1001?"}]}])
    assert answer["output"]["message"]["content"]


def test_a_run_that_used_them_says_so(plain):
    """In the header and in the trace."""
    one = Agent(plain.client("bedrock-agent"), plain.client("bedrock-agent-runtime"), None, None)
    one.group(function("get_order", "Looks an order up", order_id="string required"), executor=READ)
    turn = one.prepare().talk("Where is order A-1001?")
    headers = turn.answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-craton-model"] == "rules"
    assert "rules" in str(turn.all("modelInvocationOutput")[0])


def test_a_scripted_provider_says_what_its_file_says(tmp_path):
    """`kind = "scripted"`: for demos and tests that must say exactly this."""
    from support.server import Craton
    home = tmp_path / "scripted"
    home.mkdir()
    (home / "words.yaml").write_text(
        'rules:\n  - when: { said: "order (\\\\S+)" }\n    reply: { text: "You asked for {{match.1}}." }\n')
    server = Craton(home, '[providers.test]\nkind = "scripted"\nfile = "words.yaml"\n'
                          '[[models]]\nmatch = "*"\nprovider = "test"\n').start()
    try:
        answer = server.client("bedrock-runtime").converse(
            modelId="any.model", messages=[{"role": "user", "content": [{"text": "order A-7"}]}])
        assert answer["output"]["message"]["content"] == [{"text": "You asked for A-7"}] or answer[
            "output"]["message"]["content"] == [{"text": "You asked for A-7."}]
    finally:
        server.stop()
