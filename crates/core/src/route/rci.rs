//! The Reasoning Complexity Index: how much thinking a step takes, from 0 to 100.
//!
//! `RCI = min(100, 10·dependent steps + 7·required tools + 8·conditional blocks)`. It reads plain
//! words and counts; the words are English. `docs/models.md` has the same in prose.

use serde::{Deserialize, Serialize};
use wire::converse::{Block, Call, Message, Role, Tool, ToolChoice};

/// What the index is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inputs {
    /// Steps that need what others brought.
    pub dependent_steps: u32,
    pub required_tools: u32,
    pub conditional_blocks: u32,
}

const OF_STEP: u32 = 10;
const OF_TOOL: u32 = 7;
const OF_CONDITION: u32 = 8;
const MOST: u32 = 100;

impl Inputs {
    pub fn rci(&self) -> u32 {
        let steps = self.dependent_steps.saturating_mul(OF_STEP);
        let tools = self.required_tools.saturating_mul(OF_TOOL);
        let conditions = self.conditional_blocks.saturating_mul(OF_CONDITION);
        steps.saturating_add(tools).saturating_add(conditions).min(MOST)
    }
}

/// What a model is to do, as far as the index looks at it.
#[derive(Debug, Clone, Default)]
pub struct Task<'a> {
    /// What it is told once: an agent's instruction, a client's system prompt.
    pub instruction: Vec<&'a str>,
    /// What the user wants.
    pub question: Vec<&'a str>,
    pub tools: &'a [Tool],
    /// A tool has to be called.
    pub forced: bool,
    /// Calls of tools behind it, round by round.
    pub taken: u32,
}

impl<'a> Task<'a> {
    /// A client's own call: its system prompt, and all since the user's last words.
    pub fn of_call(call: &'a Call) -> Task<'a> {
        let asks = |message: &Message| {
            message.role == Role::User && message.content.iter().any(|b| said(b).is_some())
        };
        let uses = |message: &&Message| {
            message.content.iter().any(|block| matches!(block, Block::ToolUse(_)))
        };
        let last = call.messages.iter().rposition(asks).unwrap_or(0);
        let since = call.messages.get(last..).unwrap_or_default();
        Task {
            instruction: call.system.iter().map(String::as_str).collect(),
            question: since
                .iter()
                .take(1)
                .flat_map(|asked| asked.content.iter().filter_map(said))
                .collect(),
            tools: &call.tools,
            forced: call.tool_choice != ToolChoice::Auto && !call.tools.is_empty(),
            taken: u32::try_from(since.iter().filter(uses).count()).unwrap_or(u32::MAX),
        }
    }

    pub fn inputs(&self) -> Inputs {
        let mut read = Read::default();
        for text in self.instruction.iter().chain(&self.question) {
            text.split(['\n', '.', '!', ';']).for_each(|sentence| read.sentence(sentence));
            read.numbered += count(text.lines().filter(|line| is_numbered(line)));
        }
        let named: Vec<&Tool> =
            self.tools.iter().filter(|tool| read.names(&words_of_name(&tool.name))).collect();
        let guess = u32::from(self.forced || !self.tools.is_empty());
        let mut ids: Vec<&str> = named.iter().flat_map(|tool| ids_needed(tool)).collect();
        ids.sort_unstable();
        ids.dedup();
        Inputs {
            dependent_steps: read
                .numbered
                .saturating_add(read.sequences)
                .saturating_add(count(ids.into_iter()))
                .saturating_add(self.taken),
            required_tools: count(named.iter()).max(guess),
            conditional_blocks: read.conditions,
        }
    }
}

fn said(block: &Block) -> Option<&str> {
    match block {
        Block::Text(text) => Some(text),
        _ => None,
    }
}

/// What was counted in sentences so far.
#[derive(Default)]
struct Read {
    sentences: Vec<Vec<String>>,
    numbered: u32,
    sequences: u32,
    conditions: u32,
}

/// A sentence with one of these is a conditional block.
const CONDITIONS: [&str; 9] =
    ["if", "unless", "otherwise", "else", "when", "whenever", "whether", "except", "depending"];
/// A sentence with one of these, outside of a numbered list, is a step that follows another.
const SEQUENCES: [&str; 6] = ["then", "after", "afterwards", "next", "finally", "once"];

impl Read {
    fn sentence(&mut self, sentence: &str) {
        let words = words(sentence);
        let Some(first) = words.first() else { return };
        // `When did it leave?` asks for a time.
        let asks = first == "when" && sentence.trim_end().ends_with('?');
        let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
        self.conditions += u32::from(!asks && has(&CONDITIONS));
        self.sequences += u32::from(!is_numbered(sentence) && has(&SEQUENCES));
        self.sentences.push(words);
    }

    /// Whether one sentence has all words of a tool's name, or how they begin: `refunds` is of `refund`.
    fn names(&self, name: &[String]) -> bool {
        let has = |words: &Vec<String>, part: &String| words.iter().any(|w| w.starts_with(part));
        !name.is_empty()
            && self.sentences.iter().any(|words| name.iter().all(|part| has(words, part)))
    }
}

fn count<T>(all: impl Iterator<Item = T>) -> u32 {
    u32::try_from(all.count()).unwrap_or(u32::MAX)
}

/// `1.`, `2)`, `Step 3:` and the like.
fn is_numbered(line: &str) -> bool {
    let line = line.trim_start();
    let step = line.get(..4).filter(|start| start.eq_ignore_ascii_case("step"));
    let rest = if step.is_some() { line[4..].trim_start() } else { line };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let closes = step.is_some() || after.starts_with(['.', ')', ':']);
    after.len() < rest.len() && closes
}

/// Lower-case words; a name such as `get_order` or `getOrder` is its words.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for char in text.chars() {
        let humps = char.is_uppercase() && was_lower;
        if !char.is_alphanumeric() || humps {
            words.push(String::new());
        }
        if char.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(char.to_lowercase());
        }
        was_lower = char.is_lowercase() || char.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Without the action group, which stands before `__`.
fn words_of_name(name: &str) -> Vec<String> {
    words(name.rsplit("__").next().unwrap_or(name))
}

/// Arguments that must be there and that somebody else has to say first.
fn ids_needed(tool: &Tool) -> impl Iterator<Item = &str> {
    let required = tool.schema["required"].as_array().into_iter().flatten();
    required.filter_map(serde_json::Value::as_str).filter(|name| {
        let last = words(name).pop().unwrap_or_default();
        matches!(last.as_str(), "id" | "arn" | "key" | "token" | "reference")
    })
}
