//! The calls that every provider must answer, and what must be true of the answers.

use std::collections::HashSet;

use futures_util::TryStreamExt;
use llm::{Collect, ModelError, ModelErrorKind, Models};
use serde_json::{Value as Json, json};
use wire::converse::{Block, Call, Delta, Reply, StopReason, ToolUse};

/// What a provider may leave out.
pub(crate) struct Expectations {
    /// Two questions at once become two tool uses of one reply.
    pub(crate) parallel: bool,
    /// It can be made to fail.
    pub(crate) errors: bool,
}

pub(crate) async fn suite(models: &Models, expected: Expectations) {
    text(models).await;
    tools(models, "Where is my order A-1001?", &["A-1001"]).await;
    if expected.parallel {
        tools(models, "Where are my orders A-1001 and B-2002?", &["A-1001", "B-2002"]).await;
    }
    if expected.errors {
        errors(models).await;
    }
}

async fn text(models: &Models) {
    let reply = ask(models, &call(json!([user("Hello there")]), json!([]))).await.unwrap();
    assert_eq!(reply.stop_reason, StopReason::EndTurn);
    words(&reply);
}

/// The question, the tool uses for `ids`, their results, the answer.
async fn tools(models: &Models, question: &str, ids: &[&str]) {
    let first = ask(models, &call(json!([user(question)]), orders())).await.unwrap();
    assert_eq!(first.stop_reason, StopReason::ToolUse);
    let uses = tool_uses(&first);
    let asked: Vec<_> = uses.iter().map(|tool| (tool.name.as_str(), &tool.input)).collect();
    let wanted: Vec<_> = ids.iter().map(|id| json!({ "order_id": id })).collect();
    assert_eq!(asked, wanted.iter().map(|input| ("get_order", input)).collect::<Vec<_>>());

    let results: Vec<_> = uses.iter().map(|tool| result(tool)).collect();
    let history = json!([
        user(question),
        { "role": "assistant", "content": first.content },
        { "role": "user", "content": results },
    ]);
    let last = ask(models, &call(history, orders())).await.unwrap();
    assert_eq!(last.stop_reason, StopReason::EndTurn);
    let answer = words(&last);
    for id in ids {
        assert!(answer.contains(id) && answer.contains("shipped"), "{answer}");
    }
}

/// The one text of a reply, beside which there is nothing but thoughts.
fn words(reply: &Reply) -> &str {
    let thought = |block: &&Block| matches!(block, Block::ReasoningContent(_));
    let mut said = reply.content.iter().filter(|block| !thought(block));
    match (said.next(), said.next()) {
        (Some(Block::Text(text)), None) => text,
        _ => panic!("{reply:?}"),
    }
}

/// Whatever it does, it does in the form of Converse, and the same for the same call.
pub(crate) async fn clumsy(models: &Models) {
    for seed in 0..100 {
        let resolved = models.resolve(&format!("craton.clumsy:{seed}")).unwrap();
        let call = call(json!([user("Where is my order A-1001?")]), orders());
        let mut replies = Vec::new();
        for stream in [false, true, false] {
            let mut call = Call { stream, ..call.clone() };
            let deltas: Vec<Delta> =
                resolved.converse(&mut call).await.unwrap().try_collect().await.unwrap();
            well_formed(&deltas);
            let mut collect = Collect::default();
            deltas.into_iter().for_each(|delta| collect.absorb(delta));
            replies.push(collect.finish().unwrap());
        }
        assert!(replies.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: {replies:?}");
    }
}

async fn errors(models: &Models) {
    for (said, kind) in [
        ("fail: refused", ModelErrorKind::Refused),
        ("fail: throttled", ModelErrorKind::Throttled),
        ("fail: unavailable", ModelErrorKind::Unavailable),
        ("fail: malformed", ModelErrorKind::Malformed),
    ] {
        let error = ask(models, &call(json!([user(said)]), json!([]))).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

/// The reply, asked for whole and as a stream: twice each, and all four must be the same.
async fn ask(models: &Models, call: &Call) -> Result<Reply, ModelError> {
    let whole = once(models, call).await;
    for stream in [true, false, true] {
        let again = once(models, &Call { stream, ..call.clone() }).await;
        match (&whole, &again) {
            (Ok(whole), Ok(again)) => assert_eq!(whole, again),
            (Err(whole), Err(again)) => {
                assert_eq!(whole.kind, again.kind, "{whole}; as a stream or again: {again}");
            }
            (whole, again) => panic!("{whole:?} and {again:?} to the same call"),
        }
    }
    whole
}

pub(crate) async fn once(models: &Models, call: &Call) -> Result<Reply, ModelError> {
    let provider = models.resolve("some.model-v1:0")?;
    let deltas: Vec<Delta> = provider.converse(&mut call.clone()).await?.try_collect().await?;
    well_formed(&deltas);
    let mut collect = Collect::default();
    deltas.into_iter().for_each(|delta| collect.absorb(delta));
    let reply = collect.finish()?;
    lawful(call, &reply);
    Ok(reply)
}

/// Blocks are numbered from 0 and each ends before the reply stops.
fn well_formed(deltas: &[Delta]) {
    let (mut open, mut closed, mut stopped) = (HashSet::new(), HashSet::new(), false);
    for delta in deltas {
        match delta {
            Delta::Text { index, .. }
            | Delta::Reasoning { index, .. }
            | Delta::Signature { index, .. }
            | Delta::Redacted { index, .. }
            | Delta::Citation { index, .. }
            | Delta::ToolUseStart { index, .. }
            | Delta::ToolUseInput { index, .. } => {
                assert!(!stopped && !closed.contains(index), "{deltas:?}");
                open.insert(*index);
            }
            Delta::BlockStop { index } => {
                assert!(open.remove(index) && closed.insert(*index), "{deltas:?}");
            }
            Delta::Stop(_) => stopped = open.is_empty(),
            Delta::Usage(_) => assert!(stopped, "{deltas:?}"),
            Delta::Native(_) => {}
        }
    }
    assert!(stopped, "{deltas:?}");
    assert!((0..closed.len()).all(|index| closed.contains(&index)), "{deltas:?}");
}

/// Tool uses name offered tools, under ids of Converse's form that are new to the conversation.
fn lawful(call: &Call, reply: &Reply) {
    let history = call.messages.iter().flat_map(|message| &message.content);
    let mut ids: HashSet<&str> = history.filter_map(id).collect();
    for tool in tool_uses(reply) {
        let id = tool.tool_use_id.as_str();
        assert!(ids.insert(id) && (1..=64).contains(&id.len()), "{id}");
        assert!(call.tools.iter().any(|offered| offered.name == tool.name), "{}", tool.name);
    }
    let calls = !tool_uses(reply).is_empty();
    assert_eq!(calls, reply.stop_reason == StopReason::ToolUse);
}

fn id(block: &Block) -> Option<&str> {
    if let Block::ToolUse(tool) = block { Some(&tool.tool_use_id) } else { None }
}

pub(crate) fn tool_uses(reply: &Reply) -> Vec<&ToolUse> {
    let uses = reply.content.iter().filter_map(|block| match block {
        Block::ToolUse(tool) => Some(tool),
        _ => None,
    });
    uses.collect()
}

fn call(messages: Json, tools: Json) -> Call {
    serde_json::from_value(json!({
        "model": "",
        "system": ["You help customers with their orders."],
        "messages": messages,
        "tools": tools,
        "inference": { "maxTokens": 200, "temperature": 0.5 },
    }))
    .unwrap()
}

fn user(text: &str) -> Json {
    json!({ "role": "user", "content": [{ "text": text }] })
}

fn orders() -> Json {
    json!([{
        "name": "get_order",
        "description": "Looks up an order and says where it is",
        "schema": {
            "type": "object",
            "properties": {
                "order_id": { "type": "string", "description": "The order's id, such as A-1001" },
            },
            "required": ["order_id"],
        },
    }])
}

fn result(tool: &ToolUse) -> Json {
    let order = json!({ "order_id": tool.input["order_id"], "status": "shipped" });
    json!({ "toolResult": { "toolUseId": tool.tool_use_id, "content": [{ "json": order }] } })
}
