//! What unit tests of operations share: an engine in memory, and calls through the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base64::Engine as _;
use craton_core::policy::ToolPolicy;
use engine::env::{Clock, Ids};
use engine::tool::{ToolCall, ToolError, Tools};
use engine::{Engine, Parts};
use exec::{ExecError, Invoked};
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use llm::{Models, Scripted, Step};
use serde_json::Value as Json;
use store::{Store, StoreError, Tenant};
use wire::fault::Fault;
use wire::value::Value;

use crate::{Caller, Cx, Permissions, RequestInfo, ops};

/// Moves on by a second whenever it is read.
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now(&self) -> i64 {
        self.0.fetch_add(1_000, Ordering::SeqCst)
    }
}

struct Counted(AtomicU64);

impl Ids for Counted {
    fn secret(&self) -> String {
        self.fresh()
    }

    fn fresh(&self) -> String {
        format!("id-{}", self.0.fetch_add(1, Ordering::SeqCst))
    }
}

struct NoTools;

impl Tools for NoTools {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        let refused = ExecError::Refused(format!("{} is not there", call.function));
        Box::pin(async move { Err(refused.into()) })
    }

    fn policy<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<ToolPolicy, StoreError>> {
        Box::pin(async { Ok(ToolPolicy::default()) })
    }
}

/// Lets a caller do all but one action.
pub(crate) struct AllBut(pub(crate) &'static str);

impl Permissions for AllBut {
    fn check(&self, _: &Caller, action: &str, resource: &str) -> Result<(), Fault> {
        match action == self.0 {
            true => Err(Fault::access_denied(format!("no {action} on {resource}"))),
            false => Ok(()),
        }
    }
}

/// An engine whose model says `steps` in every turn.
pub(crate) async fn cx(steps: impl IntoIterator<Item = Step>) -> Cx {
    cx_of(Models::single(Arc::new(Scripted::from_steps(steps)))).await
}

/// An engine over these models.
pub(crate) async fn cx_of(models: Models) -> Cx {
    let engine = Engine::start(Parts {
        store: Store::memory().unwrap(),
        models,
        tools: Arc::new(NoTools),
        buckets: exec::Buckets::default(),
        prices: craton_core::cost::Prices::default(),
        clock: Arc::new(Ticks(AtomicI64::new(1_700_000_000_000))),
        ids: Arc::new(Counted(AtomicU64::new(0))),
        turn: craton_core::agent::limits::Limits::default(),
        limits: engine::limits::Limits::default(),
        sessions: engine::limits::SESSIONS,
        gateway: engine::model::Config::default(),
        budgets: Default::default(),
        alerts: Default::default(),
    });
    let caller = Caller {
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        access_key: String::new(),
        arn: "arn:aws:iam::123456789012:root".to_owned(),
    };
    let request = RequestInfo { id: "request".to_owned(), invocation_id: None, dry_run: false };
    Cx {
        caller: Arc::new(caller),
        request: Arc::new(request),
        engine: engine.await.unwrap(),
        permissions: Arc::new(AllBut("")),
    }
}

/// `name` is an operation's, after its service's where several have one of that name.
/// The answer with its events (each as JSON, a fault as its text), or the fault as `code: message`.
pub(crate) async fn call(cx: &Cx, name: &str, input: Json) -> Result<(Json, Vec<Json>), String> {
    call_with(cx, name, blobs(Value::from(input))).await
}

/// The same of an input that JSON cannot say, such as one with bytes.
pub(crate) async fn call_with(
    cx: &Cx,
    name: &str,
    input: Value,
) -> Result<(Json, Vec<Json>), String> {
    let (service, operation) = name.split_once(' ').map_or(("", name), |(of, name)| (of, name));
    let is_meant = |row: &&ops::Row| row.operation == operation && row.service.ends_with(service);
    let row = ops::ROWS.iter().find(is_meant).expect("a served operation");
    let mut cx = cx.clone();
    let (id, invocation_id) = (cx.engine.fresh_id(), None);
    cx.request = Arc::new(RequestInfo { id, invocation_id, dry_run: false });
    let reply = (row.handler)(cx, input).await.map_err(|fault| fault.to_string())?;
    let mut events = Vec::new();
    if let Some(mut stream) = reply.events {
        while let Some(event) = stream.next().await {
            events.push(event.map_or_else(|fault| fault.to_string().into(), Json::from));
        }
    }
    Ok((reply.value.into(), events))
}

/// JSON has no bytes: every `body` is base64.
fn blobs(value: Value) -> Value {
    let Value::Map(members) = value else { return value };
    let members = members.into_iter().map(|(name, value)| match value {
        Value::String(text) if name == "body" => {
            let bytes = base64::prelude::BASE64_STANDARD.decode(text).expect("base64");
            (name, Value::Blob(bytes.into()))
        }
        value => (name, blobs(value)),
    });
    Value::Map(members.collect())
}

/// The answer of an operation that must succeed.
pub(crate) async fn done(cx: &Cx, name: &str, input: Json) -> Json {
    call(cx, name, input).await.unwrap_or_else(|fault| panic!("{name}: {fault}")).0
}

/// The fault of an operation that must fail.
pub(crate) async fn refused(cx: &Cx, name: &str, input: Json) -> String {
    match call(cx, name, input).await {
        Ok((answer, _)) => panic!("{name} answered {answer}"),
        Err(fault) => fault,
    }
}
