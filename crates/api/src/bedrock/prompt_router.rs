//! Prompt routers: models of which one answers each prompt.

use engine::model::PromptRouter;
use store::{Batch, Versioned};
use wire::arn::Arn;
use wire::bedrock::types::{
    CreatePromptRouterRequest, CreatePromptRouterResponse, DeletePromptRouterRequest,
    DeletePromptRouterResponse, GetPromptRouterRequest, GetPromptRouterResponse,
    ListPromptRoutersRequest, ListPromptRoutersResponse, PromptRouterStatus, PromptRouterSummary,
    PromptRouterTargetModel, PromptRouterType, RoutingCriteria,
};
use wire::fault::Fault;
use wire::value::Timestamp;

use super::{id, limits, tag};
use crate::bedrock_agent::document::tenant;
use crate::bedrock_agent::page::Page;
use crate::cx::Cx;
use crate::edit::commit;

pub(crate) async fn create(
    cx: &Cx,
    input: CreatePromptRouterRequest,
) -> Result<CreatePromptRouterResponse, Fault> {
    let models: Vec<String> = input.models.into_iter().map(|model| model.model_arn).collect();
    let fallback = input.fallback_model.model_arn;
    if models.is_empty() {
        return Err(Fault::validation("models: a prompt router has at least one model"));
    }
    for arn in models.iter().chain([&fallback]) {
        check_model(cx, arn).await?;
    }
    let token = input.client_request_token.unwrap_or_else(|| cx.engine.fresh_id());
    let router = PromptRouter {
        id: id("router", &token),
        name: input.prompt_router_name,
        description: input.description,
        models,
        fallback,
        response_quality_difference: input.routing_criteria.response_quality_difference,
        client_token: Some(token),
        created_at: cx.engine.now(),
        tags: tag::read(input.tags.unwrap_or_default())?,
    };
    let made = put(cx, &router).await?;
    Ok(CreatePromptRouterResponse { prompt_router_arn: Some(arn(cx, &made)) })
}

async fn check_model(cx: &Cx, arn: &str) -> Result<(), Fault> {
    let behind = cx.engine.model_behind(&tenant(cx), arn).await;
    let resolved = behind.and_then(|id| cx.engine.models().resolve(&id));
    match resolved {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::not_found("model", arn).because(error.message)),
    }
}

/// A repeated create gets the first one's router, unless it asks for another.
async fn put(cx: &Cx, router: &PromptRouter) -> Result<String, Fault> {
    let stored = all(cx).await?;
    if let Some(first) = stored.iter().find(|first| first.id == router.id) {
        let what = |router: &PromptRouter| (router.name.clone(), router.models.clone());
        let same = what(first) == what(router) && first.fallback == router.fallback;
        return if same { Ok(first.id.clone()) } else { Err(other_create()) };
    }
    if stored.len() >= limits::ROUTERS {
        let most = limits::ROUTERS;
        return Err(Fault::quota(format!("there are {most} prompt routers already")));
    }
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.expect_version::<PromptRouter>(&router.id, 0).put(&router.id, router);
    match commit(&cx.engine, batch).await? {
        true => Ok(router.id.clone()),
        false => Err(other_create()),
    }
}

fn other_create() -> Fault {
    Fault::conflict("clientRequestToken was used for another create; take a new one")
}

async fn all(cx: &Cx) -> Result<Vec<PromptRouter>, Fault> {
    let most = limits::ROUTERS + 1;
    let rows = cx.engine.store().list::<PromptRouter>(&tenant(cx), "", None, most).await;
    let rows = rows.map_err(Fault::internal)?;
    Ok(rows.into_iter().map(|(_, found)| found.value).collect())
}

pub(super) fn arn(cx: &Cx, id: &str) -> String {
    let resource = format!("prompt-router/{id}");
    Arn::new("bedrock", &cx.caller.region, &cx.caller.account, resource).to_string()
}

async fn existing(cx: &Cx, arn: &str) -> Result<Versioned<PromptRouter>, Fault> {
    let id = arn.rsplit_once('/').map_or(arn, |(_, id)| id);
    let found = cx.engine.store().get::<PromptRouter>(&tenant(cx), id).await;
    let found =
        found.map_err(Fault::internal)?.filter(|found| self::arn(cx, &found.value.id) == arn);
    found.ok_or_else(|| Fault::not_found("prompt router", arn))
}

pub(crate) async fn get(
    cx: &Cx,
    input: GetPromptRouterRequest,
) -> Result<GetPromptRouterResponse, Fault> {
    let router = existing(cx, &input.prompt_router_arn).await?.value;
    let summary = summary(cx, router);
    Ok(GetPromptRouterResponse {
        prompt_router_name: summary.prompt_router_name,
        routing_criteria: summary.routing_criteria,
        description: summary.description,
        created_at: summary.created_at,
        updated_at: summary.updated_at,
        prompt_router_arn: summary.prompt_router_arn,
        models: summary.models,
        fallback_model: summary.fallback_model,
        status: summary.status,
        r#type: summary.r#type,
    })
}

fn summary(cx: &Cx, router: PromptRouter) -> PromptRouterSummary {
    let created_at = Some(Timestamp(router.created_at));
    let target = |model_arn| PromptRouterTargetModel { model_arn };
    PromptRouterSummary {
        prompt_router_arn: arn(cx, &router.id),
        prompt_router_name: router.name,
        routing_criteria: RoutingCriteria {
            response_quality_difference: router.response_quality_difference,
        },
        description: router.description,
        created_at,
        updated_at: created_at,
        models: router.models.into_iter().map(target).collect(),
        fallback_model: target(router.fallback),
        status: PromptRouterStatus::Available,
        r#type: PromptRouterType::Custom,
    }
}

/// Craton has no routers of its own making.
pub(crate) async fn list(
    cx: &Cx,
    input: ListPromptRoutersRequest,
) -> Result<ListPromptRoutersResponse, Fault> {
    let name = "prompt-routers".to_owned();
    let page = Page::open(name, input.max_results, input.next_token.as_deref())?;
    let routers = match input.r#type {
        Some(PromptRouterType::Default) => Vec::new(),
        Some(PromptRouterType::Custom) | None => all(cx).await?,
    };
    let rows = routers.into_iter().map(|router| (router.id.clone(), summary(cx, router)));
    let (summaries, next_token) = page.of(rows.collect());
    Ok(ListPromptRoutersResponse { prompt_router_summaries: Some(summaries), next_token })
}

pub(crate) async fn delete(
    cx: &Cx,
    input: DeletePromptRouterRequest,
) -> Result<DeletePromptRouterResponse, Fault> {
    let router = existing(cx, &input.prompt_router_arn).await?.value;
    let mut batch = Batch::new(&tenant(cx), cx.engine.now());
    batch.delete::<PromptRouter>(&router.id);
    commit(&cx.engine, batch).await?;
    Ok(DeletePromptRouterResponse {})
}
