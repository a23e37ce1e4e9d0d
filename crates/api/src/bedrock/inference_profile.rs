//! Inference profiles: AWS's own, by geography, and a client's names for models.

use engine::model::InferenceProfile;
use store::Batch;
use wire::arn::Arn;
use wire::bedrock::types::{
    CreateInferenceProfileRequest, CreateInferenceProfileResponse, DeleteInferenceProfileRequest,
    DeleteInferenceProfileResponse, GetInferenceProfileRequest, GetInferenceProfileResponse,
    InferenceProfileModel, InferenceProfileModelSource, InferenceProfileStatus,
    InferenceProfileSummary, InferenceProfileType, ListInferenceProfilesRequest,
    ListInferenceProfilesResponse,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::{catalog, id, limits, tag};
use crate::bedrock_agent::document::tenant;
use crate::bedrock_agent::page::Page;
use crate::cx::Cx;
use crate::edit::commit;

pub(crate) async fn create(
    cx: &Cx,
    input: CreateInferenceProfileRequest,
) -> Result<CreateInferenceProfileResponse, Fault> {
    let InferenceProfileModelSource::CopyFrom(source) = input.model_source;
    let model = source_model(cx, &source)?;
    let token = input.client_request_token.unwrap_or_else(|| cx.engine.fresh_id());
    let profile = InferenceProfile {
        id: id("profile", &token),
        name: input.inference_profile_name,
        description: input.description,
        models: vec![catalog::arn(&cx.caller.region, &model)],
        source,
        client_token: Some(token),
        created_at: cx.engine.now(),
        tags: tag::read(input.tags.unwrap_or_default())?,
    };
    let made = put(cx, &profile).await?;
    Ok(CreateInferenceProfileResponse {
        inference_profile_arn: arn(cx, &made),
        status: Some(InferenceProfileStatus::Active),
    })
}

/// The model that a profile is copied from.
fn source_model(cx: &Cx, source: &str) -> Result<String, Fault> {
    match cx.engine.models().resolve(source) {
        Ok(_) => Ok(llm::bare_id(source).to_owned()),
        Err(error) => {
            Err(Fault::not_found("the model to copy from", source).because(error.message))
        }
    }
}

/// A repeated create gets the first one's profile, unless it asks for another.
async fn put(cx: &Cx, profile: &InferenceProfile) -> Result<String, Fault> {
    let stored = all(cx).await?;
    let first = stored.iter().find(|first| first.id == profile.id);
    if let Some(first) = first {
        let same = (&first.name, &first.source) == (&profile.name, &profile.source);
        return if same { Ok(first.id.clone()) } else { Err(other_create()) };
    }
    if stored.len() >= limits::PROFILES {
        let most = limits::PROFILES;
        return Err(Fault::quota(format!("there are {most} inference profiles already")));
    }
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.expect_version::<InferenceProfile>(&profile.id, 0).put(&profile.id, profile);
    match commit(&cx.engine, batch).await? {
        true => Ok(profile.id.clone()),
        false => Err(other_create()),
    }
}

fn other_create() -> Fault {
    Fault::conflict("clientRequestToken was used for another create; take a new one")
}

async fn all(cx: &Cx) -> Result<Vec<InferenceProfile>, Fault> {
    let most = limits::PROFILES + 1;
    let rows = cx.engine.store().list::<InferenceProfile>(&tenant(cx), "", None, most).await;
    let rows = rows.map_err(Fault::internal)?;
    Ok(rows.into_iter().map(|(_, found)| found.value).collect())
}

pub(super) fn arn(cx: &Cx, id: &str) -> String {
    let resource = format!("application-inference-profile/{id}");
    Arn::new("bedrock", &cx.caller.region, &cx.caller.account, resource).to_string()
}

pub(crate) async fn get(
    cx: &Cx,
    input: GetInferenceProfileRequest,
) -> Result<GetInferenceProfileResponse, Fault> {
    let summary = find(cx, &input.inference_profile_identifier).await?;
    Ok(GetInferenceProfileResponse {
        inference_profile_name: summary.inference_profile_name,
        description: summary.description,
        created_at: summary.created_at,
        updated_at: summary.updated_at,
        inference_profile_arn: summary.inference_profile_arn,
        models: summary.models,
        inference_profile_id: summary.inference_profile_id,
        status: summary.status,
        r#type: summary.r#type,
    })
}

async fn find(cx: &Cx, identifier: &str) -> Result<InferenceProfileSummary, Fault> {
    let id = identifier.rsplit_once('/').map_or(identifier, |(_, id)| id);
    let found = cx.engine.store().get::<InferenceProfile>(&tenant(cx), id).await;
    let found = match found.map_err(Fault::internal)? {
        Some(found) => Some(own(cx, found.value)),
        None => {
            let model = catalog::profiles(&cx.engine, &cx.caller.region).remove(id);
            model.map(|model| system(cx, id.to_owned(), &model))
        }
    };
    // An ARN of another account or region is of nothing that is here.
    let found = found.filter(|found| [id, &found.inference_profile_arn].contains(&identifier));
    found.ok_or_else(|| Fault::not_found("inference profile", identifier))
}

fn own(cx: &Cx, profile: InferenceProfile) -> InferenceProfileSummary {
    let created_at = Some(Timestamp(profile.created_at));
    let model = |arn| InferenceProfileModel { model_arn: Some(arn) };
    InferenceProfileSummary {
        inference_profile_name: profile.name,
        description: profile.description,
        created_at,
        updated_at: created_at,
        inference_profile_arn: arn(cx, &profile.id),
        models: profile.models.into_iter().map(model).collect(),
        inference_profile_id: profile.id,
        status: InferenceProfileStatus::Active,
        r#type: InferenceProfileType::Application,
    }
}

// AWS: a profile of AWS's is named by its geography, the vendor and the model: `US Anthropic Claude
// 3 Haiku` (Bedrock user guide, "Supported Regions and models for inference profiles")
fn system(cx: &Cx, id: String, model: &str) -> InferenceProfileSummary {
    let geography = id.split_once('.').map_or("", |(geography, _)| geography).to_uppercase();
    let name = match catalog::facts(model) {
        Some(facts) => format!("{geography} {} {}", facts.provider, facts.name),
        None => format!("{geography} {model}"),
    };
    let resource = format!("inference-profile/{id}");
    let arn = Arn::new("bedrock", &cx.caller.region, &cx.caller.account, resource);
    let model_arn = Some(catalog::arn(&cx.caller.region, model));
    InferenceProfileSummary {
        inference_profile_name: name,
        description: None,
        created_at: None,
        updated_at: None,
        inference_profile_arn: arn.to_string(),
        models: vec![InferenceProfileModel { model_arn }],
        inference_profile_id: id,
        status: InferenceProfileStatus::Active,
        r#type: InferenceProfileType::SystemDefined,
    }
}

pub(crate) async fn list(
    cx: &Cx,
    input: ListInferenceProfilesRequest,
) -> Result<ListInferenceProfilesResponse, Fault> {
    // AWS: those of AWS's own unless others are asked for (API reference, `ListInferenceProfiles`)
    let kind = input.type_equals.unwrap_or(InferenceProfileType::SystemDefined);
    let name = format!("inference-profiles/{}", kind.as_str());
    let page = Page::open(name, input.max_results, input.next_token.as_deref())?;
    let rows: Vec<(String, InferenceProfileSummary)> = match kind {
        InferenceProfileType::SystemDefined => {
            let profiles = catalog::profiles(&cx.engine, &cx.caller.region).into_iter();
            profiles.map(|(id, model)| (id.clone(), system(cx, id, &model))).collect()
        }
        InferenceProfileType::Application => {
            let profiles = all(cx).await?.into_iter();
            profiles.map(|profile| (profile.id.clone(), own(cx, profile))).collect()
        }
    };
    let (summaries, next_token) = page.of(rows);
    Ok(ListInferenceProfilesResponse { inference_profile_summaries: Some(summaries), next_token })
}

pub(crate) async fn delete(
    cx: &Cx,
    input: DeleteInferenceProfileRequest,
) -> Result<DeleteInferenceProfileResponse, Fault> {
    let profile = find(cx, &input.inference_profile_identifier).await?;
    if profile.r#type == InferenceProfileType::SystemDefined {
        let id = profile.inference_profile_id;
        return Err(Fault::validation(format!("inference profile {id} is not the account's own")));
    }
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.delete::<InferenceProfile>(&profile.inference_profile_id);
    commit(&cx.engine, batch).await?;
    Ok(DeleteInferenceProfileResponse {})
}
