//! How often `craton.rules` does what people ask for: 156 requests over 30 tools, scored.
//!
//! A request runs as a whole turn: tools answer as `corpus/tools.yaml` says until the model ends it, and
//! all calls of the turn count. The odd requests of `corpus/requests.yaml` are for development: what fails
//! of them is printed. The even ones are held out: only their figures are. `-- --nocapture` shows both.

use std::collections::BTreeMap;

use llm::Models;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use wire::converse::{Block, Call, Message, Reply};

use crate::suite;

/// At least so many of a half are right: as measured, less a margin for changes that trade one for another.
const FLOOR: [usize; 2] = [65, 53];
/// No turn of the corpus needs as many steps; one that does goes in circles.
const MAX_STEPS: usize = 8;

#[derive(Deserialize)]
struct ToolSpec {
    says: String,
    takes: Json,
    needs: Json,
    answers: Json,
}

type Domains = BTreeMap<String, BTreeMap<String, ToolSpec>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    kind: String,
    tools: String,
    say: String,
    today: Option<String>,
    #[serde(default)]
    before: Vec<Past>,
    #[serde(default)]
    answers: BTreeMap<String, Json>,
    want: Option<Vec<Map<String, Json>>>,
    ask: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Past {
    User(String),
    Assistant(String),
    Call(Map<String, Json>),
}

/// What a turn came to: its calls in order, and what was said last.
#[derive(Debug)]
struct Turn {
    calls: Vec<(String, Json)>,
    said: String,
}

#[tokio::test]
async fn the_rules_do_what_people_ask_for_as_often_as_measured() {
    let domains: Domains = serde_yaml_ng::from_str(include_str!("corpus/tools.yaml")).unwrap();
    let requests = requests();
    let models = crate::models("[[models]]\nmatch = \"*\"\nprovider = \"rules\"\n");
    let mut scores: [BTreeMap<&str, (usize, usize)>; 2] = Default::default();
    for (at, request) in requests.iter().enumerate() {
        let turn = run(&models, &domains, request).await;
        let right = right(request, &turn);
        if !right && at % 2 == 0 {
            println!("{} | {} | {}\n    {turn:?}", at + 1, request.kind, request.say);
        }
        for kind in [request.kind.as_str(), "total"] {
            let score = scores[at % 2].entry(kind).or_default();
            *score = (score.0 + usize::from(right), score.1 + 1);
        }
    }
    for (half, score) in ["development", "held out"].iter().zip(&scores) {
        println!("{half}: {}", figures(score));
    }
    for (score, floor) in scores.iter().zip(FLOOR) {
        assert!(score["total"].0 >= floor, "{score:?} is below {floor}");
    }
}

/// Through JSON: its enums are maps of one key, as the file writes them.
fn requests() -> Vec<Request> {
    let file: Json = serde_yaml_ng::from_str(include_str!("corpus/requests.yaml")).unwrap();
    serde_json::from_value(file).unwrap()
}

fn figures(score: &BTreeMap<&str, (usize, usize)>) -> String {
    let parts: Vec<_> = score.iter().map(|(kind, (n, of))| format!("{kind} {n}/{of}")).collect();
    parts.join(", ")
}

async fn run(models: &Models, domains: &Domains, request: &Request) -> Turn {
    let mut call = opening(domains, request);
    let mut turn = Turn { calls: vec![], said: String::new() };
    for _ in 0..MAX_STEPS {
        let reply = suite::once(models, &call).await.unwrap();
        turn.said = text(&reply);
        let uses = suite::tool_uses(&reply);
        if uses.is_empty() {
            return turn;
        }
        turn.calls.extend(uses.iter().map(|tool| (tool.name.clone(), tool.input.clone())));
        let results: Vec<_> = uses
            .iter()
            .map(|tool| result(&tool.tool_use_id, &answer(domains, request, &tool.name)))
            .collect();
        call.messages.push(message("assistant", json!(reply.content)));
        call.messages.push(message("user", json!(results)));
    }
    panic!("{}: goes in circles: {turn:?}", request.say);
}

fn text(reply: &Reply) -> String {
    let texts = reply.content.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn answer(domains: &Domains, request: &Request, name: &str) -> Json {
    let usual = || domains.values().find_map(|tools| tools.get(name)).map(|t| t.answers.clone());
    request.answers.get(name).cloned().or_else(usual).unwrap()
}

/// The call that starts the turn: the tools, what was said before, the request.
fn opening(domains: &Domains, request: &Request) -> Call {
    let offered =
        domains.iter().filter(|(name, _)| request.tools == "all" || **name == request.tools);
    let tools: Vec<_> = offered
        .flat_map(|(_, tools)| tools)
        .map(|(name, tool)| {
            let schema =
                json!({ "type": "object", "properties": tool.takes, "required": tool.needs });
            json!({ "name": name, "description": tool.says, "schema": schema })
        })
        .collect();
    assert!(!tools.is_empty(), "{}: no tools named {}", request.say, request.tools);
    let mut system = vec!["You help the user with the tools you have.".to_owned()];
    system.extend(request.today.iter().map(|day| format!("Today is {day}.")));
    let mut messages: Vec<Message> = request
        .before
        .iter()
        .enumerate()
        .flat_map(|(at, past)| before(domains, request, at, past))
        .collect();
    messages.push(message("user", json!([{ "text": request.say }])));
    serde_json::from_value(
        json!({ "model": "", "system": system, "messages": messages, "tools": tools }),
    )
    .unwrap()
}

fn before(domains: &Domains, request: &Request, at: usize, past: &Past) -> Vec<Message> {
    match past {
        Past::User(said) => vec![message("user", json!([{ "text": said }]))],
        Past::Assistant(said) => vec![message("assistant", json!([{ "text": said }]))],
        Past::Call(calls) => {
            let id = format!("before-{at}");
            let (name, input) = calls.iter().next().unwrap();
            let tool = json!({ "toolUse": { "toolUseId": id, "name": name, "input": input } });
            let result = result(&id, &answer(domains, request, name));
            vec![message("assistant", json!([tool])), message("user", json!([result]))]
        }
    }
}

fn message(role: &str, content: Json) -> Message {
    serde_json::from_value(json!({ "role": role, "content": content })).unwrap()
}

fn result(id: &str, answer: &Json) -> Json {
    let status = if answer.get("error").is_some() { "error" } else { "success" };
    json!({ "toolResult": { "toolUseId": id, "content": [{ "json": answer }], "status": status } })
}

fn right(request: &Request, turn: &Turn) -> bool {
    match (&request.want, &request.ask) {
        (Some(want), None) => same_calls(want, &turn.calls),
        (None, Some(names)) => turn.calls.is_empty() && asks_for_one(names, &turn.said),
        _ => panic!("{}: either `want` or `ask`", request.say),
    }
}

/// A question that names an argument in words: `order_id` as "order id".
fn asks_for_one(names: &[String], said: &str) -> bool {
    let said = said.to_lowercase();
    said.contains('?') && names.iter().any(|name| said.contains(&words(name)))
}

fn words(name: &str) -> String {
    let spaced = name.chars().flat_map(|c| {
        let gap = (c == '_' || c.is_uppercase()).then_some(' ');
        gap.into_iter().chain((c != '_').then(|| c.to_ascii_lowercase()))
    });
    spaced.collect()
}

/// Each wanted call was made, once and in whatever order, and no other.
fn same_calls(want: &[Map<String, Json>], got: &[(String, Json)]) -> bool {
    let mut left: Vec<_> = got.iter().collect();
    let all = want.iter().flatten().all(|(name, arguments)| {
        let found = left.iter().position(|(n, input)| n == name && same(arguments, input));
        found.map(|at| left.remove(at)).is_some()
    });
    all && left.is_empty()
}

fn same(want: &Json, got: &Json) -> bool {
    if let Some(any) = want.get("any").and_then(Json::as_array) {
        return any.iter().any(|want| same(want, got));
    }
    match (want, got) {
        (Json::Object(want), Json::Object(got)) => {
            let null = &Json::Null;
            want.iter().all(|(key, value)| same(value, got.get(key).unwrap_or(null)))
                && got.keys().all(|key| want.contains_key(key))
        }
        (Json::Array(want), Json::Array(got)) => {
            want.len() == got.len() && want.iter().zip(got).all(|(want, got)| same(want, got))
        }
        (Json::Number(want), Json::Number(got)) => want.as_f64() == got.as_f64(),
        (Json::String(want), Json::String(got)) => plain(want) == plain(got),
        _ => want == got,
    }
}

fn plain(text: &str) -> String {
    text.trim_matches(|c: char| c.is_whitespace() || ".!".contains(c)).to_lowercase()
}
