//! Input vectors: the request is routed and decoded, and must mean the case's parameters.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value as Json;
use wire::decode::{self, RequestParts};
use wire::model::{Kind, Location, Protocol, ShapeId};
use wire::value::{Map, Value};

use crate::values::{drop_tokens, from_vector, same, without_unsayable};
use crate::{Case, Verdict};

pub(crate) fn check(case: &Case<'_>) -> Verdict {
    if let Some(reason) = client_only(case) {
        return Verdict::Skipped(reason);
    }
    let decoded = match decode(case) {
        Ok(decoded) => decoded,
        Err(why) => return Verdict::Failed(why),
    };
    let Some(input) = case.operation.input else { return Verdict::Passed };
    let expected = from_vector(case.service, input, &case.json["params"]);
    let expected = without_unsayable(case.service, input, expected);
    let Value::Map(mut decoded) = without_unsayable(case.service, input, decoded) else {
        return Verdict::Failed("the input is no structure".into());
    };
    if let Value::Map(params) = &expected {
        drop_tokens(case.service, input, &mut decoded, params);
        fill_query_map(case, input, &mut decoded, params);
    }
    let decoded = Value::Map(decoded);
    if same(&decoded, &expected) {
        return Verdict::Passed;
    }
    Verdict::Failed(format!("decoded {decoded:?}, expected {expected:?}"))
}

fn client_only(case: &Case<'_>) -> Option<&'static str> {
    let serialized = &case.json["serialized"];
    if serialized["headers"]["Content-Encoding"].is_string() && serialized["body"].is_null() {
        return Some("request compression: the case has no body to read");
    }
    if case.json["id"] == "RestJsonQueryPrecedence" {
        return Some("which of two parameters a client sends when its caller gives both");
    }
    let path = serialized["uri"].as_str().unwrap_or_default();
    let own = serialized["host"].as_str().is_some_and(|host| host.contains('/'));
    if own && path.starts_with("/custom") {
        return Some("a path inside of the client's own endpoint");
    }
    None
}

fn decode(case: &Case<'_>) -> Result<Value, String> {
    let serialized = &case.json["serialized"];
    let uri = serialized["uri"].as_str().unwrap_or("/");
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let path_labels = match case.service.protocol {
        Protocol::Query => Default::default(),
        Protocol::RestJson => {
            let method = serialized["method"].as_str().unwrap_or("POST");
            let found = wire::route::find(case.service, method, uri);
            found.ok_or_else(|| format!("no route for {method} {uri}"))?.1
        }
    };
    let body = Bytes::from(serialized["body"].as_str().unwrap_or_default().to_owned());
    let headers = headers(&serialized["headers"]);
    let parts = RequestParts { path_labels, query, headers: &headers, body: &body };
    decode::decode(case.service, case.operation, &parts).map_err(|fault| fault.to_string())
}

fn headers(json: &Json) -> HeaderMap {
    let pairs = json.as_object().into_iter().flatten().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
    });
    pairs.collect()
}

/// A server's map of all query parameters also holds those bound to members; a client's caller
/// need not say them twice. What the client did say must be there.
fn fill_query_map(case: &Case<'_>, input: ShapeId, decoded: &mut Map, params: &Map) {
    let Kind::Structure(structure) = &case.service.shape(input).kind else { return };
    let bound = |key: &str| {
        let mut members = structure.members.iter();
        members.any(|m| m.location == Location::Query && m.wire_name == key)
    };
    for member in structure.members.iter().filter(|m| m.location == Location::QueryMap) {
        let said = match params.get(member.name) {
            Some(Value::Map(said)) => said.clone(),
            _ => Map::new(),
        };
        if let Some(Value::Map(all)) = decoded.get_mut(member.name) {
            all.retain(|key, _| said.contains_key(key) || !bound(key));
            if all.is_empty() {
                decoded.remove(member.name);
            }
        }
    }
}
