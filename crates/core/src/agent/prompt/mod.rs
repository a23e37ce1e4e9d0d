//! Prompts: from an agent's templates to what a model reads, and from a reply to what was asked for.
//!
//! `template` and `placeholder` parse a template once; `stage` renders it with the values of one
//! call (`fill`); `answer`, `screen` and `written` read replies, `parser` what a parser function
//! makes of them. Nothing here decides what comes next, and no value is ever read as template.

mod answer;
mod defaults;
mod fill;
pub mod parser;
mod placeholder;
mod screen;
mod stage;
mod template;
#[cfg(test)]
mod tests;
mod transcript;
pub(crate) mod written;

pub use self::answer::{answer, final_response, judgement, rationale};
pub use self::defaults::default_text;
pub use self::fill::Fill;
pub use self::screen::Screen;
pub use self::stage::{Rendered, raw, render, system};
pub use self::template::{Problem, Template, check_form};
