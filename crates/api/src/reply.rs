//! What an operation answers: a value, or a value and the events that follow it.

use craton_core::cost::Money;
use futures_core::stream::BoxStream;
use wire::fault::Fault;
use wire::shape::Shape;
use wire::value::Value;

/// Each item is a map of one member: the event's name in the stream's union, and its payload.
/// A fault ends the stream. Dropping the stream never stops the run behind it.
pub type Events = BoxStream<'static, Result<Value, Fault>>;

pub struct Reply {
    /// The output structure; of a streaming operation only the members beside the stream.
    pub value: Value,
    pub events: Option<Events>,
    /// Response headers that the model does not know, such as `x-craton-run-id`.
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub fn value(value: Value) -> Self {
        Reply { value, events: None, headers: Vec::new() }
    }

    pub fn stream(head: Value, events: Events) -> Self {
        Reply { value: head, events: Some(events), headers: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// What one call of a model cost, in dollars, where its price is known.
    pub(crate) fn costs(self, cost: Option<Money>) -> Self {
        let dollars = cost.map(|cost| cost.to_string().replacen('$', "", 1));
        match dollars {
            Some(dollars) => self.header("x-craton-cost", dollars),
            None => self,
        }
    }

    /// Says so where no language model answers.
    pub fn by(self, provider: &str) -> Self {
        if llm::is_embedded(provider) { self.header("x-craton-model", provider) } else { self }
    }
}

/// Lets an operation return its generated output, or a [`Reply`] where it streams or adds headers.
pub trait IntoReply {
    fn into_reply(self) -> Reply;
}

impl<T: Shape> IntoReply for T {
    fn into_reply(self) -> Reply {
        Reply::value(self.into_value())
    }
}

impl IntoReply for Reply {
    fn into_reply(self) -> Reply {
        self
    }
}
