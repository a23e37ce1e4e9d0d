//! Where roles are kept, and that a policy in use cannot go.

use std::sync::Arc;

use serde_json::json;

use crate::cx::{Caller, Cx};
use crate::testing::{cx, done, refused};

fn in_region(cx: &Cx, region: &str) -> Cx {
    let caller = Caller { region: region.to_owned(), ..Caller::clone(&cx.caller) };
    Cx { caller: Arc::new(caller), ..cx.clone() }
}

#[tokio::test]
async fn a_role_is_the_same_in_every_region() {
    let cx = cx([]).await;
    let trust =
        json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}});
    let role = json!({"RoleName": "Agent", "AssumeRolePolicyDocument": trust.to_string()});
    done(&cx, "CreateRole", role.clone()).await;
    let elsewhere = in_region(&cx, "eu-west-1");
    let found = done(&elsewhere, "GetRole", json!({"RoleName": "agent"})).await;
    assert_eq!(found["Role"]["RoleName"], "Agent", "names are not distinguished by case");
    assert_eq!(
        refused(&elsewhere, "CreateRole", role).await,
        "EntityAlreadyExistsException: Role with name Agent already exists."
    );
}

#[tokio::test]
async fn a_policy_stays_while_a_role_has_it() {
    let cx = cx([]).await;
    let allow = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    let trust =
        json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}});
    let role = json!({"RoleName": "r", "AssumeRolePolicyDocument": trust.to_string()});
    done(&cx, "CreateRole", role).await;
    let policy = json!({"PolicyName": "p", "Path": "/a/", "PolicyDocument": allow.to_string()});
    let made = done(&cx, "CreatePolicy", policy).await;
    let arn = made["Policy"]["Arn"].as_str().unwrap();
    assert_eq!(arn, "arn:aws:iam::123456789012:policy/a/p");
    let both = json!({"RoleName": "r", "PolicyArn": arn});
    done(&cx, "AttachRolePolicy", both.clone()).await;
    done(&cx, "AttachRolePolicy", both.clone()).await;
    assert_eq!(
        refused(&cx, "DeletePolicy", json!({"PolicyArn": arn})).await,
        "DeleteConflictException: Cannot delete a policy attached to entities."
    );
    done(&cx, "DetachRolePolicy", both).await;
    done(&cx, "DeletePolicy", json!({"PolicyArn": arn})).await;
}
