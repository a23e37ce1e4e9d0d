//! Clients answered from a cassette: a request that is in it hears what was heard then, frame by frame; any
//! other is refused, with what is nearest to it.
//!
//! All runs are played when the cassette is put on, so what is heard is what this Craton makes of
//! it; a cassette that parts is not put on. Which session a client names does not matter, as scripts
//! draw a new one each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use craton_core::agent::config::Retention;
use craton_core::agent::event::{Accepted, Event, HandBackState, Resumed};
use craton_core::agent::limits::Limits as TurnLimits;
use craton_core::policy::ToolPolicy;
use exec::Invoked;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::{self, StreamExt as _};
use llm::{Deltas, ModelError, ModelErrorKind, Provider};
use store::{Store, StoreError, Tenant};
use wire::converse::Call;

use super::frames::Stretch;
use super::replay::stamped;
use super::{Cassette, CassetteError, Parted, RecordedRun};
use crate::env::System;
use crate::limits::Limits;
use crate::live::Out;
use crate::request::{ENDED, Hearing, Input, InvokeError, TurnRequest};
use crate::run::innermost;
use crate::tool::{ToolCall, ToolError, Tools};
use crate::{Engine, Inner, Parts};

/// Requests of clients that are remembered, so that one that an SDK sends again hears the same.
const REMEMBERED: usize = 10_000;

/// Why a cassette is not put on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error(transparent)]
    Cassette(#[from] CassetteError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "run {} of it parts at event {}: {} differs from byte {} on; `craton replay` shows it, and \
         a new recording mends it (CR0039)", .0.run, .0.event, .0.what, .0.byte
    )]
    Parted(Box<Parted>),
}

/// What a client may ask, in the order of the cassette.
#[derive(Debug)]
pub(crate) struct Stage {
    scenes: Vec<Scene>,
    played: Mutex<Played>,
}

#[derive(Debug, Default)]
struct Played {
    /// How often each scene was heard.
    times: HashMap<usize, usize>,
    /// The scene that an SDK's request heard.
    repeats: HashMap<String, usize>,
}

#[derive(Debug)]
struct Scene {
    run: String,
    provider: String,
    agent_id: String,
    alias_id: String,
    session_id: String,
    asked: Asked,
    outs: Vec<Out>,
}

/// What began a stretch.
#[derive(Debug)]
enum Asked {
    Text(Box<Accepted>),
    Results { invocation_id: String, resumed: Box<Resumed> },
}

impl Engine {
    /// An engine that answers from a cassette and does nothing else: it has no models and no tools.
    pub fn on_cassette(cassette: &Cassette) -> Result<Engine, StageError> {
        let stage = Stage::new(cassette)?;
        let environment = Arc::new(System::default());
        let Engine(inner) = Engine::assemble(Parts {
            store: Store::memory()?,
            models: llm::Models::single(Arc::new(NoModel)),
            tools: Arc::new(NoTools),
            buckets: exec::Buckets::default(),
            // What is played was paid for when it was recorded.
            prices: craton_core::cost::Prices::none(),
            clock: environment.clone(),
            ids: environment,
            turn: TurnLimits::default(),
            limits: Limits::default(),
            sessions: Retention::default(),
            gateway: crate::model::Config::default(),
            budgets: Default::default(),
            alerts: Default::default(),
        });
        let inner = Arc::into_inner(inner).expect("nobody else has it yet");
        Ok(Engine(Arc::new(Inner { stage: Some(stage), ..inner })))
    }

    /// Whether clients are answered from a cassette.
    pub fn plays(&self) -> bool {
        self.0.stage.is_some()
    }
}

impl Stage {
    fn new(cassette: &Cassette) -> Result<Stage, StageError> {
        if let Some(parted) = cassette.replay()?.parted {
            return Err(StageError::Parted(Box::new(parted)));
        }
        let mut scenes = Vec::new();
        for tape in &cassette.runs {
            let stretches = cassette.stretches(tape, &tape.events)?;
            scenes.extend(stretches.into_iter().filter_map(|stretch| scene(tape, stretch)));
        }
        Ok(Stage { scenes, played: Mutex::default() })
    }

    pub(crate) fn answer(&self, request: &TurnRequest) -> Result<Hearing, InvokeError> {
        if let Input::EndSession = request.input {
            let outs = stream::iter([Out::Chunk(ENDED.to_owned())]).boxed();
            let run = request.request.clone();
            return Ok(Hearing { run, provider: String::new(), outs });
        }
        let scene = &self.scenes[self.choose(request)?];
        let wanted = |out: &&Out| request.trace || !matches!(out, Out::Trace(_));
        let outs: Vec<Out> = scene.outs.iter().filter(wanted).cloned().collect();
        let (run, provider) = (scene.run.clone(), scene.provider.clone());
        Ok(Hearing { run, provider, outs: stream::iter(outs).boxed() })
    }

    /// Of the scenes that the request asks for the one that was heard least, the first of those; one of
    /// the client's own session before all others.
    fn choose(&self, request: &TurnRequest) -> Result<usize, InvokeError> {
        let mut played = self.played.lock().expect("no holder of this lock panics");
        if let Some(scene) = request.repeat.as_ref().and_then(|repeat| played.repeats.get(repeat)) {
            return Ok(*scene);
        }
        let fits = |at: &usize| self.scenes[*at].fits(request).is_ok();
        let order = |at: &usize| {
            let times = played.times.get(at).copied().unwrap_or_default();
            (times, self.scenes[*at].session_id != request.session_id, *at)
        };
        let found = (0..self.scenes.len()).filter(fits).min_by_key(order);
        let Some(found) = found else { return Err(self.refusal(request)) };
        *played.times.entry(found).or_default() += 1;
        if let Some(repeat) = request.repeat.clone().filter(|_| played.repeats.len() < REMEMBERED) {
            played.repeats.insert(repeat, found);
        }
        Ok(found)
    }

    fn refusal(&self, request: &TurnRequest) -> InvokeError {
        let nearest = self.scenes.iter().filter_map(|scene| scene.fits(request).err());
        let nearest = nearest.max_by_key(|(near, _)| *near).map(|(_, why)| why);
        let why = nearest.unwrap_or_else(|| "it holds no request".to_owned());
        let message = format!("the cassette has no such request; of the nearest {why} (CR0039)");
        InvokeError::Invalid(message)
    }
}

fn scene(tape: &RecordedRun, stretch: Stretch) -> Option<Scene> {
    if !stretch.whole {
        return None;
    }
    let first = &tape.events.first()?.event;
    let Event::Accepted(accepted) = first else { return None };
    let asked = match innermost(&tape.events[stretch.event].event).1 {
        Event::Accepted(accepted) => Asked::Text(accepted.clone()),
        Event::Resumed(_) => Asked::Results {
            invocation_id: parked_before(tape, stretch.event)?,
            resumed: Box::new(all_results(tape, &stretch)),
        },
        _ => return None,
    };
    Some(Scene {
        run: tape.record.run.clone(),
        provider: accepted.provider.clone(),
        agent_id: tape.record.agent_id.clone(),
        alias_id: tape.record.alias_id.clone(),
        session_id: tape.record.session_id.clone(),
        asked,
        outs: stretch.outs,
    })
}

/// The hand-off that the client had when it came back: the run's own, or the first of its team's.
fn parked_before(tape: &RecordedRun, event: usize) -> Option<String> {
    tape.events[..event].iter().rev().find_map(|recorded| match &recorded.event {
        Event::Parked(parked) => Some(parked.invocation_id.clone()),
        _ => None,
    })
}

/// What the client brought, for all turns of the team together.
fn all_results(tape: &RecordedRun, stretch: &Stretch) -> Resumed {
    let resumed = stamped(&tape.events[stretch.event..]).into_iter().filter_map(|stamped| {
        match innermost(&stamped.event).1 {
            Event::Resumed(resumed) if resumed.request == stretch.request => {
                Some((**resumed).clone())
            }
            _ => None,
        }
    });
    let join = |mut all: Resumed, one: Resumed| {
        all.results.extend(one.results);
        all
    };
    resumed.reduce(join).expect("the stretch began with one")
}

impl Scene {
    /// Else how much of the request is the same, and what is not.
    fn fits(&self, request: &TurnRequest) -> Result<(), (u8, String)> {
        let (agent, alias) = (&self.agent_id, &self.alias_id);
        if (agent, alias) != (&request.agent_id, &request.alias_id) {
            return Err((0, format!("it was asked of agent {agent}, alias {alias}")));
        }
        match (&self.asked, &request.input) {
            (Asked::Text(was), Input::Text(text)) => fits_text(was, request, text),
            (Asked::Results { invocation_id, resumed }, Input::Results { .. }) => {
                fits_results(invocation_id, resumed, &request.input)
            }
            (Asked::Text(_), _) => Err((1, "it was a text".to_owned())),
            (Asked::Results { .. }, _) => Err((1, "it was the results of a hand-off".to_owned())),
        }
    }
}

fn fits_text(was: &Accepted, request: &TurnRequest, text: &str) -> Result<(), (u8, String)> {
    if was.input_text != text {
        let common = was.input_text.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        return Err((2, format!("inputText differs from byte {common} on")));
    }
    let prompt = request.prompt_session_attributes.clone().unwrap_or_default();
    let parts = [
        ("sessionAttributes", was.session_attributes == request.session_attributes),
        ("promptSessionAttributes", was.prompt_session_attributes == prompt),
        ("conversationHistory", was.conversation == request.conversation),
        ("files", was.files == request.files),
        ("memoryId", was.memory_id == request.memory_id),
        ("streamFinalResponse", was.stream == request.stream),
        ("enableTrace, which was off,", was.trace || !request.trace),
    ];
    match parts.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err((3, format!("{what} differs"))),
        None => Ok(()),
    }
}

fn fits_results(id: &str, was: &Resumed, input: &Input) -> Result<(), (u8, String)> {
    let Input::Results { invocation_id, results } = input else { return Err((1, String::new())) };
    if invocation_id != id {
        return Err((2, format!("invocationId was {id}")));
    }
    // A word of the user's has its own state here and none in the request's result.
    let state = |state: HandBackState| match state {
        HandBackState::Confirmed | HandBackState::Denied => HandBackState::Success,
        told => told,
    };
    let mut before: Vec<_> = was
        .results
        .iter()
        .map(|back| (back.body.as_str(), format!("{:?}", state(back.state))))
        .collect();
    let mut now: Vec<_> = results
        .iter()
        .map(|result| (result.body.as_str(), format!("{:?}", result.state)))
        .collect();
    before.sort();
    now.sort();
    match before == now {
        true => Ok(()),
        false => Err((3, "returnControlInvocationResults differ".to_owned())),
    }
}

/// Nobody is asked from a cassette.
struct NoModel;

impl Provider for NoModel {
    fn name(&self) -> &str {
        "cassette"
    }

    fn converse<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Result<Deltas, ModelError>> {
        let why = "a cassette has no model";
        Box::pin(ready(Err(ModelError::new(ModelErrorKind::NotMapped, why))))
    }
}

/// Nothing is called from one either.
struct NoTools;

impl Tools for NoTools {
    fn call(&self, call: ToolCall) -> BoxFuture<'_, Result<Invoked, ToolError>> {
        Box::pin(ready(Err(ToolError::NoFunction(call.function))))
    }

    fn policy<'a>(
        &'a self,
        _: &'a Tenant,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<ToolPolicy, StoreError>> {
        Box::pin(ready(Ok(ToolPolicy::default())))
    }
}
