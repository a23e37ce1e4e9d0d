//! The file of `craton deploy` as it is written: our YAML, one or several documents.
//!
//! It is read strictly: an unknown or repeated key is an error with its line. What the names and
//! paths in it lead to is for `wish` to find. docs/deploy.md is the reference of every key.

use std::path::PathBuf;

use craton_core::yaml;
use indexmap::IndexMap;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// What is named in the file, in its order; a name that stands twice is an error.
pub(super) type Names<T> = IndexMap<String, T>;

/// All documents of one file together.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) functions: Names<Function>,
    pub(super) agents: Names<Agent>,
}

/// One document.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `functions` and `agents`")]
struct Document {
    #[serde(deserialize_with = "names")]
    functions: Names<Function>,
    #[serde(deserialize_with = "names")]
    agents: Names<Agent>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `code`, `runtime` and `handler`")]
pub(super) struct Function {
    /// A folder, one file, or a `.zip` as it stands; relative to the file.
    pub(super) code: PathBuf,
    pub(super) handler: String,
    pub(super) runtime: String,
    pub(super) description: Option<String>,
    pub(super) role: Option<String>,
    pub(super) timeout: Option<u32>,
    pub(super) memory: Option<u32>,
    #[serde(default, deserialize_with = "names")]
    pub(super) environment: Names<String>,
    /// How often any of its tools may take effect; a tool's own word goes before it.
    pub(super) effect: Option<Effect>,
    #[serde(default, deserialize_with = "some_names")]
    pub(super) tags: Option<Names<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `model` and `instruction`")]
pub(super) struct Agent {
    pub(super) model: String,
    pub(super) instruction: String,
    pub(super) description: Option<String>,
    pub(super) role: Option<String>,
    pub(super) idle_session_seconds: Option<u32>,
    #[serde(default, deserialize_with = "some_names")]
    pub(super) tags: Option<Names<String>>,
    #[serde(default, deserialize_with = "names")]
    pub(super) action_groups: Names<Group>,
    #[serde(default, deserialize_with = "aliases")]
    pub(super) aliases: Names<Option<Alias>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `executor`")]
pub(super) struct Group {
    /// A function of the file, an ARN, or `return_control`.
    pub(super) executor: String,
    pub(super) description: Option<String>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    #[serde(default, deserialize_with = "some_names")]
    pub(super) tools: Option<Names<Tool>>,
    /// A path, `s3://BUCKET/KEY`, or the document itself.
    pub(super) openapi: Option<serde_json::Value>,
    /// Of an OpenAPI document's operations, by operation id.
    #[serde(default, deserialize_with = "names")]
    pub(super) effects: Names<Effect>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `description` and `parameters`")]
pub(super) struct Tool {
    pub(super) description: Option<String>,
    pub(super) effect: Option<Effect>,
    /// Whether the user confirms each call (`requireConfirmation`).
    #[serde(default)]
    pub(super) confirm: bool,
    #[serde(default, deserialize_with = "names")]
    pub(super) parameters: Names<Parameter>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Parameter {
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) description: Option<String>,
}

/// AWS: the types of a function schema's parameters (bedrock-agent, Type).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    String,
    Number,
    Integer,
    Boolean,
    Array,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    Read,
    Keyed,
    Once,
    Compensable,
}

impl Effect {
    pub(super) fn word(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Keyed => "keyed",
            Effect::Once => "once",
            Effect::Compensable => "compensable",
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with `version` or `description`")]
pub(super) struct Alias {
    pub(super) description: Option<String>,
    /// A version to stay at; else the alias follows the file.
    pub(super) version: Option<u32>,
}

fn yes() -> bool {
    true
}

/// A mistake, and the line where it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    pub(super) line: Option<usize>,
    pub(super) what: String,
}

pub(super) fn parse(text: &str) -> Result<File, Mistake> {
    let mut file = File::default();
    for (index, document) in yaml::open(text).map_err(|e| mistake(&e))?.enumerate() {
        let document = Option::<Document>::deserialize(document).map_err(|e| mistake(&e))?;
        let Document { functions, agents } = document.unwrap_or_default();
        add(&mut file.functions, functions, ("functions", index), text)?;
        add(&mut file.agents, agents, ("agents", index), text)?;
    }
    if file.functions.is_empty() && file.agents.is_empty() {
        let what = "there is no agent and no function in it; begin with `agents:`".to_owned();
        return Err(Mistake { line: None, what });
    }
    Ok(file)
}

fn add<T>(
    all: &mut Names<T>,
    more: Names<T>,
    (section, document): (&str, usize),
    text: &str,
) -> Result<(), Mistake> {
    for (name, one) in more {
        if all.contains_key(&name) {
            let line = line_in(text, document, &[section, &name]);
            return Err(Mistake { line, what: format!("{section}: {name} stands there twice") });
        }
        all.insert(name, one);
    }
    Ok(())
}

fn mistake(error: &serde_yaml_ng::Error) -> Mistake {
    let line = error.location().map(|place| place.line());
    let text = error.to_string();
    let what = match text.rsplit_once(" at line ") {
        Some((what, _)) => what.to_owned(),
        None => text,
    };
    Mistake { line, what }
}

/// A mapping from names.
fn names<'de, D, T>(deserializer: D) -> Result<Names<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Unique<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Unique<T> {
        type Value = Names<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a mapping from names")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Names<T>, E> {
            Ok(Names::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names<T>, A::Error> {
            let mut found = Names::new();
            while let Some(name) = map.next_key::<String>()? {
                if found.contains_key(&name) {
                    return Err(de::Error::custom(format!("{name} stands there twice")));
                }
                found.insert(name, map.next_value()?);
            }
            Ok(found)
        }
    }
    deserializer.deserialize_any(Unique(std::marker::PhantomData))
}

fn some_names<'de, D, T>(deserializer: D) -> Result<Option<Names<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    names(deserializer).map(Some)
}

/// A mapping from names, or only the names.
fn aliases<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Names<Option<Alias>>, D::Error> {
    struct NamesAlone;
    impl<'de> Visitor<'de> for NamesAlone {
        type Value = Names<Option<Alias>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of names, or a mapping from names")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Names::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut found = Names::new();
            while let Some(name) = list.next_element::<String>()? {
                if found.insert(name.clone(), None).is_some() {
                    return Err(de::Error::custom(format!("{name} stands there twice")));
                }
            }
            Ok(found)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            names(de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(NamesAlone)
}

/// `TYPE`, `TYPE required`, either followed by a comma and what the parameter means; or a mapping.
impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parameter, D::Error> {
        struct Short;
        impl<'de> Visitor<'de> for Short {
            type Value = Parameter;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`TYPE required, what it means`, or a mapping with `type`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Parameter, E> {
                short(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Parameter, A::Error> {
                let Long { kind, required, description } =
                    Long::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Parameter { kind, required, description })
            }
        }
        deserializer.deserialize_any(Short)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `type`")]
struct Long {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    required: bool,
    description: Option<String>,
}

fn short(text: &str) -> Option<Parameter> {
    let (head, description) = match text.split_once(',') {
        Some((head, rest)) => (head, Some(rest.trim().to_owned()).filter(|d| !d.is_empty())),
        None => (text, None),
    };
    let mut words = head.split_whitespace();
    let kind = match words.next()? {
        "string" => Kind::String,
        "number" => Kind::Number,
        "integer" => Kind::Integer,
        "boolean" => Kind::Boolean,
        "array" => Kind::Array,
        _ => return None,
    };
    let required = match words.next() {
        None | Some("optional") => false,
        Some("required") => true,
        Some(_) => return None,
    };
    words.next().is_none().then_some(Parameter { kind, required, description })
}

/// The line at which a key stands, by the names that lead to it, or, in a list, the place from zero. The first document that has all
/// of them is meant, else the longest part of the way that any has.
pub(crate) fn line_of(text: &str, way: &[&str]) -> Option<usize> {
    let documents = serde_yaml_ng::Deserializer::from_str(text).count();
    (1..=way.len()).rev().find_map(|steps| {
        (0..documents).find_map(|document| line_in(text, document, &way[..steps]))
    })
}

fn line_in(text: &str, document: usize, way: &[&str]) -> Option<usize> {
    let document = serde_yaml_ng::Deserializer::from_str(text).nth(document)?;
    let stopped = Walk(way).deserialize(document).err()?;
    stopped.location().map(|place| place.line())
}

/// Follows the names and stops with an error at the last of them: errors know their line.
struct Walk<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Ok(()) };
        let last = rest.is_empty();
        while let Some(here) = map.next_key_seed(Step { step, last })? {
            match here {
                true => return map.next_value_seed(Walk(rest)),
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Ok(()) };
        let Ok(place) = step.parse::<usize>() else { return Ok(()) };
        for _ in 0..place {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        match rest.is_empty() {
            true => list.next_element_seed(Here).map(|_| ()),
            false => list.next_element_seed(Walk(rest)).map(|_| ()),
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whatever stands here is an error.
struct Here;

impl<'de> DeserializeSeed<'de> for Here {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Here {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing")
    }
}

/// Whether a key is the one that is looked for; an error if it is the last of the way.
struct Step<'a> {
    step: &'a str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Step<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<bool, E> {
        let here = name == self.step;
        if here && self.last { Err(E::custom("here")) } else { Ok(here) }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(text: &str, wanted: Expect) {
        let said = match parse(text) {
            Ok(file) => format!("{file:#?}"),
            Err(Mistake { line, what }) => format!("line {line:?}: {what}"),
        };
        wanted.assert_eq(&said);
    }

    const AGENT: &str = "agents:\n  a:\n    model: m\n    instruction: i\n";

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        check(
            &format!("{AGENT}    modle: x\n"),
            expect![
                "line Some(5): agents.a: unknown field `modle`, expected one of `model`, \
                 `instruction`, `description`, `role`, `idle_session_seconds`, `tags`, \
                 `action_groups`, `aliases`"
            ],
        );
    }

    #[test]
    fn a_missing_key_and_a_wrong_kind_are_errors_with_their_line() {
        check(
            "agents:\n  a:\n    model: m\n",
            expect!["line Some(3): agents.a: missing field `instruction`"],
        );
        check(
            &format!("{AGENT}    idle_session_seconds: soon\n"),
            expect![[
                r#"line Some(5): agents.a.idle_session_seconds: invalid type: string "soon", expected u32"#
            ]],
        );
    }

    #[test]
    fn a_name_that_stands_twice_is_an_error_in_one_document_and_across_them() {
        check(
            &format!("{AGENT}  a: {{model: m, instruction: i}}\n"),
            expect!["line Some(2): agents: a stands there twice"],
        );
        check(
            &format!("{AGENT}---\n{AGENT}"),
            expect!["line Some(7): agents: a stands there twice"],
        );
    }

    #[test]
    fn a_parameter_is_short_or_long() {
        let parameter = |text: &str| serde_yaml_ng::from_str::<Parameter>(text);
        let says = |kind, required, description: Option<&str>| {
            let description = description.map(str::to_owned);
            Parameter { kind, required, description }
        };
        for (text, wanted) in [
            ("string", says(Kind::String, false, None)),
            ("integer required", says(Kind::Integer, true, None)),
            (
                "number optional, In dollars, with cents",
                says(Kind::Number, false, Some("In dollars, with cents")),
            ),
            ("{type: array, required: true, description: d}", says(Kind::Array, true, Some("d"))),
        ] {
            assert_eq!(parameter(text).unwrap(), wanted, "{text}");
        }
        for text in
            ["str", "string maybe", "string required now", "{type: object}", "{kind: string}"]
        {
            parameter(text).unwrap_err();
        }
    }

    #[test]
    fn a_line_is_found_by_the_names_that_lead_to_it() {
        let text = format!("functions: {{}}\n---\n{AGENT}    tags:\n      team: x\n");
        for (way, line) in [
            (&["agents", "a", "model"][..], Some(5)),
            (&["agents", "a", "tags", "team"], Some(8)),
            (&["agents", "a", "tags", "gone"], Some(7)),
            (&["agents", "b"], Some(3)),
            (&["roles"], None),
        ] {
            assert_eq!(line_of(&text, way), line, "{way:?}");
        }
    }

    #[test]
    fn a_file_without_anything_in_it_is_an_error() {
        check(
            "",
            expect!["line None: there is no agent and no function in it; begin with `agents:`"],
        );
        check(
            "agents:\n",
            expect!["line None: there is no agent and no function in it; begin with `agents:`"],
        );
    }
}
