//! Renders a stage's prompt: a template, the default one or the agent's own, and what fills it.

use wire::converse::{Block, Message, Role};

use super::defaults::default_template;
use super::fill::Fill;
use super::placeholder::Slot;
use super::template::{Template, Turn};
use crate::agent::config::{AgentConfig, Stage};
use crate::agent::event::Attributes;

/// A prompt as it goes to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    pub system: Vec<String>,
    pub messages: Vec<Message>,
}

/// Fills a stage's template, or the default one.
///
/// The orchestration's conversation stays what it is, messages with tool uses and results: the
/// earlier exchanges stand before the question, those of this turn after it, where the template
/// has its scratchpad or at the end. Words that a template puts into the assistant's mouth after
/// the question are left out, because providers refuse a conversation that ends so.
pub fn render(stage: Stage, template: Option<&Template>, mut fill: Fill<'_>) -> Rendered {
    let template = template.unwrap_or_else(|| default_template(stage));
    let system = fill.text(&template.system, &template.tags).trim().to_owned();
    let system = Some(system).filter(|text| !text.is_empty());
    let mut messages = Messages::default();
    let asked = asked(&template.turns);
    for (at, turn) in template.turns.iter().enumerate() {
        let after = asked.is_some_and(|asked| at > asked);
        if turn.has(Slot::Scratchpad) || (after && turn.role == Role::Assistant) {
            continue;
        }
        let question = asked == Some(at);
        if question && stage == Stage::Orchestration && !template.has(Slot::History) {
            messages.extend(std::mem::take(&mut fill.history));
        }
        let texts = turn.texts.iter().map(|text| fill.text(text, &template.tags));
        messages.add(turn.role, texts.map(Block::Text));
        if question {
            messages.add(Role::User, std::mem::take(&mut fill.attachments).into_iter());
        }
    }
    if stage == Stage::Orchestration {
        messages.extend(std::mem::take(&mut fill.own));
    }
    Rendered { system: system.into_iter().collect(), messages: messages.or_question(&fill) }
}

/// The default orchestration's system text, as a turn begins with it.
pub fn system(config: &AgentConfig, attributes: &Attributes, memory: &[String]) -> Vec<String> {
    let fill = Fill {
        config,
        tools: &[],
        question: "",
        attachments: Vec::new(),
        history: Vec::new(),
        own: Vec::new(),
        attributes,
        memory,
        latest: "",
        last_agent: None,
    };
    render(Stage::Orchestration, None, fill).system
}

/// Only what the user said now, as it was said.
pub fn raw(fill: &Fill<'_>) -> Vec<Message> {
    let mut messages = Messages::default();
    messages.add(Role::User, std::iter::once(Block::Text(fill.question.to_owned())));
    messages.add(Role::User, fill.attachments.iter().cloned());
    messages.0
}

/// The message that asks: the last one of the user with the question in it, or the last at all.
fn asked(turns: &[Turn]) -> Option<usize> {
    let last = |fits: &dyn Fn(&Turn) -> bool| {
        turns.iter().rposition(|turn| turn.role == Role::User && fits(turn))
    };
    last(&|turn| turn.has(Slot::Question)).or_else(|| last(&|_| true))
}

/// Messages whose roles take turns and whose texts are not blank, as models' services want them.
#[derive(Default)]
struct Messages(Vec<Message>);

impl Messages {
    fn add(&mut self, role: Role, blocks: impl Iterator<Item = Block>) {
        let blank = |block: &Block| matches!(block, Block::Text(text) if text.trim().is_empty());
        let mut blocks = blocks.filter(|block| !blank(block)).peekable();
        if blocks.peek().is_none() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            Some(_) | None => self.0.push(Message { role, content: blocks.collect() }),
        }
    }

    fn extend(&mut self, messages: Vec<Message>) {
        for message in messages {
            self.add(message.role, message.content.into_iter());
        }
    }

    /// A template without words for the user would ask nothing.
    fn or_question(mut self, fill: &Fill<'_>) -> Vec<Message> {
        if self.0.is_empty() {
            self.add(Role::User, std::iter::once(Block::Text(fill.question.to_owned())));
        }
        self.0
    }
}
