//! Which models there are: the table of AWS's models and the ids that the map names, as far as the
//! map leads them somewhere.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use engine::Engine;
use wire::arn::Arn;
use wire::bedrock::types::{InferenceType, ModelModality};

/// What is known of a model besides its id.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: &'static str,
    pub(super) provider: &'static str,
    pub(super) input: Vec<ModelModality>,
    pub(super) output: Vec<ModelModality>,
    pub(super) streams: bool,
    /// None where a model is asked by an inference profile alone.
    pub(super) inference: Vec<InferenceType>,
    pub(super) geographies: Vec<&'static str>,
}

static TABLE: LazyLock<BTreeMap<&'static str, Facts>> = LazyLock::new(|| {
    let lines = include_str!("foundation_models.txt").lines();
    let mut table: BTreeMap<_, _> =
        lines.filter(|line| !line.starts_with('#')).filter_map(row).collect();
    table.insert(llm::RULES_MODEL, own());
    table
});

fn row(line: &'static str) -> Option<(&'static str, Facts)> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let &[id, name, provider, input, output, streams, inference, geographies] = &cells[..] else {
        return None;
    };
    let on_demand = (inference == "ON_DEMAND").then_some(InferenceType::OnDemand);
    let facts = Facts {
        name,
        provider,
        input: modalities(input),
        output: modalities(output),
        streams: streams == "yes",
        inference: on_demand.into_iter().collect(),
        geographies: geographies.split_whitespace().collect(),
    };
    Some((id, facts))
}

/// The embedded model that answers by rules.
fn own() -> Facts {
    Facts {
        name: llm::RULES_MODEL,
        provider: "Craton",
        input: vec![ModelModality::Text],
        output: vec![ModelModality::Text],
        streams: true,
        inference: vec![InferenceType::OnDemand],
        geographies: Vec::new(),
    }
}

fn modalities(cell: &str) -> Vec<ModelModality> {
    let modality = |word| match word {
        "TEXT" => Some(ModelModality::Text),
        "IMAGE" => Some(ModelModality::Image),
        "EMBEDDING" => Some(ModelModality::Embedding),
        _ => None,
    };
    cell.split_whitespace().filter_map(modality).collect()
}

pub(super) fn facts(id: &str) -> Option<&'static Facts> {
    TABLE.get(id)
}

/// Whether a model of the same vendor (`anthropic.`, `amazon.`) stands in the table.
pub(super) fn has_vendor(id: &str) -> bool {
    let vendor = |id: &str| id.split_once('.').map(|(vendor, _)| vendor.to_owned());
    vendor(id).is_some_and(|own| TABLE.keys().any(|id| vendor(id).as_ref() == Some(&own)))
}

/// Every model that can be named, by its own id.
pub(super) fn models(engine: &Engine) -> BTreeMap<String, Option<&'static Facts>> {
    let models = engine.models();
    let named = models.named().into_iter().filter(|id| llm::bare_id(id) == id);
    let known = TABLE.keys().map(|id| (*id).to_owned());
    let ids = named.chain(known).filter(|id| models.resolve(id).is_ok());
    ids.map(|id| (id.clone(), facts(&id))).collect()
}

/// The inference profiles of AWS's that one may ask in this region, by id, and the models behind.
// AWS: a profile is seen from the regions of its geography, a global one from all commercial regions
// (Bedrock user guide, "Supported Regions and models for inference profiles")
pub(super) fn profiles(engine: &Engine, region: &str) -> BTreeMap<String, String> {
    let mut profiles = BTreeMap::new();
    for (id, facts) in models(engine) {
        let geographies = facts.map(|facts| facts.geographies.as_slice()).unwrap_or_default();
        let seen = geographies.iter().filter(|geography| is_of(region, geography));
        let made = seen.map(|geography| (format!("{geography}.{id}"), id.clone()));
        profiles.extend(made.filter(|(profile, _)| engine.models().resolve(profile).is_ok()));
    }
    for id in engine.models().named() {
        let bare = llm::bare_id(&id).to_owned();
        if bare != id && !id.starts_with("arn:") {
            profiles.insert(id, bare);
        }
    }
    profiles
}

fn is_of(region: &str, geography: &str) -> bool {
    match geography {
        "global" => !region.starts_with("us-gov-") && !region.starts_with("cn-"),
        "us" => region.starts_with("us-") && !region.starts_with("us-gov-"),
        "us-gov" => region.starts_with("us-gov-"),
        "eu" => region.starts_with("eu-"),
        "apac" => region.starts_with("ap-"),
        "jp" => ["ap-northeast-1", "ap-northeast-3"].contains(&region),
        "au" => ["ap-southeast-2", "ap-southeast-4"].contains(&region),
        "ca" => region.starts_with("ca-"),
        _ => false,
    }
}

pub(super) fn arn(region: &str, id: &str) -> String {
    Arn::new("bedrock", region, "", format!("foundation-model/{id}")).to_string()
}
