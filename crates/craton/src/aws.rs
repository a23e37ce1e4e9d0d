//! AWS's operations as a client calls them: request and answer as JSON, the rest by the tables.
//!
//! Method, path and query come from the same tables by which the server routes, so no verb writes
//! a path by hand, and a request can be checked before it is sent. It serves the REST-JSON
//! services, and of the query protocol (IAM, STS) what has flat members.

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::events::Event;
use serde_json::{Map, Value as Json, json};
use wire::model::{self, Kind, Location, Operation, Protocol, Service, ShapeId};

use crate::client::{self, Client};
use crate::stream::Failure;

/// The service of agents, by botocore's name.
pub(crate) const AGENT: &str = "bedrock-agent";
/// AWS: `maxResults` is at most 1000 (API reference, ListAgents).
const PAGE: usize = 1000;
/// Pages of one list. AWS's quotas end long before; a server that pages for ever is broken.
const PAGES: usize = 1000;
/// RFC 3986's unreserved characters stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Failure {
    /// The thing that was asked for is not there.
    pub(crate) fn is_missing(&self) -> bool {
        let missing = ["ResourceNotFoundException", "NoSuchEntity"];
        matches!(self, Failure::Refused { code, .. } if missing.contains(&code.as_str()))
    }
}

/// A served operation, by botocore's name of the service and AWS's name of the operation.
fn operation(service: &str, name: &str) -> (&'static Service, &'static Operation) {
    let service = model::service(service).expect("callers name services of the tables");
    (service, service.operation(name).expect("callers name operations of the tables"))
}

/// What AWS's model says against a request, in AWS's words.
pub(crate) fn check(service: &str, name: &str, input: &Json) -> Result<(), String> {
    let (service, operation) = operation(service, name);
    let Some(shape) = operation.input else { return Ok(()) };
    let value = wire::decode::json_text(service, shape, input.to_string().as_bytes());
    let checked = value.and_then(|value| wire::validate::check(service, shape, &value));
    checked.map_err(|fault| fault.message().to_owned())
}

/// The first member of a request's body that AWS's model does not have, by its path, with those that it
/// has there. Servers pass over such members, so only a person who wrote the request is told.
pub(crate) fn unknown_member(service: &str, name: &str, input: &Json) -> Option<String> {
    let (service, operation) = operation(service, name);
    unknown_in(service, operation.input?, input, "")
}

fn unknown_in(service: &Service, shape: ShapeId, value: &Json, at: &str) -> Option<String> {
    match (&service.shape(shape).kind, value) {
        (Kind::Structure(structure), Json::Object(given)) => {
            let body = || structure.members.iter().filter(|one| one.location == Location::Body);
            given.iter().find_map(|(name, value)| {
                let at = format!("{at}.{name}");
                match body().find(|one| one.wire_name == name) {
                    Some(member) => unknown_in(service, member.shape, value, &at),
                    None => {
                        let known: Vec<&str> = body().map(|one| one.wire_name).collect();
                        Some(format!("{at} is no member; those are {}", known.join(", ")))
                    }
                }
            })
        }
        (Kind::List { item, .. }, Json::Array(items)) => items
            .iter()
            .enumerate()
            .find_map(|(n, value)| unknown_in(service, *item, value, &format!("{at}[{n}]"))),
        (Kind::Map { value: shape, .. }, Json::Object(given)) => given
            .iter()
            .find_map(|(name, value)| unknown_in(service, *shape, value, &format!("{at}.{name}"))),
        _ => None,
    }
}

impl Client {
    /// Calls an operation. `input` has the members by their names on the wire.
    pub(crate) async fn call(
        &self,
        service: &str,
        name: &str,
        input: Json,
    ) -> Result<Json, Failure> {
        let (service, operation) = operation(service, name);
        let request = match service.protocol {
            Protocol::RestJson => rest(self.endpoint(), service, operation, input),
            Protocol::Query => form(self.endpoint(), service, operation, &input),
        };
        let request = request.map_err(Failure::Broken)?;
        let (head, body) = self.whole(service.signing, request).await?;
        let answer = match service.protocol {
            Protocol::RestJson => client::json(&body),
            Protocol::Query => leaves(&body),
        };
        self.read(&head, answer)
    }

    /// All pages of a list of Bedrock's agents: what is in `member` of each.
    pub(crate) async fn list(
        &self,
        name: &str,
        mut input: Json,
        member: &str,
    ) -> Result<Vec<Json>, Failure> {
        let mut found = Vec::new();
        input["maxResults"] = json!(PAGE);
        for _ in 0..PAGES {
            let mut page = self.call(AGENT, name, input.clone()).await?;
            if let Json::Array(items) = page[member].take() {
                found.extend(items);
            }
            match page["nextToken"].take() {
                Json::Null => return Ok(found),
                token => input["nextToken"] = token,
            }
        }
        Err(Failure::Broken(format!(
            "{name} has more than {PAGES} pages; the server is broken (CR0020)"
        )))
    }
}

impl Client {
    /// All pages of a list of IAM's: the texts of the elements of that name.
    pub(crate) async fn texts(
        &self,
        name: &str,
        mut input: Json,
        element: &str,
    ) -> Result<Vec<String>, Failure> {
        let (service, operation) = operation("iam", name);
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let request = form(self.endpoint(), service, operation, &input);
            let request = request.map_err(Failure::Broken)?;
            let (head, body) = self.whole(service.signing, request).await?;
            let page = self.read(&head, leaves(&body))?;
            found.extend(named(&body, element));
            match page["Marker"].as_str() {
                Some(marker) => input["Marker"] = json!(marker),
                None => return Ok(found),
            }
        }
        Err(Failure::Broken(format!(
            "{name} has more than {PAGES} pages; the server is broken (CR0020)"
        )))
    }
}

/// Members go to the path, the query or the body, as the model binds them.
fn rest(
    endpoint: &str,
    service: &'static Service,
    operation: &'static Operation,
    input: Json,
) -> Result<Request<Bytes>, String> {
    let Json::Object(mut body) = input else { return Err("a request is an object".to_owned()) };
    let mut path = operation.path.to_owned();
    let mut query: Vec<String> = vec![];
    query.extend((!operation.query.is_empty()).then(|| operation.query.to_owned()));
    let shape = operation.input.map(|input| service.shape(input).kind);
    let Some(Kind::Structure(structure)) = shape else {
        return Err(format!("{} has no input in the tables", operation.name));
    };
    for member in structure.members {
        let name = member.wire_name;
        match member.location {
            Location::Label => {
                let value = text(&body.remove(name).unwrap_or_default());
                path = path.replace(&format!("{{{name}}}"), &encoded(&value));
            }
            Location::Query => {
                let values = match body.remove(name) {
                    None => vec![],
                    Some(Json::Array(values)) => values,
                    Some(value) => vec![value],
                };
                query.extend(values.iter().map(|v| format!("{name}={}", encoded(&text(v)))));
            }
            Location::Body => {}
            other => return Err(format!("{name} travels as {other:?}, which no verb needs yet")),
        }
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let has_body = structure.members.iter().any(|m| matches!(m.location, Location::Body));
    let body = match has_body {
        true => Bytes::from(Json::Object(body).to_string()),
        false => Bytes::new(),
    };
    let request = Request::builder()
        .method(operation.method)
        .uri(format!("{endpoint}{path}{query}"))
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json");
    request.body(body).map_err(|e| format!("{endpoint} is no URL: {e} (CR0022)"))
}

fn form(
    endpoint: &str,
    service: &'static Service,
    operation: &'static Operation,
    input: &Json,
) -> Result<Request<Bytes>, String> {
    let mut form = format!("Action={}&Version={}", operation.name, service.api_version);
    for (name, value) in input.as_object().into_iter().flatten() {
        form.push_str(&format!("&{name}={}", encoded(&text(value))));
    }
    let request = Request::builder()
        .method("POST")
        .uri(format!("{endpoint}/"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(Bytes::from(form)).map_err(|e| format!("{endpoint} is no URL: {e} (CR0022)"))
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The texts of an XML document by the names of their elements; of equal names the first.
fn leaves(xml: &[u8]) -> Option<Json> {
    let mut found = Map::new();
    for (name, said) in texts(xml)? {
        found.entry(name).or_insert(json!(said));
    }
    (!found.is_empty()).then_some(Json::Object(found))
}

/// All texts of the elements of one name, in order.
fn named(xml: &[u8], element: &str) -> Vec<String> {
    let all = texts(xml).unwrap_or_default().into_iter();
    all.filter(|(name, _)| name == element).map(|(_, said)| said).collect()
}

/// Each element that holds text and no others, with its text.
fn texts(xml: &[u8]) -> Option<Vec<(String, String)>> {
    let mut reader = quick_xml::Reader::from_reader(xml);
    let mut found = Vec::new();
    let (mut name, mut said) = (String::new(), String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                element.local_name().as_ref().clone_into(&mut name);
                said.clear();
            }
            Event::Text(text) => said.push_str(&text),
            Event::GeneralRef(entity) => said.push(character(&entity)?),
            Event::End(_) if !name.is_empty() => {
                found.push((std::mem::take(&mut name), std::mem::take(&mut said)));
            }
            Event::Eof => return Some(found),
            _ => {}
        }
    }
}

/// What `&name;` or `&#code;` stands for.
fn character(entity: &str) -> Option<char> {
    let code = match entity {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        other => other.strip_prefix('#')?,
    };
    let code = match code.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => code.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check_request(service: &str, name: &str, input: Json, wanted: Expect) {
        let (service, operation) = operation(service, name);
        let request = match service.protocol {
            Protocol::RestJson => rest("http://here", service, operation, input).unwrap(),
            Protocol::Query => form("http://here", service, operation, &input).unwrap(),
        };
        let body = String::from_utf8_lossy(request.body());
        wanted.assert_eq(&format!("{} {} {body}", request.method(), request.uri()));
    }

    #[test]
    fn members_travel_where_the_model_says() {
        check_request(
            "bedrock-agent",
            "UpdateAgentAlias",
            json!({"agentId": "A", "agentAliasId": "B", "agentAliasName": "live"}),
            expect![[r#"PUT http://here/agents/A/agentaliases/B/ {"agentAliasName":"live"}"#]],
        );
        check_request(
            "lambda",
            "UntagResource",
            json!({"Resource": "arn:aws:lambda:r:1:function:f", "tagKeys": ["a b", "c"]}),
            expect![[
                "DELETE http://here/2017-03-31/tags/arn%3Aaws%3Alambda%3Ar%3A1%3Afunction%3Af?tagKeys=a%20b&tagKeys=c "
            ]],
        );
        check_request(
            "iam",
            "GetRole",
            json!({"RoleName": "a+b"}),
            expect!["POST http://here/ Action=GetRole&Version=2010-05-08&RoleName=a%2Bb"],
        );
    }

    #[test]
    fn what_the_model_forbids_is_said_before_anything_is_sent() {
        let input = json!({"RoleName": "no spaces here", "AssumeRolePolicyDocument": "{}"});
        assert!(check("iam", "CreateRole", &input).unwrap_err().contains("'roleName'"));
        assert_eq!(check("iam", "GetRole", &json!({"RoleName": "fine"})), Ok(()));
    }

    #[test]
    fn a_member_that_aws_does_not_know_is_named_by_its_path() {
        let check =
            |input: Json| unknown_member("bedrock-agent-runtime", "InvokeInlineAgent", &input);
        let functions =
            json!({"functions": [{"name": "f", "parameters": {"a": {"typ": "string"}}}]});
        expect![[
            ".actionGroups[0].functionSchema.functions[0].parameters.a.typ is no member; those are description, required, type"
        ]]
        .assert_eq(&check(json!({"actionGroups": [{"functionSchema": functions}]})).unwrap());
        // It travels in the path, and is no part of what a person writes down.
        assert!(check(json!({"sessionId": "s"})).unwrap().starts_with(".sessionId is no member"));
        assert_eq!(check(json!({"instruction": "Help.", "inputText": "hi"})), None);
    }

    #[test]
    fn an_xml_answer_is_read_by_the_names_of_its_elements() {
        let xml =
            b"<R xmlns='x'><Role><Arn>arn:1</Arn><Tags/><Text>a &lt;b&#x41;</Text></Role></R>";
        let read = leaves(xml).unwrap();
        assert_eq!(read, json!({"Arn": "arn:1", "Text": "a <bA"}));
        assert_eq!(leaves(b"not xml"), None);
        let xml = b"<R><Names><member>a</member><member>b</member></Names><Marker>m</Marker></R>";
        assert_eq!(named(xml, "member"), ["a", "b"]);
    }
}
