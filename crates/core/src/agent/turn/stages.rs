//! The stages of an agent's turn: which run, with whose template, and what their replies decide.

use std::collections::BTreeMap;

use super::Agent;
use crate::agent::config::{AgentConfig, Stage, StageConfig};
use crate::agent::prompt::{self, Template};
use crate::agent::state::Turn;
use crate::agent::tool::SchemaProblem;

pub(super) type Templates = BTreeMap<Stage, Template>;

/// Why a configuration cannot run, as a message for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Schema(#[from] SchemaProblem),
    // AWS: the words around the problem (github.com/awslabs/genai-bedrock-agent-chatbot issue 16).
    #[error(
        "The provided BasePromptTemplate for the {} prompt type has failed validation with the \
         following message: {problem}. Check the BasePromptTemplate and retry your request",
        stage.name()
    )]
    Template { stage: Stage, problem: prompt::Problem },
}

/// The agent's own templates, by their stages.
pub(super) fn templates(config: &AgentConfig) -> Result<Templates, Unfit> {
    let own = config.stages.iter().filter_map(|s| Some((s.stage, s.template.as_deref()?)));
    own.map(|(stage, text)| {
        let parsed = prompt::check_form(stage, &config.model, text)
            .and_then(|()| Template::parse(stage, text));
        let template = parsed.map_err(|problem| Unfit::Template { stage, problem })?;
        Ok((stage, template))
    })
    .collect()
}

impl Agent {
    /// What the agent sets for a stage.
    pub fn stage(&self, stage: Stage) -> Option<&StageConfig> {
        self.config.stages.iter().find(|settings| settings.stage == stage)
    }

    /// The agent's own template for a stage.
    pub fn template(&self, stage: Stage) -> Option<&Template> {
        self.templates.get(&stage)
    }

    /// Whether a stage runs: as the agent says, or as it stands by default.
    ///
    /// AWS: pre- and post-processing are disabled by default (user guide, "Advanced prompt
    /// templates").
    pub fn runs(&self, stage: Stage) -> bool {
        let by_default = match stage {
            Stage::PreProcessing | Stage::PostProcessing => false,
            Stage::Orchestration
            | Stage::KnowledgeBaseResponseGeneration
            | Stage::MemorySummarization
            | Stage::RoutingClassifier => true,
        };
        self.stage(stage).map_or(by_default, |settings| settings.enabled)
    }

    /// Whether the answer's text goes out while the model makes it. What another stage or a parser
    /// function may still change is held until the turn is finished.
    pub fn streams(&self, turn: &Turn) -> bool {
        turn.stream && self.may_stream()
    }

    /// The same, whatever the client asks for.
    pub fn may_stream(&self) -> bool {
        let held = [Stage::PreProcessing, Stage::PostProcessing].iter().any(|s| self.runs(*s));
        !held && self.parser(Stage::Orchestration).is_none()
    }

    /// Whether the answer that ends the turn has gone out already.
    pub fn has_streamed(&self, turn: &Turn) -> bool {
        turn.aloud.unwrap_or_else(|| self.streams(turn))
    }

    /// The function that reads the replies of a stage.
    pub fn parser(&self, stage: Stage) -> Option<&str> {
        let parses = self.stage(stage).is_some_and(|settings| settings.parser);
        self.config.parser.as_deref().filter(|_| parses)
    }
}
