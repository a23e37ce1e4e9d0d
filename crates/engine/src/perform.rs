//! Performs the effects that a turn asks for, live: calls to models.
//!
//! A performer never decides what comes next. It repeats an attempt only where that cannot do
//! anything twice, and returns the one event that tells what happened.

use std::sync::Arc;

use craton_core::agent::digest;
use craton_core::agent::event::{Cuts, Event, ModelFailed, ModelOverflowed, ModelSaid};
use craton_core::agent::prompt::Screen;
use llm::ModelErrorKind;
use wire::converse::{Delta, Reply};

use crate::Inner;
use crate::live::Activation;
use crate::model::{self, Answer, Asking, Listener, Unanswered};

/// One call to a model for a turn.
pub(crate) struct ModelCall {
    pub(crate) step: u32,
    pub(crate) asking: Asking,
    /// Where the answer's text goes while it is made.
    pub(crate) live: Option<Arc<Activation>>,
}

/// Asks the model and tells what came of it, or why nothing did.
pub(crate) async fn ask_model(inner: &Arc<Inner>, ask: ModelCall) -> Event {
    let begun = inner.clock.now();
    let (step, prompt_digest) = (ask.step, Some(digest::of_call(&ask.asking.call)));
    let mut voice = Voice::new(ask.live);
    match model::hear(inner, ask.asking, &mut voice).await {
        Ok(Answer { provider, model, reply, conduct, cost, .. }) => {
            voice.finish(&reply);
            let millis = u64::try_from(inner.clock.now() - begun).unwrap_or(0);
            let cuts = voice.cuts;
            let saved = inner.paid((&provider, &model), &reply.usage, conduct.cached).saved;
            Event::ModelSaid(Box::new(ModelSaid {
                step,
                reply,
                provider,
                model,
                millis,
                prompt_digest,
                conduct,
                cuts,
                cost,
                saved,
                reused: false,
            }))
        }
        Err(Unanswered { provider, error, wasted, .. })
            if error.kind == ModelErrorKind::TooLong =>
        {
            let message = error.message;
            Event::ModelOverflowed(ModelOverflowed { step, provider, message, wasted })
        }
        Err(unanswered) => {
            let said = if unanswered.heard { voice.said } else { Vec::new() };
            model_failed(step, unanswered, said)
        }
    }
}

/// Says a reply's text to whoever listens, while it is made.
struct Voice {
    live: Option<Arc<Activation>>,
    screen: Screen,
    cuts: Cuts,
    /// What went out.
    said: Vec<String>,
}

impl Voice {
    fn new(live: Option<Arc<Activation>>) -> Self {
        Voice { live, screen: Screen::default(), cuts: Cuts::default(), said: Vec::new() }
    }

    fn finish(&mut self, reply: &Reply) {
        if let Some(live) = &self.live
            && !reply.asks_for_tools()
        {
            say(live, self.screen.finish());
        }
    }
}

impl Listener for Voice {
    fn begin(&mut self) {
        (self.screen, self.cuts) = (Screen::default(), Cuts::default());
    }

    fn hear(&mut self, delta: &Delta) -> bool {
        let (Some(live), Delta::Text { index, text }) = (&self.live, delta) else { return false };
        let piece = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.cuts.0.push((piece(*index), piece(text.len())));
        let text = self.screen.push(*index, text);
        if !text.is_empty() {
            self.said.push(text.clone());
        }
        say(live, text)
    }
}

fn say(live: &Activation, text: String) -> bool {
    let any = !text.is_empty();
    if any {
        live.say(text);
    }
    any
}

fn model_failed(step: u32, unanswered: Unanswered, said: Vec<String>) -> Event {
    let Unanswered { error, heard, wasted, .. } = unanswered;
    let code = model_exception(error.kind).to_owned();
    let consumed = !wasted.is_empty();
    let message = error.message;
    Event::ModelFailed(ModelFailed { step, code, message, heard, said, consumed, wasted })
}

/// The exception of InvokeAgent's stream for a model's failure. A provider's refusal is a failed
/// dependency (424), so that no client takes it for its own credentials or repeats it blindly.
pub(crate) fn model_exception(kind: ModelErrorKind) -> &'static str {
    match kind {
        ModelErrorKind::NotMapped => "ResourceNotFoundException",
        ModelErrorKind::Throttled => "ThrottlingException",
        ModelErrorKind::TooLong | ModelErrorKind::Unsupported => "ValidationException",
        ModelErrorKind::OverBudget => "ServiceQuotaExceededException",
        ModelErrorKind::Refused
        | ModelErrorKind::Unavailable
        | ModelErrorKind::TimedOut
        | ModelErrorKind::Malformed => "DependencyFailedException",
    }
}
