//! Which part of a reply is already known to be the answer, while the model still speaks.
//!
//! One fold over the pieces of a streamed reply; it never looks at the turn.

use super::answer::{CLOSE, OPEN};

/// Lets a streamed reply through as far as it is known to be the answer.
///
/// Text between answer tags goes out as it comes. Text outside them is held back: it may be the
/// reason for a tool call. [`Screen::finish`] releases it when the reply turns out to be final.
#[derive(Debug, Default)]
pub struct Screen {
    held: String,
    place: Place,
    sent: bool,
    /// The block that the last piece belonged to, and whether it had more than white space.
    block: Option<usize>,
    begun: bool,
    /// White space at the beginning of a block, which counts only if something follows.
    blank: String,
    /// Whether an earlier block had text.
    parted: bool,
}

#[derive(Debug, Default, PartialEq)]
enum Place {
    #[default]
    Before,
    Inside,
    After,
}

impl Screen {
    /// Takes a piece of the text of one block of the reply and returns what may go out now.
    pub fn push(&mut self, block: usize, text: &str) -> String {
        if self.block != Some(block) {
            self.parted |= self.begun;
            self.begun = false;
            self.block = Some(block);
            self.blank.clear();
        }
        if self.begun {
            return self.pass(text);
        }
        self.blank.push_str(text);
        if text.trim().is_empty() {
            return String::new();
        }
        self.begun = true;
        let first = std::mem::take(&mut self.blank);
        if self.parted { self.pass(&format!("\n{first}")) } else { self.pass(&first) }
    }

    fn pass(&mut self, text: &str) -> String {
        if self.place == Place::After {
            return String::new();
        }
        let mut searched = self.held.len();
        self.held.push_str(text);
        if self.place == Place::Before
            && let Some(at) = find_after(&self.held, OPEN, searched)
        {
            let inside = self.held[at + OPEN.len()..].trim_start().to_owned();
            self.held = inside;
            self.place = Place::Inside;
            searched = 0;
        }
        match self.place {
            Place::Inside => self.inside(searched),
            Place::Before | Place::After => String::new(),
        }
    }

    /// The rest of the answer once the reply is known to be final. An answer that never opened a
    /// tag comes out whole.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        match self.place {
            Place::Before => rest.trim().to_owned(),
            Place::Inside => rest.trim_end().to_owned(),
            Place::After => String::new(),
        }
    }

    fn inside(&mut self, searched: usize) -> String {
        let mut searched = searched;
        if !self.sent {
            self.held = self.held.trim_start().to_owned();
            searched = 0;
        }
        let out = match find_after(&self.held, CLOSE, searched) {
            Some(at) => {
                let out = self.held[..at].trim_end().to_owned();
                self.place = Place::After;
                self.held.clear();
                out
            }
            None => {
                let keep = self.undecided_tail();
                let rest = self.held.split_off(self.held.len() - keep);
                std::mem::replace(&mut self.held, rest)
            }
        };
        self.sent |= !out.is_empty();
        out
    }

    /// Bytes at the end that may yet turn out to be white space before the closing tag, or its
    /// beginning.
    fn undecided_tail(&self) -> usize {
        let begun = (1..CLOSE.len()).rev().find(|&n| self.held.ends_with(&CLOSE[..n])).unwrap_or(0);
        let text = &self.held[..self.held.len() - begun];
        begun + (text.len() - text.trim_end().len())
    }
}

/// Where a tag stands in a text that is known to have none in its first `searched` bytes. A long
/// reply comes in thousands of pieces, and none may cost a look at all that came before.
fn find_after(text: &str, tag: &str, searched: usize) -> Option<usize> {
    let mut from = searched.saturating_sub(tag.len() - 1);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    text[from..].find(tag).map(|at| from + at)
}
