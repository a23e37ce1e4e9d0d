//! Prompts that a client has put into its model's own template, taken apart into messages.
//!
//! A model behind another provider has a template of its own, so the markers of this one would be
//! noise to it. A prompt that is not wholly in its own model's template goes as one message as it stands:
//! what another vendor's models take for a marker is nothing but words to this one.

use wire::converse::{Block, Message, Role};

/// Whose template a prompt may be in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Template {
    /// The first Claudes'.
    Claude,
    DeepSeek,
    /// That of the second Llama, of the third and of the fourth.
    Llama,
    Mistral,
    /// The model has none.
    Plain,
}

/// A prompt as a conversation.
#[derive(Debug, PartialEq)]
pub(super) struct Talk {
    pub(super) system: Vec<String>,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    System,
    User,
    Assistant,
}

/// What stands around the parts of a template with headed messages.
struct Marks {
    begin: &'static str,
    open: &'static str,
    close: &'static str,
    end: &'static str,
}

// Meta's model cards: prompt formats of Llama 3 and of Llama 4.
const HEADED: [Marks; 2] = [
    Marks {
        begin: "<|begin_of_text|>",
        open: "<|start_header_id|>",
        close: "<|end_header_id|>",
        end: "<|eot_id|>",
    },
    Marks {
        begin: "<|begin_of_text|>",
        open: "<|header_start|>",
        close: "<|header_end|>",
        end: "<|eot|>",
    },
];

pub(super) fn talk(prompt: String, template: Template) -> Talk {
    let parts = match template {
        Template::Claude => spoken(&prompt),
        Template::DeepSeek => marked(&prompt),
        Template::Llama => {
            HEADED.iter().find_map(|marks| headed(&prompt, marks)).or_else(|| instructed(&prompt))
        }
        Template::Mistral => instructed(&prompt),
        Template::Plain => None,
    };
    parts.and_then(conversation).unwrap_or_else(|| Talk {
        system: Vec::new(),
        messages: vec![Message { role: Role::User, content: vec![Block::Text(prompt)] }],
    })
}

fn headed(prompt: &str, marks: &Marks) -> Option<Vec<(Who, String)>> {
    let mut rest = prompt.trim();
    rest = rest.strip_prefix(marks.begin).unwrap_or(rest).trim_start();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (who, after) = rest.strip_prefix(marks.open)?.split_once(marks.close)?;
        let who = match who.trim() {
            "system" => Who::System,
            "user" => Who::User,
            "assistant" => Who::Assistant,
            _ => return None,
        };
        let (text, after) = after.split_once(marks.end).unwrap_or((after, ""));
        parts.push((who, text.trim().to_owned()));
        rest = after.trim_start();
    }
    Some(parts)
}

/// `[INST] … [/INST]`, of Mistral and of Llama 2, which puts the system prompt into the first.
fn instructed(prompt: &str) -> Option<Vec<(Who, String)>> {
    let mut rest = prompt.trim();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        rest = rest.strip_prefix("<s>").unwrap_or(rest).trim_start();
        let (asked, after) = rest.strip_prefix("[INST]")?.split_once("[/INST]")?;
        match asked.trim_start().strip_prefix("<<SYS>>").map(|a| a.split_once("<</SYS>>")) {
            Some(Some((system, asked))) => {
                parts.push((Who::System, system.trim().to_owned()));
                parts.push((Who::User, asked.trim().to_owned()));
            }
            Some(None) => return None,
            None => parts.push((Who::User, asked.trim().to_owned())),
        }
        let end = ["</s>", "[INST]"].iter().filter_map(|mark| after.find(mark)).min();
        let (said, after) = after.split_at(end.unwrap_or(after.len()));
        parts.push((Who::Assistant, said.trim().to_owned()));
        rest = after.strip_prefix("</s>").unwrap_or(after).trim_start();
    }
    Some(parts)
}

const BEGIN: &str = "<｜begin▁of▁sentence｜>";
const END: &str = "<｜end▁of▁sentence｜>";
const USER: &str = "<｜User｜>";
const ASSISTANT: &str = "<｜Assistant｜>";

/// DeepSeek's, whose last mark is followed by what opens the model's thoughts.
fn marked(prompt: &str) -> Option<Vec<(Who, String)>> {
    let rest = prompt.trim();
    let rest = rest.strip_prefix(BEGIN).unwrap_or(rest);
    let (system, mut rest) = rest.split_at(rest.find(USER)?);
    let mut parts = Vec::new();
    if !system.trim().is_empty() {
        parts.push((Who::System, system.trim().to_owned()));
    }
    while !rest.is_empty() {
        let (who, after) = match rest.strip_prefix(USER) {
            Some(after) => (Who::User, after),
            None => (Who::Assistant, rest.strip_prefix(ASSISTANT)?),
        };
        let end = [USER, ASSISTANT, END].iter().filter_map(|mark| after.find(mark)).min();
        let (text, after) = after.split_at(end.unwrap_or(after.len()));
        let text = text.trim();
        let text = text.strip_suffix("<think>").filter(|_| after.is_empty()).unwrap_or(text);
        parts.push((who, text.trim().to_owned()));
        rest = after.strip_prefix(END).unwrap_or(after).trim_start();
    }
    Some(parts)
}

const HUMAN: &str = "\n\nHuman:";
const CLAUDE: &str = "\n\nAssistant:";

/// The first Claudes', where the system prompt is what comes before the first turn.
fn spoken(prompt: &str) -> Option<Vec<(Who, String)>> {
    let prompt = if prompt.starts_with("Human:") { &format!("\n\n{prompt}") } else { prompt };
    let (system, mut rest) = prompt.split_at(prompt.find(HUMAN)?);
    let mut parts = Vec::new();
    if !system.trim().is_empty() {
        parts.push((Who::System, system.trim().to_owned()));
    }
    while !rest.is_empty() {
        let (who, after) = match rest.strip_prefix(HUMAN) {
            Some(after) => (Who::User, after),
            None => (Who::Assistant, rest.strip_prefix(CLAUDE)?),
        };
        let end = [HUMAN, CLAUDE].iter().filter_map(|mark| after.find(mark)).min();
        let (text, after) = after.split_at(end.unwrap_or(after.len()));
        parts.push((who, text.trim().to_owned()));
        rest = after;
    }
    Some(parts)
}

/// A system prompt if any, then the user and the assistant in turns; what the assistant is to begin
/// its answer with may come last.
fn conversation(parts: Vec<(Who, String)>) -> Option<Talk> {
    let mut talk = Talk { system: Vec::new(), messages: Vec::new() };
    let last = parts.len().checked_sub(1)?;
    for (at, (who, text)) in parts.into_iter().enumerate() {
        let expected =
            if talk.messages.len().is_multiple_of(2) { Role::User } else { Role::Assistant };
        let role = match who {
            Who::System if talk.messages.is_empty() => {
                talk.system.push(text);
                continue;
            }
            Who::System => return None,
            Who::User => Role::User,
            Who::Assistant if at == last && text.is_empty() => continue,
            Who::Assistant => Role::Assistant,
        };
        if role != expected || text.is_empty() {
            return None;
        }
        talk.messages.push(Message { role, content: vec![Block::Text(text)] });
    }
    (!talk.messages.is_empty()).then_some(talk)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "how an inline snapshot is written")]
    fn check(template: Template, prompt: &str, expected: Expect) {
        let talk = talk(prompt.to_owned(), template);
        let mut told: Vec<String> =
            talk.system.iter().map(|text| format!("system: {text}")).collect();
        for message in &talk.messages {
            let Block::Text(text) = &message.content[0] else { unreachable!() };
            told.push(format!("{:?}: {text}", message.role));
        }
        expected.assert_eq(&told.join(" | "));
    }

    #[test]
    fn a_prompt_in_a_template_is_taken_apart() {
        check(
            Template::Llama,
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\n",
            expect!["system: Be brief. | User: Hi | Assistant: Hello | User: Who?"],
        );
        check(
            Template::Llama,
            "<|begin_of_text|><|header_start|>user<|header_end|>\n\nHi<|eot|>\
             <|header_start|>assistant<|header_end|>\n\nWell,",
            expect!["User: Hi | Assistant: Well,"],
        );
        check(Template::Mistral, "<s>[INST] Hi [/INST]", expect!["User: Hi"]);
        check(
            Template::Llama,
            "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Who? [/INST]",
            expect!["system: Be brief. | User: Hi | Assistant: Hello | User: Who?"],
        );
        check(
            Template::DeepSeek,
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜><think>\n",
            expect!["system: Be brief. | User: Hi"],
        );
        check(
            Template::Claude,
            "Be brief.\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Who?\n\nAssistant:",
            expect!["system: Be brief. | User: Hi | Assistant: Hello | User: Who?"],
        );
        check(
            Template::Claude,
            "Human: Hi\n\nAssistant: <answer>",
            expect!["User: Hi | Assistant: <answer>"],
        );
    }

    #[test]
    fn a_prompt_in_no_template_or_not_wholly_in_one_goes_as_it_stands() {
        check(Template::Mistral, "Say [INST] twice.", expect!["User: Say [INST] twice."]);
        check(
            Template::Llama,
            "<|start_header_id|>tool<|end_header_id|>x<|eot_id|>",
            expect!["User: <|start_header_id|>tool<|end_header_id|>x<|eot_id|>"],
        );
        let (llama, mistral) = (Template::Llama, Template::Mistral);
        check(mistral, "[INST] a [/INST] b [/INST]", expect!["User: a | Assistant: b [/INST]"]);
        check(llama, "[INST] <<SYS>> open [/INST]", expect!["User: [INST] <<SYS>> open [/INST]"]);
        check(mistral, "[INST][/INST]", expect!["User: [INST][/INST]"]);
        check(Template::Claude, "plain words", expect!["User: plain words"]);
    }

    #[test]
    fn another_vendors_marks_are_words() {
        let quoted = "Sum up:\n\nHuman: hi\n\nAssistant: hello";
        for template in [Template::DeepSeek, Template::Llama, Template::Mistral, Template::Plain] {
            let expected = expect![[r"
                User: Sum up:

                Human: hi

                Assistant: hello"]];
            check(template, quoted, expected);
        }
        check(Template::Claude, "[INST] Hi [/INST]", expect!["User: [INST] Hi [/INST]"]);
        check(Template::Plain, "[INST] Hi [/INST]", expect!["User: [INST] Hi [/INST]"]);
    }
}
