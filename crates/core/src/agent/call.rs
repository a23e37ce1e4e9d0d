//! What a model is asked: the one place that makes a call from a turn.
//!
//! The engine sends what comes out here and the trace shows it, live and from the journal alike: a
//! journal holds the recipe, and the prompt is made again from it.

use std::sync::Arc;

use serde_json::Value as Json;
use wire::converse::{Block, CachePoints, Call, Message, Options, ResultBlock, Role, ToolChoice};

use super::config::Stage;
use super::event::Purpose;
use super::history;
use super::origin::Utterance;
use super::prompt::{self, Fill, Rendered};
use super::state::Turn;
use super::turn::Agent;
use crate::budget::Reserved;
use crate::route::StepKind;

impl Purpose {
    /// The stage whose prompt is rendered.
    pub fn stage(self) -> Stage {
        match self {
            Purpose::PreProcess => Stage::PreProcessing,
            Purpose::Route => Stage::RoutingClassifier,
            Purpose::Plan => Stage::Orchestration,
            Purpose::PostProcess => Stage::PostProcessing,
            Purpose::Summarize => Stage::MemorySummarization,
        }
    }
}

impl Purpose {
    /// What the model is to do, for choosing one.
    pub fn kind(self) -> StepKind {
        match self {
            Purpose::Plan => StepKind::Planning,
            Purpose::PreProcess | Purpose::Route => StepKind::Judging,
            Purpose::PostProcess => StepKind::Verification,
            Purpose::Summarize => StepKind::Summarisation,
        }
    }
}

/// The next call to the model: everything it needs stands in the turn and its configuration.
pub fn model_call(turn: &Turn, agent: &Agent, purpose: Purpose) -> Call {
    let mut call = free_call(turn, agent, purpose);
    if let Some(reserved) = turn.budget.reserved.as_ref().filter(|_| turn.asking.is_some()) {
        within(&mut call, reserved);
    }
    call
}

/// Keeps a call to what was held back for it. The note stands with the latest that was said, and in no
/// history: what comes before it stays the same at every step.
pub fn within(call: &mut Call, reserved: &Reserved) {
    call.inference.max_tokens = Some(reserved.output);
    call.options.ceiling = Some(reserved.output);
    let last = call.messages.last_mut().filter(|message| message.role == Role::User);
    let Some(last) = last.filter(|_| reserved.wrap_up) else { return };
    match last.content.last_mut() {
        // Words of a user after a tool's result would read as the next question.
        Some(Block::ToolResult(result)) => {
            result.content.push(ResultBlock::Text(WRAP_UP.to_owned()));
        }
        _ => last.content.push(Block::Text(WRAP_UP.to_owned())),
    }
}

/// The most tokens of the note, with what is around it: its bytes.
pub const NOTE_TOKENS: u64 = WRAP_UP.len() as u64 + 16;

/// What the model reads when a budget is near its end, as words of the developer.
const WRAP_UP: &str = "<notice from=\"developer\">The budget for this task is nearly used up. Begin \
                       nothing new. Answer now with what you have, and say in one sentence what is \
                       left undone.</notice>";

fn free_call(turn: &Turn, agent: &Agent, purpose: Purpose) -> Call {
    let stage = purpose.stage();
    let settings = agent.stage(stage);
    let plans = purpose == Purpose::Plan && agent.runs(stage);
    let Rendered { system, messages } = rendered(turn, agent, purpose);
    let route = turn.route.as_ref().filter(|_| turn.asking.is_some());
    let own = || settings.and_then(|s| s.model.as_ref()).unwrap_or(&agent.config.model);
    Call {
        model: route.map_or_else(own, |route| &route.model).clone(),
        system,
        messages,
        tools: if plans { agent.model_tools.clone() } else { Arc::default() },
        tool_choice: ToolChoice::Auto,
        inference: settings.and_then(|s| s.inference.clone()).unwrap_or_default(),
        cache: CachePoints::default(),
        additional: settings.map_or(Json::Null, |s| s.additional.clone()),
        options: Options::default(),
        stream: purpose == Purpose::Plan && agent.streams(turn),
    }
}

fn rendered(turn: &Turn, agent: &Agent, purpose: Purpose) -> Rendered {
    let fill = fill(turn, agent, purpose);
    let stage = purpose.stage();
    // AWS: a disabled orchestration sends the raw input (user guide, "Advanced prompt templates").
    if !agent.runs(stage) && purpose == Purpose::Plan {
        let raw = prompt::raw(&fill);
        return Rendered { system: Vec::new(), messages: raw };
    }
    let template = agent.template(stage);
    let mut rendered = prompt::render(stage, template, fill);
    // What the turn began with stays what it was, also for a journal of an older version.
    if purpose == Purpose::Plan && template.is_none() && keeps_its_prompt(turn) {
        rendered.system = turn.system.clone();
    }
    rendered
}

/// Whether the facts about the request are those that the turn began with.
fn keeps_its_prompt(turn: &Turn) -> bool {
    let began = turn.accepted.as_ref().map(|accepted| &accepted.prompt_session_attributes);
    !turn.system.is_empty() && began == Some(&turn.prompt_attributes)
}

fn fill<'a>(turn: &'a Turn, agent: &'a Agent, purpose: Purpose) -> Fill<'a> {
    let talk = talk(turn);
    Fill {
        config: &agent.config,
        tools: if purpose == Purpose::Route { agent.own_tools() } else { &agent.model_tools },
        question: turn.accepted.as_ref().map_or("", |accepted| accepted.input_text.as_str()),
        attachments: talk.attachments,
        history: match purpose {
            // A session that is over has no question any more.
            Purpose::Summarize => history::merged(turn.said_so_far()),
            Purpose::PreProcess | Purpose::Route | Purpose::Plan | Purpose::PostProcess => {
                talk.history
            }
        },
        own: talk.own,
        attributes: &turn.prompt_attributes,
        memory: &turn.memory,
        latest: latest(turn),
        last_agent: turn.team.routed.as_deref(),
    }
}

fn latest(turn: &Turn) -> &str {
    let stages = &turn.stages;
    let words = stages.draft.as_ref().or(stages.worded.as_ref()).or(turn.said.as_ref());
    words.map_or("", String::as_str)
}

/// A conversation, parted at the question that the turn answers.
struct Talk {
    history: Vec<Message>,
    attachments: Vec<Block>,
    own: Vec<Message>,
}

fn talk(turn: &Turn) -> Talk {
    let (at, block) = turn.question;
    let before = turn.said_so_far().count() - turn.messages.len() + at;
    let mut history: Vec<Message> = messages(turn.said_so_far().take(before + 1));
    let own = messages(turn.said_so_far().skip(before + 1));
    let Some(mut asked) = history.pop() else {
        return Talk { history, attachments: Vec::new(), own };
    };
    let attachments = asked.content.split_off((block + 1).min(asked.content.len()));
    asked.content.truncate(block);
    if !asked.content.is_empty() {
        history.push(asked);
    }
    if let Some(accepted) = &turn.accepted {
        history = accepted.recall.of(history);
    }
    Talk { history, attachments, own }
}

fn messages<'a>(said: impl Iterator<Item = &'a Utterance>) -> Vec<Message> {
    said.map(|message| message.message().clone()).collect()
}
