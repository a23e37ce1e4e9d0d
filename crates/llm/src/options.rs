//! Options of a call, read for the providers: the shape of the answer, tier and latency.
//!
//! An option that a provider has no word for is refused by its name in Converse: who asks for a
//! schema or a tier relies on it.

use serde_json::{Value as Json, json};
use wire::converse::{Call, Options, ToolChoice};

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

/// One tool at a time, where tools are on offer at all.
pub(crate) fn one_tool_use(call: &Call) -> bool {
    call.options.one_tool_use && !call.tools.is_empty()
}

/// Claude's `tool_choice`; to choose freely, and several at once, is what it does unasked.
pub(crate) fn claude_choice(call: &Call) -> Option<Json> {
    let mut choice = match &call.tool_choice {
        ToolChoice::Auto if !one_tool_use(call) => return None,
        ToolChoice::Auto => json!({ "type": "auto" }),
        ToolChoice::Any => json!({ "type": "any" }),
        ToolChoice::Tool(name) => json!({ "type": "tool", "name": name }),
    };
    if one_tool_use(call) {
        choice["disable_parallel_tool_use"] = json!(true);
    }
    Some(choice)
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
