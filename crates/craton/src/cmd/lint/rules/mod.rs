//! The rules: each looks at one tool, or at all of them, and says what it finds.
//!
//! Pure, and shy: a rule that is not sure says nothing, because a list of false alarms is read
//! once. docs/lint.md has a section for each id.

mod answers;
mod descriptions;
mod names;
mod parameters;
mod role;
mod safety;
mod scope;
mod together;
mod trust;

use serde::Serialize;

use super::subject::{Subject, Tool};

/// The lines of the checklist for tools on which each tool is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Item {
    Name,
    WhenToUse,
    Parameters,
    RequiredAndEnums,
    Role,
    Idempotency,
    Answers,
    HandOff,
    Scope,
    Trust,
}

impl Item {
    pub(super) const ALL: [Item; 10] = [
        Item::Name,
        Item::WhenToUse,
        Item::Parameters,
        Item::RequiredAndEnums,
        Item::Role,
        Item::Idempotency,
        Item::Answers,
        Item::HandOff,
        Item::Scope,
        Item::Trust,
    ];

    /// Whether a tool can be judged on it by what is known.
    pub(super) fn applies(self, tool: &Tool) -> bool {
        match self {
            Item::Parameters | Item::RequiredAndEnums => !tool.parameters.is_empty(),
            Item::Role => tool.role.is_some(),
            // The client performs what control is returned for, and knows how often.
            Item::Idempotency => tool.function.is_some(),
            // AWS's function schema has no place for what a function answers: it is seen in runs.
            Item::Answers => tool.api.is_some() || !tool.answers.is_empty(),
            Item::Name | Item::WhenToUse | Item::HandOff | Item::Scope | Item::Trust => true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// It will go wrong one day, or cannot be undone when it does.
    Error,
    Warning,
    /// Worth a thought.
    Advice,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) item: Item,
    pub(super) why: &'static str,
}

pub(super) struct Finding {
    pub(super) rule: &'static Rule,
    pub(super) severity: Severity,
    /// The model's names of the tools that it is about; empty for the agent as a whole.
    pub(super) tools: Vec<String>,
    pub(super) what: String,
    /// What to write instead.
    pub(super) fix: String,
}

macro_rules! rules {
    ($($name:ident = $id:literal, $item:ident, $why:literal;)*) => {
        $(pub(super) const $name: Rule = Rule { id: $id, item: Item::$item, why: $why };)*
        #[cfg(test)]
        pub(super) const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    VAGUE_NAME = "vague-name", Name,
        "a model chooses by the name first, and this one fits any task";
    NO_VERB = "no-verb", Name,
        "a name without a verb does not say what happens when it is called";
    NO_OBJECT = "no-object", Name,
        "a verb alone does not say what it acts on, and the next tool may want the same verb";
    NO_DESCRIPTION = "no-description", WhenToUse,
        "the description is all that a model knows of a tool before it calls it";
    EMPTY_DESCRIPTION = "empty-description", WhenToUse,
        "it says nothing that the name does not say";
    WHEN_TO_USE = "when-to-use", WhenToUse,
        "a model that is not told when to call a tool calls it when the words match";
    LONG_DESCRIPTION = "long-description", WhenToUse,
        "it is sent with every model call, and what matters drowns in it";
    SIMILAR_TOOLS = "similar-tools", Name,
        "a model that cannot tell two tools apart takes either";
    PARAMETER_UNDESCRIBED = "parameter-undescribed", Parameters,
        "a model guesses what it is not told, and a guess is a wrong call";
    PARAMETER_EMPTY_DESCRIPTION = "parameter-empty-description", Parameters,
        "an example or a format prevents more wrong calls than the name said twice";
    VAGUE_PARAMETER = "vague-parameter", Parameters,
        "a name that fits anything is filled with anything";
    WRONG_TYPE = "wrong-type", Parameters,
        "numbers and flags that travel as text arrive as \"12 dollars\" and \"yes please\"";
    FORMAT_UNSAID = "format-unsaid", Parameters,
        "without a format each call may have another one";
    NOTHING_REQUIRED = "nothing-required", RequiredAndEnums,
        "a call without any argument passes the check and fails in the tool";
    ENUM_MISSING = "enum-missing", RequiredAndEnums,
        "an enum refuses a wrong value before the tool is called; a description does not";
    BROAD_ROLE = "broad-role", Role,
        "whoever steers the tool has all that its role allows";
    SHARED_ROLE = "shared-role", Role,
        "a tool that only looks things up can change them as well, and so can who steers it";
    EFFECT_UNDECLARED = "effect-undeclared", Idempotency,
        "undeclared is `once`: after a lost reply nobody knows, and nothing is tried again";
    EFFECT_CONTRADICTED = "effect-contradicted", Idempotency,
        "what counts as a read is repeated whenever a reply is lost";
    POLICY_BROKEN = "policy-broken", Idempotency,
        "it would be missed in the moment it is needed";
    RESPONSE_UNDESCRIBED = "response-undescribed", Answers,
        "an answer of no known form is read by guessing";
    ERRORS_UNDESCRIBED = "errors-undescribed", Answers,
        "a model mends its call by a short structured error, and by nothing else";
    HTML_RESPONSE = "html-response", Answers,
        "a page or a stack trace costs thousands of tokens, says little and may carry instructions";
    LARGE_ANSWER = "large-answer", Answers,
        "the model gets none of an answer that is too large";
    HIGH_IMPACT = "high-impact", HandOff,
        "a model that is wrong, or was talked into it, does this without anybody's word";
    FREE_FORM = "free-form", Scope,
        "whoever gets words into the conversation writes this argument";
    GOD_TOOL = "god-tool", Scope,
        "one tool that does everything cannot be allowed, repeated, confirmed or refused in parts";
    MIXED_READS_AND_WRITES = "mixed-reads-and-writes", Scope,
        "what only looks things up then has the code, the network and the role of what changes them";
    TOO_MANY_TOOLS = "too-many-tools", Scope,
        "each tool costs tokens in every call, and models choose worse among many";
    HIDDEN_INSTRUCTIONS = "hidden-instructions", Trust,
        "models obey descriptions; text that speaks to the model about other things is an attack or reads like one";
}

impl Tool {
    fn finding(
        &self,
        rule: &'static Rule,
        severity: Severity,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        let (what, fix) = (what.into(), fix.into());
        Finding { rule, severity, tools: vec![self.name.clone()], what, fix }
    }
}

/// All findings, the gravest first, those of one tool in the order of the checklist.
pub(super) fn examine(subject: &Subject) -> Vec<Finding> {
    let mut found = Vec::new();
    for tool in &subject.tools {
        names::examine(tool, &mut found);
        descriptions::examine(tool, subject, &mut found);
        parameters::examine(tool, &mut found);
        role::examine(tool, &mut found);
        safety::examine(tool, subject, &mut found);
        answers::examine(tool, &mut found);
        scope::examine(tool, &mut found);
        trust::examine(tool, &mut found);
    }
    together::examine(subject, &mut found);
    found.sort_by_key(|finding| finding.severity);
    found
}

/// What a description is worth at most before it is cut out of a message.
fn shown(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{:?}", format!("{}…", &text[..at])),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests;
