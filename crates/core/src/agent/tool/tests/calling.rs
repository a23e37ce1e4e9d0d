use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::*;
use crate::agent::tool::{
    EventContext, HandOff, Response, canonical, check_arguments, idempotency_key, invocation_input,
    lambda_event, read_response, trace_input,
};
use crate::limits;

fn check(tool: &Tool, input: &Json, expect: &Expect) {
    let said = match check_arguments(tool, input) {
        Ok(arguments) => canonical(&arguments),
        Err(violations) => violations.join("\n"),
    };
    expect.assert_eq(&said);
}

#[test]
fn arguments_are_taken_as_meant_or_refused_in_a_few_words() {
    let refund = refund();
    check(
        &refund,
        &json!({"order_id": "4471", "amount": 80, "count": 2.0, "notify": null, "lines": [3.0]}),
        &expect![[r#"{"amount":80,"count":2,"lines":[3],"order_id":"4471"}"#]],
    );
    check(
        &refund,
        &json!({"order_id": 4471, "amount": "eighty"}),
        &expect![[r#"
        amount: expected number, got string "eighty"
        order_id: expected string, got integer 4471"#]],
    );
    check(
        &refund,
        &json!({"amount": 8.5, "count": 2.5, "reason": "late"}),
        &expect![[r#"
        order_id: required, missing
        count: expected integer, got number 2.5
        reason: not an argument of this tool"#]],
    );
    check(
        &refund,
        &json!("{\"order_id\": "),
        &expect![[r#"arguments: expected a JSON object, got string "{\"order_id\": ""#]],
    );
    let order = place_order();
    check(
        &order,
        &json!({"id": "c", "lines": [{"sku": "far too long", "count": 0}], "state": "gone", "body_id": null}),
        &expect![[r#"
            lines.0.count: 0 is less than or equal to the minimum of 0
            lines.0.sku: "far too long" is longer than 9 characters
            state: expected one of ["open","held",null], got string "gone""#]],
    );
}

fn context(attributes: &BTreeMap<String, String>) -> EventContext<'_> {
    EventContext {
        agent_name: "support",
        agent_id: "AGENT00001",
        agent_alias: "TSTALIASID",
        agent_version: "DRAFT",
        session_id: "s-1",
        input_text: "Refund 4471, please.",
        session_attributes: attributes,
        prompt_session_attributes: attributes,
        idempotency_key: "k",
    }
}

fn refund_arguments() -> Json {
    json!({"order_id": "4471", "amount": 80.0, "notify": true, "lines": [1, "b", {"c": 2}]})
}

fn order_arguments() -> Json {
    json!({"id": "c-9", "dry_run": false, "body_id": "A-1", "lines": [{"sku": "X"}]})
}

#[test]
fn the_lambda_event_of_a_function() {
    let attributes = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    let event = lambda_event(&context(&attributes), &refund(), &refund_arguments());
    expect![[r#"
        {
          "actionGroup": "orders",
          "agent": {
            "alias": "TSTALIASID",
            "id": "AGENT00001",
            "name": "support",
            "version": "DRAFT"
          },
          "function": "refund",
          "idempotencyKey": "k",
          "inputText": "Refund 4471, please.",
          "messageVersion": "1.0",
          "parameters": [
            {
              "name": "amount",
              "type": "number",
              "value": "80"
            },
            {
              "name": "lines",
              "type": "array",
              "value": "[1,\"b\",{\"c\":2}]"
            },
            {
              "name": "notify",
              "type": "boolean",
              "value": "true"
            },
            {
              "name": "order_id",
              "type": "string",
              "value": "4471"
            }
          ],
          "promptSessionAttributes": {
            "tier": "gold"
          },
          "sessionAttributes": {
            "tier": "gold"
          },
          "sessionId": "s-1"
        }"#]]
    .assert_eq(&pretty(&event));
}

#[test]
fn the_lambda_event_of_an_operation() {
    let event = lambda_event(&context(&BTreeMap::new()), &place_order(), &order_arguments());
    expect![[r#"
        {
          "actionGroup": "orders",
          "agent": {
            "alias": "TSTALIASID",
            "id": "AGENT00001",
            "name": "support",
            "version": "DRAFT"
          },
          "apiPath": "/customers/{id}/orders",
          "httpMethod": "POST",
          "idempotencyKey": "k",
          "inputText": "Refund 4471, please.",
          "messageVersion": "1.0",
          "parameters": [
            {
              "name": "id",
              "type": "string",
              "value": "c-9"
            },
            {
              "name": "dry run",
              "type": "boolean",
              "value": "false"
            }
          ],
          "promptSessionAttributes": {},
          "requestBody": {
            "content": {
              "application/json": {
                "properties": [
                  {
                    "name": "id",
                    "type": "string",
                    "value": "A-1"
                  },
                  {
                    "name": "lines",
                    "type": "array",
                    "value": "[{\"sku\":\"X\"}]"
                  }
                ]
              }
            }
          },
          "sessionAttributes": {},
          "sessionId": "s-1"
        }"#]]
    .assert_eq(&pretty(&event));
}

#[test]
fn the_client_and_the_trace_see_the_same_arguments() {
    let seen = [
        invocation_input(&refund(), &json!({"amount": 1}), HandOff::Result),
        invocation_input(&place_order(), &order_arguments(), HandOff::Result),
        trace_input(&refund(), &json!({"amount": 1}), None),
        trace_input(&place_order(), &order_arguments(), Some("i-1")),
    ];
    expect![[r#"
        {"functionInvocationInput":{"actionGroup":"orders","actionInvocationType":"RESULT","function":"refund","parameters":[{"name":"amount","type":"number","value":"1"}]}}
        {"apiInvocationInput":{"actionGroup":"orders","actionInvocationType":"RESULT","apiPath":"/customers/{id}/orders","httpMethod":"POST","parameters":[{"name":"id","type":"string","value":"c-9"},{"name":"dry run","type":"boolean","value":"false"}],"requestBody":{"content":{"application/json":{"properties":[{"name":"id","type":"string","value":"A-1"},{"name":"lines","type":"array","value":"[{\"sku\":\"X\"}]"}]}}}}}
        {"actionGroupName":"orders","executionType":"LAMBDA","function":"refund","parameters":[{"name":"amount","type":"number","value":"1"}]}
        {"actionGroupName":"orders","apiPath":"/customers/{id}/orders","executionType":"RETURN_CONTROL","invocationId":"i-1","parameters":[{"name":"id","type":"string","value":"c-9"},{"name":"dry run","type":"boolean","value":"false"}],"requestBody":{"content":{"application/json":[{"name":"id","type":"string","value":"A-1"},{"name":"lines","type":"array","value":"[{\"sku\":\"X\"}]"}]}},"verb":"post"}"#]].assert_eq(&seen.iter().map(Json::to_string).collect::<Vec<_>>().join("\n"));
}

fn answer(tool: &Tool, payload: &Json, expect: &Expect) {
    let said = match read_response(tool, payload.to_string().as_bytes(), limits::TOOL_ANSWER_BYTES)
    {
        Ok(Response::Answer(answer)) => format!("{answer:?}"),
        Ok(Response::Pending(pending)) => format!("{pending:?}"),
        Err(why) => why,
    };
    expect.assert_eq(&said);
}

fn function_answer(function_response: &Json) -> Json {
    json!({"messageVersion": "1.0", "response":
        {"actionGroup": "orders", "function": "refund", "functionResponse": function_response}})
}

fn api_answer(members: &Json) -> Json {
    let mut response =
        json!({"actionGroup": "orders", "apiPath": "/customers/{id}/orders", "httpMethod": "POST"});
    for (name, value) in members.as_object().unwrap() {
        response[name] = value.clone();
    }
    json!({"messageVersion": "1.0", "response": response})
}

#[test]
fn answers_are_read_and_harmless_excess_is_named() {
    let refund = refund();
    let mut full = function_answer(
        &json!({"responseBody": {"TEXT": {"body": "done"}}, "responseState": "REPROMPT"}),
    );
    full["sessionAttributes"] = json!({"a": "b", "n": 1});
    full["promptSessionAttributes"] = json!({});
    full["knowledgeBasesConfiguration"] = json!([]);
    full["response"]["responseCode"] = json!(200);
    answer(
        &refund,
        &full,
        &expect![[
            r#"Answer { body: "done", state: Reprompt, status: None, session_attributes: Some({"a": "b", "n": "1"}), prompt_session_attributes: Some({}), ignored: ["response.responseCode", "knowledgeBasesConfiguration"] }"#
        ]],
    );
    let order = place_order();
    answer(
        &order,
        &api_answer(&json!({"httpStatusCode": 200, "responseBody":
            {"application/json": {"body": {"number": 7}}, "text/plain": {"body": "seven"}}})),
        &expect![[
            r#"Answer { body: "{\"number\":7}", state: Success, status: Some(200), session_attributes: None, prompt_session_attributes: None, ignored: ["response.responseBody.text/plain"] }"#
        ]],
    );
    answer(
        &order,
        &api_answer(&json!({"httpStatusCode": "204"})),
        &expect![[
            r#"Answer { body: "", state: Success, status: Some(204), session_attributes: None, prompt_session_attributes: None, ignored: [] }"#
        ]],
    );
}

#[test]
fn a_malformed_answer_says_why_without_the_payload() {
    let refund = refund();
    answer(
        &refund,
        &json!("done"),
        &expect!["response_malformed: the answer must be a JSON object, got string; tell the user"],
    );
    answer(
        &refund,
        &json!({"response": {}}),
        &expect![[
            r#"response_malformed: messageVersion is missing, it must be "1.0"; tell the user"#
        ]],
    );
    answer(
        &refund,
        &json!({"messageVersion": "1.0", "body": "x"}),
        &expect!["response_malformed: response is missing; tell the user"],
    );
    answer(
        &refund,
        &json!({"statusCode": 200, "body": "{}"}),
        &expect![[
            r#"response_malformed: the answer is one for API Gateway (statusCode, body); a function of an action group answers {"messageVersion": "1.0", "response": {"actionGroup": …}}; tell the user"#
        ]],
    );
    answer(
        &refund,
        &json!({"messageVersion": "1.0", "response": {"actionGroup": "other"}}),
        &expect![[
            r#"response_malformed: response.actionGroup does not match the request: expected "orders", got "other"; tell the user"#
        ]],
    );
    answer(
        &refund,
        &function_answer(&json!({"responseBody": {}})),
        &expect![
            "response_malformed: response.functionResponse.responseBody.TEXT.body is missing; tell the user"
        ],
    );
    answer(
        &refund,
        &function_answer(&json!({"responseBody": {"TEXT": {"body": null}}})),
        &expect![
            "response_malformed: response.functionResponse.responseBody.TEXT.body is missing; tell the user"
        ],
    );
    answer(
        &refund,
        &function_answer(&json!({"responseBody": {"TEXT": {"body": "x"}}, "responseState": "OK"})),
        &expect![[
            r#"response_malformed: response.functionResponse.responseState must be FAILURE or REPROMPT, got "OK"; tell the user"#
        ]],
    );
    answer(
        &place_order(),
        &api_answer(&json!({"httpStatusCode": 200})),
        &expect!["response_malformed: response.responseBody is missing; tell the user"],
    );
    answer(
        &refund,
        &function_answer(&json!({"responseBody": {"TEXT": {"body": "x".repeat(30_000)}}})),
        &expect![
            "response_too_large: the tool answered 30137 bytes of at most 25600; ask for fewer results or a smaller range"
        ],
    );
}

#[test]
fn one_call_has_one_spelling_and_one_key() {
    let a = json!({"b": [1.0, -0.0, 1.5, 1e300], "a": {"y": "\u{e9}\n", "x": null}});
    expect![[r#"{"a":{"x":null,"y":"é\n"},"b":[1,0,1.5,1e+300]}"#]].assert_eq(&canonical(&a));
    let key = |step, arguments: &Json| idempotency_key("0/eu", "run", step, 0, "refund", arguments);
    assert_eq!(key(1, &json!({"a": 1, "b": 2.0})), key(1, &json!({"b": 2, "a": 1})));
    assert_ne!(key(1, &json!({})), key(2, &json!({})));
    assert_ne!(
        idempotency_key("0/eu", "r", 1, 0, "un", &json!({})),
        idempotency_key("0/eu", "ru", 1, 0, "n", &json!({}))
    );
    expect!["a4ce641bb0631c984986e0c1b0f6d6ad2f90cdece797493fef435e6441e32269"]
        .assert_eq(&key(1, &a));
}

#[test]
fn an_answer_may_be_that_the_result_comes_later() {
    let pending = |extension: Json| json!({"messageVersion": "1.0", "craton": extension});
    let check = |payload: Json, expect: Expect| answer(&refund(), &payload, &expect);
    check(
        pending(json!({"pending": {}})),
        expect!["Pending { token: None, poll_seconds: None, deadline_seconds: None }"],
    );
    check(
        pending(json!({"pending": {"token": "job-7", "pollSeconds": 5, "deadlineSeconds": 60}})),
        expect![[
            r#"Pending { token: Some("job-7"), poll_seconds: Some(5), deadline_seconds: Some(60) }"#
        ]],
    );
    check(
        pending(json!({"pending": {"token": "a/b"}})),
        expect![
            "response_malformed: craton.pending.token a/b is not 1 to 256 letters, digits and any of - _ . ~ :; tell the user"
        ],
    );
    check(
        pending(json!({"pending": {"pollSeconds": 0}})),
        expect!["response_malformed: craton.pending.pollSeconds must be at least 1; tell the user"],
    );
    check(
        pending(json!({"pending": {"poll": 1}})),
        expect![
            "response_malformed: craton cannot be read: unknown field `poll`, expected one of `token`, `pollSeconds`, `deadlineSeconds`; tell the user"
        ],
    );
    check(
        pending(json!({"done": true})),
        expect![
            "response_malformed: craton cannot be read: unknown field `done`, expected `pending`; tell the user"
        ],
    );
    let echoing = |function: &str| {
        let mut payload = pending(json!({"pending": {}}));
        payload["response"] = json!({"actionGroup": "orders", "function": function});
        payload
    };
    check(
        echoing("refund"),
        expect!["Pending { token: None, poll_seconds: None, deadline_seconds: None }"],
    );
    check(
        echoing("other"),
        expect![[
            r#"response_malformed: response.function does not match the request: expected "refund", got "other"; tell the user"#
        ]],
    );
}
