//! botocore's JSON models as tables at run time: for the protocol vectors and for tests.
//!
//! The product's tables are generated and compiled in; what is made here is leaked, so nothing
//! that serves requests calls it. Members stand in the order of their names.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::model::{
    ErrorInfo, EventPart, Kind, Location, Member, Operation, Protocol, Service, Shape, ShapeId,
    State, Structure, TimeFormat,
};

/// Makes a service of a botocore model: `metadata`, `operations`, `shapes`.
pub fn service(model: &Json) -> Result<&'static Service, String> {
    let metadata = &model["metadata"];
    let shapes = model["shapes"].as_object().ok_or("the model has no shapes")?;
    let names: Vec<&str> = shapes.keys().map(String::as_str).collect();
    let ids = names.iter().zip(0..).map(|(name, id)| (*name, ShapeId(id))).collect();
    let load = Load { shapes, ids };
    let made: Result<Vec<Shape>, String> = names.iter().map(|name| load.shape(name)).collect();
    let mut operations = Vec::new();
    for (name, operation) in model["operations"].as_object().into_iter().flatten() {
        operations.push(load.operation(name, operation)?);
    }
    operations.sort_by_key(|operation| operation.name);
    let text = |key: &str| leak(metadata[key].as_str().unwrap_or_default());
    let protocol = match text("protocol") {
        "rest-json" => Protocol::RestJson,
        "query" => Protocol::Query,
        other => return Err(format!("the protocol {other} is not spoken here")),
    };
    Ok(Box::leak(Box::new(Service {
        name: text("serviceId"),
        signing: text("signingName"),
        protocol,
        api_version: text("apiVersion"),
        namespace: text("xmlNamespace"),
        operations: leak_all(operations),
        shapes: leak_all(made?),
    })))
}

struct Load<'a> {
    shapes: &'a serde_json::Map<String, Json>,
    ids: BTreeMap<&'a str, ShapeId>,
}

impl Load<'_> {
    fn id(&self, reference: &Json) -> Result<ShapeId, String> {
        let name = reference["shape"].as_str().ok_or("a reference without shape")?;
        self.ids.get(name).copied().ok_or_else(|| format!("the shape {name} does not exist"))
    }

    fn operation(&self, name: &str, json: &Json) -> Result<Operation, String> {
        let uri = json["http"]["requestUri"].as_str().unwrap_or("/");
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let side = |key: &str| json.get(key).map(|side| self.id(side)).transpose();
        let errors = json["errors"].as_array().into_iter().flatten();
        let errors: Result<Vec<_>, _> = errors.map(|error| self.id(error)).collect();
        Ok(Operation {
            name: leak(name),
            method: leak(json["http"]["method"].as_str().unwrap_or("POST")),
            path: leak(path),
            query: leak(query),
            status: json["http"]["responseCode"].as_u64().unwrap_or(200) as u16,
            input: side("input")?,
            output: side("output")?,
            result_wrapper: leak(json["output"]["resultWrapper"].as_str().unwrap_or_default()),
            errors: leak_all(errors?),
            state: State::Served,
        })
    }

    fn shape(&self, name: &str) -> Result<Shape, String> {
        let json = &self.shapes[name];
        let kind = self.kind(name, json).map_err(|e| format!("{name}: {e}"))?;
        Ok(Shape { name: leak(name), kind, sensitive: flag(json, "sensitive") })
    }

    fn kind(&self, name: &str, json: &Json) -> Result<Kind, String> {
        let (min, max) = (json["min"].as_u64(), json["max"].as_u64());
        let (least, most) = (json["min"].as_i64(), json["max"].as_i64());
        let (low, high) = (json["min"].as_f64(), json["max"].as_f64());
        let flattened = flag(json, "flattened");
        let named = |part: &str, default: &str| {
            leak(json[part]["locationName"].as_str().unwrap_or(default))
        };
        Ok(match json["type"].as_str().unwrap_or_default() {
            "structure" if flag(json, "document") => Kind::Document,
            "structure" => Kind::Structure(self.structure(name, json)?),
            "list" => {
                let item = self.id(&json["member"])?;
                Kind::List { item, item_name: named("member", "member"), flattened, min, max }
            }
            "map" => Kind::Map {
                key: self.id(&json["key"])?,
                value: self.id(&json["value"])?,
                key_name: named("key", "key"),
                value_name: named("value", "value"),
                flattened,
                min,
                max,
            },
            "string" | "character" => {
                let values = json["enum"].as_array().into_iter().flatten();
                let values: Vec<&'static str> =
                    values.map(|v| leak(v.as_str().unwrap_or_default())).collect();
                let pattern = leak(json["pattern"].as_str().unwrap_or_default());
                Kind::String { min, max, pattern, values: leak_all(values) }
            }
            "blob" => Kind::Blob { min, max },
            "boolean" => Kind::Boolean,
            "integer" => Kind::Integer { min: least, max: most },
            "long" => Kind::Long { min: least, max: most },
            "float" => Kind::Float { min: low, max: high },
            "double" => Kind::Double { min: low, max: high },
            "timestamp" => Kind::Timestamp(time(json)?.unwrap_or(TimeFormat::Default)),
            other => return Err(format!("the type {other} is unknown")),
        })
    }

    fn structure(&self, name: &str, json: &Json) -> Result<Structure, String> {
        let empty = serde_json::Map::new();
        let members = json["members"].as_object().unwrap_or(&empty);
        let required: Vec<&str> =
            json["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let made: Result<Vec<Member>, String> = members
            .iter()
            .map(|(name, member)| self.member(name, member, required.contains(&name.as_str())))
            .collect();
        let payload = json["payload"].as_str();
        let payload = members.keys().position(|name| Some(name.as_str()) == payload);
        let status = json["error"]["httpStatusCode"].as_u64().unwrap_or(0) as u16;
        let error = (flag(json, "exception") || json.get("error").is_some()).then(|| ErrorInfo {
            code: leak(json["error"]["code"].as_str().unwrap_or(name)),
            status,
            sender: !flag(json, "fault") && (flag(&json["error"], "senderFault") || status < 500),
        });
        Ok(Structure {
            members: leak_all(made?),
            union: flag(json, "union"),
            event_stream: flag(json, "eventstream"),
            payload: payload.map(|index| index as u16),
            error,
        })
    }

    fn member(&self, name: &str, json: &Json, required: bool) -> Result<Member, String> {
        let shape = self.id(json)?;
        let target = &self.shapes[json["shape"].as_str().unwrap_or_default()];
        let location = match json["location"].as_str() {
            None => Location::Body,
            Some("header") => Location::Header,
            Some("headers") => Location::Headers,
            Some("uri") => Location::Label,
            Some("querystring") if target["type"] == "map" => Location::QueryMap,
            Some("querystring") => Location::Query,
            Some("statusCode") => Location::StatusCode,
            Some(other) => return Err(format!("the location {other} is unknown")),
        };
        let event = match (flag(json, "eventpayload"), flag(json, "eventheader")) {
            (true, _) => EventPart::Payload,
            (_, true) => EventPart::Header,
            _ => EventPart::None,
        };
        Ok(Member {
            name: leak(name),
            wire_name: leak(json["locationName"].as_str().unwrap_or(name)),
            location,
            shape,
            required,
            idempotency_token: flag(json, "idempotencyToken"),
            json_value: flag(json, "jsonvalue"),
            time: time(json)?,
            flattened: flag(json, "flattened"),
            event,
        })
    }
}

fn time(json: &Json) -> Result<Option<TimeFormat>, String> {
    Ok(match json["timestampFormat"].as_str() {
        None => None,
        Some("iso8601") => Some(TimeFormat::Iso8601),
        Some("unixTimestamp") => Some(TimeFormat::Epoch),
        Some("rfc822") => Some(TimeFormat::HttpDate),
        Some(other) => return Err(format!("the time format {other} is unknown")),
    })
}

fn flag(json: &Json, name: &str) -> bool {
    json[name].as_bool().unwrap_or(false)
}

fn leak(text: &str) -> &'static str {
    if text.is_empty() { "" } else { Box::leak(text.to_owned().into_boxed_str()) }
}

fn leak_all<T>(items: Vec<T>) -> &'static [T] {
    Box::leak(items.into_boxed_slice())
}
