//! Native bodies: what clients send to InvokeModel, and what they get back.
//!
//! A family (`family`) has a file of pure functions: body to call, reply to body, deltas to the chunks
//! of a stream. The two operations (`whole`, `stream`) ask by the engine as Converse does; no family
//! knows which provider answers. Embeddings (`embed`) have no call and no stream.
//!
//! What a body asks for and a family here cannot carry is refused by its place in the body.

mod anthropic;
mod body;
mod chat;
mod command;
mod completion;
mod embed;
mod family;
mod held;
mod nova;
mod settings;
pub(crate) mod stream;
mod template;
#[cfg(test)]
mod tests;
mod titan;
pub(crate) mod whole;

use serde_json::Value as Json;
use wire::converse::{
    Block, Call, Delta, Inference, Message, Options, Reply, Role, StopReason, Usage,
};
use wire::fault::Fault;

use body::Body;
use family::Text;

/// How the answer to one body is written.
trait Native: Send {
    fn whole(&self, reply: Reply, about: &About) -> Json;

    /// The chunk before everything, where the family has one.
    fn begin(&mut self, _: &About) -> Vec<Json> {
        Vec::new()
    }

    /// The chunks of one delta; those that end the answer are told by [`Native::end`].
    fn piece(&mut self, delta: Delta, about: &About) -> Vec<Json>;

    /// Whether the family has a word for an answer that its model spoiled. Of one without, it is an error.
    fn tells_spoiled(&self) -> bool {
        false
    }

    /// What ends a stream; at least one chunk.
    fn end(&mut self, reason: StopReason, usage: Usage, about: &About) -> Vec<Json>;
}

/// What an answer says of itself.
struct About {
    /// The request's id.
    id: String,
    /// The model's own id, without ARN and geography.
    model: String,
    /// Seconds since the epoch.
    created: i64,
}

/// A body that was understood.
struct Understood {
    call: Call,
    native: Box<dyn Native>,
}

/// The one text family's reading of a body.
fn understand(family: Text, model: &str, body: Body) -> Result<Understood, Fault> {
    let Understood { mut call, native } = match family {
        Text::Anthropic if body.has("prompt") => completion::claude(body)?,
        Text::Anthropic => anthropic::read(body)?,
        Text::Nova => nova::read(body)?,
        Text::Titan => titan::read(body)?,
        Text::Llama => completion::llama(body)?,
        Text::Mistral if body.has("prompt") => completion::mistral(body)?,
        Text::Mistral | Text::Chat => chat::read(body, family == Text::Mistral)?,
        Text::DeepSeek if body.has("prompt") => completion::deepseek(body)?,
        Text::DeepSeek => chat::read(body, false)?,
        Text::Command => completion::command(body)?,
        Text::CommandR => command::read(body)?,
    };
    model.clone_into(&mut call.model);
    held::check(family, &call)?;
    Ok(Understood { call, native })
}

/// The call with what the request's headers ask for, beside what its body says.
fn with(call: Call, headers: Options) -> Call {
    let one_tool_use = call.options.one_tool_use;
    Call { options: Options { one_tool_use, ..headers }, ..call }
}

/// The call that says no more than this.
fn call(system: Vec<String>, messages: Vec<Message>, inference: Inference) -> Call {
    Call {
        model: String::new(),
        system,
        messages,
        tools: [].into(),
        tool_choice: Default::default(),
        inference,
        cache: Default::default(),
        additional: Json::Null,
        options: Default::default(),
        stream: false,
    }
}

/// Neighbours of one role become one message: providers want the roles in turns.
fn push(messages: &mut Vec<Message>, role: Role, mut content: Vec<Block>) {
    match messages.last_mut() {
        Some(last) if last.role == role => last.content.append(&mut content),
        _ => messages.push(Message { role, content }),
    }
}

/// The words of a reply, for families whose answer is a text.
fn words(content: &[Block]) -> String {
    let mut words = String::new();
    for block in content {
        match block {
            Block::Text(text) => words.push_str(text),
            Block::CitationsContent(cited) => {
                let pieces = cited["content"].as_array().into_iter().flatten();
                words.extend(pieces.filter_map(|piece| piece["text"].as_str()));
            }
            _ => {}
        }
    }
    words
}
