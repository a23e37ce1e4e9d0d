//! Prompts of an agent's own (`promptOverrideConfiguration`): what may be set, how it is kept and
//! shown, and what the engine is told of it.
//!
//! Combinations that AWS forbids are refused when they are given. Templates themselves are
//! parsed when the agent is prepared.

use std::collections::BTreeSet;

use craton_core::agent::config::{Stage, StageConfig};
use craton_core::agent::prompt::default_text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use wire::bedrock_agent::types::{
    CreationMode, InferenceConfiguration, PromptConfiguration, PromptOverrideConfiguration,
    PromptState, PromptType,
};
use wire::converse::Inference;
use wire::fault::Fault;

const FIELD: &str = "promptOverrideConfiguration";

/// An agent's prompts in AWS's words, as they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prompts {
    pub(crate) settings: Vec<Prompt>,
    /// `overrideLambda`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parser: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prompt {
    pub(crate) stage: Stage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parser: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inference: Option<Sampling>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    additional: Option<Json>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sampling {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top_k: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum_length: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop_sequences: Option<Vec<String>>,
}

/// Takes what a client sets.
pub(crate) fn given(asked: &PromptOverrideConfiguration) -> Result<Prompts, Fault> {
    let settings = asked.prompt_configurations.iter().enumerate().map(|(at, prompt)| {
        let stage = prompt.prompt_type.map(stage).ok_or_else(|| {
            Fault::validation(format!("{FIELD}.promptConfigurations[{at}].promptType must be set"))
        })?;
        Ok((stage, prompt))
    });
    let settings: Result<Vec<_>, Fault> = settings.collect();
    let parser = asked.override_lambda.as_deref().filter(|arn| !arn.is_empty());
    taken(&settings?, parser)
}

/// The same for prompts whose stages are known, which those of inline agents have more of.
pub(crate) fn taken(
    asked: &[(Stage, &PromptConfiguration)],
    parser: Option<&str>,
) -> Result<Prompts, Fault> {
    let mut stages = BTreeSet::new();
    for (stage, prompt) in asked {
        if !stages.insert(*stage) {
            return Err(wrong(*stage, "is set twice; set it once"));
        }
        check(*stage, prompt, parser)?;
    }
    let reads = |(_, prompt): &(Stage, &PromptConfiguration)| overridden(prompt.parser_mode);
    // AWS: the parser function needs a stage (API reference, `PromptOverrideConfiguration`).
    if parser.is_some() && !asked.iter().any(reads) {
        return Err(Fault::validation(format!(
            "{FIELD}.overrideLambda needs at least one of promptConfigurations with parserMode \
             OVERRIDDEN"
        )));
    }
    let settings = asked.iter().map(|(stage, prompt)| kept(*stage, prompt)).collect();
    Ok(Prompts { settings, parser: parser.map(str::to_owned) })
}

fn check(stage: Stage, prompt: &PromptConfiguration, parser: Option<&str>) -> Result<(), Fault> {
    let template = prompt.base_prompt_template.as_deref();
    if overridden(prompt.prompt_creation_mode) && template.is_none() {
        return Err(wrong(stage, "has promptCreationMode OVERRIDDEN and no basePromptTemplate"));
    }
    // AWS: a prompt in its default mode takes neither template nor inference parameters (seen in
    // hashicorp/terraform-provider-aws issue 37168); the default template itself changes nothing.
    let plain = !overridden(prompt.prompt_creation_mode);
    if plain && template.is_some_and(|text| text != default_text(stage)) {
        let why = "has a basePromptTemplate, which needs promptCreationMode OVERRIDDEN";
        return Err(wrong(stage, why));
    }
    if plain && prompt.inference_configuration.is_some() {
        let why = "has an inferenceConfiguration, which needs promptCreationMode OVERRIDDEN";
        return Err(wrong(stage, why));
    }
    // AWS: API reference, `PromptConfiguration`.
    if overridden(prompt.parser_mode) && parser.is_none() {
        return Err(wrong(stage, "has parserMode OVERRIDDEN and there is no overrideLambda"));
    }
    match &prompt.additional_model_request_fields {
        None | Some(Json::Null | Json::Object(_)) => Ok(()),
        Some(_) => Err(wrong(stage, "has additionalModelRequestFields that are no object")),
    }
}

fn overridden(mode: Option<CreationMode>) -> bool {
    mode == Some(CreationMode::Overridden)
}

fn wrong(stage: Stage, what: &str) -> Fault {
    let stage = stage.name();
    Fault::validation(format!("{FIELD}.promptConfigurations: the prompt of {stage} {what}"))
}

fn stage(kind: PromptType) -> Stage {
    match kind {
        PromptType::PreProcessing => Stage::PreProcessing,
        PromptType::Orchestration => Stage::Orchestration,
        PromptType::KnowledgeBaseResponseGeneration => Stage::KnowledgeBaseResponseGeneration,
        PromptType::PostProcessing => Stage::PostProcessing,
        PromptType::MemorySummarization => Stage::MemorySummarization,
    }
}

fn kept(stage: Stage, asked: &PromptConfiguration) -> Prompt {
    Prompt {
        stage,
        creation: asked.prompt_creation_mode.map(|mode| mode.as_str().to_owned()),
        state: asked.prompt_state.map(|state| state.as_str().to_owned()),
        parser: asked.parser_mode.map(|mode| mode.as_str().to_owned()),
        template: asked.base_prompt_template.clone(),
        inference: asked.inference_configuration.as_ref().map(|asked| Sampling {
            temperature: asked.temperature,
            top_p: asked.top_p,
            top_k: asked.top_k,
            maximum_length: asked.maximum_length,
            stop_sequences: asked.stop_sequences.clone(),
        }),
        model: asked.foundation_model.clone(),
        additional: asked.additional_model_request_fields.clone().filter(|json| !json.is_null()),
    }
}

/// What clients see: what was given, or each stage at its default.
///
/// AWS: GetAgent shows the default templates too, to be changed and handed back (their print in
/// public repositories).
pub(crate) fn shown(prompts: Option<&Prompts>) -> PromptOverrideConfiguration {
    match prompts {
        Some(prompts) => PromptOverrideConfiguration {
            prompt_configurations: prompts.settings.iter().map(shown_prompt).collect(),
            override_lambda: prompts.parser.clone(),
        },
        None => {
            let stages = Stage::ALL.into_iter().filter(|stage| kind(*stage).is_some());
            PromptOverrideConfiguration {
                prompt_configurations: stages.map(by_default).collect(),
                override_lambda: None,
            }
        }
    }
}

fn shown_prompt(kept: &Prompt) -> PromptConfiguration {
    PromptConfiguration {
        prompt_type: kind(kept.stage),
        prompt_creation_mode: kept.creation.as_deref().and_then(CreationMode::parse),
        prompt_state: kept.state.as_deref().and_then(PromptState::parse),
        parser_mode: kept.parser.as_deref().and_then(CreationMode::parse),
        base_prompt_template: kept.template.clone(),
        inference_configuration: kept.inference.as_ref().map(|kept| InferenceConfiguration {
            temperature: kept.temperature,
            top_p: kept.top_p,
            top_k: kept.top_k,
            maximum_length: kept.maximum_length,
            stop_sequences: kept.stop_sequences.clone(),
        }),
        foundation_model: kept.model.clone(),
        additional_model_request_fields: kept.additional.clone(),
    }
}

fn by_default(stage: Stage) -> PromptConfiguration {
    let state = if stage.runs_by_default() { PromptState::Enabled } else { PromptState::Disabled };
    PromptConfiguration {
        prompt_type: kind(stage),
        prompt_creation_mode: Some(CreationMode::Default),
        prompt_state: Some(state),
        parser_mode: Some(CreationMode::Default),
        base_prompt_template: Some(default_text(stage).to_owned()),
        ..PromptConfiguration::default()
    }
}

fn kind(stage: Stage) -> Option<PromptType> {
    PromptType::parse(stage.name())
}

/// What the engine is told: the stages that differ from their defaults.
pub(crate) fn stages(prompts: &Prompts) -> Vec<StageConfig> {
    let stages = prompts.settings.iter().map(stage_config);
    stages.filter(|stage| *stage != plain(stage.stage)).collect()
}

fn plain(stage: Stage) -> StageConfig {
    StageConfig {
        stage,
        enabled: stage.runs_by_default(),
        template: None,
        inference: None,
        model: None,
        additional: Json::Null,
        parser: false,
    }
}

fn stage_config(kept: &Prompt) -> StageConfig {
    let is = |word: &Option<String>, mode: CreationMode| word.as_deref() == Some(mode.as_str());
    let enabled = kept.state.as_deref().map(|state| state == PromptState::Enabled.as_str());
    let own = is(&kept.creation, CreationMode::Overridden);
    StageConfig {
        stage: kept.stage,
        enabled: enabled.unwrap_or_else(|| kept.stage.runs_by_default()),
        template: kept.template.clone().filter(|_| own),
        inference: kept.inference.as_ref().map(inference),
        model: kept.model.clone(),
        additional: additional(kept),
        parser: is(&kept.parser, CreationMode::Overridden),
    }
}

fn inference(kept: &Sampling) -> Inference {
    Inference {
        // AWS allows a length of 0, which no provider does; it is no limit.
        max_tokens: kept.maximum_length.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0),
        temperature: kept.temperature,
        top_p: kept.top_p,
        stop_sequences: kept.stop_sequences.clone().unwrap_or_default(),
    }
}

/// Converse has no word for `topK`: it goes where models take it, and what the client says there
/// itself goes before.
fn additional(kept: &Prompt) -> Json {
    let mut fields = match &kept.additional {
        Some(Json::Object(fields)) => fields.clone(),
        Some(_) | None => Map::new(),
    };
    if let Some(top_k) = kept.inference.as_ref().and_then(|inference| inference.top_k) {
        fields.entry("top_k").or_insert_with(|| Json::from(top_k));
    }
    if fields.is_empty() { Json::Null } else { Json::Object(fields) }
}
