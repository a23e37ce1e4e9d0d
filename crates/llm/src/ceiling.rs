//! What a call may answer with at most, which no native field of it may replace.
//!
//! `additionalModelRequestFields` and `request_fields` go out as they are, in the words of whichever
//! server answers. Where a budget caps the call (`Options::ceiling`) these words are looked through
//! right before it is sent. A cap that they name becomes the call's own as far as it is lower, so that
//! the provider's table has the last word on how it is said; one answer is asked for; and thinking,
//! which is output too, fits with room to answer. A call without a ceiling is not touched.

use serde_json::{Map, Value as Json};
use wire::converse::Call;

use crate::limits::{LEAST_ANSWER, LEAST_THINKING, LEAST_THINKING_OF_GEMINI};

/// The words in which servers take a cap of the output: chat completions, Messages, Responses,
/// Gemini, llama.cpp, Ollama and the models of Bedrock, each by its API reference.
const CAPS: [&str; 13] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "max_tokens_to_sample",
    "max_gen_len",
    "max_length",
    "maxTokens",
    "maxNewTokens",
    "maxOutputTokens",
    "maxTokenCount",
    "num_predict",
    "n_predict",
];

/// The words for how many answers are made and billed.
const ANSWERS: [&str; 7] = [
    "n",
    "best_of",
    "candidateCount",
    "candidate_count",
    "num_generations",
    "numResults",
    "num_results",
];

/// Members that hold settings which other servers take outside.
const WITHIN: [&str; 6] = [
    "generationConfig",
    "generation_config",
    "inferenceConfig",
    "textGenerationConfig",
    "options",
    "parameters",
];

/// A budget for thinking: the object that has it, its member, and the least that its server takes.
struct Thinking {
    object: &'static str,
    member: &'static str,
    least: u32,
}

/// Messages (also through Bedrock, in two spellings), OpenRouter, Gemini in two spellings.
const THINKING: [Thinking; 6] = [
    Thinking { object: "thinking", member: "budget_tokens", least: LEAST_THINKING },
    Thinking { object: "reasoning_config", member: "budget_tokens", least: LEAST_THINKING },
    Thinking { object: "reasoningConfig", member: "budgetTokens", least: LEAST_THINKING },
    Thinking { object: "reasoning", member: "max_tokens", least: LEAST_THINKING },
    Thinking {
        object: "thinkingConfig",
        member: "thinkingBudget",
        least: LEAST_THINKING_OF_GEMINI,
    },
    Thinking {
        object: "thinking_config",
        member: "thinking_budget",
        least: LEAST_THINKING_OF_GEMINI,
    },
];

/// The output that a call asks for: by its native fields, which go before its `maxTokens`, else
/// `default`, on top of which comes a budget for thinking that does not fit.
pub(crate) fn asked(call: &Call, fields: &Json, default: u32) -> u32 {
    let (mut cap, mut thinking) = (None, None);
    for settings in all_settings(fields) {
        let caps = CAPS.iter().filter_map(|name| count(settings.get(*name)?));
        cap = cap.max(caps.max());
        let budgets = THINKING.iter().filter_map(|one| {
            settings.get(one.object).and_then(|object| count(object.get(one.member)?))
        });
        thinking = thinking.max(budgets.max());
    }
    match (cap.or(call.inference.max_tokens), thinking) {
        (Some(cap), _) => cap,
        (None, Some(thinking)) if thinking >= default => default.saturating_add(thinking),
        (None, _) => default,
    }
}

/// Keeps the call's own words to its ceiling, if it has one.
pub(crate) fn keep(call: &mut Call) {
    let Some(ceiling) = call.options.ceiling else { return };
    let mut cap = call.inference.max_tokens.map_or(ceiling, |own| own.min(ceiling));
    if let Json::Object(fields) = &mut call.additional {
        each_settings(fields, &mut |settings| cap = cap.min(take_cap(settings).unwrap_or(cap)));
        each_settings(fields, &mut |settings| {
            ask_for_one(settings);
            THINKING.iter().for_each(|one| make_fit(settings, one, cap));
        });
    }
    call.inference.max_tokens = Some(cap);
}

/// The lowest cap that settings name. What is no number, as null and -1, may mean "without end".
fn take_cap(settings: &mut Map<String, Json>) -> Option<u32> {
    let taken: Vec<Json> = CAPS.iter().filter_map(|name| settings.remove(*name)).collect();
    taken.iter().filter_map(count).min()
}

fn ask_for_one(settings: &mut Map<String, Json>) {
    for name in ANSWERS {
        if let Some(value) = settings.get_mut(name).filter(|value| **value != 1) {
            tracing::warn!(name, %value, "a budget caps this call: one answer is asked for");
            *value = 1.into();
        }
    }
    // AWS: Nova takes no cap of the output beside the effort "high" (Amazon Nova 2 user guide,
    // "Extended thinking"; UKGovernmentBEIS/inspect_ai issue 3767).
    if let Some(Json::Object(reasoning)) = settings.get_mut("reasoningConfig")
        && reasoning.get("maxReasoningEffort").is_some_and(|effort| effort == "high")
    {
        reasoning.insert("maxReasoningEffort".to_owned(), "medium".into());
    }
}

/// Servers refuse a budget for thinking that is no less than the cap of the output, which it is part
/// of, and one below their least.
fn make_fit(settings: &mut Map<String, Json>, one: &Thinking, cap: u32) {
    let Some(object) = settings.get_mut(one.object).and_then(Json::as_object_mut) else { return };
    let Some(asked) = object.get(one.member).and_then(count) else { return };
    if asked.saturating_add(LEAST_ANSWER) <= cap {
        return;
    }
    let left = cap - cap.div_ceil(4);
    match left >= one.least {
        true => drop(object.insert(one.member.to_owned(), left.into())),
        false if one.least == LEAST_THINKING => drop(settings.remove(one.object)),
        // Gemini thinks as far as it likes beneath the cap then; not all of its models can do without.
        false => drop(object.remove(one.member)),
    }
    let left = if left >= one.least { left } else { 0 };
    tracing::info!(asked, left, cap, "a budget caps this call: there is less room for thinking");
}

fn count(value: &Json) -> Option<u32> {
    let count = value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 1.0).map(|n| n as u64));
    count.filter(|count| *count > 0).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// The fields themselves, and those that are within another.
fn all_settings(fields: &Json) -> impl Iterator<Item = &Map<String, Json>> {
    let within = WITHIN.iter().filter_map(|name| fields.get(*name)?.as_object());
    fields.as_object().into_iter().chain(within)
}

fn each_settings(fields: &mut Map<String, Json>, change: &mut dyn FnMut(&mut Map<String, Json>)) {
    change(fields);
    for name in WITHIN {
        if let Some(settings) = fields.get_mut(name).and_then(Json::as_object_mut) {
            change(settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output(max_tokens: Option<u32>, fields: &Json) -> u32 {
        let call = json!({ "model": "m", "messages": [] });
        let mut call: Call = serde_json::from_value(call).unwrap();
        call.inference.max_tokens = max_tokens;
        asked(&call, fields, 4000)
    }

    #[test]
    fn what_a_call_asks_for_is_read_from_its_native_words_first() {
        let thinking = |tokens: u32| json!({ "thinking": { "budget_tokens": tokens } });
        for (max_tokens, fields, expected) in [
            (None, Json::Null, 4000),
            (Some(7), Json::Null, 7),
            (Some(7), json!({ "max_tokens": 9 }), 9),
            (Some(7), json!({ "max_tokens": 9, "max_completion_tokens": 8 }), 9),
            (None, json!({ "generationConfig": { "maxOutputTokens": 11 } }), 11),
            (Some(7), json!({ "max_tokens": null, "n": 3 }), 7),
            (None, json!({ "max_tokens": 5_000_000_000u64 }), u32::MAX),
            (None, thinking(2000), 4000),
            (None, thinking(4096), 8096),
            (Some(7), thinking(4096), 7),
            (None, json!([1]), 4000),
        ] {
            assert_eq!(output(max_tokens, &fields), expected, "{max_tokens:?} {fields}");
        }
    }
}
