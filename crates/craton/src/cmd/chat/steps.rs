//! Reads trace parts as the beginnings and ends of steps.
//!
//! Pure. A step is a call of the model or of a tool; its beginning and its end carry one `traceId`.
//! Where several run under one id (calls of one reply have an id each with Craton), the one that
//! began first is taken to end first. What a collaborator does stands under its name.

use serde_json::Value as Json;

use super::limits::SHOWN;

/// What a part of the trace changes for whoever watches.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Began { step: usize, what: String },
    Ended { step: usize, what: String, took: Option<u64>, well: bool, said: String },
    Note(String),
}

#[derive(Default)]
pub(super) struct Steps {
    running: Vec<Running>,
    /// Whose part is read.
    whose: String,
    begun: usize,
}

struct Running {
    step: usize,
    kind: Kind,
    trace: String,
    /// The collaborator that does it.
    whose: String,
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Tool,
    Collaborator,
}

impl Steps {
    /// A trace part.
    pub(super) fn read(&mut self, part: &Json) -> Vec<Change> {
        text(&part["collaboratorName"]).clone_into(&mut self.whose);
        let trace = &part["trace"];
        let steps =
            ["orchestrationTrace", "routingClassifierTrace"].iter().map(|kind| &trace[kind]);
        let step = steps.filter_map(Json::as_object).find_map(|one| one.iter().next());
        let Some((name, part)) = step else {
            return self.failed(&trace["failureTrace"]);
        };
        match name.as_str() {
            "modelInvocationInput" => self.begin(Kind::Model, part, model(part)),
            "modelInvocationOutput" => self
                .end(Kind::Model, part)
                .map(|one| one.well(&part["metadata"], ""))
                .into_iter()
                .collect(),
            "rationale" => vec![self.note(text(&part["text"]))],
            "invocationInput" => self.called(part),
            "observation" => self.observed(part),
            _ => Vec::new(),
        }
    }

    fn called(&mut self, part: &Json) -> Vec<Change> {
        let group = &part["actionGroupInvocationInput"];
        let asked = &part["agentCollaboratorInvocationInput"];
        if asked.is_object() {
            let (name, said) = (text(&asked["agentCollaboratorName"]), &asked["input"]["text"]);
            let what = format!("{name} ({})", short(text(said)));
            return self.begin(Kind::Collaborator, part, what);
        }
        // The person is asked for these; nothing runs meanwhile.
        if text(&group["executionType"]) == "RETURN_CONTROL" {
            return Vec::new();
        }
        let what = if group.is_object() { call(group) } else { other(part) };
        self.begin(Kind::Tool, part, what)
    }

    fn observed(&mut self, part: &Json) -> Vec<Change> {
        let reprompt = &part["repromptResponse"];
        let output = &part["actionGroupInvocationOutput"];
        if part["finalResponse"].is_object() {
            return Vec::new();
        }
        if part["agentCollaboratorInvocationOutput"].is_object() {
            return self.reported(part);
        }
        let change = match self.end(Kind::Tool, part) {
            Some(one) if reprompt.is_object() => one.badly(text(&reprompt["text"])),
            Some(one) => one.well(&output["metadata"], text(&output["text"])),
            None if reprompt.is_object() => self.note(text(&reprompt["text"])),
            None => return Vec::new(),
        };
        vec![change]
    }

    /// A collaborator's report; one whose calls the person gets now goes on afterwards.
    fn reported(&mut self, part: &Json) -> Vec<Change> {
        let output = &part["agentCollaboratorInvocationOutput"];
        if text(&output["output"]["type"]) == "RETURN_CONTROL" {
            return Vec::new();
        }
        let ended = self.end(Kind::Collaborator, part);
        let said = text(&output["output"]["text"]);
        ended.map(|one| one.well(&output["metadata"], said)).into_iter().collect()
    }

    fn note(&self, said: &str) -> Change {
        Change::Note(under(&self.whose, short(said)))
    }

    /// Ends what its agent was doing; what others do goes on.
    fn failed(&mut self, failure: &Json) -> Vec<Change> {
        if !failure.is_object() {
            return Vec::new();
        }
        let all = self.whose.is_empty();
        let (ended, running): (Vec<Running>, Vec<Running>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|one| all || one.whose == self.whose);
        self.running = running;
        ended.into_iter().map(|one| one.badly(text(&failure["failureReason"]))).collect()
    }

    fn begin(&mut self, kind: Kind, part: &Json, what: String) -> Vec<Change> {
        let step = self.begun;
        self.begun += 1;
        let (trace, whose) = (text(&part["traceId"]).to_owned(), self.whose.clone());
        let what = under(&whose, what);
        self.running.push(Running { step, kind, trace, whose, what: what.clone() });
        vec![Change::Began { step, what }]
    }

    fn end(&mut self, kind: Kind, part: &Json) -> Option<Running> {
        let trace = text(&part["traceId"]);
        let place = self.running.iter().position(|one| one.kind == kind && one.trace == trace);
        place.map(|place| self.running.remove(place))
    }
}

impl Running {
    fn well(self, metadata: &Json, said: &str) -> Change {
        let took = metadata["totalTimeMs"].as_u64();
        Change::Ended { step: self.step, what: self.what, took, well: true, said: short(said) }
    }

    fn badly(self, said: &str) -> Change {
        Change::Ended {
            step: self.step,
            what: self.what,
            took: None,
            well: false,
            said: short(said),
        }
    }
}

/// A line with the name of the collaborator that it is of, if it is of one.
pub(super) fn under(whose: &str, what: String) -> String {
    if whose.is_empty() { what } else { format!("{whose}: {what}") }
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn model(part: &Json) -> String {
    format!("model {}", text(&part["foundationModel"]))
}

/// `orders.get_order(order_id=A-1001)`, or with an operation of a schema `orders.GET /orders/{id}(…)`.
pub(super) fn call(group: &Json) -> String {
    let name = text(&group["actionGroupName"]).to_owned();
    let function = match &group["function"] {
        Json::String(function) => function.clone(),
        _ => format!("{} {}", text(&group["verb"]).to_uppercase(), text(&group["apiPath"])),
    };
    let bodies = group["requestBody"]["content"].as_object().into_iter().flat_map(|m| m.values());
    let given = group["parameters"].as_array().into_iter().chain(bodies.filter_map(Json::as_array));
    format!("{name}.{function}({})", arguments(given.flatten()))
}

/// `name=value` of each, on one line.
pub(super) fn arguments<'a>(given: impl Iterator<Item = &'a Json>) -> String {
    let shown = given.map(|one| format!("{}={}", text(&one["name"]), short(text(&one["value"]))));
    shown.collect::<Vec<String>>().join(", ")
}

/// A step of a kind that has no line of its own here.
fn other(part: &Json) -> String {
    text(&part["invocationType"]).to_lowercase().replace('_', " ")
}

/// On one line, and cut where it gets long.
pub(super) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(parts: &[Json], expected: &Expect) {
        let mut steps = Steps::default();
        let lines = parts.iter().flat_map(|part| steps.read(part)).map(|change| match change {
            Change::Began { step, what } => format!("began {step} {what}"),
            Change::Ended { step, what, took, well, said } => {
                format!("ended {step} {what}: {took:?}, well {well}, {said:?}")
            }
            Change::Note(text) => format!("note {text}"),
        });
        expected.assert_eq(&lines.collect::<Vec<String>>().join("\n"));
    }

    fn asked(id: &str, order: &str) -> Json {
        part(
            "invocationInput",
            &json!({
                "traceId": id, "invocationType": "ACTION_GROUP",
                "actionGroupInvocationInput": {
                    "actionGroupName": "orders", "function": "get_order", "executionType": "LAMBDA",
                    "parameters": [{"name": "order_id", "type": "string", "value": order}],
                },
            }),
        )
    }

    fn observed(id: &str, said: &str, millis: u64) -> Json {
        let metadata = json!({"totalTimeMs": millis});
        let output = json!({"text": said, "metadata": metadata});
        part("observation", &json!({"traceId": id, "actionGroupInvocationOutput": output}))
    }

    fn part(name: &str, value: &Json) -> Json {
        json!({"trace": {"orchestrationTrace": {name: value}}})
    }

    #[test]
    fn what_a_collaborator_does_stands_under_its_name() {
        let of = |name: &str, mut part: Json| {
            part["collaboratorName"] = json!(name);
            part
        };
        let told = |input: &Json| {
            part(
                "invocationInput",
                &json!({"traceId": "r-1", "agentCollaboratorInvocationInput": input}),
            )
        };
        let output = |kind: &str, said: &str| {
            let output = json!({"type": kind, "text": said});
            let report = json!({"agentCollaboratorName": "orders", "output": output});
            part(
                "observation",
                &json!({"traceId": "r-1", "agentCollaboratorInvocationOutput": report}),
            )
        };
        check(
            &[
                told(&json!({"agentCollaboratorName": "orders", "input": {"text": "find A"}})),
                of("orders", asked("r-1-1-1", "A")),
                of("billing", asked("r-1-2-1", "B")),
                of("billing", json!({"trace": {"failureTrace": {"failureReason": "no"}}})),
                of("orders", observed("r-1-1-1", "a", 9)),
                output("RETURN_CONTROL", ""),
                output("TEXT", "here"),
            ],
            &expect![[r#"
                began 0 orders (find A)
                began 1 orders: orders.get_order(order_id=A)
                began 2 billing: orders.get_order(order_id=B)
                ended 2 billing: orders.get_order(order_id=B): None, well false, "no"
                ended 1 orders: orders.get_order(order_id=A): Some(9), well true, "a"
                ended 0 orders (find A): None, well true, "here""#]],
        );
    }

    #[test]
    fn calls_side_by_side_end_under_their_own_ids() {
        check(
            &[
                asked("r-1-1", "A"),
                asked("r-1-2", "B"),
                observed("r-1-2", "b", 5),
                observed("r-1-1", "a", 9),
            ],
            &expect![[r#"
                began 0 orders.get_order(order_id=A)
                began 1 orders.get_order(order_id=B)
                ended 1 orders.get_order(order_id=B): Some(5), well true, "b"
                ended 0 orders.get_order(order_id=A): Some(9), well true, "a""#]],
        );
    }

    #[test]
    fn under_one_id_the_first_to_begin_is_the_first_to_end() {
        check(
            &[asked("t", "A"), asked("t", "B"), observed("t", "x", 1), observed("t", "y", 2)],
            &expect![[r#"
                began 0 orders.get_order(order_id=A)
                began 1 orders.get_order(order_id=B)
                ended 0 orders.get_order(order_id=A): Some(1), well true, "x"
                ended 1 orders.get_order(order_id=B): Some(2), well true, "y""#]],
        );
    }

    #[test]
    fn a_model_call_a_repair_and_a_failure_are_told() {
        let repair = json!({"traceId": "r-1", "repromptResponse": {"text": "no such tool"}});
        check(
            &[
                part("modelInvocationInput", &json!({"traceId": "r-1", "foundationModel": "m"})),
                part(
                    "modelInvocationOutput",
                    &json!({"traceId": "r-1", "metadata": {"totalTimeMs": 12}}),
                ),
                part("rationale", &json!({"traceId": "r-1", "text": "Let me\n look."})),
                part("observation", &repair),
                asked("r-2", "A"),
                json!({"trace": {"failureTrace": {"failureReason": "the tool said no"}}}),
            ],
            &expect![[r#"
                began 0 model m
                ended 0 model m: Some(12), well true, ""
                note Let me look.
                note no such tool
                began 1 orders.get_order(order_id=A)
                ended 1 orders.get_order(order_id=A): None, well false, "the tool said no""#]],
        );
    }

    #[test]
    fn an_operation_of_a_schema_shows_path_and_body() {
        let body =
            json!({"application/json": [{"name": "amount", "type": "number", "value": "5"}]});
        let group = json!({
            "actionGroupName": "desk", "apiPath": "/refunds/{id}", "verb": "post",
            "parameters": [{"name": "id", "type": "string", "value": "A-1"}],
            "requestBody": {"content": body},
        });
        let input = json!({"traceId": "t", "actionGroupInvocationInput": group});
        check(
            &[part("invocationInput", &input)],
            &expect!["began 0 desk.POST /refunds/{id}(id=A-1, amount=5)"],
        );
    }

    #[test]
    fn a_call_that_is_handed_out_does_not_run() {
        let group = json!({"actionGroupName": "g", "function": "f",
                           "executionType": "RETURN_CONTROL", "invocationId": "i"});
        check(
            &[part("invocationInput", &json!({"actionGroupInvocationInput": group}))],
            &expect![],
        );
    }
}
