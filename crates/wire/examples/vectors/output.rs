//! Output vectors: the result is encoded, and a client must read in it what it reads in the
//! case's own response: the same status and headers, and a body that means the same.

use serde_json::Value as Json;
use wire::decode;
use wire::encode::{self, Encoded};
use wire::fault::Fault;
use wire::model::{Kind, Protocol, ShapeId};
use wire::value::Value;

use crate::values::{from_vector, same};
use crate::{Case, Verdict, xml};

/// Query answers are compared as XML, where another way to write the same time is another text.
const OFFSETS: [&str; 2] =
    ["AwsQueryDateTimeWithNegativeOffset", "AwsQueryDateTimeWithPositiveOffset"];

pub(crate) fn check(case: &Case<'_>) -> Verdict {
    if OFFSETS.iter().any(|id| case.json["id"] == *id) {
        return Verdict::Skipped("offsets that a client must read; a server writes UTC");
    }
    let outcome = if case.json["errorCode"].is_null() { result(case) } else { error(case) };
    match outcome {
        Ok(()) => Verdict::Passed,
        Err(Unlike::Failed(why)) => Verdict::Failed(why),
        Err(Unlike::Skipped(reason)) => Verdict::Skipped(reason),
    }
}

enum Unlike {
    Failed(String),
    Skipped(&'static str),
}

impl From<String> for Unlike {
    fn from(why: String) -> Self {
        Unlike::Failed(why)
    }
}

fn result(case: &Case<'_>) -> Result<(), Unlike> {
    let value = match case.operation.output {
        Some(output) => from_vector(case.service, output, &case.json["result"]),
        None => Value::Null,
    };
    let encoded = encode::response(case.service, case.operation, value, "id");
    compare_head(case, &encoded)?;
    match case.service.protocol {
        Protocol::Query => compare_xml(case, &encoded, case.operation.output),
        Protocol::RestJson => compare_body(case, &encoded),
    }
}

fn compare_head(case: &Case<'_>, encoded: &Encoded) -> Result<(), String> {
    let response = &case.json["response"];
    if response["status_code"] != encoded.status {
        return Err(format!("status {}, expected {}", encoded.status, response["status_code"]));
    }
    for (name, value) in response["headers"].as_object().into_iter().flatten() {
        let ours = encoded.headers.iter().find(|(n, _)| n.as_str().eq_ignore_ascii_case(name));
        let ours = ours.and_then(|(_, value)| value.to_str().ok());
        // The length is set where the body meets HTTP.
        let same = name.eq_ignore_ascii_case("content-length")
            || error_type(name, value, ours)
            || ours == value.as_str();
        if !same {
            return Err(format!("header {name} is {ours:?}, expected {value}"));
        }
    }
    Ok(())
}

/// `namespace#Code:uri` and `Code` are the same to a client.
fn error_type(name: &str, value: &Json, ours: Option<&str>) -> bool {
    let value = value.as_str().unwrap_or_default();
    let code = value.split(':').next().and_then(|v| v.rsplit('#').next());
    name.eq_ignore_ascii_case("x-amzn-errortype") && code == ours
}

fn compare_body(case: &Case<'_>, encoded: &Encoded) -> Result<(), Unlike> {
    let expected = case.json["response"]["body"].as_str().unwrap_or_default();
    let Some(output) = case.operation.output else {
        return if encoded.body.is_empty() {
            Ok(())
        } else {
            Err(Unlike::Failed("a body without output shape".into()))
        };
    };
    let Kind::Structure(structure) = &case.service.shape(output).kind else {
        return Err(Unlike::Failed("the output is no structure".into()));
    };
    let payload = structure.payload.map(|index| structure.members[usize::from(index)].shape);
    let raw = payload.map(|shape| &case.service.shape(shape).kind);
    if matches!(raw, Some(Kind::Blob { .. } | Kind::String { .. })) {
        return same_bytes(&encoded.body, expected.as_bytes());
    }
    compare_json(case, payload.unwrap_or(output), &encoded.body, expected)
}

fn same_bytes(ours: &[u8], expected: &[u8]) -> Result<(), Unlike> {
    if ours == expected {
        return Ok(());
    }
    let ours = String::from_utf8_lossy(ours);
    Err(Unlike::Failed(format!("body {ours}, expected {}", String::from_utf8_lossy(expected))))
}

/// Reads both bodies with the shape; an absent body reads as an empty structure.
fn compare_json(
    case: &Case<'_>,
    shape: ShapeId,
    ours: &[u8],
    expected: &str,
) -> Result<(), Unlike> {
    let read = |body: &[u8]| {
        let body = if body.is_empty() { b"{}" } else { body };
        decode::json_text(case.service, shape, body).map_err(|fault| fault.to_string())
    };
    let (ours, expected) = (read(ours)?, read(expected.as_bytes())?);
    if same(&ours, &expected) {
        return Ok(());
    }
    Err(Unlike::Failed(format!("body {ours:?}, expected {expected:?}")))
}

fn compare_xml(case: &Case<'_>, encoded: &Encoded, shape: Option<ShapeId>) -> Result<(), Unlike> {
    let response = &case.json["response"];
    let ours = std::str::from_utf8(&encoded.body).map_err(|e| e.to_string())?;
    let Some(expected) = response["body"].as_str() else {
        let ours = xml::parse(ours)?;
        let empty = shape.is_none() || ours.children.iter().all(|c| c.children.is_empty());
        let only_metadata = ours.children.iter().all(|c| c.name == "ResponseMetadata");
        return if empty || only_metadata {
            Ok(())
        } else {
            Err(Unlike::Failed(format!("{ours:?} where nothing is expected")))
        };
    };
    let (ours, expected) = (xml::parse(ours)?, xml::parse(expected)?);
    if xml::same(&ours, &expected) {
        return Ok(());
    }
    Err(Unlike::Failed(format!("{ours:?}, expected {expected:?}")))
}

fn error(case: &Case<'_>) -> Result<(), Unlike> {
    let code = case.json["errorCode"].as_str().unwrap_or_default();
    let message = case.json["errorMessage"].as_str().unwrap_or_default();
    let shape = case.operation.errors.iter().copied().find(|id| {
        let shape = case.service.shape(*id);
        let Kind::Structure(structure) = &shape.kind else { return false };
        shape.name == code || structure.error.as_ref().is_some_and(|e| e.code == code)
    });
    let status = case.json["response"]["status_code"].as_u64().unwrap_or_default() as u16;
    let mut fault = Fault::new(code.to_owned(), status, message);
    if let Some(Value::Map(members)) =
        shape.map(|id| from_vector(case.service, id, &case.json["error"]))
    {
        for (name, value) in members {
            if !name.eq_ignore_ascii_case("message") {
                fault = fault.with(&name, value);
            }
        }
    }
    let encoded = encode::fault(Some(case.service), Some(case.operation), &fault, "id");
    compare_head(case, &encoded)?;
    if case.service.protocol == Protocol::Query {
        return compare_xml(case, &encoded, shape);
    }
    let errortype = encoded.headers.iter().find(|(name, _)| name == "x-amzn-errortype");
    if errortype.is_none_or(|(_, value)| value != code) {
        return Err(Unlike::Failed(format!("error type {errortype:?}, expected {code}")));
    }
    let expected = case.json["response"]["body"].as_str().unwrap_or_default();
    match shape {
        Some(shape) => compare_json(case, shape, &encoded.body, expected),
        None => Err(Unlike::Skipped("the exception has no shape in the case's model")),
    }
}
