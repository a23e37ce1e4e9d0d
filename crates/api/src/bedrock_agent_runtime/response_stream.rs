//! What a turn says, as events of the response streams of InvokeAgent and InvokeInlineAgent.

use bytes::Bytes;
use engine::live::Out;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use wire::bedrock_agent_runtime::types::PayloadPart;
use wire::fault::Fault;
use wire::shape::Shape as _;
use wire::value::{Map, Value};

use crate::reply::Events;

pub(crate) fn events(outs: BoxStream<'static, Out>) -> Events {
    outs.map(event).boxed()
}

/// The same for an agent that is no resource: its trace has no names of one.
pub(crate) fn inline_events(outs: BoxStream<'static, Out>) -> Events {
    outs.map(|out| event(without_resource(out))).boxed()
}

/// What `TracePart` has and `InlineAgentTracePart` has not.
fn without_resource(out: Out) -> Out {
    let Out::Trace(mut part) = out else { return out };
    if let Value::Map(members) = part.as_mut() {
        for name in ["agentId", "agentAliasId", "agentVersion"] {
            members.remove(name);
        }
    }
    Out::Trace(part)
}

fn event(out: Out) -> Result<Value, Fault> {
    match out {
        Out::Chunk(text) => {
            let part = PayloadPart { attribution: None, bytes: Some(Bytes::from(text)) };
            Ok(member("chunk", part.into_value()))
        }
        Out::Trace(part) => Ok(member("trace", *part)),
        Out::ReturnControl(payload) => Ok(member("returnControl", *payload)),
        Out::Fault { code, message } => {
            let status = status(&code);
            Err(Fault::new(code, status, message))
        }
    }
}

fn member(name: &str, payload: Value) -> Value {
    Value::Map(Map::from([(name.to_owned(), payload)]))
}

/// Of the exceptions that the stream models; the encoder names them, the status is for the log.
fn status(code: &str) -> u16 {
    match code {
        "ValidationException" => 400,
        "ServiceQuotaExceededException" => 402,
        "AccessDeniedException" => 403,
        "ResourceNotFoundException" => 404,
        "ConflictException" => 409,
        "DependencyFailedException" => 424,
        "ThrottlingException" => 429,
        "BadGatewayException" => 502,
        _ => 500,
    }
}
