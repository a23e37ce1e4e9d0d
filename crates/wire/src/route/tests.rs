use expect_test::{Expect, expect};

use super::{action, candidates, find};
use crate::model::{Operation, Protocol, SERVICES, service};

/// The operation and its labels, as one line.
fn check(service_name: &str, request: &str, expected: &Expect) {
    let service = service(service_name).expect("the test names a service");
    let (method, target) = request.split_once(' ').expect("the test gives METHOD TARGET");
    expected.assert_eq(&match find(service, method, target) {
        Some((operation, labels)) => {
            let labels = labels.iter().map(|(name, value)| format!(" {name}={value}"));
            operation.name.to_owned() + &labels.collect::<String>()
        }
        None => "nothing".to_owned(),
    });
}

#[test]
fn the_last_slash_tells_operations_apart() {
    check("bedrock-agent", "POST /agents/A1/", &expect!["PrepareAgent agentId=A1"]);
    check("bedrock-agent", "POST /agents/A1", &expect!["nothing"]);
    check("bedrock-agent-runtime", "POST /agents/A1", &expect!["InvokeInlineAgent sessionId=A1"]);
    check("bedrock-agent-runtime", "POST /agents/A1/", &expect!["nothing"]);
    check("bedrock-agent", "PUT /agents/", &expect!["CreateAgent"]);
    check("bedrock-agent", "PUT /agents", &expect!["nothing"]);
    check("bedrock-agent", "PUT //agents/", &expect!["nothing"]);
}

#[test]
fn the_method_belongs_to_the_route() {
    check("bedrock-agent", "GET /agents/A1/", &expect!["GetAgent agentId=A1"]);
    check("bedrock-agent", "PUT /agents/A1/", &expect!["UpdateAgent agentId=A1"]);
    check("bedrock-agent", "PATCH /agents/A1/", &expect!["nothing"]);
    check("bedrock-agent", "get /agents/A1/", &expect!["nothing"]);
}

#[test]
fn labels_are_decoded_after_the_path_is_split() {
    check(
        "bedrock-runtime",
        "POST /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x/converse",
        &expect!["Converse modelId=arn:aws:bedrock:us-east-1:1:inference-profile/us.x"],
    );
    check("bedrock-runtime", "POST /model/a%252Fb/converse", &expect!["Converse modelId=a%2Fb"]);
    check("bedrock-runtime", "POST /model/%2F/converse", &expect!["Converse modelId=/"]);
    check("bedrock-runtime", "POST /model/a+b%20c/converse", &expect!["Converse modelId=a+b c"]);
}

#[test]
fn a_label_is_neither_empty_nor_broken_text() {
    check("bedrock-runtime", "POST /model//converse", &expect!["nothing"]);
    check("bedrock-agent", "GET /agents//", &expect!["nothing"]);
    check("bedrock-runtime", "POST /model/%ff/converse", &expect!["nothing"]);
    check("bedrock-runtime", "POST model/m/converse", &expect!["nothing"]);
    check("bedrock-runtime", "POST ", &expect!["nothing"]);
}

#[test]
fn tags_take_an_arn_encoded_or_raw() {
    let found = expect!["ListTagsForResource resourceArn=arn:aws:bedrock:r:1:agent-alias/A/B"];
    check("bedrock-agent", "GET /tags/arn%3Aaws%3Abedrock%3Ar%3A1%3Aagent-alias%2FA%2FB", &found);
    check("bedrock-agent", "GET /tags/arn:aws:bedrock:r:1:agent-alias/A/B", &found);
    check(
        "lambda",
        "DELETE /2017-03-31/tags/arn%3Aaws%3Alambda%3Ar%3A1%3Afunction%3Af?tagKeys=a",
        &expect!["UntagResource Resource=arn:aws:lambda:r:1:function:f"],
    );
    check(
        "lambda",
        "GET /2017-03-31/tags/arn:aws:lambda:r:1:function:f",
        &expect!["ListTags Resource=arn:aws:lambda:r:1:function:f"],
    );
    check("bedrock-agent", "GET /tags/agent-alias/A/B", &expect!["nothing"]);
    check("bedrock-agent", "GET /agents/arn:aws:bedrock:r:1:agent/A/x", &expect!["nothing"]);
}

#[test]
fn the_query_is_looked_at_only_where_a_template_has_one() {
    check("lambda", "GET /2018-10-31/layers", &expect!["ListLayers"]);
    check("lambda", "GET /2018-10-31/layers?MaxItems=1", &expect!["ListLayers"]);
    check(
        "lambda",
        "GET /2018-10-31/layers?find=LayerVersion&Arn=a",
        &expect!["GetLayerVersionByArn"],
    );
    check(
        "lambda",
        "GET /2015-03-31/functions/f?Qualifier=1",
        &expect!["GetFunction FunctionName=f"],
    );
}

#[test]
fn an_arn_decides_whose_tags_are_meant() {
    let owner = |resource: &str| {
        let target = format!("/tags/arn%3Aaws%3Abedrock%3Ar%3A1%3A{resource}");
        candidates(&SERVICES, "GET", &target).map(|(service, _, _)| service.name)
    };
    assert_eq!(owner("agent%2FA1"), Some("bedrock-agent"));
    assert_eq!(owner("flow%2FF1"), Some("bedrock-agent"));
    assert_eq!(owner("session%2Fs1"), Some("bedrock-agent-runtime"));
    assert!(candidates(&SERVICES, "GET", "/nowhere").is_none());
}

#[test]
fn a_form_names_its_action() {
    let iam = service("iam").expect("iam is a service");
    let name = |form| action(iam, form).map(|operation| operation.name);
    assert_eq!(name("Action=GetRole&Version=2010-05-08&RoleName=r"), Some("GetRole"));
    assert_eq!(name("Version=2010-05-08&Action=Get%52ole"), Some("GetRole"));
    assert_eq!(name("Action=Nothing"), None);
    assert_eq!(name(""), None);
    assert!(find(iam, "POST", "/").is_none());
}

/// A request for the operation with `x1`, `x2`, … as labels.
fn target(operation: &Operation) -> String {
    let parts = operation.path.split('/').enumerate();
    let parts = parts.map(|(i, part)| match part.starts_with('{') {
        true => format!("x{i}"),
        false => part.to_owned(),
    });
    let query = if operation.query.is_empty() { "" } else { "?" };
    parts.collect::<Vec<_>>().join("/") + query + operation.query
}

#[test]
fn every_operation_is_found_at_its_own_path() {
    for service in SERVICES.iter().filter(|service| service.protocol == Protocol::RestJson) {
        for operation in service.operations {
            let target = target(operation);
            let (found, labels) = find(service, operation.method, &target)
                .unwrap_or_else(|| panic!("{} {target} leads nowhere", operation.method));
            assert_eq!(found.name, operation.name, "{target}");
            assert_eq!(labels.len(), operation.path.matches('{').count(), "{target}");
        }
    }
}

#[test]
fn services_share_no_path_but_that_of_tags() {
    let rest = SERVICES.iter().filter(|service| service.protocol == Protocol::RestJson);
    for service in rest {
        for operation in service.operations.iter().filter(|o| !o.path.starts_with("/tags/")) {
            let found = candidates(&SERVICES, operation.method, &target(operation));
            let (owner, found, _) = found.expect("it is found in its own service at least");
            assert_eq!((owner.name, found.name), (service.name, operation.name));
        }
    }
}
