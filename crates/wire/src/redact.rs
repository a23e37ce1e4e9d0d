//! A value as JSON for a log or a trace of our own, with everything sensitive masked.

use serde_json::{Map as JsonMap, Value as Json};

use crate::model::{Kind, Service, Shape, ShapeId, TimeFormat};
use crate::time;
use crate::value::Value;

const MASK: &str = "***";

/// Blobs show their length only, timestamps are ISO 8601; members that the model does not know
/// are masked, since nobody said that they are not secret.
pub fn loggable(service: &'static Service, shape: ShapeId, value: &Value) -> Json {
    of(service, service.shape(shape), value)
}

fn of(service: &'static Service, shape: &'static Shape, value: &Value) -> Json {
    if shape.sensitive && *value != Value::Null {
        return MASK.into();
    }
    match (&shape.kind, value) {
        (Kind::Structure(structure), Value::Map(map)) => {
            let known = |name: &str| structure.members.iter().find(|m| m.name == name);
            let masked = map.iter().map(|(name, value)| {
                let json =
                    known(name).map_or(MASK.into(), |m| of(service, service.shape(m.shape), value));
                (name.clone(), json)
            });
            Json::Object(masked.collect())
        }
        (Kind::List { item, .. }, Value::List(items)) => {
            items.iter().map(|value| of(service, service.shape(*item), value)).collect()
        }
        (Kind::Map { key, value: each, .. }, Value::Map(map)) => {
            let secret = service.shape(*key).sensitive;
            let entries = map.iter().enumerate().map(|(index, (key, value))| {
                let key = if secret { format!("{MASK}{index}") } else { key.clone() };
                (key, of(service, service.shape(*each), value))
            });
            Json::Object(entries.collect::<JsonMap<_, _>>())
        }
        (_, Value::Blob(bytes)) => format!("{} bytes", bytes.len()).into(),
        (_, Value::Time(t)) => time::format(*t, TimeFormat::Iso8601).into(),
        (_, value) => value.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model;

    #[test]
    fn what_the_model_calls_sensitive_is_masked() {
        let service = model::service("bedrock-agent").expect("the service exists");
        let create = service.operation("CreateAgent").and_then(|op| op.input).expect("an input");
        let value = json!({"agentName": "a", "instruction": "secret words", "unknown": "x",
                           "tags": {"k": "v"}, "idleSessionTTLInSeconds": 60});
        assert_eq!(
            loggable(service, create, &Value::from(value)),
            json!({"agentName": "a", "instruction": "***", "unknown": "***",
                   "tags": {"k": "v"}, "idleSessionTTLInSeconds": 60})
        );
    }
}
