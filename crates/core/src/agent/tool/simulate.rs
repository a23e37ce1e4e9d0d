//! What a tool could answer, for a run in which it is not called: an instance of the schema that its
//! OpenAPI document gives for success, in the envelope that [`super::read_response`] reads.

use serde_json::{Map, Value as Json, json};

use super::{Target, Tool, yaml};
use crate::agent::config::Schema;

/// How deep an instance goes; what lies deeper is left out.
const DEEPEST: u32 = 12;

/// The answer of a tool with this text as its body.
pub fn envelope(tool: &Tool, body: &str) -> Json {
    let response = match &tool.target {
        Target::Mcp { .. } => return json!({ "content": [{ "type": "text", "text": body }] }),
        Target::Function { name, .. } => json!({
            "actionGroup": tool.group,
            "function": name,
            "functionResponse": { "responseBody": { "TEXT": { "body": body } } },
        }),
        Target::Api(operation) => json!({
            "actionGroup": tool.group,
            "apiPath": operation.path,
            "httpMethod": operation.verb.to_uppercase(),
            "httpStatusCode": 200,
            "responseBody": { "application/json": { "body": body } },
        }),
    };
    json!({ "messageVersion": "1.0", "response": response })
}

/// A body that fits what the tool's schema says of its answers; `None` where it says nothing.
pub fn instance_of(tool: &Tool, schema: &Schema) -> Option<String> {
    let (Target::Api(operation), Schema::OpenApi(text)) = (&tool.target, schema) else {
        return None;
    };
    let document = yaml::read(text).ok()?;
    let responses = &document["paths"][&operation.path][&operation.verb]["responses"];
    let of_success = |(status, _): &(&String, &Json)| status.starts_with('2');
    let success = responses.as_object()?.iter().find(of_success).map(|(_, response)| response);
    let response = success.or_else(|| responses.get("default"))?;
    let response = Instances { document: &document }.followed(response);
    let content = response["content"].as_object()?;
    let media = content.get("application/json").or_else(|| content.values().next())?;
    let instances = Instances { document: &document };
    let example = media.get("example").cloned();
    let instance = example.or_else(|| instances.of(media.get("schema")?, 0))?;
    Some(match instance {
        Json::String(text) => text,
        other => other.to_string(),
    })
}

struct Instances<'a> {
    document: &'a Json,
}

impl<'a> Instances<'a> {
    /// What a reference within the document leads to.
    fn followed(&self, mut schema: &'a Json) -> &'a Json {
        for _ in 0..DEEPEST {
            let pointer = schema["$ref"].as_str().and_then(|at| at.strip_prefix('#'));
            match pointer.and_then(|pointer| self.document.pointer(pointer)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn of(&self, schema: &'a Json, depth: u32) -> Option<Json> {
        let schema = self.followed(schema);
        if depth > DEEPEST {
            return None;
        }
        let given = ["const", "example", "default"].iter().find_map(|name| schema.get(*name));
        let given = given.or_else(|| schema["enum"].get(0)).or_else(|| schema["examples"].get(0));
        if let Some(given) = given {
            return Some(given.clone());
        }
        if let Some(all) = schema["allOf"].as_array() {
            return self.of_all(all, schema, depth);
        }
        let choice = ["oneOf", "anyOf"].iter().find_map(|name| schema[*name].get(0));
        if let Some(choice) = choice {
            return self.of(choice, depth + 1);
        }
        Some(match kind(schema) {
            "object" => Json::Object(self.members(schema, depth)),
            "array" => self.items(schema, depth),
            "integer" | "number" => number(schema),
            "boolean" => json!(true),
            "null" => Json::Null,
            _ => json!(text(schema)),
        })
    }

    fn of_all(&self, all: &'a [Json], schema: &'a Json, depth: u32) -> Option<Json> {
        let mut members = self.members(schema, depth);
        for part in all {
            if let Some(Json::Object(more)) = self.of(part, depth + 1) {
                members.extend(more);
            }
        }
        Some(Json::Object(members))
    }

    fn members(&self, schema: &'a Json, depth: u32) -> Map<String, Json> {
        let members = schema["properties"].as_object().into_iter().flatten();
        let instances = members.map(|(name, of)| (name.clone(), self.of(of, depth + 1)));
        instances.filter_map(|(name, instance)| Some((name, instance?))).collect()
    }

    fn items(&self, schema: &'a Json, depth: u32) -> Json {
        let least = schema["minItems"].as_u64().unwrap_or(1).clamp(0, 10);
        let one = schema.get("items").and_then(|items| self.of(items, depth + 1));
        Json::Array((0..least).filter_map(|_| one.clone()).collect())
    }
}

/// OpenAPI 3.1 names several kinds where null is one.
fn kind(schema: &Json) -> &str {
    let several = schema["type"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let named =
        schema["type"].as_str().or_else(|| several.into_iter().find(|kind| *kind != "null"));
    named.unwrap_or(if schema["properties"].is_object() { "object" } else { "string" })
}

fn number(schema: &Json) -> Json {
    let bound = |name: &str| schema.get(name).filter(|bound| bound.is_number()).cloned();
    let zero_fits = schema["maximum"].as_f64().is_none_or(|most| most >= 0.0);
    let above = schema["exclusiveMinimum"].as_f64().map(|least| json!(least.floor() as i64 + 1));
    bound("minimum").or(above).unwrap_or_else(|| match zero_fits {
        true => json!(0),
        false => schema["maximum"].clone(),
    })
}

fn text(schema: &Json) -> String {
    let text = match schema["format"].as_str() {
        Some("date") => "2026-01-01",
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        Some("email") => "somebody@example.com",
        Some("uri" | "url") => "https://example.com/",
        _ => "simulated",
    };
    let length = |name: &str| schema[name].as_u64().and_then(|most| usize::try_from(most).ok());
    let text: String = text.chars().take(length("maxLength").unwrap_or(usize::MAX)).collect();
    let least = length("minLength").unwrap_or(0).min(1_000);
    format!("{text:.<least$}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::agent::config::{ActionGroup, Executor};
    use crate::agent::tool::{Response, compile, read_response};

    const DOCUMENT: &str = r##"
openapi: 3.0.0
info: {title: shop, version: "1"}
paths:
  /refunds:
    post:
      operationId: refund
      description: refunds
      responses:
        "400": {description: no}
        "201": {$ref: "#/components/responses/Done"}
components:
  responses:
    Done:
      description: done
      content:
        application/json:
          schema: {$ref: "#/components/schemas/Refund"}
  schemas:
    Refund:
      allOf:
        - type: object
          properties: {id: {type: string, format: uuid}, state: {enum: [open, closed]}}
        - type: object
          properties:
            cents: {type: integer, minimum: 5}
            lines: {type: array, items: {type: object, properties: {name: {type: string}}}}
            parent: {$ref: "#/components/schemas/Refund"}
"##;

    #[test]
    fn an_answer_that_is_made_up_fits_its_schema_and_is_read_as_the_tools() {
        let schema = Schema::OpenApi(DOCUMENT.to_owned());
        let group = ActionGroup {
            id: "G".to_owned(),
            name: "shop".to_owned(),
            description: None,
            executor: Executor::Lambda("f".to_owned()),
            schema: schema.clone(),
        };
        let tools = compile(std::slice::from_ref(&group)).unwrap();
        let body = instance_of(&tools[0], &schema).unwrap();
        let mut parsed: Json = serde_json::from_str(&body).unwrap();
        assert!(parsed["parent"]["parent"]["id"].is_string(), "a circle is cut somewhere: {body}");
        parsed["parent"] = Json::Null;
        expect![[r#"{"cents":5,"id":"00000000-0000-4000-8000-000000000000","lines":[{"name":"simulated"}],"parent":null,"state":"open"}"#]]
            .assert_eq(&parsed.to_string());
        let payload = envelope(&tools[0], &body).to_string();
        let Ok(Response::Answer(answer)) = read_response(&tools[0], payload.as_bytes(), 1 << 20)
        else {
            panic!("{payload} is read as an answer");
        };
        assert_eq!(answer.body, body);
    }
}
