//! Answers what an agent hands to its client: calls that the scenario plays, and confirmations.
//!
//! Pure. A call for which the scenario has no response is a mistake of the scenario, and said.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::file::Scenario;
use super::simulated::{Said, Simulated};

/// The results for one hand-off. `before` counts, by tool, calls that no condition answered.
pub(super) fn results(
    scenario: &Scenario,
    control: &Json,
    before: &mut BTreeMap<String, usize>,
) -> Result<Vec<Json>, String> {
    let inputs = control["invocationInputs"].as_array().into_iter().flatten();
    inputs.map(|input| result(scenario, input, before)).collect()
}

fn result(
    scenario: &Scenario,
    input: &Json,
    before: &mut BTreeMap<String, usize>,
) -> Result<Json, String> {
    let function = &input["functionInvocationInput"];
    let is_function = function.is_object();
    let wanted = if is_function { function } else { &input["apiInvocationInput"] };
    let name = if is_function { text(&wanted["function"]) } else { operation(wanted) };
    let group = text(&wanted["actionGroup"]);
    let mut result = json!({ "actionGroup": group });
    let copied: &[&str] = if is_function { &["function"] } else { &["apiPath", "httpMethod"] };
    for member in copied.iter().chain(["agentId"].iter().filter(|m| wanted.get(m).is_some())) {
        result[*member] = wanted[*member].clone();
    }
    let kind = wanted["actionInvocationType"].as_str().unwrap_or("RESULT");
    let is_named = |given: &str| is_named(given, group, name);
    if kind != "RESULT" {
        let word = scenario.confirm.of(is_named);
        result["confirmationState"] = json!(if word { "CONFIRM" } else { "DENY" });
        if !word || kind == "USER_CONFIRMATION" {
            return Ok(shaped(is_function, &result));
        }
    }
    let arguments = arguments(wanted);
    let said = said(&scenario.tools, &is_named, &arguments, before).ok_or_else(|| {
        format!("{group}.{name} has no response for {arguments}; give one under `tools`")
    })?;
    put(&mut result, is_function, said);
    Ok(shaped(is_function, &result))
}

fn said<'a>(
    tools: &'a BTreeMap<String, Simulated>,
    is_named: &dyn Fn(&str) -> bool,
    arguments: &Json,
    before: &mut BTreeMap<String, usize>,
) -> Option<&'a Said> {
    let (name, tool) = tools.iter().find(|(name, _)| is_named(name))?;
    tool.answer(arguments, before.entry(name.clone()).or_default())
}

// AWS: `responseState` FAILURE fails the invocation, REPROMPT hands the text to the model (API
// reference, ApiResult and FunctionResult). A tool that answers with an error means the latter.
fn put(result: &mut Json, is_function: bool, said: &Said) {
    let media = if is_function { "TEXT" } else { "application/json" };
    let (body, status) = match said {
        Said::Result(body) => (body, 200),
        Said::Error(message) => (message, 400),
    };
    result["responseBody"] = json!({ media: { "body": body } });
    if matches!(said, Said::Error(_)) {
        result["responseState"] = json!("REPROMPT");
    }
    if !is_function {
        result["httpStatusCode"] = json!(status);
    }
}

fn shaped(is_function: bool, result: &Json) -> Json {
    json!({ if is_function { "functionResult" } else { "apiResult" }: result })
}

fn is_named(given: &str, group: &str, name: &str) -> bool {
    let given = given.replace('.', "__");
    given == name || given == format!("{group}__{name}")
}

/// An operation goes by its path here: what the client hears has no operation id.
fn operation(wanted: &Json) -> &str {
    text(&wanted["apiPath"])
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

/// Names and values, by the types that the agent said.
fn arguments(wanted: &Json) -> Json {
    let bodies = wanted["requestBody"]["content"].as_object().into_iter().flat_map(Map::values);
    let bodies = bodies.filter_map(|body| body["properties"].as_array());
    let given = wanted["parameters"].as_array().into_iter().chain(bodies).flatten();
    let typed = |one: &Json| {
        let value = text(&one["value"]);
        match text(&one["type"]) {
            "string" => json!(value),
            _ => serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
        }
    };
    Json::Object(given.map(|one| (text(&one["name"]).to_owned(), typed(one))).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use expect_test::{Expect, expect};

    use super::super::file::Suite;
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(shared: &str, input: Json, wanted: Expect) {
        let text = format!("{shared}\nscenarios: [{{name: a, agent: x, input: hello}}]");
        let suite = Suite::parse("f", PathBuf::new(), &text).unwrap();
        let control = json!({ "invocationInputs": [input] });
        let told = results(&suite.scenarios[0], &control, &mut BTreeMap::new());
        let told = told.map(|all| Json::Array(all).to_string());
        wanted.assert_eq(&told.unwrap_or_else(|why| why));
    }

    fn pay(kind: &str) -> Json {
        let parameters = json!([{"name": "amount", "type": "number", "value": "40"}]);
        json!({"functionInvocationInput": {"actionGroup": "desk", "function": "pay",
            "parameters": parameters, "actionInvocationType": kind}})
    }

    #[test]
    fn a_call_is_answered_by_the_response_that_its_arguments_meet() {
        let tools =
            "tools: {desk.pay: {responses: [{when: {amount: {max: 50}}, response: {paid: true}}]}}";
        check(
            tools,
            pay("RESULT"),
            expect![[
                r#"[{"functionResult":{"actionGroup":"desk","function":"pay","responseBody":{"TEXT":{"body":"{\"paid\":true}"}}}}]"#
            ]],
        );
        check(
            "tools: {pay: {responses: [{error: closed}]}}",
            pay("RESULT"),
            expect![[
                r#"[{"functionResult":{"actionGroup":"desk","function":"pay","responseBody":{"TEXT":{"body":"closed"}},"responseState":"REPROMPT"}}]"#
            ]],
        );
        check(
            "tools: {other: {responses: ok}}",
            pay("RESULT"),
            expect![[r#"desk.pay has no response for {"amount":40}; give one under `tools`"#]],
        );
        let operation = json!({"apiInvocationInput": {"actionGroup": "shop", "apiPath": "/orders",
            "httpMethod": "GET", "parameters": []}});
        check(
            "tools: {/orders: {responses: {orders: 2}}}",
            operation,
            expect![[
                r#"[{"apiResult":{"actionGroup":"shop","apiPath":"/orders","httpMethod":"GET","httpStatusCode":200,"responseBody":{"application/json":{"body":"{\"orders\":2}"}}}}]"#
            ]],
        );
    }

    #[test]
    fn a_confirmation_is_given_only_if_the_scenario_says_so() {
        check(
            "",
            pay("USER_CONFIRMATION"),
            expect![[
                r#"[{"functionResult":{"actionGroup":"desk","confirmationState":"DENY","function":"pay"}}]"#
            ]],
        );
        check(
            "confirm: {pay: true}",
            pay("USER_CONFIRMATION"),
            expect![[
                r#"[{"functionResult":{"actionGroup":"desk","confirmationState":"CONFIRM","function":"pay"}}]"#
            ]],
        );
        check(
            "confirm: true\ntools: {pay: {responses: ok}}",
            pay("USER_CONFIRMATION_AND_RESULT"),
            expect![[
                r#"[{"functionResult":{"actionGroup":"desk","confirmationState":"CONFIRM","function":"pay","responseBody":{"TEXT":{"body":"ok"}}}}]"#
            ]],
        );
    }
}
