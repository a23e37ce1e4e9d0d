//! What the model of AWS's API cannot say of a prompt's variants.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use wire::bedrock_agent::types::{
    ChatPromptTemplateConfiguration, PromptGenAiResource, PromptInputVariable,
    PromptTemplateConfiguration, PromptTemplateType, PromptVariant, Tool, ToolChoice,
    ToolConfiguration,
};
use wire::fault::Fault;
use wire::shape::Shape as _;

use super::record::Content;
use crate::bedrock_agent::feature::refused;

/// Nothing is encrypted under a key of the client's.
pub(super) fn check_key(key: Option<&str>) -> Result<(), Fault> {
    match key.filter(|key| !key.is_empty()) {
        Some(key) => {
            let feature = "encryption of documents under a customer's key";
            Err(refused("customerEncryptionKeyArn", key, feature))
        }
        None => Ok(()),
    }
}

/// What is kept of a request, once it makes sense.
pub(super) fn content(
    name: String,
    description: Option<String>,
    default_variant: Option<String>,
    variants: Option<Vec<PromptVariant>>,
) -> Result<Content, Fault> {
    let given = variants.as_deref().unwrap_or_default();
    // AWS: a default that is none of the variants fails (aws/aws-cdk pull request 35366)
    let unknown = |name: &&String| !given.iter().any(|variant| variant.name == **name);
    if let Some(name) = default_variant.as_ref().filter(unknown) {
        let text = format!("Value '{name}' at 'defaultVariant' names none of the variants");
        return Err(Fault::validation(text));
    }
    given.iter().try_for_each(check)?;
    let kept = variants.map(|variants| {
        variants.into_iter().map(|variant| Json::from(variant.into_value())).collect()
    });
    Ok(Content { name, description, default_variant, variants: kept })
}

fn check(variant: &PromptVariant) -> Result<(), Fault> {
    if let Some(PromptGenAiResource::Agent(agent)) = &variant.gen_ai_resource {
        let field = "variants.genAiResource.agent";
        return Err(refused(field, &agent.agent_identifier, "prompts that agents answer"));
    }
    match (&variant.template_configuration, variant.template_type) {
        (PromptTemplateConfiguration::Text(text), PromptTemplateType::Text) => {
            check_variables(text.input_variables.as_deref())
        }
        (PromptTemplateConfiguration::Chat(chat), PromptTemplateType::Chat) => check_chat(chat),
        (_, kind) => Err(Fault::validation(format!(
            "variant {} has templateType {}, and its templateConfiguration is of the other type",
            variant.name,
            kind.as_str()
        ))),
    }
}

fn check_chat(chat: &ChatPromptTemplateConfiguration) -> Result<(), Fault> {
    check_variables(chat.input_variables.as_deref())?;
    chat.tool_configuration.as_ref().map_or(Ok(()), check_tools)
}

fn check_variables(variables: Option<&[PromptInputVariable]>) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    let names = variables.unwrap_or_default().iter().filter_map(|variable| variable.name.as_ref());
    for name in names {
        if !seen.insert(name) {
            let text = format!("Value '{name}' at 'inputVariables' stands there more than once");
            return Err(Fault::validation(text));
        }
    }
    Ok(())
}

fn check_tools(config: &ToolConfiguration) -> Result<(), Fault> {
    let mut names = BTreeSet::new();
    for tool in &config.tools {
        if let Tool::ToolSpec(spec) = tool
            && !names.insert(spec.name.as_str())
        {
            let text = format!("two tools of 'toolConfiguration' are named '{}'", spec.name);
            return Err(Fault::validation(text));
        }
    }
    match &config.tool_choice {
        Some(ToolChoice::Tool(tool)) if !names.contains(tool.name.as_str()) => {
            Err(Fault::validation(format!(
                "Value '{}' at 'toolConfiguration.toolChoice.tool.name' names none of the tools",
                tool.name
            )))
        }
        _ => Ok(()),
    }
}
