"""TagResource, UntagResource, ListTagsForResource on agents and aliases."""

import pytest

from support.agents import refused
from support.server import ACCOUNT, REGION


@pytest.fixture(params=["agent", "agent-alias"])
def arn(request, agent, model):
    one = agent()
    if request.param == "agent":
        return one.cp.get_agent(agentId=one.id)["agent"]["agentArn"]
    one.prepare()
    return one.show_alias(one.alias())["agentAliasArn"]


def test_tags_are_added_replaced_and_removed(cp, arn):
    cp.tag_resource(resourceArn=arn, tags={"team": "shop", "stage": "dev"})
    cp.tag_resource(resourceArn=arn, tags={"stage": "prod", "craton:effect": "keyed"})
    tags = cp.list_tags_for_resource(resourceArn=arn)["tags"]
    assert tags == {"team": "shop", "stage": "prod", "craton:effect": "keyed"}
    cp.untag_resource(resourceArn=arn, tagKeys=["team", "never-there"])
    assert set(cp.list_tags_for_resource(resourceArn=arn)["tags"]) == {"stage", "craton:effect"}


def test_fifty_tags_are_the_most(cp, arn):
    cp.tag_resource(resourceArn=arn, tags={f"k{n}": "v" for n in range(50)})
    with pytest.raises(cp.exceptions.ClientError) as caught:
        cp.tag_resource(resourceArn=arn, tags={"one-more": "v"})
    code = caught.value.response["Error"]["Code"]
    assert code in ("ServiceQuotaExceededException", "ValidationException")


def test_what_does_not_exist_is_not_found(cp):
    arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent/NOSUCHAGNT"
    for call, fields in [(cp.tag_resource, {"tags": {"a": "b"}}), (cp.untag_resource, {"tagKeys": ["a"]}),
                         (cp.list_tags_for_resource, {})]:
        with refused("ResourceNotFoundException"):
            call(resourceArn=arn, **fields)


def test_an_arn_of_the_wrong_form_is_refused(raw_cp):
    with refused("ValidationException", "resourceArn|operation"):
        raw_cp.list_tags_for_resource(resourceArn="arn:aws:bedrock:us-east-1:1:agent/x")
