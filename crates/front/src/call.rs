//! One request from its head to its answer.
//!
//! Each request runs on its own task: a panic in it becomes a 500 and ends nothing else, and a
//! client that goes away does not stop an operation halfway. Polled by its connection instead, a
//! call of a model cost 125 µs of CPU and not 100 with one in flight, and no less with 64.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use api::{Caller, Cx, Handler, RequestInfo};
use bytes::Bytes;
use engine::Engine;
use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use hyper::body::Incoming;
use net::sigv4::Signed;
use tokio::sync::{OwnedSemaphorePermit, watch};
use wire::decode::{self, RequestParts};
use wire::fault::Fault;

use crate::answer::{self, Place, REQUEST_ID};
use crate::auth::{Auth, Proof};
use crate::body::{self, Body, Room};
use crate::dry;
use crate::foreign::{self, Foreign};
use crate::forward::{self, Forwards, Route};
use crate::origin::{self, Names};
use crate::pass::Passes;
use crate::route::{self, Head, Plan, Routed};
use crate::sigv4::{Payload, Refusal};
use crate::{admin, bearer, limits, page, reading};

pub(crate) struct Front {
    pub(crate) room: Room,
    /// Turns true when streams have to end, for the server stops.
    pub(crate) closing: watch::Sender<bool>,
    pub(crate) names: Names,
    pub(crate) auth: Arc<Auth>,
    pub(crate) passes: Passes,
    pub(crate) forwards: Forwards,
    /// Finds the function of an operation.
    pub(crate) operations: fn(&str, &str) -> Option<Handler>,
    pub(crate) engine: Engine,
}

/// A request whose sender is known and whose body is here.
struct Admitted {
    caller: Caller,
    body: Bytes,
    /// Held until the body is decoded.
    room: Option<OwnedSemaphorePermit>,
}

/// A finished request, and what its log line says.
struct Call {
    response: Response<Body>,
    service: Cow<'static, str>,
    operation: Cow<'static, str>,
    account: String,
}

impl Call {
    fn refused(response: Response<Body>) -> Self {
        Call { response, service: "-".into(), operation: "-".into(), account: String::new() }
    }
}

impl Front {
    pub(crate) async fn call(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let id = self.engine.fresh_id();
        let task = tokio::spawn(run(self, request, id.clone()));
        let mut call = task.await.unwrap_or_else(|panic| {
            Call::refused(Place::default().fault(&Fault::internal(panic), &id))
        });
        // An answer that was passed on has the id of whoever gave it.
        let is_ours = !matches!(call.response.body(), Body::Passed(_));
        if let (true, Ok(value)) = (is_ours, HeaderValue::from_str(&id)) {
            call.response.headers_mut().insert(REQUEST_ID, value);
        }
        tracing::info!(
            request_id = id,
            service = &*call.service,
            operation = &*call.operation,
            account = call.account,
            status = call.response.status().as_u16(),
            micros = started.elapsed().as_micros() as u64,
            "request"
        );
        call.response
    }
}

async fn run(front: Arc<Front>, request: Request<Incoming>, id: String) -> Call {
    let (parts, incoming) = request.into_parts();
    if let Err(fault) = front.names.check(&parts.uri, &parts.headers) {
        return Call::refused(Place::default().fault(&fault, &id));
    }
    if parts.method == Method::OPTIONS {
        return Call::refused(options());
    }
    if let Some(path) = admin::path(parts.uri.path()) {
        return door(&front, &parts, path, incoming, &id).await;
    }
    match page::path(parts.uri.path()).filter(|_| parts.method == Method::GET) {
        Some(path) => look(&front, &parts, path, incoming, &id).await,
        None => aws(&front, &parts, incoming, &id).await,
    }
}

/// Nothing here is for pages of other origins, so a preflight learns nothing but the methods.
fn options() -> Response<Body> {
    let mut response = Response::new(Body::Whole(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
    response.headers_mut().insert(ALLOW, methods);
    response
}

async fn aws(front: &Front, parts: &request::Parts, incoming: Incoming, id: &str) -> Call {
    let head = head(parts);
    let claimed = Auth::read(head.headers, head.query).unwrap_or(Proof::None);
    let plan = route::plan(claimed.scope(), &head);
    if let Some((found, route)) = passed_on(front, &plan) {
        return pass_on(front, (parts, incoming), found, route, id).await;
    }
    match plan {
        Plan::Operation(routed) => {
            let limit = limits::body(routed.service.name, routed.operation.name);
            let place = place(&routed);
            match admit(front, parts, incoming, place, limit).await {
                Ok(admitted) => operate(front, parts, admitted, routed, id).await,
                Err(fault) => refuse(&routed, &fault, id),
            }
        }
        Plan::Form(service) => form(front, parts, incoming, service, id).await,
        Plan::Foreign(found) => foreign(front, parts, incoming, found, id).await,
        Plan::Unknown => {
            let place = Place::default();
            let admitted = admit(front, parts, incoming, place, limits::BODY_OTHER).await;
            let fault = admitted.err().unwrap_or_else(|| route::unknown(&head));
            Call::refused(place.fault(&fault, id))
        }
    }
}

async fn form(
    front: &Front,
    parts: &request::Parts,
    incoming: Incoming,
    service: Option<&'static wire::model::Service>,
    id: &str,
) -> Call {
    // Without a scope the version tells the service, but a fault before that is XML all the same.
    let place = Place { service: service.or_else(|| wire::model::service("sts")), operation: None };
    let mut admitted = match admit(front, parts, incoming, place, limits::BODY_OTHER).await {
        Ok(admitted) => admitted,
        Err(fault) => return Call::refused(place.fault(&fault, id)),
    };
    // AWS: the query protocol takes its parameters from the query string of a GET as well
    if let (true, Some(query)) = (admitted.body.is_empty(), parts.uri.query()) {
        admitted.body = Bytes::copy_from_slice(query.as_bytes());
    }
    match route::by_action(service, &admitted.body) {
        Ok(routed) => operate(front, parts, admitted, routed, id).await,
        Err(fault) => match route::foreign_action(service, &admitted.body) {
            Some(foreign) => Call::refused(foreign.fault(&foreign.unserved(&head(parts)), id)),
            None => Call::refused(place.fault(&fault, id)),
        },
    }
}

async fn foreign(
    front: &Front,
    parts: &request::Parts,
    incoming: Incoming,
    mut foreign: Foreign<'_>,
    id: &str,
) -> Call {
    let place = foreign.place();
    let refused = if foreign.is_unread_form() || !front.auth.judges_heads(&parts.headers) {
        let admitted = admit(front, parts, incoming, place, limits::BODY_OTHER).await;
        if let Ok(admitted) = &admitted {
            foreign.read_form(&admitted.body);
        }
        admitted.err()
    } else {
        let verified = verify_head(front, parts, place).err();
        body::let_go(incoming, parts).await;
        verified
    };
    let head = head(parts);
    let fault = refused.unwrap_or_else(|| foreign.unserved(&head));
    let mut call = Call::refused(foreign.fault(&fault, id));
    call.service = foreign.name().into();
    call.operation = foreign.operation(&head).into();
    call
}

/// The service and the way, if the request is for one that `[forward]` names.
fn passed_on<'a>(front: &'a Front, plan: &Plan<'a>) -> Option<(Foreign<'a>, &'a Route)> {
    if front.forwards.is_empty() {
        return None;
    }
    let found = match plan {
        Plan::Foreign(found) => found.clone(),
        Plan::Operation(Routed { service, .. }) | Plan::Form(Some(service)) => {
            Foreign::ours(service.name)?
        }
        Plan::Form(None) | Plan::Unknown => return None,
    };
    let route = front.forwards.route(&found)?;
    Some((found, route))
}

async fn pass_on(
    front: &Front,
    (parts, incoming): (&request::Parts, Incoming),
    mut foreign: Foreign<'_>,
    route: &Route,
    id: &str,
) -> Call {
    let (head, place) = (head(parts), foreign.place());
    let mut account = String::new();
    let answer = async {
        dry::refuse(head.headers, "what is passed on")?;
        if forward::is_loop(head.headers) {
            return Err(forward::looped());
        }
        let admitted = admit(front, parts, incoming, place, limits::BODY_FORWARD).await?;
        let Admitted { caller, body, room: _room } = admitted;
        account.clone_from(&caller.account);
        let leaving = route.leaving(parts, head.bucket, body)?;
        let reading = reading::of(&route.candidates(&foreign), &leaving)?;
        foreign.settle(&reading);
        if bearer::token(head.headers).is_some() && !bearer::opens(reading.service.name) {
            return Err(Refusal::Bearer.fault(place.protocol()));
        }
        for operation in &reading.operations {
            let action = foreign::permission(reading.service, operation);
            front.auth.authorize(&caller, &action, &"*")?;
        }
        front.forwards.send(route, &reading, leaving, (&caller, front.engine.now())).await
    };
    let answer = answer.await;
    let response = answer.unwrap_or_else(|fault| foreign.fault(&fault, id));
    let (service, operation) = (foreign.name().into(), foreign.operation(&head).into());
    Call { response, service, operation, account }
}

/// Establishes the caller of a request whose body is not read, because nothing is done with it.
fn verify_head(front: &Front, parts: &request::Parts, place: Place) -> Result<Caller, Fault> {
    let (request, now) = (signed(parts), front.engine.now());
    let verified = front
        .auth
        .proof(request.headers, request.query, now)
        .and_then(|proof| front.auth.verify(&proof, &request, Payload::Unread, now));
    verified.map_err(|refusal| refusal.fault(place.protocol()))
}

fn signed(parts: &request::Parts) -> Signed<'_> {
    Signed {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        host: origin::host(&parts.uri, &parts.headers),
    }
}

async fn door(
    front: &Front,
    parts: &request::Parts,
    path: &str,
    incoming: Incoming,
    id: &str,
) -> Call {
    let mut call = Call::refused(if (parts.method.as_str(), path) == admin::HEALTH {
        admin::health()
    } else {
        match enter(front, parts, path, incoming, id).await {
            Ok(answer) => admin::answer(answer, &front.closing, id),
            Err(fault) => admin::fault(&fault, id),
        }
    });
    call.service = "craton".into();
    call.operation = format!("{} {path}", parts.method).into();
    call
}

/// A page, for a browser.
async fn look(
    front: &Front,
    parts: &request::Parts,
    path: &str,
    incoming: Incoming,
    id: &str,
) -> Call {
    let nonce = front.engine.secret();
    let shown = match path {
        page::OPEN => follow(front, parts.uri.query().unwrap_or_default()),
        path => {
            let html = show(front, parts, (path, &nonce), incoming, id).await;
            html.map(|html| page::html(StatusCode::OK, html, &nonce))
        }
    };
    let mut call = Call::refused(shown.unwrap_or_else(|fault| {
        answer::log_fault(id, &fault);
        let status = StatusCode::from_u16(fault.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        page::html(status, api::page::refusal(&fault, &nonce), &nonce)
    }));
    call.service = "craton".into();
    call.operation = format!("page {path}").into();
    call
}

async fn show(
    front: &Front,
    parts: &request::Parts,
    (path, nonce): (&str, &str),
    incoming: Incoming,
    id: &str,
) -> Result<String, Fault> {
    expect_covered(parts)?;
    let caller = match front.passes.caller(&parts.headers, front.engine.now()) {
        Some(caller) => caller,
        None => admit(front, parts, incoming, Place::default(), limits::BODY_OTHER).await?.caller,
    };
    front.auth.authorize(&caller, api::admin::ADMIN, &"*")?;
    let asked = api::page::Asked { path, query: parts.uri.query().unwrap_or_default(), nonce };
    api::page::render(&cx(front, parts, caller, (id, false)), &asked).await
}

/// Opens a link: its secret becomes a cookie.
fn follow(front: &Front, query: &str) -> Result<Response<Body>, Fault> {
    let (secret, run) = admin::link_parts(query);
    let cookie = front.passes.take(secret, &front.engine.secret(), front.engine.now());
    cookie.map(|cookie| page::entered(run, &cookie)).ok_or_else(page::used_up)
}

async fn enter(
    front: &Front,
    parts: &request::Parts,
    path: &str,
    incoming: Incoming,
    id: &str,
) -> Result<api::admin::Answer, Fault> {
    let place = Place::default();
    dry::refuse(&parts.headers, path)?;
    expect_covered(parts)?;
    let pass = front.passes.caller(&parts.headers, front.engine.now());
    let (caller, body, _room) = match pass.filter(|_| admin::takes_passes(parts, path)) {
        Some(caller) => (caller, Bytes::new(), None),
        None => {
            let limit = admin::body_limit(parts, path);
            let Admitted { caller, body, room } =
                admit(front, parts, incoming, place, limit).await?;
            (caller, body, room)
        }
    };
    let action = api::admin::action(parts.method.as_str(), path);
    front.auth.authorize(&caller, action, &"*")?;
    if (parts.method.as_str(), path) == admin::LINKS {
        return admin::link(front, caller, parts.uri.query().unwrap_or_default());
    }
    let cx = cx(front, parts, caller, (id, false));
    api::admin::route(&cx, &admin::asked(parts, path, &body)).await
}

/// Only a signature over the whole request opens what is Craton's own.
fn expect_covered(parts: &request::Parts) -> Result<(), Fault> {
    let claimed = Auth::read(&parts.headers, parts.uri.query().unwrap_or_default());
    if claimed.is_ok_and(|proof| !proof.covers_body()) {
        return Err(Fault::access_denied(
            "this door opens to a signature that covers the body: sign for craton or any service \
             but s3; API keys are for models and agents",
        ));
    }
    Ok(())
}

/// Reads the body and establishes the caller. The claim is judged first: a stranger's body is not
/// read.
async fn admit(
    front: &Front,
    parts: &request::Parts,
    incoming: Incoming,
    place: Place,
    limit: usize,
) -> Result<Admitted, Fault> {
    let protocol = place.protocol();
    let (request, now) = (signed(parts), front.engine.now());
    let proof = front
        .auth
        .proof(request.headers, request.query, now)
        .map_err(|refusal| refusal.fault(protocol))?;
    let operation = place.operation.map_or("called", |operation| operation.name);
    let room = front.room.take(&incoming, limit).await;
    let body = body::read(incoming, &parts.headers, limit)
        .await
        .map_err(|error| error.fault(operation, limit))?;
    let caller = front
        .auth
        .verify(&proof, &request, Payload::Whole(&body), now)
        .map_err(|refusal| refusal.fault(protocol))?;
    if proof.is_bearer() {
        front.auth.authorize(&caller, bearer::PERMISSION, &"*")?;
    }
    Ok(Admitted { caller, body, room })
}

async fn operate(
    front: &Front,
    parts: &request::Parts,
    admitted: Admitted,
    mut routed: Routed,
    id: &str,
) -> Call {
    let account = admitted.caller.account.clone();
    let response = match perform(front, parts, admitted, &mut routed, id).await {
        Ok(reply) => answer::reply(&routed, reply, &front.closing, id),
        Err(fault) => place(&routed).fault(&fault, id),
    };
    named(response, &routed, account)
}

async fn perform(
    front: &Front,
    parts: &request::Parts,
    admitted: Admitted,
    routed: &mut Routed,
    id: &str,
) -> Result<api::Reply, Fault> {
    let Admitted { caller, body, room } = admitted;
    front.auth.authorize(&caller, &routed.action(), &routed.resource(&caller))?;
    if let Some(fault) = routed.unserved() {
        return Err(fault);
    }
    let (service, operation) = (routed.service, routed.operation);
    let dry_run = dry::asked(&parts.headers, operation.name)?;
    if front.engine.plays() && (dry_run || !api::admin::is_on_a_cassette(operation.name)) {
        let why =
            "it answers from a cassette, which holds runs of agents and nothing else (CR0039)";
        return Err(Fault::not_implemented(service.name, operation.name, why));
    }
    let handler = (front.operations)(service.name, operation.name).ok_or_else(|| {
        Fault::not_implemented(service.name, operation.name, "it is planned, not built")
    })?;
    let request = RequestParts {
        path_labels: std::mem::take(&mut routed.labels),
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        body: &body,
    };
    let input = decode::request(service, operation, &request)?;
    drop((body, room));
    handler(cx(front, parts, caller, (id, dry_run)), input).await
}

fn cx(front: &Front, parts: &request::Parts, caller: Caller, (id, dry_run): (&str, bool)) -> Cx {
    let invocation = parts.headers.get("amz-sdk-invocation-id");
    let invocation_id = invocation.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let request = RequestInfo { id: id.to_owned(), invocation_id, dry_run };
    Cx {
        caller: Arc::new(caller),
        request: Arc::new(request),
        engine: front.engine.clone(),
        permissions: front.auth.clone(),
    }
}

fn head(parts: &request::Parts) -> Head<'_> {
    Head {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        target: parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
        headers: &parts.headers,
        bucket: origin::host(&parts.uri, &parts.headers).and_then(origin::bucket),
    }
}

fn place(routed: &Routed) -> Place {
    Place { service: Some(routed.service), operation: Some(routed.operation) }
}

fn refuse(routed: &Routed, fault: &Fault, id: &str) -> Call {
    named(place(routed).fault(fault, id), routed, String::new())
}

fn named(response: Response<Body>, routed: &Routed, account: String) -> Call {
    let (service, operation) = (routed.service.name.into(), routed.operation.name.into());
    Call { response, service, operation, account }
}
