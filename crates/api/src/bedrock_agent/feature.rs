//! Features of agents that have not landed: their fields are taken at AWS's defaults only.
//!
//! A field is never dropped in silence: a value that asks for more than Craton does is refused
//! with the field and the feature by name.

use wire::bedrock_agent::types::{
    CreateAgentRequest, CustomOrchestration, GuardrailConfiguration, OrchestrationType,
    UpdateAgentRequest,
};
use wire::fault::Fault;

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
    key: Option<&'a str>,
}

impl<'a> From<&'a CreateAgentRequest> for Asked<'a> {
    fn from(input: &'a CreateAgentRequest) -> Self {
        Asked {
            orchestration: input.orchestration_type,
            custom: input.custom_orchestration.as_ref(),
            guardrail: input.guardrail_configuration.as_ref(),
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
            key: input.customer_encryption_key_arn.as_deref(),
        }
    }
}

impl Asked<'_> {
    /// Nothing beyond the defaults is asked for.
    pub(crate) fn check(&self) -> Result<(), Fault> {
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wire::bedrock_agent::types::OrchestrationExecutor;

    use super::*;

    fn message(asked: &Asked<'_>) -> String {
        match asked.check() {
            Ok(()) => "taken".to_owned(),
            Err(fault) => fault.message().to_owned(),
        }
    }

    #[test]
    fn a_field_at_its_default_is_taken_and_any_other_value_names_field_and_feature() {
        let custom =
            CustomOrchestration { executor: Some(OrchestrationExecutor::Lambda("f".into())) };
        let no = Asked::default;
        let table = [
            (no(), "taken"),
            (Asked { orchestration: Some(OrchestrationType::Default), ..no() }, "taken"),
            (Asked { guardrail: Some(&GuardrailConfiguration::default()), ..no() }, "taken"),
            (
                Asked { custom: Some(&custom), ..no() },
                "craton does not support 'customOrchestration' yet: custom orchestration",
            ),
            (
                Asked { key: Some("arn:k"), ..no() },
                "craton does not support value 'arn:k' at 'customerEncryptionKeyArn' yet: \
                 encryption of documents under a customer's key",
            ),
        ];
        for (asked, expected) in table {
            assert_eq!(message(&asked), expected);
        }
    }
}
