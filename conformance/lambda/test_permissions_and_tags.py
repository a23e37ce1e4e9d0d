"""AddPermission, GetPolicy, RemovePermission; TagResource, UntagResource, ListTags."""

import json

from support.agents import refused

HELLO = "def handler(e, c): return 1"


def test_permissions_are_stored_as_a_policy(lam, functions):
    made = functions(HELLO)
    name = made["FunctionName"]
    given = {"StatementId": "bedrock", "Action": "lambda:InvokeFunction",
             "Principal": "bedrock.amazonaws.com",
             "SourceArn": "arn:aws:bedrock:us-east-1:000000000000:agent/ABCDEFGHIJ"}
    answer = lam.add_permission(FunctionName=name, **given)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = json.loads(answer["Statement"])
    assert statement["Sid"] == "bedrock" and statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "bedrock.amazonaws.com"}
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"] == made["FunctionArn"]
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": given["SourceArn"]}}
    policy = lam.get_policy(FunctionName=name)
    assert json.loads(policy["Policy"])["Statement"] == [statement]
    with refused("ResourceConflictException", "bedrock"):
        lam.add_permission(FunctionName=name, **given)
    lam.remove_permission(FunctionName=name, StatementId="bedrock", RevisionId=policy["RevisionId"])
    with refused("ResourceNotFoundException"):
        lam.get_policy(FunctionName=name)
    with refused("ResourceNotFoundException"):
        lam.remove_permission(FunctionName=name, StatementId="bedrock")


def test_tags_are_added_replaced_and_removed(lam, functions):
    arn = functions(HELLO, Tags={"a": "1"})["FunctionArn"]
    lam.tag_resource(Resource=arn, Tags={"a": "2", "craton:effect": "keyed"})
    assert lam.list_tags(Resource=arn)["Tags"] == {"a": "2", "craton:effect": "keyed"}
    lam.untag_resource(Resource=arn, TagKeys=["a"])
    assert lam.list_tags(Resource=arn)["Tags"] == {"craton:effect": "keyed"}


def test_tags_of_what_does_not_exist(lam):
    arn = "arn:aws:lambda:us-east-1:000000000000:function:never-created"
    for call, fields in [(lam.list_tags, {}), (lam.tag_resource, {"Tags": {"a": "b"}}),
                         (lam.untag_resource, {"TagKeys": ["a"]})]:
        with refused("ResourceNotFoundException"):
            call(Resource=arn, **fields)
