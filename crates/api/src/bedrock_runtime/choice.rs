//! Who answered a client's own call, told beside the answer: a prompt router's choice in the trace
//! that AWS has for it, every choice in a header. A call that nobody led elsewhere has neither.

use std::fmt::Write as _;

use engine::model::Choice;
use serde_json::{Value as Json, json};
use wire::bedrock_runtime::types::PromptRouterTrace;

use super::asked::model_arn;
use super::limits::{PASSED, REASON_CHARS};
use crate::cx::Cx;
use crate::reply::Reply;

/// The model that answered as a JSON object: with its route, where there was one, and the models
/// that did not answer before it.
pub(super) const HEADER: &str = "x-craton-route";

/// AWS: whoever asks a router is told which model was invoked, asked for or not, as an ARN (API
/// reference, `PromptRouterTrace`; user guide, "Intelligent prompt routing").
pub(super) fn trace(cx: &Cx, choice: &Choice) -> Option<PromptRouterTrace> {
    let id = choice.by_router.then_some(&choice.model)?;
    Some(PromptRouterTrace { invoked_model_id: Some(model_arn(cx, id)) })
}

impl Reply {
    /// Says who answered and why, where a route or a fallback decided that.
    pub(super) fn chosen(self, choice: &Choice) -> Reply {
        if choice.route.is_none() && choice.passed.is_empty() {
            return self;
        }
        self.header(HEADER, ascii(&told(choice)))
    }
}

fn told(choice: &Choice) -> Json {
    let mut told = json!({ "model": choice.model });
    if let Some(route) = &choice.route {
        told["kind"] = json!(route.kind);
        told["rci"] = json!(route.rci);
        told["inputs"] = json!(route.inputs);
        told["reason"] = cut(&route.reason).into();
    }
    let passed = choice.passed.iter().take(PASSED);
    let passed: Vec<Json> = passed
        .map(|passed| json!({ "model": passed.model, "reason": cut(&passed.reason) }))
        .collect();
    if !passed.is_empty() {
        told["passed"] = passed.into();
    }
    told
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS).collect()
}

/// JSON that a header can carry: what is not ASCII as the escapes that JSON has for it.
fn ascii(json: &Json) -> String {
    let mut text = String::new();
    for char in json.to_string().chars() {
        if char.is_ascii() && char != '\u{7f}' {
            text.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            write!(text, "\\u{unit:04x}").expect("a String takes all that is written to it");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use craton_core::agent::event::Passed;
    use expect_test::expect;

    use super::*;

    #[test]
    fn whatever_a_provider_said_fits_into_a_header() {
        let reason = format!("Überlast\n\u{7f}😀 \"now\"{}", "x".repeat(REASON_CHARS));
        let passed =
            (0..=PASSED).map(|n| Passed { model: format!("m{n}"), reason: reason.clone() });
        let model = "second".to_owned();
        let choice = Choice { model, route: None, by_router: false, passed: passed.collect() };
        let reply = Reply::value(wire::value::Value::Null).chosen(&choice);
        let [(name, value)] = &reply.headers[..] else { panic!("{:?}", reply.headers) };
        assert_eq!(*name, HEADER);
        assert!(value.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{value}");
        let told: Json = serde_json::from_str(value).unwrap();
        assert_eq!(told["model"], "second");
        assert_eq!(told["passed"].as_array().unwrap().len(), PASSED);
        let said = told["passed"][0]["reason"].as_str().unwrap();
        assert!(reason.starts_with(said) && said.chars().count() == REASON_CHARS, "{said}");
        expect![[r#""{\"model\":\"second\",\"passed\":[{\"model\":\"m0\",\"reason\":\"\\u00dcberlast\\n\\u007f\\ud83d\\ude00 \\\"now\\\"xxxx""#]]
            .assert_eq(&format!("{:?}", &value[..97]));
    }
}
