//! What a tool answers when a scenario plays it.
//!
//! Pure. The first response whose condition the arguments meet answers; those without a condition
//! answer one after the other, the last one again and again.

use serde::Deserialize;
use serde_json::Value as Json;

use super::matcher::Matcher;
use super::members;

#[derive(Debug, Clone)]
pub(crate) struct Simulated {
    responses: Vec<Response>,
}

#[derive(Debug, Clone)]
struct Response {
    when: Option<Matcher>,
    said: Said,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Result(String),
    Error(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tool {
    responses: Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    when: Option<Json>,
    response: Option<Json>,
    error: Option<String>,
}

impl Simulated {
    /// `{responses: …}`.
    pub(crate) fn read(given: &Json) -> Result<Simulated, String> {
        let tool = members::<Tool>(given)?;
        Simulated::of(&tool.responses)
    }

    /// A list of responses, or one alone.
    pub(crate) fn of(given: &Json) -> Result<Simulated, String> {
        let read: Result<Vec<Response>, String> = match given {
            Json::Array(all) => all.iter().map(Response::read).collect(),
            one => Response::read(one).map(|one| vec![one]),
        };
        let responses = read.map_err(|why| format!("responses: {why}"))?;
        match responses.is_empty() {
            true => Err("responses: there are none".to_owned()),
            false => Ok(Simulated { responses }),
        }
    }

    /// What the tool says to these arguments. `before` counts its calls that no condition answered.
    pub(crate) fn answer(&self, arguments: &Json, before: &mut usize) -> Option<&Said> {
        let fits = |one: &&Response| {
            one.when.as_ref().is_some_and(|when| when.against(Some(arguments)).is_ok())
        };
        if let Some(one) = self.responses.iter().find(fits) {
            return Some(&one.said);
        }
        let plain: Vec<&Response> =
            self.responses.iter().filter(|one| one.when.is_none()).collect();
        let one = plain.get(*before).or(plain.last())?;
        *before += 1;
        Some(&one.said)
    }
}

impl Response {
    fn read(given: &Json) -> Result<Response, String> {
        let is_written = given.as_object().is_some_and(|members| {
            (members.contains_key("response") || members.contains_key("error"))
                && members.keys().all(|key| ["when", "response", "error"].contains(&key.as_str()))
        });
        if !is_written {
            return Ok(Response { when: None, said: Said::Result(text(given)) });
        }
        let written = members::<Written>(given)?;
        let said = match (&written.response, written.error) {
            (Some(response), None) => Said::Result(text(response)),
            (None, Some(error)) => Said::Error(error),
            _ => return Err("give either `response` or `error`".to_owned()),
        };
        let when = written.when.as_ref().map(Matcher::read).transpose();
        Ok(Response { when: when.map_err(|why| format!("when: {why}"))?, said })
    }
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_answer_first_and_the_last_plain_response_stays() {
        let tool = Simulated::read(&json!({"responses": [
            {"when": {"id": "A-1"}, "response": {"status": "open"}},
            {"when": {"id": {"matches": "^X"}}, "error": "no such order"},
            "first", {"second": true},
        ]}))
        .unwrap();
        let mut before = 0;
        let mut said = |id: &str| tool.answer(&json!({ "id": id }), &mut before).cloned().unwrap();
        assert_eq!(said("A-1"), Said::Result("{\"status\":\"open\"}".to_owned()));
        assert_eq!(said("X9"), Said::Error("no such order".to_owned()));
        assert_eq!(said("B"), Said::Result("first".to_owned()));
        assert_eq!(said("B"), Said::Result("{\"second\":true}".to_owned()));
        assert_eq!(said("B"), Said::Result("{\"second\":true}".to_owned()));
        let strict = Simulated::of(&json!([{"when": {"id": 1}, "response": 2}])).unwrap();
        assert_eq!(strict.answer(&json!({"id": 3}), &mut 0), None);
    }
}
