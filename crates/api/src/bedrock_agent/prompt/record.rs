//! What is kept of managed prompts: each prompt's draft, its numbered versions, and the names that
//! are taken. Versions are written once and never changed.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Record, Versioned};
use wire::arn::Arn;
use wire::fault::Fault;

use crate::bedrock_agent::document::{DRAFT, Tags, missing, tenant};
use crate::cx::Cx;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prompt {
    pub(crate) prompt_id: String,
    pub(crate) draft: Content,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// The number of the newest version ever made; numbers are not used twice.
    pub(crate) last_version: u32,
    #[serde(default)]
    pub(crate) tags: Tags,
}

/// An immutable copy of the draft.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptVersion {
    pub(crate) prompt_id: String,
    pub(crate) number: u32,
    pub(crate) content: Content,
    pub(crate) created_at: i64,
    #[serde(default)]
    pub(crate) tags: Tags,
}

/// What a client sets of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Content {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_variant: Option<String>,
    /// In AWS's words, as they were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variants: Option<Vec<Json>>,
}

/// Holds a prompt's name; its id is the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptName {
    pub(crate) prompt_id: String,
}

impl Record for Prompt {
    const KIND: &'static str = "prompt";
    const VERSION: u32 = 1;
}

impl Record for PromptVersion {
    const KIND: &'static str = "prompt-version";
    const VERSION: u32 = 1;
}

impl Record for PromptName {
    const KIND: &'static str = "prompt-name";
    const VERSION: u32 = 1;
}

impl PromptVersion {
    /// Padded, so that ids sort by number.
    pub(crate) fn key(prompt_id: &str, number: u32) -> String {
        format!("{prompt_id}/{number:05}")
    }
}

/// Which prompt a client means, and which version of it if it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) id: String,
    version: Option<String>,
}

impl Reference {
    /// From an id or an ARN; one of another account or region is of nothing that is here.
    pub(crate) fn parse(cx: &Cx, identifier: &str) -> Result<Reference, Fault> {
        if !identifier.starts_with("arn:") {
            return Ok(Reference { id: identifier.to_owned(), version: None });
        }
        let here = |arn: &Arn| arn.region == cx.caller.region && arn.account == cx.caller.account;
        let arn = Arn::parse(identifier).ok().filter(here);
        let named = arn.as_ref().and_then(|arn| arn.resource.strip_prefix("prompt/"));
        let named = named.ok_or_else(|| missing("prompt", identifier))?;
        Ok(match named.split_once(':') {
            Some((id, version)) => {
                Reference { id: id.to_owned(), version: Some(version.to_owned()) }
            }
            None => Reference { id: named.to_owned(), version: None },
        })
    }

    /// With the version that another member of the request names.
    pub(crate) fn at(self, version: Option<String>) -> Result<Reference, Fault> {
        match (&self.version, &version) {
            (Some(of_arn), Some(asked)) if !same(of_arn, asked) => Err(Fault::validation(format!(
                "Value '{asked}' at 'promptVersion' is another version than the {of_arn} of the \
                     ARN at 'promptIdentifier'"
            ))),
            _ => Ok(Reference { version: self.version.or(version), ..self }),
        }
    }

    /// For what is done to a prompt as a whole.
    pub(crate) fn whole(self, why: &str) -> Result<String, Fault> {
        match self.version {
            None => Ok(self.id),
            Some(version) => Err(Fault::validation(format!(
                "the ARN at 'promptIdentifier' names version {version}; {why}"
            ))),
        }
    }

    /// The number of a version, none for the draft.
    pub(crate) fn number(&self) -> Option<u32> {
        let version = self.version.as_deref().filter(|version| *version != DRAFT)?;
        // The model allows digits only; a number that no version has finds none.
        Some(version.parse().unwrap_or(0))
    }
}

/// Versions may be written with leading zeros.
fn same(one: &str, other: &str) -> bool {
    one.trim_start_matches('0') == other.trim_start_matches('0')
}

pub(crate) async fn prompt(cx: &Cx, id: &str) -> Result<Versioned<Prompt>, Fault> {
    let read = cx.engine.store().get(&tenant(cx), id).await.map_err(Fault::internal)?;
    read.ok_or_else(|| missing("prompt", id))
}

pub(crate) async fn version(
    cx: &Cx,
    id: &str,
    number: u32,
) -> Result<Versioned<PromptVersion>, Fault> {
    let key = PromptVersion::key(id, number);
    let read = cx.engine.store().get(&tenant(cx), &key).await.map_err(Fault::internal)?;
    read.ok_or_else(|| missing("prompt version", &format!("{id}:{number}")))
}

pub(crate) fn arn(cx: &Cx, id: &str, number: Option<u32>) -> String {
    let (region, account) = (&cx.caller.region, &cx.caller.account);
    let version = number.map(|number| format!(":{number}")).unwrap_or_default();
    format!("arn:aws:bedrock:{region}:{account}:prompt/{id}{version}")
}
