#![expect(clippy::needless_pass_by_value, reason = "tables of cases read better by value")]

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::model;

fn operation(service: &str, name: &str) -> (&'static Service, &'static Operation) {
    let service = model::service(service).expect("the service exists");
    (service, service.operation(name).expect("the operation exists"))
}

#[track_caller]
fn check(encoded: &Encoded, expected: Expect) {
    let headers = encoded.headers.iter().map(|(name, value)| {
        format!("{name}: {}\n", value.to_str().expect("our headers are ASCII here"))
    });
    let head = headers.collect::<String>();
    let body = String::from_utf8_lossy(&encoded.body);
    expected.assert_eq(&format!("{}\n{head}\n{body}\n", encoded.status));
}

#[test]
fn an_answer_has_the_models_status_and_its_times_in_the_models_format() {
    let (service, operation) = operation("bedrock-agent", "PrepareAgent");
    let value =
        json!({"agentId": "A1", "agentStatus": "PREPARING", "unknown": 1, "agentVersion": null});
    let mut value = Value::from(value);
    if let Value::Map(map) = &mut value {
        map.insert("preparedAt".into(), Value::Time(crate::value::Timestamp(1_577_836_800_500)));
    }
    check(
        &response(service, operation, value, "r-1"),
        expect![[r#"
        202
        x-amzn-requestid: r-1
        content-type: application/json

        {"agentId":"A1","agentStatus":"PREPARING","preparedAt":"2020-01-01T00:00:00.5Z"}
    "#]],
    );
}

#[test]
fn an_exception_has_the_models_status_name_and_members() {
    let (service, operation) = operation("lambda", "GetFunction");
    let fault = Fault::new("TooManyRequestsException", 500, "slow down")
        .with("retryAfterSeconds", Value::String("3".into()));
    check(
        &super::fault(Some(service), Some(operation), &fault, "r-1"),
        expect![[r#"
        429
        x-amzn-requestid: r-1
        x-amzn-errortype: TooManyRequestsException
        retry-after: 3
        content-type: application/json

        {"Type":"User","message":"slow down"}
    "#]],
    );
}

#[test]
fn an_exception_that_the_model_does_not_have_keeps_its_own_status() {
    let fault = Fault::not_implemented("bedrock", "CreateX", "later");
    check(
        &super::fault(None, None, &fault, "r-1"),
        expect![[r#"
        501
        x-amzn-requestid: r-1
        x-amzn-errortype: NotImplementedException
        content-type: application/json

        {"message":"craton does not serve bedrock CreateX: later"}
    "#]],
    );
}

#[test]
fn query_answers_are_xml_with_the_request_id() {
    let (service, operation) = operation("sts", "GetCallerIdentity");
    let value = Value::from(json!({"Account": "000000000000", "Arn": "arn:aws:iam::0:user/<a&b>"}));
    check(
        &response(service, operation, value, "r-1"),
        expect![[r#"
        200
        x-amzn-requestid: r-1
        content-type: text/xml

        <GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>000000000000</Account><Arn>arn:aws:iam::0:user/&lt;a&amp;b&gt;</Arn></GetCallerIdentityResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>
    "#]],
    );
}

#[test]
fn query_exceptions_have_their_wire_code() {
    let (service, operation) = operation("iam", "GetRole");
    let fault = Fault::new("NoSuchEntityException", 404, "no role\u{1} r");
    check(
        &super::fault(Some(service), Some(operation), &fault, "r-1"),
        expect![[r#"
        404
        x-amzn-requestid: r-1
        content-type: text/xml

        <ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no role� r</Message></Error><RequestId>r-1</RequestId></ErrorResponse>
    "#]],
    );
    let fault = Fault::new("ValidationError", 400, "bad");
    check(
        &super::fault(Some(service), Some(operation), &fault, "r-1"),
        expect![[r#"
        400
        x-amzn-requestid: r-1
        content-type: text/xml

        <ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>ValidationError</Code><Message>bad</Message></Error><RequestId>r-1</RequestId></ErrorResponse>
    "#]],
    );
}

#[test]
fn a_streaming_answer_is_its_head() {
    let (service, operation) = operation("bedrock-agent-runtime", "InvokeAgent");
    let value = Value::from(json!({"contentType": "application/json", "sessionId": "s\n1"}));
    check(
        &response(service, operation, value, "r-1"),
        expect![[r#"
        200
        x-amzn-requestid: r-1
        x-amzn-bedrock-agent-content-type: application/json
        content-type: application/vnd.amazon.eventstream


    "#]],
    );
}
