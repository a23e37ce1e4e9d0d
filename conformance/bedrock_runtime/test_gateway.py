"""The way of a call to its model: routes, restricted data, stand-ins, limits, breakers; for clients and for agents."""

import json
import threading
import time

import pytest

from support.agents import Agent, unique
from support.model import ModelServer, Say
from support.server import Craton

PROVISIONED = "arn:aws:bedrock:us-east-1:000000000000:provisioned-model/reserved0001"
CONFIG = f"""
[[models]]
match = "gw.large"
provider = "cloud"
class = "large"

[[models]]
match = "gw.small"
provider = "cloud"
class = "small"

[[models]]
match = "gw.cheapest"
provider = "cloud"
class = "cheapest"

[[models]]
match = "home.small"
provider = "home"
class = "small"

[[models]]
match = "gw.storm"
provider = "cloud"
fallback = ["gw.small"]

[[models]]
match = "gw.rare"
provider = "cloud"
requests_per_minute = 1

[[models]]
match = "home.*"
provider = "home"

[[models]]
match = "*"
provider = "cloud"

[routing]

[rates]
wait_seconds = 0.2

[rates.users.greedy]
requests_per_minute = 1

[rates.provisioned."{PROVISIONED}"]
concurrency = 1
"""


@pytest.fixture(scope="module")
def servers():
    cloud, home = ModelServer(), ModelServer()
    for name in ("gw.large", "gw.small", "gw.cheapest", "gw.plain", "gw.rare"):
        cloud.model(name).turn(Say(f"<answer>{name}</answer>"))
    cloud.model("gw.storm").turn(Say("slow down", status=429))
    home.model("home.small").turn(Say("<answer>home.small</answer>"))
    yield cloud, home
    cloud.close()
    home.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, servers):
    cloud, home = servers
    config = f"""
[providers.cloud]
kind = "openai"
base_url = "{cloud.url}"

[providers.home]
kind = "openai"
base_url = "{home.url}"
local = true
{CONFIG}"""
    one = Craton(tmp_path_factory.mktemp("gateway"), config).start()
    yield one
    one.stop()


@pytest.fixture
def brt(server):
    return server.client("bedrock-runtime", retries={"total_max_attempts": 1})


@pytest.fixture
def cloud(servers):
    return servers[0]


@pytest.fixture
def agent(server, cloud, tools):
    def make(model="gw.plain", tags=None, **fields):
        cp, rt = server.client("bedrock-agent"), server.client("bedrock-agent-runtime")
        return Agent(cp, rt, cloud.model(model), tools, tags=tags or {}, **fields).prepare()
    return make


def ask(brt, model, text="hello", system="", **metadata):
    fields = {"system": [{"text": system}]} if system else {}
    names = {name.replace("__", ":").replace("_", "-"): value for name, value in metadata.items()}
    if names:
        fields["requestMetadata"] = names
    answer = brt.converse(modelId=model, messages=[{"role": "user", "content": [{"text": text}]}], **fields)
    return answer["output"]["message"]["content"][0]["text"].removeprefix("<answer>").removesuffix("</answer>")


def route_of(turn):
    """The route of a turn's first model call, and the model that the trace names."""
    traces = [part["trace"].get("orchestrationTrace", {}) for part in turn.parts]
    asked = next(trace["modelInvocationInput"] for trace in traces if "modelInvocationInput" in trace)
    return json.loads(asked["text"]).get("route"), asked["foundationModel"]


# Seven numbered steps and nothing else are 70; one step, three conditions more than enough tools are not.
SEVENTY = "Do all of this for the user as it is written here.\n" + "\n".join(f"{n}) do it" for n in range(1, 8))
MORE = SEVENTY + "\nif so, stop"


@pytest.mark.parametrize(("instruction", "index", "model"), [(SEVENTY, 70, "gw.small"), (MORE, 78, "gw.large")])
def test_an_index_above_70_is_for_the_large_model(agent, instruction, index, model):
    """J3, J4: the model of the step, the score and the reason stand in the trace."""
    turn = agent(instruction=instruction).talk("go")
    assert turn.text == model
    route, named = route_of(turn)
    assert (route["rci"], route["model"], named) == (index, model, model)
    assert f"index {index}" in route["reason"] and route["inputs"]["dependentSteps"] == 7


@pytest.mark.parametrize(("step", "model"), [
    ("planning", "gw.large"), ("verification", "gw.large"), ("tool-arguments", "gw.small"),
    ("retrieval-text", "gw.cheapest")])
def test_each_kind_of_step_has_its_class(brt, step, model):
    """J3, for a client that runs the steps itself."""
    assert ask(brt, "gw.plain", system=MORE, craton__step=step) == model


def test_a_model_that_a_client_names_is_asked(brt):
    assert ask(brt, "gw.plain", system=MORE) == "gw.plain"
    assert ask(brt, "craton.auto", system=MORE) == "gw.large"


def test_who_waits_at_most_1_2_s_gets_the_small_model(brt, agent):
    """J5: whatever the index, by a tag, by an attribute and by metadata."""
    assert ask(brt, "craton.auto", system=MORE, craton__latency="1.2") == "gw.small"
    assert ask(brt, "craton.auto", system=MORE, craton__latency="1.3") == "gw.large"
    assert agent(instruction=MORE, tags={"craton:latency": "1.2"}).talk("go").text == "gw.small"
    turn = agent(instruction=MORE).talk("go", sessionState={"sessionAttributes": {"craton:latency": "900ms"}})
    assert turn.text == "gw.small"
    assert route_of(turn)[0]["rci"] == 78


def test_a_tag_of_an_agent_names_a_model_for_a_step(agent, server):
    one = agent(instruction=MORE, tags={"craton:route:planning": "gw.cheapest"})
    answer = one.invoke("go")
    run = answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]
    assert b"gw.cheapest" in b"".join(event["chunk"]["bytes"] for event in answer["completion"])
    steps = server.door(f"/runs/{run}")["steps"]
    assert steps[0]["route"]["reason"] == "planning: gw.cheapest is wished"
    with pytest.raises(Exception, match="craton:latency.*seconds"):
        agent(tags={"craton:latency": "soon"})


def test_restricted_data_stays_local(brt, agent, cloud):
    """J6: the cloud's server hears nothing of it."""
    secret = unique("secret")
    local = {"craton:data-class": "restricted"}
    assert agent(instruction=MORE, tags=local).talk(secret).text == "home.small"
    state = {"sessionAttributes": local}
    assert agent(instruction=MORE).talk(secret, sessionState=state).text == "home.small"
    assert ask(brt, "gw.plain", secret, data_class="restricted") == "home.small"
    heard = [request["_raw"] for model in cloud.models.values() for request in model.requests]
    assert not [raw for raw in heard if secret.encode() in raw]


@pytest.fixture
def router(server):
    """A router between two models of one family, the second for large tasks."""
    bedrock = server.client("bedrock")
    arn = lambda name: f"arn:aws:bedrock:us-east-1::foundation-model/{name}"
    made = []

    def make(small, large, **fields):
        answer = bedrock.create_prompt_router(
            promptRouterName=unique("router"), models=[{"modelArn": arn(small)}, {"modelArn": arn(large)}],
            fallbackModel={"modelArn": arn(small)}, routingCriteria={"responseQualityDifference": 5}, **fields)
        made.append(answer["promptRouterArn"])
        return made[-1]
    yield make
    for one in made:
        bedrock.delete_prompt_router(promptRouterArn=one)


LARGE = MORE + "\nunless it rains, go on. If it does, wait."


def test_a_prompt_router_chooses_for_converse_and_for_native_bodies(brt, router, cloud):
    """The fallback model where the task is small, the other where it is worth it."""
    small, large = "anthropic.claude-3-haiku-gw-v1:0", "anthropic.claude-3-sonnet-gw-v1:0"
    for name in (small, large):
        cloud.model(f"arn:aws:bedrock:us-east-1::foundation-model/{name}").turn(Say(name))
    arn = router(small, large)
    assert ask(brt, arn) == small
    assert ask(brt, arn, system=LARGE) == large
    for system, name in (("", small), (LARGE, large)):
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "system": system,
                "messages": [{"role": "user", "content": "hello"}]}
        answer = json.loads(brt.invoke_model(modelId=arn, body=json.dumps(body))["body"].read())
        assert answer["content"][0]["text"] == name


def heard_by(answer):
    """What the header says of who answered, `None` without one."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("x-craton-route")
    return told and json.loads(told)


def test_a_prompt_router_says_whom_it_invoked(brt, router, cloud):
    """AWS: in `trace.promptRouter` of the answer and of a stream's metadata, asked for or not."""
    arn = lambda name: f"arn:aws:bedrock:us-east-1::foundation-model/{name}"
    small, large = "anthropic.claude-3-haiku-told-v1:0", "anthropic.claude-3-sonnet-told-v1:0"
    cloud.model(arn(small)).turn(Say("small"))
    cloud.model(arn(large)).turn(Say("large"))
    asked = {"modelId": router(small, large), "messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    for system, name in ((None, small), (LARGE, large)):
        fields = asked | ({"system": [{"text": system}]} if system else {})
        answer = brt.converse(**fields)
        assert answer["trace"] == {"promptRouter": {"invokedModelId": arn(name)}}
        told = heard_by(answer)
        assert (told["model"], told["rci"] > 70) == (arn(name), name == large) and "prompt router" in told["reason"]
        stream = brt.converse_stream(**fields)
        metadata = [event["metadata"] for event in stream["stream"] if "metadata" in event]
        assert [one["trace"] for one in metadata] == [{"promptRouter": {"invokedModelId": arn(name)}}]
        assert heard_by(stream) == told


def test_a_direct_call_that_was_led_elsewhere_says_who_answered_and_why(brt, cloud):
    """By the table, by a wish, by restricted data, by a fallback; a model that is asked as it was named needs no word."""
    def answered(model, operation="converse", **metadata):
        said = {"requestMetadata": metadata} if metadata else {}
        answer = getattr(brt, operation)(modelId=model, messages=[{"role": "user", "content": [{"text": "hello"}]}],
                                         system=[{"text": MORE}], **said)
        assert "trace" not in answer
        return heard_by(answer)

    told = answered("craton.auto")
    assert (told["model"], told["rci"], told["inputs"]["dependentSteps"]) == ("gw.large", 78, 7)
    assert told["kind"] == "planning" and "index 78" in told["reason"]
    assert answered("craton.auto", "converse_stream") == told
    assert answered("gw.plain", **{"craton:step": "retrieval-text"})["model"] == "gw.cheapest"
    local = answered("gw.plain", **{"craton:data-class": "restricted"})
    assert local["model"] == "home.small" and "local" in local["reason"]
    storm = answered("gw.storm")
    assert storm["model"] == "gw.small" and "rci" not in storm
    assert storm["passed"][0]["model"] == "gw.storm" and "slow down" in storm["passed"][0]["reason"]
    assert answered("gw.plain") is None


def test_data_asked_by_a_tagged_router_is_restricted(brt, router, cloud):
    """J6: InvokeModel and CountTokens too, which have no other word for it."""
    heard = sum(len(model.requests) for model in cloud.models.values())
    arn = router("anthropic.claude-3-haiku-gw-v1:0", "anthropic.claude-3-sonnet-gw-v1:0",
                 tags=[{"key": "craton:data-class", "value": "restricted"}])
    assert ask(brt, arn) == "home.small"
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5,
                       "messages": [{"role": "user", "content": "hello"}]})
    answer = json.loads(brt.invoke_model(modelId=arn, body=body)["body"].read())
    assert answer["content"][0]["text"] == "<answer>home.small</answer>"
    counted = brt.count_tokens(modelId=arn, input={"invokeModel": {"body": body}})
    assert counted["ResponseMetadata"]["HTTPHeaders"]["x-craton-token-count"] == "estimate"
    assert sum(len(model.requests) for model in cloud.models.values()) == heard


def test_restricted_data_is_refused_where_no_model_is_local(tmp_path, models):
    model = models.model(unique("test.model")).turn(Say("it left"))
    config = f'[providers.cloud]\nkind = "openai"\nbase_url = "{models.url}"\n' \
             f'[[models]]\nmatch = "*"\nprovider = "cloud"\n'
    server = Craton(tmp_path, config).start()
    try:
        brt = server.client("bedrock-runtime", retries={"total_max_attempts": 1})
        with pytest.raises(brt.exceptions.ValidationException, match="restricted.*not local"):
            ask(brt, model.id, data_class="restricted")
        assert model.requests == []
    finally:
        server.stop()


def test_a_429_storm_falls_back_without_a_herd(brt, cloud):
    """J10: each call asks the throttled model once and is answered by the one that stands in."""
    before = len(cloud.model("gw.storm").requests)
    answers = []
    calls = [threading.Thread(target=lambda: answers.append(ask(brt, "gw.storm"))) for _ in range(20)]
    [call.start() for call in calls]
    [call.join() for call in calls]
    assert answers == ["gw.small"] * 20
    assert len(cloud.model("gw.storm").requests) - before == 20


def test_a_throttle_is_retried_inside_before_the_first_byte(server, cloud):
    model = cloud.model(unique("gw.busy"))
    asked = []

    def reply(_):
        asked.append(time.monotonic())
        return Say("slow down", status=429) if len(asked) < 3 else Say("here it is")
    model.turn(reply)
    brt = server.client("bedrock-runtime", retries={"total_max_attempts": 1})
    messages = [{"role": "user", "content": [{"text": "x"}]}]
    events = list(brt.converse_stream(modelId=model.id, messages=messages)["stream"])
    said = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
    assert (said, len(asked)) == ("here it is", 3)
    assert asked[-1] - asked[0] < 3.5


def test_out_of_room_is_a_throttling_exception_with_a_hint(brt):
    assert ask(brt, "gw.rare") == "gw.rare"
    with pytest.raises(brt.exceptions.ThrottlingException, match="requests a minute.*try again in") as caught:
        ask(brt, "gw.rare")
    answer = caught.value.response["ResponseMetadata"]
    assert answer["HTTPStatusCode"] == 429
    assert 50 <= int(answer["HTTPHeaders"]["retry-after"]) <= 60


def test_a_user_of_an_agent_has_a_limit_of_his_own(agent, server):
    """K11"""
    one = agent()
    as_user = lambda name: {"sessionState": {"sessionAttributes": {"craton:user": name}}}
    assert one.talk("hello", **as_user("greedy")).text
    with pytest.raises(Exception, match="throttlingException|ThrottlingException"):
        one.talk("hello", **as_user("greedy"))
    assert one.talk("hello", **as_user("other")).text


def test_an_alias_keeps_and_shows_its_provisioned_throughput(agent):
    """A6: and has the places that the operator reserves for it."""
    one = agent()
    made = one.cp.create_agent_alias(
        agentId=one.id, agentAliasName="reserved", routingConfiguration=[{"provisionedThroughput": PROVISIONED}])
    alias = made["agentAlias"]["agentAliasId"]
    routing = [{"agentVersion": "1", "provisionedThroughput": PROVISIONED}]
    assert one.show_alias(alias)["routingConfiguration"] == routing
    assert one.talk("hello", alias=alias).text
    one.cp.update_agent_alias(agentId=one.id, agentAliasId=alias, agentAliasName="reserved",
                              routingConfiguration=[{"agentVersion": "1"}])
    assert one.show_alias(alias)["routingConfiguration"] == [{"agentVersion": "1"}]


def test_breakers_of_providers_are_shown(server):
    providers = {one["provider"]: one["state"] for one in server.door("/breakers")["providers"]}
    assert providers == {"cloud": "closed", "home": "closed"}
