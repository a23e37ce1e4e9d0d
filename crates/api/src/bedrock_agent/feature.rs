//! Features of agents that have not landed: their fields are taken at AWS's defaults only.
//!
//! A field is never dropped in silence: a value that asks for more than Craton does is refused
//! with the field and the feature by name.

use wire::bedrock_agent::types::{
    AgentAliasRoutingConfigurationListItem, CreateAgentRequest, CreationMode, CustomOrchestration,
    GuardrailConfiguration, OrchestrationType, PromptConfiguration, PromptOverrideConfiguration,
    PromptState, PromptType, UpdateAgentRequest,
};
use wire::fault::Fault;

use super::document::PromptDefault;

/// The refusal of a value whose feature is not here yet.
pub(crate) fn refused(field: &str, value: &str, feature: &str) -> Fault {
    let what = if value.is_empty() { String::new() } else { format!("value '{value}' at ") };
    Fault::validation(format!("craton does not support {what}'{field}' yet: {feature}"))
}

/// The fields of an agent that belong to features, as create and update both have them.
#[derive(Default)]
pub(crate) struct Asked<'a> {
    orchestration: Option<OrchestrationType>,
    custom: Option<&'a CustomOrchestration>,
    guardrail: Option<&'a GuardrailConfiguration>,
    prompts: Option<&'a PromptOverrideConfiguration>,
    key: Option<&'a str>,
}

impl<'a> From<&'a CreateAgentRequest> for Asked<'a> {
    fn from(input: &'a CreateAgentRequest) -> Self {
        Asked {
            orchestration: input.orchestration_type,
            custom: input.custom_orchestration.as_ref(),
            guardrail: input.guardrail_configuration.as_ref(),
            prompts: input.prompt_override_configuration.as_ref(),
            key: input.customer_encryption_key_arn.as_deref(),
        }
    }
}

impl<'a> From<&'a UpdateAgentRequest> for Asked<'a> {
    fn from(input: &'a UpdateAgentRequest) -> Self {
        Asked {
            orchestration: input.orchestration_type,
            custom: input.custom_orchestration.as_ref(),
            guardrail: input.guardrail_configuration.as_ref(),
            prompts: input.prompt_override_configuration.as_ref(),
            key: input.customer_encryption_key_arn.as_deref(),
        }
    }
}

impl Asked<'_> {
    /// Nothing beyond the defaults is asked for. Returns the prompt settings to keep.
    pub(crate) fn check(&self) -> Result<Option<Vec<PromptDefault>>, Fault> {
        if let Some(kind @ OrchestrationType::CustomOrchestration) = self.orchestration {
            return Err(refused("orchestrationType", kind.as_str(), "custom orchestration"));
        }
        if self.custom.is_some_and(|custom| custom.executor.is_some()) {
            return Err(refused("customOrchestration", "", "custom orchestration"));
        }
        if let Some(GuardrailConfiguration { guardrail_identifier: Some(id), .. }) = self.guardrail
        {
            return Err(refused("guardrailConfiguration", id, "guardrails of agents"));
        }
        if let Some(key) = self.key.filter(|key| !key.is_empty()) {
            let feature = "encryption of documents under a customer's key";
            return Err(refused("customerEncryptionKeyArn", key, feature));
        }
        self.prompts.map(prompts).transpose()
    }
}

fn prompts(asked: &PromptOverrideConfiguration) -> Result<Vec<PromptDefault>, Fault> {
    if let Some(arn) = asked.override_lambda.as_deref().filter(|arn| !arn.is_empty()) {
        let field = "promptOverrideConfiguration.overrideLambda";
        return Err(refused(field, arn, "parser functions"));
    }
    asked.prompt_configurations.iter().map(prompt).collect()
}

fn prompt(asked: &PromptConfiguration) -> Result<PromptDefault, Fault> {
    let field = |name: &str| format!("promptOverrideConfiguration.promptConfigurations.{name}");
    let overrides = [
        ("basePromptTemplate", asked.base_prompt_template.is_some()),
        ("inferenceConfiguration", asked.inference_configuration.is_some()),
        ("foundationModel", asked.foundation_model.is_some()),
        ("additionalModelRequestFields", asked.additional_model_request_fields.is_some()),
        ("promptCreationMode", asked.prompt_creation_mode == Some(CreationMode::Overridden)),
        ("parserMode", asked.parser_mode == Some(CreationMode::Overridden)),
    ];
    if let Some((name, _)) = overrides.into_iter().find(|(_, asks)| *asks) {
        return Err(refused(&field(name), "", "prompts and inference settings of one's own"));
    }
    check_state(asked).map_err(|value| refused(&field("promptState"), value, "optional steps"))?;
    Ok(PromptDefault {
        kind: asked.prompt_type.map(|kind| kind.as_str().to_owned()),
        creation: asked.prompt_creation_mode.map(|mode| mode.as_str().to_owned()),
        state: asked.prompt_state.map(|state| state.as_str().to_owned()),
        parser: asked.parser_mode.map(|mode| mode.as_str().to_owned()),
    })
}

/// A step that Craton takes cannot be switched off, and one that it does not take not on.
fn check_state(asked: &PromptConfiguration) -> Result<(), &'static str> {
    match (asked.prompt_type, asked.prompt_state) {
        (Some(PromptType::Orchestration), Some(PromptState::Disabled)) => Err("DISABLED"),
        (
            Some(PromptType::PreProcessing | PromptType::PostProcessing),
            Some(PromptState::Enabled),
        ) => Err("ENABLED"),
        _ => Ok(()),
    }
}

pub(crate) fn check_route(route: &AgentAliasRoutingConfigurationListItem) -> Result<(), Fault> {
    match route.provisioned_throughput.as_deref().filter(|model| !model.is_empty()) {
        Some(model) => {
            let field = "routingConfiguration.provisionedThroughput";
            Err(refused(field, model, "routing to provisioned throughput"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use wire::bedrock_agent::types::OrchestrationExecutor;

    use super::*;

    fn message(asked: &Asked<'_>) -> String {
        match asked.check() {
            Ok(kept) => format!("kept {}", kept.map_or(0, |kept| kept.len())),
            Err(fault) => fault.message().to_owned(),
        }
    }

    #[test]
    fn a_field_at_its_default_is_taken_and_any_other_value_names_field_and_feature() {
        let custom =
            CustomOrchestration { executor: Some(OrchestrationExecutor::Lambda("f".into())) };
        let defaults = |mode| PromptOverrideConfiguration {
            prompt_configurations: vec![PromptConfiguration {
                prompt_type: Some(PromptType::Orchestration),
                prompt_creation_mode: Some(mode),
                ..PromptConfiguration::default()
            }],
            override_lambda: None,
        };
        let (plain, own) = (defaults(CreationMode::Default), defaults(CreationMode::Overridden));
        let no = Asked::default;
        let table = [
            (no(), "kept 0"),
            (Asked { orchestration: Some(OrchestrationType::Default), ..no() }, "kept 0"),
            (Asked { guardrail: Some(&GuardrailConfiguration::default()), ..no() }, "kept 0"),
            (Asked { prompts: Some(&plain), ..no() }, "kept 1"),
            (
                Asked { custom: Some(&custom), ..no() },
                "craton does not support 'customOrchestration' yet: custom orchestration",
            ),
            (
                Asked { key: Some("arn:k"), ..no() },
                "craton does not support value 'arn:k' at 'customerEncryptionKeyArn' yet: \
                 encryption of documents under a customer's key",
            ),
            (
                Asked { prompts: Some(&own), ..no() },
                "craton does not support \
                 'promptOverrideConfiguration.promptConfigurations.promptCreationMode' yet: \
                 prompts and inference settings of one's own",
            ),
        ];
        for (asked, expected) in table {
            assert_eq!(message(&asked), expected);
        }
    }
}
