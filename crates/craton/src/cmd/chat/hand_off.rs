//! Return of control at a terminal: shows the calls that the agent wants from its client, and takes
//! their results from the person.
//!
//! AWS: the results name the group and the function or operation of each input, and travel with
//! the invocation's id in `sessionState`; text beside them is ignored (user guide, "Return control
//! to the agent developer").

use serde_json::{Value as Json, json};

use super::Chat;
use super::input::Line;
use super::steps::{arguments, call};

/// What the model reads where the person does not want the call to happen.
const DECLINED: &str = "call_declined: a person refused this call and it was not performed; do not ask \
                        for it again, tell the user";

impl Chat {
    /// The body that answers a hand-off.
    pub(super) async fn results(&mut self, control: &Json) -> Result<Json, String> {
        let inputs = control["invocationInputs"].as_array().cloned().unwrap_or_default();
        let (calls, them) = if inputs.len() == 1 { ("call", "it") } else { ("calls", "them") };
        self.screen.note(&format!(
            "the agent hands you {} {calls}; perform {them} and give the result as JSON or text, \
             an empty line declines",
            inputs.len()
        ));
        let mut results = Vec::new();
        for input in &inputs {
            let wanted = Wanted::of(input);
            self.screen.call(&wanted.shown());
            let said = match self.input.line("result> ").await? {
                Line::Text(line) if line.trim().is_empty() => DECLINED.to_owned(),
                Line::Text(line) => line,
                Line::Interrupted | Line::End => return Err(self.unanswered(control)),
            };
            results.push(wanted.result(&said));
        }
        Ok(json!({"sessionState": {
            "invocationId": control["invocationId"],
            "returnControlInvocationResults": results,
        }}))
    }

    fn unanswered(&self, control: &Json) -> String {
        let invocation = control["invocationId"].as_str().unwrap_or_default();
        format!(
            "the agent still waits for the results of invocation {invocation} in session {}; bring \
             them by InvokeAgent's sessionState, or say something new, which calls it off",
            self.session
        )
    }
}

/// One input of the hand-off: a function, or an operation of a schema.
enum Wanted<'a> {
    Function(&'a Json),
    Operation(&'a Json),
}

impl<'a> Wanted<'a> {
    fn of(input: &'a Json) -> Self {
        match input.get("functionInvocationInput") {
            Some(function) => Wanted::Function(function),
            None => Wanted::Operation(&input["apiInvocationInput"]),
        }
    }

    fn shown(&self) -> String {
        match self {
            Wanted::Function(input) => {
                let group = input["actionGroup"].as_str().unwrap_or_default();
                let function = input["function"].as_str().unwrap_or_default();
                let given = input["parameters"].as_array().into_iter().flatten();
                format!("{group}.{function}({})", arguments(given))
            }
            Wanted::Operation(input) => {
                let contents = input["requestBody"]["content"].as_object().into_iter().flatten();
                let content: serde_json::Map<String, Json> = contents
                    .map(|(media, body)| (media.clone(), body["properties"].clone()))
                    .collect();
                call(&json!({
                    "actionGroupName": input["actionGroup"],
                    "verb": input["httpMethod"],
                    "apiPath": input["apiPath"],
                    "parameters": input["parameters"],
                    "requestBody": {"content": content},
                }))
            }
        }
    }

    fn result(&self, said: &str) -> Json {
        match self {
            Wanted::Function(input) => json!({"functionResult": {
                "actionGroup": input["actionGroup"],
                "function": input["function"],
                "responseBody": {"TEXT": {"body": said}},
            }}),
            Wanted::Operation(input) => json!({"apiResult": {
                "actionGroup": input["actionGroup"],
                "apiPath": input["apiPath"],
                "httpMethod": input["httpMethod"],
                "httpStatusCode": 200,
                "responseBody": {"application/json": {"body": said}},
            }}),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(input: &Json, said: &str, expected: &Expect) {
        let wanted = Wanted::of(input);
        expected.assert_eq(&format!("{}\n{}", wanted.shown(), wanted.result(said)));
    }

    #[test]
    fn a_function_and_an_operation_are_answered_in_their_own_form() {
        let parameters = json!([{"name": "id", "type": "string", "value": "A-1"}]);
        let function = json!({"functionInvocationInput": {
            "actionGroup": "desk", "function": "pay", "parameters": parameters,
        }});
        check(
            &function,
            "{\"paid\": true}",
            &expect![[r#"
            desk.pay(id=A-1)
            {"functionResult":{"actionGroup":"desk","function":"pay","responseBody":{"TEXT":{"body":"{\"paid\": true}"}}}}"#]],
        );
        let body = json!({"application/json": {"properties": [
            {"name": "amount", "type": "number", "value": "5"},
        ]}});
        let operation = json!({"apiInvocationInput": {
            "actionGroup": "desk", "apiPath": "/pay/{id}", "httpMethod": "POST",
            "parameters": parameters, "requestBody": {"content": body},
        }});
        check(
            &operation,
            "paid",
            &expect![[r#"
            desk.POST /pay/{id}(id=A-1, amount=5)
            {"apiResult":{"actionGroup":"desk","apiPath":"/pay/{id}","httpMethod":"POST","httpStatusCode":200,"responseBody":{"application/json":{"body":"paid"}}}}"#]],
        );
    }
}
