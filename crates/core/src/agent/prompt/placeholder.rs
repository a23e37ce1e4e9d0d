//! The placeholder variables of prompt templates: which there are, and in which stages.
//!
//! A name is a placeholder only as `$name$` in lower case, so that `$500`, `US$ 5` and the
//! `$TOOL_NAME` of AWS's own examples stay text. What a slot is filled with is said in `fill.rs`.
//!
//! AWS: names by stage (user guide, "Use placeholder variables in Amazon Bedrock agent prompt
//! templates"), and those that stand in the default templates GetAgent shows.

use super::template::Problem;
use crate::agent::config::Stage;

/// What a template asks to be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Question,
    /// The conversation before the question, as a transcript.
    History,
    /// Where the tool uses of this turn and their results go, which are messages of their own.
    Scratchpad,
    Instruction,
    Tools,
    AnyTool,
    Attributes,
    AskUser,
    AskUserFunction,
    Memory,
    MemoryGuideline,
    MemoryActionGuideline,
    Collaborators,
    CollaborationGuideline,
    FinalAnswer,
    CannotAnswer,
    Thought,
    LatestResponse,
    Responses,
    /// All that was said, as a transcript.
    Conversation,
    PastSummaries,
    LastAnswer,
    ActionRouting,
    ActionRoutingGuideline,
    LastAgent,
    LastAgentGuideline,
    /// Belongs to a feature that this agent cannot have: knowledge bases, the code interpreter.
    Nothing,
}

const PRE: u8 = 1;
const ORCHESTRATION: u8 = 2;
const KNOWLEDGE: u8 = 4;
const POST: u8 = 8;
const MEMORY: u8 = 16;
const ROUTING: u8 = 32;
const ALL: u8 = 63;

fn bit(stage: Stage) -> u8 {
    match stage {
        Stage::PreProcessing => PRE,
        Stage::Orchestration => ORCHESTRATION,
        Stage::KnowledgeBaseResponseGeneration => KNOWLEDGE,
        Stage::PostProcessing => POST,
        Stage::MemorySummarization => MEMORY,
        Stage::RoutingClassifier => ROUTING,
    }
}

const TABLE: &[(&str, u8, Slot)] = &[
    ("question", ALL, Slot::Question),
    ("conversation_history", ALL, Slot::History),
    ("instruction", ALL, Slot::Instruction),
    ("prompt_session_attributes", ALL, Slot::Attributes),
    ("attributes", ALL, Slot::Attributes),
    ("tools", PRE | ORCHESTRATION | POST | ROUTING, Slot::Tools),
    ("functions", PRE | ORCHESTRATION | POST | ROUTING, Slot::Tools),
    ("any_function_name", PRE | ORCHESTRATION, Slot::AnyTool),
    ("ask_user_function", PRE | ORCHESTRATION, Slot::AskUserFunction),
    ("ask_user_function_format", PRE | ORCHESTRATION, Slot::AskUserFunction),
    ("agent_scratchpad", ORCHESTRATION, Slot::Scratchpad),
    ("model_instruction", ORCHESTRATION, Slot::Instruction),
    ("thought", ORCHESTRATION, Slot::Thought),
    ("ask_user_missing_information", ORCHESTRATION, Slot::AskUser),
    ("ask_user_missing_parameters", ORCHESTRATION, Slot::AskUser),
    ("ask_user_confirm_parameters", ORCHESTRATION, Slot::AskUser),
    ("ask_user_confirm_missing_parameters", ORCHESTRATION, Slot::AskUser),
    ("ask_user_input_examples", ORCHESTRATION, Slot::Nothing),
    ("respond_to_user_guideline", ORCHESTRATION, Slot::Nothing),
    ("final_answer_guideline", ORCHESTRATION, Slot::FinalAnswer),
    ("respond_to_user_final_answer_guideline", ORCHESTRATION, Slot::Nothing),
    ("cannot_answer_guideline", ORCHESTRATION, Slot::CannotAnswer),
    ("respond_to_user_cannot_answer_guideline", ORCHESTRATION, Slot::Nothing),
    ("output_format_guideline", ORCHESTRATION, Slot::FinalAnswer),
    ("output_format_guidelines", ORCHESTRATION, Slot::FinalAnswer),
    ("guardrails", ORCHESTRATION, Slot::Nothing),
    ("memory_content", ORCHESTRATION, Slot::Memory),
    ("memory_synopsis", ORCHESTRATION, Slot::Memory),
    ("long_term_memory", ORCHESTRATION, Slot::Memory),
    ("memory_guideline", ORCHESTRATION, Slot::MemoryGuideline),
    ("memory_guidelines", ORCHESTRATION, Slot::MemoryGuideline),
    ("memory_action_guideline", ORCHESTRATION, Slot::MemoryActionGuideline),
    ("agent_collaborators", ORCHESTRATION | ROUTING, Slot::Collaborators),
    ("multi_agent_collaboration", ORCHESTRATION, Slot::Collaborators),
    ("multi_agent_collaboration_guideline", ORCHESTRATION, Slot::CollaborationGuideline),
    ("multi_agent_payload_reference_guideline", ORCHESTRATION, Slot::Nothing),
    ("agent_collaboration_kb_guideline", ORCHESTRATION, Slot::Nothing),
    ("action_kb_guideline", ORCHESTRATION, Slot::Nothing),
    ("knowledge_base_guideline", ORCHESTRATION, Slot::Nothing),
    ("knowledge_base_additional_guideline", ORCHESTRATION, Slot::Nothing),
    ("respond_to_user_knowledge_base_guideline", ORCHESTRATION, Slot::Nothing),
    ("respond_to_user_knowledge_base_additional_guideline", ORCHESTRATION, Slot::Nothing),
    ("code_interpreter_guideline", ORCHESTRATION, Slot::Nothing),
    ("code_interpreter_files", ORCHESTRATION, Slot::Nothing),
    ("query", KNOWLEDGE, Slot::Question),
    ("search_results", KNOWLEDGE, Slot::Nothing),
    ("output_format_instructions", KNOWLEDGE, Slot::Nothing),
    ("latest_response", POST, Slot::LatestResponse),
    ("responses", POST, Slot::Responses),
    ("past_conversation_summary", MEMORY, Slot::PastSummaries),
    ("conversation", MEMORY | ROUTING, Slot::Conversation),
    ("last_user_request", ROUTING, Slot::Question),
    ("last_agent_response", ROUTING, Slot::LastAnswer),
    ("reachable_agents", ROUTING, Slot::Collaborators),
    ("action_routing", ROUTING, Slot::ActionRouting),
    ("tools_for_routing", ROUTING, Slot::ActionRouting),
    ("action_routing_guideline", ROUTING, Slot::ActionRoutingGuideline),
    ("knowledge_base_routing", ROUTING, Slot::Nothing),
    ("knowledge_bases_for_routing", ROUTING, Slot::Nothing),
    ("knowledge_base_routing_guideline", ROUTING, Slot::Nothing),
    ("last_most_specialized_agent", ROUTING, Slot::LastAgent),
    ("last_most_specialized_agent_guideline", ROUTING, Slot::LastAgentGuideline),
];

/// AWS: its templates show the model `<text>$answer$</text>` and `<source>$source$</source>` as
/// a format to write; nothing is filled in there (user guide, "Advanced prompt templates").
const TEXT: [&str; 2] = ["answer", "source"];

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Literal(String),
    Slot(Slot),
}

/// Cuts a text at its placeholders.
pub(super) fn parts(stage: Stage, text: &str) -> Result<Vec<Part>, Problem> {
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        literal.push_str(before);
        match name(from).filter(|name| !TEXT.contains(name)) {
            Some(name) => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Slot(known(stage, name)?));
                rest = &from[name.len() + 2..];
            }
            None => {
                literal.push('$');
                rest = &from[1..];
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// The name in `$name$`, at the beginning of a text.
fn name(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?;
    let name = &inside[..inside.find('$')?];
    let fits = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let begins = name.starts_with(|char: char| char.is_ascii_lowercase());
    (begins && name.chars().all(fits)).then_some(name)
}

fn known(stage: Stage, name: &str) -> Result<Slot, Problem> {
    let here = |(_, stages, _): &&(&str, u8, Slot)| stages & bit(stage) != 0;
    match TABLE.iter().filter(here).find(|(known, _, _)| *known == name) {
        Some((_, _, slot)) => Ok(*slot),
        None => {
            let names: Vec<String> =
                TABLE.iter().filter(here).map(|(name, _, _)| format!("${name}$")).collect();
            Err(Problem(format!(
                "${name}$ is no placeholder of this prompt; those are {}",
                names.join(", ")
            )))
        }
    }
}
