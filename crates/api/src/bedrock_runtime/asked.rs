//! What Converse and ConverseStream ask for, as one call of the inner tongue.
//!
//! A prompt of Prompt management is filled in first, objects in S3 are fetched, then everything is
//! checked and translated. What a model's provider has no place for is refused by the provider.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use wire::bedrock_runtime::types::{
    self as wire_types, InferenceConfiguration, JsonSchemaDefinition, OutputConfig, OutputFormat,
    OutputFormatStructure, PerformanceConfigLatency, PerformanceConfiguration, ServiceTier,
    ServiceTierType, SystemContentBlock, ToolConfiguration,
};
use wire::converse::{CachePoints, Call, Inference, Options};
use wire::fault::Fault;
use wire::shape::Shape;

use super::native::NativeFields;
use super::{conversation, media, message, tools};
use crate::bedrock_agent::feature::refused;
use crate::bedrock_agent::prompt::render::{Rendered, Values, is_prompt, render};
use crate::cx::Cx;

/// The members that both requests have.
pub(super) struct Asked {
    /// What the caller needs leave for, on the model.
    pub(super) action: &'static str,
    pub(super) model_id: String,
    pub(super) messages: Vec<wire_types::Message>,
    pub(super) system: Vec<SystemContentBlock>,
    pub(super) inference: InferenceConfiguration,
    pub(super) tools: Option<ToolConfiguration>,
    pub(super) additional: Json,
    /// `guardrailConfig.guardrailIdentifier`.
    pub(super) guardrail: Option<String>,
    pub(super) variables: Values,
    pub(super) performance: Option<PerformanceConfiguration>,
    pub(super) tier: Option<ServiceTier>,
    pub(super) output: Option<OutputConfig>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) paths: Vec<String>,
}

/// Takes either request's members.
macro_rules! asked {
    ($input:ident, $action:literal) => {
        $crate::bedrock_runtime::asked::Asked {
            action: $action,
            model_id: $input.model_id,
            messages: $input.messages.unwrap_or_default(),
            system: $input.system.unwrap_or_default(),
            inference: $input.inference_config.unwrap_or_default(),
            tools: $input.tool_config,
            additional: $input.additional_model_request_fields.unwrap_or_default(),
            guardrail: $input.guardrail_config.and_then(|config| config.guardrail_identifier),
            variables: $input.prompt_variables.unwrap_or_default(),
            performance: $input.performance_config,
            tier: $input.service_tier,
            output: $input.output_config,
            metadata: $input.request_metadata.unwrap_or_default(),
            paths: $input.additional_model_response_field_paths.unwrap_or_default(),
        }
    };
}
pub(super) use asked;

/// A request that was understood.
pub(super) struct Understood {
    pub(super) call: Call,
    pub(super) native: NativeFields,
    pub(super) echo: Echo,
}

/// What the answer repeats of the request: a provider that cannot do it has refused the call.
pub(super) struct Echo {
    pub(super) performance: Option<PerformanceConfiguration>,
    pub(super) tier: Option<ServiceTier>,
}

impl Asked {
    pub(super) async fn understood(mut self, cx: &Cx) -> Result<Understood, Fault> {
        if let Some(guardrail) = self.guardrail.as_ref().filter(|id| !id.is_empty()) {
            let field = "guardrailConfig.guardrailIdentifier";
            return Err(refused(field, guardrail, "guardrails of models"));
        }
        self.fill(cx).await?;
        media::settle(cx, &self.model_id, &mut self.messages).await?;
        self.translated()
    }

    /// A prompt that stands for the model brings its own words, before those of the request.
    async fn fill(&mut self, cx: &Cx) -> Result<(), Fault> {
        if !is_prompt(&self.model_id) {
            return match self.variables.is_empty() {
                true => Ok(()),
                false => Err(Fault::validation(
                    "promptVariables are for a modelId that is the ARN of a prompt of Prompt \
                     management",
                )),
            };
        }
        self.check_beside_prompt()?;
        let rendered = render(cx, &self.model_id, &self.variables).await?;
        let Rendered { model_id, system, mut messages, inference, tools, additional } = rendered;
        // AWS: who asks with a prompt needs leave for its model too (user guide, "Prerequisites for
        // prompt management")
        cx.authorize(self.action, &model_arn(cx, &model_id))?;
        append(&mut messages, std::mem::take(&mut self.messages));
        self.messages = messages;
        (self.model_id, self.system, self.inference) = (model_id, system, inference);
        (self.tools, self.additional) = (tools, additional);
        Ok(())
    }

    // AWS: these cannot come with a prompt, which has its own (API reference, `Converse`)
    fn check_beside_prompt(&self) -> Result<(), Fault> {
        let given = [
            ("additionalModelRequestFields", !self.additional.is_null()),
            ("inferenceConfig", self.inference != InferenceConfiguration::default()),
            ("system", !self.system.is_empty()),
            ("toolConfig", self.tools.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((field, _)) => Err(Fault::validation(format!(
                "'{field}' cannot come with a prompt of Prompt management, which has its own; set it \
                 in the prompt"
            ))),
            None => Ok(()),
        }
    }

    fn translated(self) -> Result<Understood, Fault> {
        let native = NativeFields::asked(
            &self.paths,
            self.inference.stop_sequences.as_deref().unwrap_or_default(),
        )?;
        let echo = Echo { performance: self.performance, tier: self.tier };
        let options = Options {
            service_tier: tier(echo.tier.as_ref()),
            latency: latency(echo.performance.as_ref()),
            output: self.output.map(output).transpose()?.flatten(),
            response_paths: self.paths,
            metadata: self.metadata,
            ..Options::default()
        };
        let mut cache = CachePoints::default();
        let (tools, tool_choice) = match self.tools {
            Some(config) => tools::tools(config, &mut cache.tools)?,
            None => Default::default(),
        };
        let messages = self.messages.into_iter().enumerate();
        let messages: Result<Vec<_>, _> = messages.map(|(at, m)| message::message(at, m)).collect();
        let messages = messages?;
        conversation::check(&messages, !tools.is_empty())?;
        let system = message::system(self.system, &mut cache.system)?;
        let call = Call {
            model: self.model_id,
            system,
            messages,
            tools: tools.into(),
            tool_choice,
            cache,
            inference: inference(self.inference),
            additional: self.additional,
            options,
            stream: false,
        };
        Ok(Understood { call, native, echo })
    }
}

pub(super) fn model_arn(cx: &Cx, model_id: &str) -> String {
    match model_id.starts_with("arn:") {
        true => model_id.to_owned(),
        false => format!("arn:aws:bedrock:{}::foundation-model/{model_id}", cx.caller.region),
    }
}

/// AWS: messages of the request follow the prompt's (API reference, `Converse`). A prompt ends with
/// the user's words as a rule, and a request begins with more of them: they become one message.
fn append(messages: &mut Vec<wire_types::Message>, more: Vec<wire_types::Message>) {
    let mut more = more.into_iter().peekable();
    if let Some(last) = messages.last_mut()
        && let Some(next) = more.next_if(|next| next.role == last.role)
    {
        last.content.extend(next.content);
    }
    messages.extend(more);
}

fn inference(config: InferenceConfiguration) -> Inference {
    Inference {
        max_tokens: config.max_tokens.and_then(|tokens| u32::try_from(tokens).ok()),
        temperature: config.temperature,
        top_p: config.top_p,
        stop_sequences: config.stop_sequences.unwrap_or_default(),
    }
}

/// What every provider does unasked is not asked of it.
fn tier(asked: Option<&ServiceTier>) -> Option<String> {
    let tier = asked.map(|tier| tier.r#type).filter(|tier| *tier != ServiceTierType::Default);
    tier.map(|tier| tier.as_str().to_owned())
}

fn latency(asked: Option<&PerformanceConfiguration>) -> Option<String> {
    let latency = asked.and_then(|config| config.latency);
    let latency = latency.filter(|latency| *latency != PerformanceConfigLatency::Standard);
    latency.map(|latency| latency.as_str().to_owned())
}

fn output(config: OutputConfig) -> Result<Option<Json>, Fault> {
    if config == OutputConfig::default() {
        return Ok(None);
    }
    if let Some(OutputFormat { structure: OutputFormatStructure::JsonSchema(definition), .. }) =
        &config.text_format
    {
        check_schema(definition)?;
    }
    Ok(Some(Json::from(config.into_value())))
}

/// The schema comes as text.
fn check_schema(definition: &JsonSchemaDefinition) -> Result<(), Fault> {
    let read: Result<Json, _> = serde_json::from_str(&definition.schema);
    let problem = match read {
        Ok(schema) if schema.is_object() => return Ok(()),
        Ok(_) => "it is no JSON object".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Fault::validation(format!(
        "the value at outputConfig.textFormat.structure.jsonSchema.schema is no JSON Schema: {problem}"
    )))
}
