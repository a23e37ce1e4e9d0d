//! The stages around the orchestration: what is asked, what was heard, and what it turned out to mean.

use wire::converse::{Block, Role, ToolStatus, ToolUse};

use super::{Routing, Turn, text_of};
use crate::agent::event::{ModelSaid, Parse, Parsed, Purpose, Verdict};
use crate::agent::origin::{Origin, push};

/// What the user reads when the input is not worked on. The reasons stand in the trace: to tell
/// them to somebody who tries to get around the agent would help with that.
const REFUSAL: &str = "Sorry, I am unable to assist you with this request.";

/// How far the stages are.
#[derive(Debug, Clone, Default)]
pub struct Stages {
    /// The last reply, until it is read.
    pub heard: Option<Heard>,
    /// A parser function reads it.
    pub parsing: Option<Parse>,
    /// Whether pre-processing took the input.
    pub valid: Option<bool>,
    /// The orchestration's last words, which post-processing words anew.
    pub draft: Option<String>,
    /// The answer as it goes out, where that is not what the model's reply says by itself.
    pub worded: Option<String>,
    /// Nothing comes between the answer and the user any more.
    pub concluded: bool,
    /// What a parser function asks the user, which ends the turn.
    pub question: Option<String>,
}

/// A reply and what it was for.
#[derive(Debug, Clone)]
pub struct Heard {
    pub purpose: Purpose,
    pub said: ModelSaid,
}

/// What a model reads of a tool use that nothing came of.
const NOT_PERFORMED: &str = "not_performed: nothing was done; tell the user";

impl Turn {
    /// INVARIANT: no model is sent a tool use without a result.
    pub(super) fn ask(&mut self, purpose: Purpose, step: u32) {
        self.close_all(NOT_PERFORMED);
        self.steps = step;
        self.asking = Some(purpose);
        self.stages.heard = None;
        let (said, worded) = (self.said.take(), self.stages.worded.take());
        if purpose == Purpose::PostProcess {
            // A call that was refused for its length is made again with the same draft.
            self.stages.draft = worded.or(said).or(self.stages.draft.take());
        }
        self.uses.clear();
    }

    pub(super) fn read(&mut self, parsed: &Parsed) {
        self.stages.parsing = None;
        let heard = self.stages.heard.take();
        match &parsed.verdict {
            Verdict::Judged { valid, .. } => {
                self.stages.valid = Some(*valid);
                if !valid {
                    self.conclude(REFUSAL);
                }
            }
            Verdict::Calls { calls, .. } => self.recall(heard, calls),
            Verdict::Said { text, asks: true, .. } => {
                self.unsay();
                self.say(text_blocks(text), &Origin::Model);
                self.said = None;
                self.stages.question = Some(text.clone());
            }
            Verdict::Said { text, asks: false, .. } => self.reword(parsed.purpose, text),
            Verdict::Again { message, .. } => self.say_again(message),
            Verdict::Failed { message } => self.fail("DependencyFailedException", message),
        }
    }

    /// INVARIANT: the conversation holds what the user reads.
    fn reword(&mut self, purpose: Purpose, text: &str) {
        match purpose {
            Purpose::Route => self.team.routing = Routing::Said(text.to_owned()),
            Purpose::Summarize => self.said = Some(text.to_owned()),
            Purpose::Plan | Purpose::PostProcess | Purpose::PreProcess => {
                self.unsay();
                self.say(text_blocks(text), &Origin::Model);
                self.said = None;
                self.stages.worded = Some(text.to_owned());
                self.stages.concluded |= purpose == Purpose::PostProcess;
            }
        }
    }

    fn conclude(&mut self, text: &str) {
        self.say(text_blocks(text), &Origin::Developer);
        self.said = None;
        self.stages.worded = Some(text.to_owned());
        self.stages.concluded = true;
    }

    /// The calls that a parser function reads out of a reply stand in the place of its own.
    fn recall(&mut self, heard: Option<Heard>, calls: &[ToolUse]) {
        self.unsay();
        let content = heard.map(|heard| heard.said.reply.content).unwrap_or_default();
        let mut content: Vec<Block> = content.into_iter().filter(is_spoken).collect();
        content.extend(calls.iter().cloned().map(Block::ToolUse));
        self.take_uses(&mut content);
        self.said = None;
        self.say(content, &Origin::Model);
    }

    fn say_again(&mut self, message: &str) {
        let ids: Vec<String> = self.uses.iter().map(|u| u.tool_use.tool_use_id.clone()).collect();
        for id in &ids {
            self.close(id, message.to_owned(), Some(ToolStatus::Error), true);
        }
        if ids.is_empty() {
            self.said = None;
            self.repairs += 1;
            let why = (Block::Text(message.to_owned()), Origin::Developer);
            push(&mut self.messages, Role::User, vec![why]);
        }
    }

    /// Takes the last reply out of the conversation.
    fn unsay(&mut self) {
        self.messages.pop_if(|last| last.role == Role::Assistant);
        self.uses.clear();
    }
}

fn text_blocks(text: &str) -> Vec<Block> {
    match text.trim().is_empty() {
        true => Vec::new(),
        false => vec![Block::Text(text.to_owned())],
    }
}

fn is_spoken(block: &Block) -> bool {
    match block {
        Block::Text(text) => !text.trim().is_empty(),
        Block::ReasoningContent(_) => true,
        Block::ToolUse(_)
        | Block::ToolResult(_)
        | Block::Image(_)
        | Block::Document(_)
        | Block::Video(_)
        | Block::Audio(_)
        | Block::SearchResult(_)
        | Block::CitationsContent(_)
        | Block::GuardContent(_)
        | Block::CachePoint(_) => false,
    }
}

impl Heard {
    pub fn text(&self) -> String {
        text_of(&self.said.reply.content)
    }
}
