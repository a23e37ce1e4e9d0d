//! A conversation that a model does not take as a whole: what was left out of it.

use std::collections::BTreeMap;

use wire::converse::{Block, ResultBlock, ToolResult};

use super::Turn;
use crate::agent::event::{CutResult, ModelOverflowed, Purpose, Shrunk};
use crate::agent::history;
use crate::agent::origin::Utterance;

/// What a turn left out because its model could not read all.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// How many model calls were refused for their length.
    pub overflows: u32,
    /// The last was, and nothing was left out yet.
    pub overflow: Option<Overflow>,
    /// Tool results that were cut, and the bytes that they had.
    pub cut: BTreeMap<String, usize>,
}

/// A model has refused the conversation for its length.
#[derive(Debug, Clone, PartialEq)]
pub struct Overflow {
    pub purpose: Purpose,
    /// The provider's words.
    pub message: String,
}

impl Turn {
    pub(super) fn overflow(&mut self, overflowed: &ModelOverflowed) {
        self.window.overflows += 1;
        let purpose = self.asking.take().unwrap_or(Purpose::Plan);
        self.window.overflow = Some(Overflow { purpose, message: overflowed.message.clone() });
    }

    pub(super) fn shrink(&mut self, shrunk: &Shrunk) {
        self.window.overflow = None;
        let mut left_out = shrunk.exchanges as usize;
        self.relayed = without(&self.relayed, &mut left_out);
        let gone = left_out.min(self.past.exchanges.len());
        self.past.forget(gone);
        left_out -= gone;
        self.carried = without(&self.carried, &mut left_out);
        for cut in &shrunk.results {
            let whole = self.results().find(|(id, _)| *id == cut.tool_use_id);
            let whole = whole.map_or(0, |(_, bytes)| bytes);
            let whole = *self.window.cut.entry(cut.tool_use_id.clone()).or_insert(whole);
            self.messages.iter_mut().for_each(|said| cut_result(said, cut, whole));
        }
    }

    /// Exchanges before this turn's own, the oldest first, by their tokens.
    pub fn earlier(&self) -> Vec<usize> {
        let tokens = |said: &[Utterance]| {
            let exchanges = history::exchanges("", 0, said).into_iter();
            exchanges.map(|exchange| exchange.tokens).collect::<Vec<_>>()
        };
        let past = self.past.exchanges.iter().map(|exchange| exchange.tokens);
        tokens(&self.relayed).into_iter().chain(past).chain(tokens(&self.carried)).collect()
    }

    /// The texts of this turn's tool results: id and bytes.
    pub fn results(&self) -> impl Iterator<Item = (&str, usize)> {
        let blocks = self.messages.iter().flat_map(|said| &said.content);
        blocks.filter_map(|block| match block {
            Block::ToolResult(result) => Some((result.tool_use_id.as_str(), text_bytes(result))),
            _ => None,
        })
    }
}

/// The messages without so many of the oldest exchanges, which are counted off.
fn without(said: &[Utterance], left_out: &mut usize) -> Vec<Utterance> {
    let exchanges = history::exchanges("", 0, said);
    let gone = (*left_out).min(exchanges.len());
    *left_out -= gone;
    exchanges.into_iter().skip(gone).flat_map(|exchange| exchange.messages).collect()
}

fn text_bytes(result: &ToolResult) -> usize {
    let texts = result.content.iter().map(|part| match part {
        ResultBlock::Text(text) => text.len(),
        ResultBlock::Json(_)
        | ResultBlock::Image(_)
        | ResultBlock::Document(_)
        | ResultBlock::Video(_)
        | ResultBlock::SearchResult(_) => 0,
    });
    texts.sum()
}

/// The model reads that something is missing, and how much of how much.
fn cut_result(said: &mut Utterance, cut: &CutResult, whole: usize) {
    let texts = said.blocks_mut().filter_map(|block| match block {
        Block::ToolResult(result) if result.tool_use_id == cut.tool_use_id => Some(result),
        _ => None,
    });
    for part in texts.flat_map(|result| &mut result.content) {
        let ResultBlock::Text(text) = part else { continue };
        let kept = text.floor_char_boundary(cut.keep);
        if kept < text.len() {
            text.truncate(kept);
            text.push_str(&format!(
                "\n[craton: the result is cut here, after {kept} of {whole} bytes, because no more \
                 fits into what you can read; ask for less at once if you need the rest]"
            ));
        }
    }
}
