//! A prompt as a provider's cache knows it, and what a task's earlier prompts left there.
//!
//! Pure. A cache reads tools, then system, then messages, and keeps what ends at a mark: after the
//! tools, after the system text, after the last two messages of the user. That is where Craton sets
//! its marks (`cache = "auto"`). What one task wrote is there for its own later steps, within the
//! five minutes that a cache keeps it, and for no other task: a thousand tasks a day over some
//! twenty agents come further apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use wire::converse::{Block, Call, Message, Role, Usage};

use crate::Error;

/// A prompt in its parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Prompt {
    parts: Vec<Part>,
    /// Behind how many parts a cache has a mark.
    marks: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Part {
    text: String,
    tokens: u64,
}

impl Prompt {
    pub(super) fn of(call: &Call) -> Result<Prompt, Error> {
        let mut so_far = bare(call);
        let (mut prompt, mut tokens) = (Prompt::default(), 0);
        so_far.tools.clone_from(&call.tools);
        prompt.part(&json!(call.tools), &mut tokens, &so_far)?;
        so_far.system.clone_from(&call.system);
        prompt.part(&json!(call.system), &mut tokens, &so_far)?;
        prompt.marks = vec![1, 2];
        for message in &call.messages {
            so_far.messages.push(message.clone());
            prompt.part(&json!(message), &mut tokens, &so_far)?;
        }
        let users = call.messages.iter().enumerate().rev();
        let users = users.filter(|(_, message)| message.role == Role::User).take(2);
        prompt.marks.extend(users.map(|(at, _)| at + 3));
        Ok(prompt)
    }

    fn part(&mut self, read: &Json, before: &mut u64, call: &Call) -> Result<(), Error> {
        let now = estimate(call)?;
        self.parts.push(Part { text: read.to_string(), tokens: now - *before });
        *before = now;
        Ok(())
    }

    pub(super) fn tokens(&self) -> u64 {
        self.until(self.parts.len())
    }

    fn until(&self, parts: usize) -> u64 {
        self.parts.iter().take(parts).map(|part| part.tokens).sum()
    }
}

/// The tokens of a reply to the call.
pub(super) fn reply_tokens(call: &Call, content: Vec<Block>) -> Result<u64, Error> {
    let answered = |content| {
        let mut call = bare(call);
        call.messages.push(Message { role: Role::Assistant, content });
        estimate(&call)
    };
    Ok(answered(content)? - answered(Vec::new())?)
}

/// The call without anything to read.
fn bare(call: &Call) -> Call {
    let (tools, system, messages) = (Arc::from([]), Vec::new(), Vec::new());
    Call { tools, system, messages, ..call.clone() }
}

fn estimate(call: &Call) -> Result<u64, Error> {
    llm::tokens::estimate(call).map_err(|error| error.message.into())
}

/// What is kept of one task's prompts, by model.
#[derive(Default)]
pub(super) struct Kept<'a>(BTreeMap<String, Vec<&'a Prompt>>);

impl<'a> Kept<'a> {
    /// What a provider counts for this prompt, which is kept from now on.
    pub(super) fn usage(&mut self, model: &str, prompt: &'a Prompt, output_tokens: u64) -> Usage {
        let least = llm::cache_least_tokens(model) as u64;
        let earlier = self.0.entry(model.to_owned()).or_default();
        let common = earlier.iter().map(|before| common(before, prompt)).max().unwrap_or(0);
        let read = Some(prompt.until(common)).filter(|read| *read >= least).unwrap_or(0);
        let marked = prompt.marks.iter().max().map_or(0, |mark| prompt.until(*mark));
        let written = if marked >= least { marked - read } else { 0 };
        earlier.push(prompt);
        Usage {
            input_tokens: prompt.tokens() - read - written,
            output_tokens,
            cache_read_input_tokens: read,
            cache_write_input_tokens: written,
            ..Usage::default()
        }
    }
}

/// The parts up to the furthest mark of `before` with which `now` begins too.
fn common(before: &Prompt, now: &Prompt) -> usize {
    let same = before.parts.iter().zip(&now.parts).take_while(|(a, b)| a.text == b.text).count();
    before.marks.iter().copied().filter(|mark| *mark <= same).max().unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests {
    use serde::Deserialize as _;

    use super::*;

    /// A prompt of one part with so many tokens, as of a fresh task.
    pub(crate) fn of_tokens(text: &str, tokens: u64) -> Prompt {
        Prompt { parts: vec![Part { text: text.to_owned(), tokens }], marks: vec![1] }
    }

    fn grown(from: &Prompt, text: &str, tokens: u64) -> Prompt {
        let mut grown = from.clone();
        grown.parts.push(Part { text: text.to_owned(), tokens });
        grown.marks.push(grown.parts.len());
        grown
    }

    fn check(model: &str, prompts: &[&Prompt], expected: &[(u64, u64, u64)]) {
        let mut kept = Kept::default();
        let found = prompts.iter().map(|prompt| {
            let usage = kept.usage(model, prompt, 0);
            (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_write_input_tokens)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{model}");
    }

    #[test]
    fn a_step_reads_what_the_step_before_it_wrote_if_that_is_long_enough() {
        let first = of_tokens("tools and rules", 1_500);
        let second = grown(&first, "a result", 400);
        let other = of_tokens("another agent", 1_500);
        let all = [&first, &second, &other];
        check(
            "anthropic.claude-sonnet-4-6",
            &all,
            &[(0, 0, 1_500), (0, 1_500, 400), (0, 0, 1_500)],
        );
        // Opus 4.6 keeps nothing below 4,096 tokens.
        check("anthropic.claude-opus-4-6-v1", &all, &[(1_500, 0, 0), (1_900, 0, 0), (1_500, 0, 0)]);
    }

    #[test]
    fn each_model_has_a_cache_of_its_own() {
        let first = of_tokens("tools and rules", 2_000);
        let second = grown(&first, "a result", 100);
        let mut kept = Kept::default();
        kept.usage("amazon.nova-pro-v1:0", &first, 0);
        let usage = kept.usage("anthropic.claude-sonnet-4-6", &second, 0);
        assert_eq!((usage.cache_read_input_tokens, usage.cache_write_input_tokens), (0, 2_100));
    }

    #[test]
    fn the_marks_of_a_call_are_tools_system_and_the_users_last_two_words() {
        let said = |role: &str, text: &str| json!({"role": role, "content": [{"text": text}]});
        let call = Call::deserialize(json!({
            "model": "m", "system": ["Be brief."],
            "messages": [said("user", "a"), said("assistant", "b"), said("user", "c")],
        }));
        let call = call.unwrap();
        let prompt = Prompt::of(&call).unwrap();
        assert_eq!(prompt.marks, [1, 2, 5, 3]);
        assert_eq!(prompt.tokens(), estimate(&call).unwrap());
    }
}
