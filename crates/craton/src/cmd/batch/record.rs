//! One line of a batch: the request it stands for, and the line that answers it.
//!
//! Pure. Two forms are read: Bedrock's batch records (`recordId`, `modelInput`), whose model and
//! operation are named for all, and records that name their own operation (`id`, `operation`,
//! `input`). Each is answered in its own form.

use serde_json::{Value as Json, json};

use crate::cmd::escaped;
use crate::stream::Failure;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) id: String,
    form: Form,
    input: Json,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Bedrock,
    Named(String),
}

/// What is sent for a record.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) body: Json,
    pub(super) kind: Kind,
    /// Whose price its tokens have.
    pub(super) model: Option<String>,
    /// Where a server says what it may cost at most; `None` for a question too long to ask about.
    pub(super) priced_at: Option<String>,
}

/// Members of requests that cap an answer, in Converse and in native bodies.
const CAPS: [&str; 7] = [
    "/inferenceConfig/maxTokens",
    "/inferenceConfig/max_new_tokens",
    "/max_tokens",
    "/max_completion_tokens",
    "/max_gen_len",
    "/max_tokens_to_sample",
    "/textGenerationConfig/maxTokenCount",
];

/// Bytes of a question that goes into a URL, three for each once they are escaped.
const ASKED: usize = 8_000;

/// Asks about a call of a model by its size.
fn priced_at(model: &str, body: &Json) -> Option<String> {
    let says = CAPS.iter().find_map(|at| body.pointer(at).and_then(Json::as_u64));
    let says = says.map(|says| format!("&says={says}")).unwrap_or_default();
    let (model, bytes) = (escaped(model), body.to_string().len());
    Some(format!("/_craton/v1/cost/forecast?model={model}&bytes={bytes}{says}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Converse,
    InvokeModel,
    InvokeAgent,
}

/// What holds for Bedrock's records, which name neither.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    pub(super) model: Option<String>,
    pub(super) converse: bool,
}

impl Record {
    /// AWS: a record without `recordId` gets one (user guide, "Format and upload your batch inference
    /// data"); here the number of its line, so that a second reading gives the same.
    pub(super) fn read(line: &str, number: usize) -> Result<Record, String> {
        let wrong = |why: &str| format!("line {number} {why}");
        let mut json: Json =
            serde_json::from_str(line).map_err(|e| wrong(&format!("is no JSON: {e}")))?;
        let is_bedrock = json.get("modelInput").is_some();
        let (id, input) = if is_bedrock { ("recordId", "modelInput") } else { ("id", "input") };
        let id = match &json[id] {
            Json::Null => format!("line-{number}"),
            Json::String(id) => id.clone(),
            Json::Number(id) => id.to_string(),
            other => return Err(wrong(&format!("has no usable {id}: {other}"))),
        };
        let form = match (is_bedrock, json["operation"].as_str()) {
            (true, _) => Form::Bedrock,
            (false, Some(operation)) => Form::Named(operation.to_owned()),
            (false, None) => {
                return Err(wrong(
                    "has neither `modelInput` nor `operation`; a record is {\"recordId\", \
                     \"modelInput\"} or {\"id\", \"operation\", \"input\"}",
                ));
            }
        };
        let input = json[input].take();
        match input.is_object() {
            true => Ok(Record { id, form, input }),
            false => Err(wrong("has an input that is no object")),
        }
    }

    /// The error is of this record alone. `session` is for agents whose record names none.
    pub(super) fn request(&self, shared: &Shared, session: &str) -> Result<Request, String> {
        let mut body = self.input.clone();
        let named = match &self.form {
            Form::Named(name) => name.as_str(),
            Form::Bedrock if shared.converse => "Converse",
            Form::Bedrock => "InvokeModel",
        };
        let is_bedrock = self.form == Form::Bedrock;
        match named {
            "Converse" => {
                let model = model(&mut body, shared)?;
                let path = format!("/model/{}/converse", escaped(&model));
                let priced_at = priced_at(&model, &body);
                Ok(Request { path, body, kind: Kind::Converse, model: Some(model), priced_at })
            }
            "InvokeModel" => {
                let model = if is_bedrock { shared.model() } else { model(&mut body, shared) }?;
                let body = if is_bedrock { body } else { native(body)? };
                let path = format!("/model/{}/invoke", escaped(&model));
                let priced_at = priced_at(&model, &body);
                Ok(Request { path, body, kind: Kind::InvokeModel, model: Some(model), priced_at })
            }
            "InvokeAgent" => agent(body, session),
            other => Err(format!(
                "{other} cannot be sent in a batch; Converse, InvokeModel and InvokeAgent can"
            )),
        }
    }

    pub(super) fn answer(&self, output: Result<Json, &Failure>) -> Json {
        let mut answer = match &self.form {
            Form::Bedrock => json!({"recordId": self.id, "modelInput": self.input}),
            Form::Named(operation) => json!({"id": self.id, "operation": operation}),
        };
        match (output, &self.form) {
            (Ok(output), Form::Bedrock) => answer["modelOutput"] = output,
            (Ok(output), Form::Named(_)) => answer["output"] = output,
            // AWS: `error` has `errorCode` and `errorMessage` in the place of the output (user guide,
            // "View the results of a batch inference job").
            (Err(failure), Form::Bedrock) => {
                answer["error"] =
                    json!({"errorCode": status(failure), "errorMessage": failure.to_string()});
            }
            (Err(Failure::Refused { code, message, .. }), Form::Named(_)) => {
                answer["error"] = json!({"code": code, "message": message});
            }
            (Err(Failure::Broken(why)), Form::Named(_)) => {
                answer["error"] = json!({"code": "Unreachable", "message": why});
            }
        }
        answer
    }
}

/// The id of a line of OUT.
pub(super) fn answered(line: &str) -> Option<String> {
    let json: Json = serde_json::from_str(line).ok()?;
    let id = json.get("recordId").or(json.get("id"))?.as_str()?;
    // A request has an id too; what it has not is an answer.
    ["modelOutput", "output", "error"].iter().find_map(|name| json.get(name))?;
    Some(id.to_owned())
}

impl Shared {
    fn model(&self) -> Result<String, String> {
        self.model.clone().ok_or_else(|| "the record names no model; give --model".to_owned())
    }
}

fn model(body: &mut Json, shared: &Shared) -> Result<String, String> {
    let named = body.as_object_mut().and_then(|body| body.remove("modelId"));
    match named {
        Some(Json::String(model)) => Ok(model),
        _ => shared.model(),
    }
}

/// The body of InvokeModel, as JSON or as text that is JSON.
fn native(mut input: Json) -> Result<Json, String> {
    match input["body"].take() {
        Json::String(text) => {
            serde_json::from_str(&text).map_err(|e| format!("its body is no JSON: {e}"))
        }
        body @ Json::Object(_) => Ok(body),
        _ => Err("InvokeModel's input has no `body`".to_owned()),
    }
}

fn agent(mut body: Json, session: &str) -> Result<Request, String> {
    let members = body.as_object_mut().ok_or("its input is no object")?;
    let mut take = |name: &str| match members.remove(name) {
        Some(Json::String(text)) => Ok(text),
        _ => Err(format!("InvokeAgent's input has no {name}")),
    };
    let (agent, alias) = (take("agentId")?, take("agentAliasId")?);
    let session = take("sessionId").unwrap_or_else(|_| session.to_owned());
    let [agent, alias, session] = [&agent, &alias, &session].map(|part| escaped(part));
    let path = format!("/agents/{agent}/agentAliases/{alias}/sessions/{session}/text");
    let asked = body["inputText"].as_str().unwrap_or_default();
    let priced_at = (asked.len() <= ASKED).then(|| {
        let asked = escaped(asked);
        format!("/_craton/v1/cost/forecast?agent={agent}&alias={alias}&input={asked}")
    });
    Ok(Request { path, body, kind: Kind::InvokeAgent, model: None, priced_at })
}

/// The status that AWS gives these (API reference, common errors of Bedrock).
fn status(failure: &Failure) -> u16 {
    let Failure::Refused { code, .. } = failure else { return 503 };
    match code.as_str() {
        "ValidationException" | "ServiceQuotaExceededException" => 400,
        "AccessDeniedException" => 403,
        "ResourceNotFoundException" => 404,
        "ModelTimeoutException" => 408,
        "ConflictException" => 409,
        "ModelErrorException" => 424,
        "ThrottlingException" | "ModelNotReadyException" => 429,
        "NotImplementedException" => 501,
        "ServiceUnavailableException" => 503,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(line: &str, wanted: Expect) {
        let shared = Shared { model: Some("m:1".to_owned()), converse: false };
        let told = Record::read(line, 3).and_then(|record| {
            let request = record.request(&shared, "batch-1")?;
            Ok(format!("{} {} {}", record.id, request.path, request.body))
        });
        wanted.assert_eq(&told.unwrap_or_else(|why| why));
    }

    #[test]
    fn both_forms_become_requests() {
        check(
            r#"{"recordId": "A", "modelInput": {"inputText": "hi"}}"#,
            expect![[r#"A /model/m%3A1/invoke {"inputText":"hi"}"#]],
        );
        check(r#"{"modelInput": {"a": 1}}"#, expect![[r#"line-3 /model/m%3A1/invoke {"a":1}"#]]);
        check(
            r#"{"id": 7, "operation": "Converse", "input": {"modelId": "x", "messages": []}}"#,
            expect![[r#"7 /model/x/converse {"messages":[]}"#]],
        );
        check(
            r#"{"id": "b", "operation": "InvokeModel", "input": {"body": "{\"p\": 1}"}}"#,
            expect![[r#"b /model/m%3A1/invoke {"p":1}"#]],
        );
        check(
            r#"{"id": "c", "operation": "InvokeAgent", "input": {"agentId": "A", "agentAliasId": "B", "inputText": "hi"}}"#,
            expect![[r#"c /agents/A/agentAliases/B/sessions/batch%2D1/text {"inputText":"hi"}"#]],
        );
    }

    #[test]
    fn what_is_no_record_is_said_with_its_line() {
        check("{", expect!["line 3 is no JSON: EOF while parsing an object at line 1 column 1"]);
        check(
            "{}",
            expect![[
                r#"line 3 has neither `modelInput` nor `operation`; a record is {"recordId", "modelInput"} or {"id", "operation", "input"}"#
            ]],
        );
        check(
            r#"{"recordId": [], "modelInput": {}}"#,
            expect!["line 3 has no usable recordId: []"],
        );
        check(
            r#"{"id": "a", "operation": "DeleteAgent", "input": {}}"#,
            expect![
                "DeleteAgent cannot be sent in a batch; Converse, InvokeModel and InvokeAgent can"
            ],
        );
    }

    #[test]
    fn an_answer_has_the_form_of_its_record() {
        let refused = Failure::Refused {
            code: "ThrottlingException".to_owned(),
            message: "slow".to_owned(),
            retry_after: None,
        };
        let bedrock = Record::read(r#"{"recordId": "A", "modelInput": {}}"#, 1).unwrap();
        let named =
            Record::read(r#"{"id": "B", "operation": "Converse", "input": {}}"#, 2).unwrap();
        let lines: Vec<String> = [&bedrock, &named]
            .into_iter()
            .flat_map(|one| [one.answer(Ok(json!({"x": 1}))), one.answer(Err(&refused))])
            .map(|line| line.to_string())
            .collect();
        expect![[r#"
            {"modelInput":{},"modelOutput":{"x":1},"recordId":"A"}
            {"error":{"errorCode":429,"errorMessage":"slow (ThrottlingException)"},"modelInput":{},"recordId":"A"}
            {"id":"B","operation":"Converse","output":{"x":1}}
            {"error":{"code":"ThrottlingException","message":"slow"},"id":"B","operation":"Converse"}"#]].assert_eq(&lines.join("\n"));
        assert!(lines.iter().all(|line| answered(line).is_some()));
    }
}
