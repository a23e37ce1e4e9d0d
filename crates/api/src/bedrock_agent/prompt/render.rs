//! Fills a managed prompt in, for a client that names it where a model's id stands.
//!
//! A template is read once; a value goes in as it is and is never read as template, so whoever
//! gives a value cannot name another variable. What comes out has the shapes of Converse.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use wire::arn::Arn;
use wire::bedrock_runtime::types::{
    InferenceConfiguration, Message, PromptVariableValues, SystemContentBlock, ToolConfiguration,
};
use wire::fault::Fault;
use wire::shape::Shape;
use wire::value::Value;

use super::record::{self, Content, Reference};
use crate::cx::Cx;

/// AWS: a hundred letters with a `_` or `-` after each (API reference, `PromptInputVariable`).
const LONGEST_NAME: usize = 200;

/// A prompt that is filled in, at most: as much as a request may have. A template may name a long
/// value as often as it has room for the name.
const FILLED_BYTES: usize = 25_000_000;

/// A prompt, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) model_id: String,
    pub(crate) system: Vec<SystemContentBlock>,
    pub(crate) messages: Vec<Message>,
    pub(crate) inference: InferenceConfiguration,
    pub(crate) tools: Option<ToolConfiguration>,
    pub(crate) additional: Json,
}

pub(crate) type Values = BTreeMap<String, PromptVariableValues>;

/// Whether what stands for a model is a prompt.
pub(crate) fn is_prompt(model_id: &str) -> bool {
    let resource = |arn: Arn| arn.service == "bedrock" && arn.resource.starts_with("prompt/");
    model_id.starts_with("arn:") && Arn::parse(model_id).is_ok_and(resource)
}

pub(crate) async fn render(cx: &Cx, arn: &str, values: &Values) -> Result<Rendered, Fault> {
    // AWS: who asks with a prompt needs leave to render it (user guide, "Prerequisites for prompt
    // management")
    cx.authorize("bedrock:RenderPrompt", arn)?;
    let asked = Reference::parse(cx, arn)?;
    let content = match asked.number() {
        None => record::prompt(cx, &asked.id).await?.value.draft,
        Some(number) => record::version(cx, &asked.id, number).await?.value.content,
    };
    rendered(arn, &content, values)
}

fn rendered(arn: &str, content: &Content, values: &Values) -> Result<Rendered, Fault> {
    let variant = chosen(content).ok_or_else(|| lacking(arn, "has no variant to ask with"))?;
    let model_id = variant["modelId"].as_str();
    let model_id = model_id.ok_or_else(|| lacking(arn, "names no model in its variant"))?;
    let mut filling = Filling { values, missing: BTreeSet::new(), room: FILLED_BYTES, full: false };
    let (system, messages, tools) = parts(variant, &mut filling);
    if !filling.missing.is_empty() {
        let names: Vec<&str> = filling.missing.iter().map(String::as_str).collect();
        return Err(Fault::validation(format!(
            "promptVariables has no value for {} of prompt {arn}",
            names.join(", ")
        )));
    }
    if filling.full {
        return Err(Fault::validation(format!(
            "prompt {arn}, filled in with its promptVariables, has more than {FILLED_BYTES} bytes"
        )));
    }
    let inference = &variant["inferenceConfiguration"]["text"];
    Ok(Rendered {
        model_id: model_id.to_owned(),
        system: shape(system)?,
        messages: shape(messages)?,
        inference: if inference.is_null() { Default::default() } else { shape(inference.clone())? },
        tools: tools.map(shape).transpose()?,
        additional: variant["additionalModelRequestFields"].clone(),
    })
}

/// The default variant; one that is alone needs not be named.
fn chosen(content: &Content) -> Option<&Json> {
    let variants = content.variants.as_deref().unwrap_or_default();
    match &content.default_variant {
        Some(name) => variants.iter().find(|variant| variant["name"] == name.as_str()),
        None => variants.first(),
    }
}

fn lacking(arn: &str, what: &str) -> Fault {
    Fault::validation(format!("prompt {arn} {what}; UpdatePrompt gives it one"))
}

/// System, messages and tools, as Converse has them.
fn parts(variant: &Json, filling: &mut Filling<'_>) -> (Json, Json, Option<Json>) {
    let template = &variant["templateConfiguration"];
    let chat = &template["chat"];
    if !chat.is_null() {
        let system = filling.blocks(&chat["system"]);
        let messages = chat["messages"].as_array().into_iter().flatten();
        let messages = messages.map(|message| {
            json!({ "role": message["role"], "content": filling.blocks(&message["content"]) })
        });
        let messages: Json = messages.collect();
        return (system, messages, chat.get("toolConfiguration").cloned());
    }
    let text = &template["text"];
    let mut content = vec![json!({ "text": filling.text(text["text"].as_str().unwrap_or("")) })];
    content.extend(text.get("cachePoint").map(|point| json!({ "cachePoint": point })));
    (json!([]), json!([{ "role": "user", "content": content }]), None)
}

struct Filling<'a> {
    values: &'a Values,
    missing: BTreeSet<String>,
    /// Bytes of values that still fit.
    room: usize,
    /// Some did not.
    full: bool,
}

impl Filling<'_> {
    fn blocks(&mut self, blocks: &Json) -> Json {
        let blocks = blocks.as_array().into_iter().flatten();
        let filled = blocks.map(|block| match block["text"].as_str() {
            Some(text) => json!({ "text": self.text(text) }),
            None => block.clone(),
        });
        filled.collect()
    }

    // AWS: a variable stands in double braces (user guide, "Create a prompt"). Braces around what is
    // no name are text.
    fn text(&mut self, template: &str) -> String {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find("{{") {
            filled.push_str(&rest[..start]);
            let inner = &rest[start + 2..];
            match closed(inner).map(|end| (inner[..end].trim(), &inner[end + 2..])) {
                Some((name, after)) if is_name(name) => {
                    match self.values.get(name) {
                        Some(PromptVariableValues::Text(value)) => filled.push_str(self.fit(value)),
                        None => drop(self.missing.insert(name.to_owned())),
                    }
                    rest = after;
                }
                _ => {
                    filled.push('{');
                    rest = &rest[start + 1..];
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    fn fit<'v>(&mut self, value: &'v str) -> &'v str {
        let left = self.room.checked_sub(value.len());
        self.full |= left.is_none();
        self.room = left.unwrap_or(0);
        if left.is_some() { value } else { "" }
    }
}

/// Where the braces close, within the length of a name: a template takes time by its length alone.
fn closed(inner: &str) -> Option<usize> {
    let pairs = inner.bytes().zip(inner.bytes().skip(1)).take(LONGEST_NAME + 2);
    pairs.into_iter().position(|pair| pair == (b'}', b'}'))
}

/// As the model has the names of variables: letters and digits, with one `_` or `-` after each.
fn is_name(name: &str) -> bool {
    let mut after_letter = false;
    !name.is_empty()
        && name.chars().all(|character| {
            let letter = character.is_ascii_alphanumeric();
            let fits = letter || (after_letter && matches!(character, '_' | '-'));
            after_letter = letter;
            fits
        })
}

fn shape<T: Shape>(json: Json) -> Result<T, Fault> {
    Ok(T::from_value(Value::from(json))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(values: &Values) -> Filling<'_> {
        Filling { values, missing: BTreeSet::new(), room: FILLED_BYTES, full: false }
    }

    #[test]
    fn a_value_that_a_template_names_too_often_is_refused() {
        let words = PromptVariableValues::Text("x".repeat(FILLED_BYTES / 100));
        let values = Values::from([("a".to_owned(), words)]);
        for (times, fits) in [(100, true), (101, false)] {
            let text = json!({"text": "{{a}}".repeat(times)});
            let variant =
                json!({"name": "v", "modelId": "m", "templateConfiguration": {"text": text}});
            let content = json!({"name": "p", "variants": [variant]});
            let content: Content = serde_json::from_value(content).unwrap();
            let told =
                rendered("p", &content, &values).map(drop).map_err(|f| f.message().to_owned());
            assert_eq!(told.is_ok(), fits, "{times}: {told:?}");
        }
    }

    #[test]
    fn a_value_is_never_read_as_template_and_braces_around_no_name_are_text() {
        let value = |text: &str| PromptVariableValues::Text(text.to_owned());
        let values = Values::from([
            ("a".to_owned(), value("{{b}}")),
            ("b".to_owned(), value("x")),
            ("a-b_c".to_owned(), value("long")),
        ]);
        let mut filling = filling(&values);
        for (template, expected) in [
            ("{{a}} {{b}}", "{{b}} x"),
            ("{{ b }}{{a-b_c}}", "xlong"),
            ("{\"k\": {\"n\": \"{{b}}\"}}", "{\"k\": {\"n\": \"x\"}}"),
            ("{{{b}}}", "{x}"),
            ("{{b", "{{b"),
            ("{{}} {{x.y}} {{-b}}", "{{}} {{x.y}} {{-b}}"),
            ("äö{{b}}ü", "äöxü"),
        ] {
            assert_eq!(filling.text(template), expected, "{template}");
        }
        assert_eq!(filling.missing, BTreeSet::new());
        filling.text("{{c}} {{a}} {{d}} {{c}}");
        assert_eq!(Vec::from_iter(filling.missing), ["c", "d"]);
    }
}
