//! The stages of an agent's turn: which run, with whose template, and what their replies decide.

use std::collections::BTreeMap;

use super::{Agent, Facts};
use crate::agent::config::{AgentConfig, Stage, StageConfig};
use crate::agent::event::{Ask, AskedUser, Event, Intent, Parse, Parsed, Purpose, Verdict};
use crate::agent::prompt::{self, Template};
use crate::agent::state::{Heard, Turn};
use crate::agent::tool::SchemaProblem;

pub(super) type Templates = BTreeMap<Stage, Template>;

/// Why a configuration cannot run, as a message for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Schema(#[from] SchemaProblem),
    #[error("{}", told(.0))]
    Templates(Vec<(Stage, prompt::Problem)>),
}

// AWS: the words around each problem, and that all are told at once
// (github.com/awslabs/genai-bedrock-agent-chatbot issue 16).
fn told(problems: &[(Stage, prompt::Problem)]) -> String {
    let told = problems.iter().map(|(stage, problem)| {
        format!(
            "The provided BasePromptTemplate for the {} prompt type has failed validation with the \
             following message: {problem}. Check the BasePromptTemplate and retry your request.",
            stage.name()
        )
    });
    told.collect::<Vec<_>>().join(";")
}

/// The agent's own templates, by their stages.
pub(super) fn templates(config: &AgentConfig) -> Result<Templates, Unfit> {
    let (mut templates, mut problems) = (Templates::new(), Vec::new());
    for StageConfig { stage, template, .. } in &config.stages {
        let Some(text) = template else { continue };
        let fits = prompt::check_form(*stage, &config.model, text);
        match fits.and_then(|()| Template::parse(*stage, text)) {
            Ok(template) => drop(templates.insert(*stage, template)),
            Err(problem) => problems.push((*stage, problem)),
        }
    }
    if problems.is_empty() { Ok(templates) } else { Err(Unfit::Templates(problems)) }
}

/// What comes before anything else: a reply that waits to be read, and pre-processing.
pub(super) fn begin(turn: &Turn, facts: &Facts<'_>) -> Option<Vec<Event>> {
    if let Some(event) = reading(turn, facts) {
        return Some(vec![event]);
    }
    if let Some(question) = turn.stages.question.clone() {
        return Some(vec![Event::AskedUser(AskedUser { tool_uses: Vec::new(), question })]);
    }
    let judges = facts.agent.runs(Stage::PreProcessing) && turn.stages.valid.is_none();
    judges.then(|| vec![ask(turn, Purpose::PreProcess)])
}

/// The reading of a reply that waits for it.
pub(super) fn reading(turn: &Turn, facts: &Facts<'_>) -> Option<Event> {
    turn.stages.heard.as_ref().and_then(|heard| read(turn, heard, facts.agent))
}

/// Who reads a reply: the agent's function, we, or nobody where it speaks for itself.
fn read(turn: &Turn, heard: &Heard, agent: &Agent) -> Option<Event> {
    let (purpose, step) = (heard.purpose, heard.said.step);
    if let Some(target) = agent.parser(purpose.stage()) {
        let target = target.to_owned();
        return Some(Event::Asked(Intent::Parse(Parse { purpose, step, target })));
    }
    let verdict = match purpose {
        Purpose::PreProcess => {
            let (valid, rationale) = prompt::judgement(&heard.text());
            Verdict::Judged { valid, rationale }
        }
        Purpose::PostProcess => {
            let text = prompt::final_response(&heard.text());
            // An answer that post-processing has no words for stands as it was.
            let text = if text.is_empty() { drafted(turn) } else { text };
            Verdict::Said { rationale: None, text, asks: false }
        }
        Purpose::Plan => written(heard, agent)?,
        Purpose::Route | Purpose::Summarize => return None,
    };
    Some(Event::Parsed(Box::new(Parsed { purpose, step, verdict, millis: 0, cost: None })))
}

/// Calls that the model wrote as text, where its template asks for that.
fn written(heard: &Heard, agent: &Agent) -> Option<Verdict> {
    let asked = agent.template(Stage::Orchestration).filter(|own| own.has_calls_written());
    if asked.is_none() || heard.said.reply.asks_for_tools() {
        return None;
    }
    let text = heard.text();
    let calls = prompt::written::calls(&text, &agent.tools);
    let before =
        text.split("<function_calls>").next().and_then(|text| text.split("<invoke>").next());
    let rationale = before.and_then(prompt::rationale);
    (!calls.is_empty()).then_some(Verdict::Calls { rationale, calls })
}

fn drafted(turn: &Turn) -> String {
    turn.stages.draft.as_deref().map(prompt::answer).unwrap_or_default()
}

fn ask(turn: &Turn, purpose: Purpose) -> Event {
    Event::Asked(Intent::AskModel(Ask::new(purpose, turn.steps + 1)))
}

/// What the turn has to say to the user, if it is so far.
pub(super) fn answer(turn: &Turn) -> Option<String> {
    turn.stages.worded.clone().or_else(|| turn.said.as_deref().map(prompt::answer))
}

/// Post-processing, where it still has to word an answer anew.
pub(super) fn finish(turn: &Turn, facts: &Facts<'_>, answer: &str) -> Option<Event> {
    let open = !turn.stages.concluded && !answer.is_empty();
    (open && facts.agent.runs(Stage::PostProcessing)).then(|| ask(turn, Purpose::PostProcess))
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

    pub fn runs(&self, stage: Stage) -> bool {
        self.stage(stage).map_or_else(|| stage.runs_by_default(), |settings| settings.enabled)
    }

    /// The stages of a turn that are off, by AWS's names.
    pub fn skipped(&self) -> Vec<&'static str> {
        let stages = [Stage::PreProcessing, Stage::Orchestration, Stage::PostProcessing];
        stages.into_iter().filter(|stage| !self.runs(*stage)).map(Stage::name).collect()
    }

    /// Whether the answer's text goes out while the model makes it. What another stage or a parser
    /// function may still change is held until the turn is finished.
    pub fn streams(&self, turn: &Turn) -> bool {
        turn.stream && self.may_stream()
    }

    /// The same, whatever the client asks for.
    pub fn may_stream(&self) -> bool {
        let held = [Stage::PreProcessing, Stage::PostProcessing].iter().any(|s| self.runs(*s));
        let written = self.template(Stage::Orchestration).is_some_and(Template::has_calls_written);
        !held && !written && self.parser(Stage::Orchestration).is_none()
    }

    /// Whether the answer that ends the turn has gone out already.
    pub fn has_streamed(&self, turn: &Turn) -> bool {
        turn.team.aloud.unwrap_or_else(|| self.streams(turn))
    }

    /// The function that reads the replies of a stage.
    pub fn parser(&self, stage: Stage) -> Option<&str> {
        let parses = self.stage(stage).is_some_and(|settings| settings.parser);
        self.config.parser.as_deref().filter(|_| parses)
    }
}
