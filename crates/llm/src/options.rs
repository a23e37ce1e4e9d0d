//! Options of a call, read for the providers: the shape of the answer, tier and latency.
//!
//! An option that a provider has no word for is refused by its name in Converse: who asks for a
//! schema or a tier relies on it.

use serde_json::Value as Json;
use wire::converse::{Call, Options};

/// `outputConfig.textFormat`.
#[derive(Debug)]
pub(crate) struct Schema<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) schema: Json,
}

/// The schema that the answer has to fit.
pub(crate) fn schema(options: &Options) -> Result<Option<Schema<'_>>, String> {
    let Some(format) = options.output.as_ref().and_then(|output| output.get("textFormat")) else {
        return Ok(None);
    };
    let given = &format["structure"]["jsonSchema"];
    // AWS: the schema comes as text (API reference, `JsonSchemaDefinition`).
    let schema = given["schema"].as_str().and_then(|text| serde_json::from_str(text).ok());
    let schema = schema.ok_or("outputConfig.textFormat: its jsonSchema.schema is no JSON")?;
    let name = given["name"].as_str().unwrap_or("answer");
    Ok(Some(Schema { name, description: given["description"].as_str(), schema }))
}

pub(crate) fn effort(options: &Options) -> Option<&str> {
    options.output.as_ref()?.get("effort")?.as_str()
}

/// The provider's word for the tier, out of `words`; `default` needs none.
pub(crate) fn tier<'a>(
    options: &Options,
    words: &[(&str, &'a str)],
) -> Result<Option<&'a str>, String> {
    let Some(tier) = options.service_tier.as_deref() else { return Ok(None) };
    match words.iter().find(|(name, _)| *name == tier) {
        Some((_, word)) => Ok(Some(word)),
        None if tier == "default" => Ok(None),
        None => Err(format!("serviceTier: it has no tier {tier:?}")),
    }
}

/// No server but Bedrock has classes of latency.
pub(crate) fn check_latency(options: &Options) -> Result<(), String> {
    match options.latency.as_deref() {
        None | Some("standard") => Ok(()),
        Some(other) => Err(format!("performanceConfig.latency: it knows no {other:?}")),
    }
}

/// The members of `additionalModelRequestFields`, none of which may replace the call itself.
pub(crate) fn additional<'a>(
    call: &'a Call,
    ours: &[&str],
) -> Result<impl Iterator<Item = (&'a String, &'a Json)> + use<'a>, String> {
    let members = match &call.additional {
        Json::Null => None,
        Json::Object(members) => Some(members),
        _ => return Err("additionalModelRequestFields must be an object".to_owned()),
    };
    let taken = ours.iter().find(|ours| members.is_some_and(|given| given.contains_key(**ours)));
    match taken {
        Some(member) => Err(format!("additionalModelRequestFields cannot set {member:?}")),
        None => Ok(members.into_iter().flatten()),
    }
}
