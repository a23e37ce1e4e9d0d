"""GetCallerIdentity: who the server takes the caller for."""

from support.server import ACCOUNT


def test_a_caller_in_dev_mode_is_of_the_default_account(sts):
    shown = sts.get_caller_identity()
    assert shown["Account"] == ACCOUNT and shown["Arn"].startswith(f"arn:aws:iam::{ACCOUNT}:")
    assert shown["UserId"] and shown["ResponseMetadata"]["RequestId"]


def test_a_key_of_twelve_digits_is_its_own_account(craton):
    shown = craton.client("sts", key="123412341234").get_caller_identity()
    assert shown["Account"] == "123412341234"
