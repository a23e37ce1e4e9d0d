//! Foundation models: what the model map has an answer for.

use wire::bedrock::types::{
    AgreementAvailability, AgreementStatus, AuthorizationStatus, EntitlementAvailability,
    FoundationModelDetails, FoundationModelLifecycle, FoundationModelLifecycleStatus,
    FoundationModelSummary, GetFoundationModelAvailabilityRequest,
    GetFoundationModelAvailabilityResponse, GetFoundationModelRequest, GetFoundationModelResponse,
    ListFoundationModelsRequest, ListFoundationModelsResponse, RegionAvailability,
};
use wire::fault::Fault;

use super::catalog::{self, Facts};
use crate::cx::Cx;

pub(crate) async fn list(
    cx: &Cx,
    input: ListFoundationModelsRequest,
) -> Result<ListFoundationModelsResponse, Fault> {
    let models = catalog::models(&cx.engine).into_iter();
    let fitting = models.filter(|(_, facts)| fits(*facts, &input));
    let summaries = fitting.map(|(id, facts)| summary(cx, id, facts)).collect();
    Ok(ListFoundationModelsResponse { model_summaries: Some(summaries) })
}

/// A model of which nothing is known fits no filter.
fn fits(facts: Option<&Facts>, input: &ListFoundationModelsRequest) -> bool {
    let Some(facts) = facts else {
        return input == &ListFoundationModelsRequest::default();
    };
    // No model of Craton's is customised.
    input.by_customization_type.is_none()
        && input.by_provider.as_ref().is_none_or(|name| facts.provider.eq_ignore_ascii_case(name))
        && input.by_output_modality.is_none_or(|modality| facts.output.contains(&modality))
        && input.by_inference_type.is_none_or(|kind| facts.inference.contains(&kind))
}

fn summary(cx: &Cx, id: String, facts: Option<&Facts>) -> FoundationModelSummary {
    FoundationModelSummary {
        model_arn: catalog::arn(&cx.caller.region, &id),
        model_id: id,
        model_name: facts.map(|facts| facts.name.to_owned()),
        provider_name: facts.map(|facts| facts.provider.to_owned()),
        input_modalities: facts.map(|facts| facts.input.clone()),
        output_modalities: facts.map(|facts| facts.output.clone()),
        response_streaming_supported: facts.map(|facts| facts.streams),
        customizations_supported: facts.map(|_| Vec::new()),
        inference_types_supported: facts.map(|facts| facts.inference.clone()),
        model_lifecycle: Some(FoundationModelLifecycle {
            status: FoundationModelLifecycleStatus::Active,
            start_of_life_time: None,
            end_of_life_time: None,
            legacy_time: None,
            public_extended_access_time: None,
        }),
    }
}

pub(crate) async fn get(
    cx: &Cx,
    input: GetFoundationModelRequest,
) -> Result<GetFoundationModelResponse, Fault> {
    let id = existing(cx, &input.model_identifier)?;
    let facts = catalog::facts(&id);
    let FoundationModelSummary {
        model_arn,
        model_id,
        model_name,
        provider_name,
        input_modalities,
        output_modalities,
        response_streaming_supported,
        customizations_supported,
        inference_types_supported,
        model_lifecycle,
    } = summary(cx, id, facts);
    let details = FoundationModelDetails {
        model_arn,
        model_id,
        model_name,
        provider_name,
        input_modalities,
        output_modalities,
        response_streaming_supported,
        customizations_supported,
        inference_types_supported,
        model_lifecycle,
    };
    Ok(GetFoundationModelResponse { model_details: Some(details) })
}

/// The id of a model that is of a vendor we know, or that a rule is meant for, and that the map leads
/// somewhere. What is asked because anything is (`*`, or no provider at all) is no model for that alone;
/// the table has not all of a vendor's models.
fn existing(cx: &Cx, identifier: &str) -> Result<String, Fault> {
    let id = identifier.rsplit_once('/').map_or(identifier, |(_, id)| id);
    let missing = || Fault::not_found("foundation model", id);
    let resolved = cx.engine.models().resolve(id);
    let resolved = resolved.map_err(|error| missing().because(error.message))?;
    let meant = match &resolved.rule {
        Some((_, rule)) => rule.pattern.bytes().any(|byte| byte != b'*'),
        // An embedded model was asked for by its own name.
        None => id.starts_with("craton."),
    };
    if !catalog::has_vendor(id) && !meant {
        return Err(missing().because("its vendor is not known, and only `*` leads it anywhere"));
    }
    Ok(id.to_owned())
}

/// Whoever can ask Craton can ask for each of its models: there is no agreement to sign.
pub(crate) async fn availability(
    cx: &Cx,
    input: GetFoundationModelAvailabilityRequest,
) -> Result<GetFoundationModelAvailabilityResponse, Fault> {
    let model_id = existing(cx, &input.model_id)?;
    let status = AgreementStatus::Available;
    Ok(GetFoundationModelAvailabilityResponse {
        model_id,
        agreement_availability: AgreementAvailability { status, error_message: None },
        authorization_status: AuthorizationStatus::Authorized,
        entitlement_availability: EntitlementAvailability::Available,
        region_availability: RegionAvailability::Available,
    })
}
