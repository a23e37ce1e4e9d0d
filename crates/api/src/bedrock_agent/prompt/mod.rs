//! Prompts of Prompt management: the draft that is edited, and the versions that are made of it.
//!
//! A prompt is a document with its draft; a version is a copy that nothing changes. `variant`
//! checks what the model of AWS's API cannot say, `render` fills a prompt in for Converse. Nothing
//! here calls a model. A turn's own prompts are elsewhere: `prompt_override`.

pub(crate) mod record;
pub(crate) mod render;
#[cfg(test)]
mod tests;
mod variant;

use store::{Batch, Versioned};
use wire::bedrock_agent::types::{
    CreatePromptRequest, CreatePromptResponse, CreatePromptVersionRequest,
    CreatePromptVersionResponse, DeletePromptRequest, DeletePromptResponse, GetPromptRequest,
    GetPromptResponse, IncludedData, ListPromptsRequest, ListPromptsResponse, PromptSummary,
    PromptVariant, UpdatePromptRequest, UpdatePromptResponse,
};
use wire::fault::Fault;
use wire::shape::Shape as _;
use wire::value::{Timestamp, Value};

use self::record::{Content, Prompt, PromptName, PromptVersion, Reference, arn};
use super::document::{DRAFT, Tags, tenant};
use super::limits::VERSIONS;
use super::page::Page;
use super::tag;
use super::write::{self, Once, Stop, retry};
use crate::cx::Cx;

/// Versions read at once while a prompt is deleted.
const VERSIONS_AT_ONCE: usize = 200;

/// The answers that show one prompt have the same members.
macro_rules! shown {
    ($answer:ident, $cx:expr, $seen:expr) => {{
        let Seen { id, number, content, created_at, updated_at } = $seen;
        $answer {
            variants: variants(content)?,
            name: content.name.clone(),
            description: content.description.clone(),
            customer_encryption_key_arn: None,
            default_variant: content.default_variant.clone(),
            id: id.to_owned(),
            arn: arn($cx, id, number),
            version: version_name(number),
            created_at: Timestamp(created_at),
            updated_at: Timestamp(updated_at),
        }
    }};
}

/// A draft or a version, as it is shown.
struct Seen<'a> {
    id: &'a str,
    number: Option<u32>,
    content: &'a Content,
    created_at: i64,
    updated_at: i64,
}

impl<'a> From<&'a Prompt> for Seen<'a> {
    fn from(prompt: &'a Prompt) -> Self {
        let Prompt { prompt_id, draft, created_at, updated_at, .. } = prompt;
        let (created_at, updated_at) = (*created_at, *updated_at);
        Seen { id: prompt_id, number: None, content: draft, created_at, updated_at }
    }
}

impl<'a> From<&'a PromptVersion> for Seen<'a> {
    fn from(version: &'a PromptVersion) -> Self {
        let PromptVersion { prompt_id, number, content, created_at, .. } = version;
        let (number, created_at) = (Some(*number), *created_at);
        Seen { id: prompt_id, number, content, created_at, updated_at: created_at }
    }
}

fn version_name(number: Option<u32>) -> String {
    number.map_or_else(|| DRAFT.to_owned(), |number| number.to_string())
}

fn variants(content: &Content) -> Result<Option<Vec<PromptVariant>>, Fault> {
    let Some(variants) = &content.variants else { return Ok(None) };
    let read = |json| PromptVariant::from_value(Value::from(json));
    let read: Result<_, _> = variants.iter().cloned().map(read).collect();
    Ok(Some(read?))
}

fn summary(cx: &Cx, seen: &Seen<'_>) -> PromptSummary {
    PromptSummary {
        name: seen.content.name.clone(),
        description: seen.content.description.clone(),
        id: seen.id.to_owned(),
        arn: arn(cx, seen.id, seen.number),
        version: version_name(seen.number),
        created_at: Timestamp(seen.created_at),
        updated_at: Timestamp(seen.updated_at),
    }
}

pub(crate) async fn create(
    cx: &Cx,
    input: CreatePromptRequest,
) -> Result<CreatePromptResponse, Fault> {
    let tags = input.tags.clone().unwrap_or_default();
    tag::check_without_settings(&tags, "prompts")?;
    variant::check_key(input.customer_encryption_key_arn.as_deref())?;
    let once = Once::new("CreatePrompt", input.client_token.as_deref(), input.clone());
    let content =
        variant::content(input.name, input.description, input.default_variant, input.variants)?;
    let prompt = retry(|| try_create(cx, &once, &content, &tags)).await?;
    Ok(shown!(CreatePromptResponse, cx, Seen::from(&prompt)))
}

async fn try_create(cx: &Cx, once: &Once, content: &Content, tags: &Tags) -> Result<Prompt, Stop> {
    if let Some(made) = once.made(cx).await? {
        return Ok(made);
    }
    let now = cx.engine.now();
    let prompt = Prompt {
        prompt_id: write::new_id(cx),
        draft: content.clone(),
        created_at: now,
        updated_at: now,
        last_version: 0,
        tags: tags.clone(),
    };
    let mut batch = write::batch(cx);
    once.take(cx, &mut batch, &prompt).await?;
    batch.expect_version::<Prompt>(&prompt.prompt_id, 0).put(&prompt.prompt_id, &prompt);
    claim_name(&mut batch, &prompt);
    cx.engine.store().commit(batch).await?;
    Ok(prompt)
}

fn claim_name(batch: &mut Batch, prompt: &Prompt) {
    let (name, prompt_id) = (&prompt.draft.name, prompt.prompt_id.clone());
    batch.expect_version::<PromptName>(name, 0).put(name, &PromptName { prompt_id });
}

/// A PUT: what the update leaves out is gone.
pub(crate) async fn update(
    cx: &Cx,
    input: UpdatePromptRequest,
) -> Result<UpdatePromptResponse, Fault> {
    variant::check_key(input.customer_encryption_key_arn.as_deref())?;
    let id = Reference::parse(cx, &input.prompt_identifier)?;
    let id = id.whole("a version never changes, update the prompt itself")?;
    let content =
        variant::content(input.name, input.description, input.default_variant, input.variants)?;
    let prompt = retry(|| try_update(cx, &id, &content)).await?;
    Ok(shown!(UpdatePromptResponse, cx, Seen::from(&prompt)))
}

async fn try_update(cx: &Cx, id: &str, content: &Content) -> Result<Prompt, Stop> {
    let Versioned { version, value: mut prompt } = record::prompt(cx, id).await?;
    let mut batch = write::batch(cx);
    batch.expect_version::<Prompt>(id, version);
    let renamed = prompt.draft.name != content.name;
    if renamed {
        batch.delete::<PromptName>(&prompt.draft.name);
    }
    prompt.draft.clone_from(content);
    prompt.updated_at = cx.engine.now();
    if renamed {
        claim_name(&mut batch, &prompt);
    }
    batch.put(id, &prompt);
    cx.engine.store().commit(batch).await?;
    Ok(prompt)
}

pub(crate) async fn create_version(
    cx: &Cx,
    input: CreatePromptVersionRequest,
) -> Result<CreatePromptVersionResponse, Fault> {
    let tags = input.tags.clone().unwrap_or_default();
    tag::check_without_settings(&tags, "prompts")?;
    let id = Reference::parse(cx, &input.prompt_identifier)?;
    let id = id.whole("a version is made of the draft, name the prompt itself")?;
    let once = Once::new("CreatePromptVersion", input.client_token.as_deref(), input.clone());
    let version = retry(|| try_cut(cx, &once, &id, &input, &tags)).await?;
    Ok(shown!(CreatePromptVersionResponse, cx, Seen::from(&version)))
}

async fn try_cut(
    cx: &Cx,
    once: &Once,
    id: &str,
    input: &CreatePromptVersionRequest,
    tags: &Tags,
) -> Result<PromptVersion, Stop> {
    if let Some(made) = once.made(cx).await? {
        return Ok(made);
    }
    let Versioned { version: seen, value: mut prompt } = record::prompt(cx, id).await?;
    if prompt.last_version >= VERSIONS {
        return Err(Fault::quota(format!("prompt {id} has used up its version numbers")).into());
    }
    // AWS: numbers count up from 1 (user guide, "Create a version of a prompt").
    prompt.last_version += 1;
    let version = PromptVersion {
        prompt_id: id.to_owned(),
        number: prompt.last_version,
        content: Content { description: input.description.clone(), ..prompt.draft.clone() },
        created_at: cx.engine.now(),
        tags: tags.clone(),
    };
    let mut batch = write::batch(cx);
    once.take(cx, &mut batch, &version).await?;
    batch.expect_version::<Prompt>(id, seen).put(id, &prompt);
    let key = PromptVersion::key(id, version.number);
    batch.expect_version::<PromptVersion>(&key, 0).put(&key, &version);
    cx.engine.store().commit(batch).await?;
    Ok(version)
}

pub(crate) async fn get(cx: &Cx, input: GetPromptRequest) -> Result<GetPromptResponse, Fault> {
    let asked = Reference::parse(cx, &input.prompt_identifier)?.at(input.prompt_version)?;
    let mut answer = match asked.number() {
        None => {
            let prompt = record::prompt(cx, &asked.id).await?.value;
            shown!(GetPromptResponse, cx, Seen::from(&prompt))
        }
        Some(number) => {
            let version = record::version(cx, &asked.id, number).await?.value;
            shown!(GetPromptResponse, cx, Seen::from(&version))
        }
    };
    // AWS: metadata alone is the prompt without its content (API reference, `GetPrompt`).
    if input.included_data == Some(IncludedData::MetadataOnly) {
        answer.variants = None;
    }
    Ok(answer)
}

/// AWS: the drafts of all prompts, or what there is of one (API reference, `ListPrompts`).
pub(crate) async fn list(cx: &Cx, input: ListPromptsRequest) -> Result<ListPromptsResponse, Fault> {
    let (most, token) = (input.max_results, input.next_token.as_deref());
    let (prompt_summaries, next_token) = match &input.prompt_identifier {
        None => drafts(cx, Page::open("prompts".to_owned(), most, token)?).await?,
        Some(identifier) => {
            let id = Reference::parse(cx, identifier)?;
            let id = id.whole("GetPrompt shows it; name the prompt itself to list its versions")?;
            versions(cx, &id, Page::open(format!("prompts/{id}"), most, token)?).await?
        }
    };
    Ok(ListPromptsResponse { prompt_summaries, next_token })
}

type Summaries = (Vec<PromptSummary>, Option<String>);

async fn drafts(cx: &Cx, page: Page) -> Result<Summaries, Fault> {
    let store = cx.engine.store();
    let rows = store.list::<Prompt>(&tenant(cx), "", page.after.as_deref(), page.rows()).await;
    let (prompts, next) = page.cut(rows.map_err(Fault::internal)?);
    Ok((prompts.iter().map(|prompt| summary(cx, &Seen::from(&prompt.value))).collect(), next))
}

/// The draft, then the numbers from the newest on.
async fn versions(cx: &Cx, id: &str, page: Page) -> Result<Summaries, Fault> {
    let prompt = record::prompt(cx, id).await?.value;
    let mut rows = Vec::new();
    if page.after.is_none() {
        rows.push((DRAFT.to_owned(), summary(cx, &Seen::from(&prompt))));
    }
    let before = page.after.as_deref().filter(|after| *after != DRAFT);
    let (prefix, store) = (format!("{id}/"), cx.engine.store());
    let read = store.list_back::<PromptVersion>(&tenant(cx), &prefix, before, page.rows()).await;
    let read = read.map_err(Fault::internal)?.into_iter();
    rows.extend(read.map(|(key, version)| (key, summary(cx, &Seen::from(&version.value)))));
    Ok(page.cut(rows))
}

/// AWS: without a version the prompt goes with all its versions (API reference, `DeletePrompt`).
pub(crate) async fn delete(
    cx: &Cx,
    input: DeletePromptRequest,
) -> Result<DeletePromptResponse, Fault> {
    let asked = Reference::parse(cx, &input.prompt_identifier)?.at(input.prompt_version)?;
    match asked.number() {
        Some(number) => retry(|| try_delete_version(cx, &asked.id, number)).await?,
        None => retry(|| try_delete(cx, &asked.id)).await?,
    }
    let version = asked.number().map(|number| number.to_string());
    Ok(DeletePromptResponse { id: asked.id, version })
}

async fn try_delete_version(cx: &Cx, id: &str, number: u32) -> Result<(), Stop> {
    let version = record::version(cx, id, number).await?;
    let key = PromptVersion::key(id, number);
    let mut batch = write::batch(cx);
    batch.expect_version::<PromptVersion>(&key, version.version).delete::<PromptVersion>(&key);
    Ok(cx.engine.store().commit(batch).await?)
}

async fn try_delete(cx: &Cx, id: &str) -> Result<(), Stop> {
    let prompt = record::prompt(cx, id).await?;
    let mut batch = write::batch(cx);
    // A version is made under the prompt's version too, so none comes to be meanwhile.
    batch.expect_version::<Prompt>(id, prompt.version).delete::<Prompt>(id);
    batch.delete::<PromptName>(&prompt.value.draft.name);
    let (prefix, mut after) = (format!("{id}/"), None::<String>);
    loop {
        let (store, after_key) = (cx.engine.store(), after.as_deref());
        let page =
            store.list::<PromptVersion>(&tenant(cx), &prefix, after_key, VERSIONS_AT_ONCE).await?;
        for (key, _) in &page {
            batch.delete::<PromptVersion>(key);
        }
        match page.last() {
            Some((last, _)) if page.len() == VERSIONS_AT_ONCE => after = Some(last.clone()),
            _ => break,
        }
    }
    Ok(cx.engine.store().commit(batch).await?)
}
