//! The headers of a native request: what they ask for beside the body.

use std::collections::BTreeMap;

use wire::bedrock_runtime::types::{PerformanceConfigLatency, ServiceTierType};
use wire::converse::Options;
use wire::fault::Fault;

use crate::bedrock_agent::feature::refused;

/// What InvokeModel and InvokeModelWithResponseStream have in common.
pub(super) struct Settings {
    pub(super) content_type: Option<String>,
    pub(super) accept: Option<String>,
    pub(super) guardrail: Option<String>,
    pub(super) latency: Option<PerformanceConfigLatency>,
    pub(super) tier: Option<ServiceTierType>,
    pub(super) metadata: Option<String>,
}

/// Takes either request's members.
macro_rules! settings {
    ($input:ident) => {
        $crate::bedrock_runtime::invoke::settings::Settings {
            content_type: $input.content_type,
            accept: $input.accept,
            guardrail: $input.guardrail_identifier,
            latency: $input.performance_config_latency,
            tier: $input.service_tier,
            metadata: $input.request_metadata,
        }
    };
}
pub(super) use settings;

impl Settings {
    pub(super) fn options(&self) -> Result<Options, Fault> {
        if let Some(id) = &self.guardrail {
            return Err(refused("guardrailIdentifier", id, "guardrails of models"));
        }
        // SDKs send a blob without a type as a stream of octets.
        let named = self.content_type.as_deref().filter(|name| !name.contains("octet-stream"));
        json("contentType", named)?;
        json("accept", self.accept.as_deref())?;
        let tier = self.tier.filter(|tier| *tier != ServiceTierType::Default);
        let latency = self.latency.filter(|l| *l != PerformanceConfigLatency::Standard);
        Ok(Options {
            service_tier: tier.map(|tier| tier.as_str().to_owned()),
            latency: latency.map(|latency| latency.as_str().to_owned()),
            metadata: self.metadata.as_deref().map_or(Ok(BTreeMap::new()), metadata)?,
            ..Options::default()
        })
    }
}

/// Every family speaks JSON and nothing else.
fn json(member: &str, named: Option<&str>) -> Result<(), Fault> {
    match named {
        Some(name) if !name.contains("json") && !name.contains('*') => Err(Fault::validation(
            format!("Value '{name}' at '{member}' is not supported: it is application/json"),
        )),
        _ => Ok(()),
    }
}

/// Characters of a name or a value of the metadata.
const METADATA_CHARS: usize = 256;

fn metadata(text: &str) -> Result<BTreeMap<String, String>, Fault> {
    let said: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| {
        let text = "requestMetadata must be a JSON object whose values are strings";
        Fault::validation(text).because(error)
    })?;
    // AWS: the names and values of Converse's member (API model, `RequestMetadata`).
    let long = said
        .iter()
        .find(|(name, value)| name.chars().count().max(value.chars().count()) > METADATA_CHARS);
    match long {
        Some((name, _)) => {
            let name: String = name.chars().take(METADATA_CHARS).collect();
            Err(Fault::validation(format!(
                "requestMetadata: {name} and its value may have {METADATA_CHARS} characters each"
            )))
        }
        None => Ok(said),
    }
}
