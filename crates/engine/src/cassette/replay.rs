//! Plays a recorded run: another performer of its effects.
//!
//! What came from outside (a client's words, a model's reply, a tool's result, an operator) is taken from
//! the cassette, at its time. Everything else is decided by the code that decides live, and has to be
//! what was recorded; so has each request. The first thing that is not is told, and where.

use std::borrow::Cow;
use std::collections::BTreeMap;

use craton_core::agent::event::{Event, Intent, ModelSaid, Within};
use craton_core::agent::limits::Limits as TurnLimits;
use craton_core::agent::tool::Tool;
use craton_core::agent::turn::{self, Facts};
use serde::Serialize;
use store::Tenant;

use super::frames::{self, Digests, Stretch, Sum};
use super::request::{self, Chain};
use super::{Cassette, CassetteError, RecordedEvent, RecordedRun};
use crate::budget::Book;
use crate::journal::Stamped;
use crate::live::Activation;
use crate::model::Named;
use crate::run::{Counted, Path, Policies, Run, innermost};

/// Bytes shown before and after the first that differs.
const AROUND: usize = 40;

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// Of the cassette as the file has it, and of the replay.
    pub recorded: Digests,
    pub replayed: Digests,
    /// Whether both are the same and no request changed.
    pub same: bool,
    /// The file is not what was recorded once.
    pub edited: bool,
    pub runs: usize,
    pub events: usize,
    pub requests: usize,
    /// The first difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parted: Option<Parted>,
}

/// Where a replay is not what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parted {
    pub run: String,
    /// The number of the run's event, from 1.
    pub event: u64,
    /// What differs: `request 3 (model)`, or `the event`.
    pub what: String,
    /// The first byte that differs.
    pub byte: usize,
    /// What stands around it in each.
    pub recorded: String,
    pub replayed: String,
}

/// One run, played.
pub(crate) struct Played {
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) requests: usize,
    pub(crate) parted: Option<Parted>,
}

impl Cassette {
    /// Plays all runs.
    pub fn replay(&self) -> Result<Replayed, CassetteError> {
        let (mut recorded, mut replayed) = (Sum::default(), Sum::default());
        let (mut events, mut requests, mut parted) = (0, 0, None);
        for tape in &self.runs {
            let played = self.play(tape)?;
            recorded.add(&stamped(&tape.events), &self.stretches(tape, &tape.events)?);
            replayed.add(&stamped(&played.events), &self.stretches(tape, &played.events)?);
            events += played.events.len();
            requests += played.requests;
            parted = parted.or(played.parted);
        }
        let (recorded, replayed) = (recorded.done(), replayed.done());
        let (same, edited) = (parted.is_none() && recorded == replayed, recorded != self.digests);
        let runs = self.runs.len();
        Ok(Replayed { recorded, replayed, same, edited, runs, events, requests, parted })
    }

    fn play(&self, tape: &RecordedRun) -> Result<Played, CassetteError> {
        let mut player = Player::new(self, tape)?;
        player.play();
        let status = tape.record.status.word();
        match tape.record.ended_at {
            Some(_) if player.parted.is_none() && player.run.turn.end.is_none() => {
                let events = tape.events.len();
                let why = format!("it was {status}, and its {events} events stop before that");
                Err(unfit(tape, format!("{why}; the file was cut")))
            }
            _ => Ok(player.done()),
        }
    }

    /// The same where the recorded keys of calls were made of other arguments: the keys of now take
    /// their place.
    pub(crate) fn rederived(
        &self,
        tape: &RecordedRun,
        keys: &mut Keys,
    ) -> Result<Played, CassetteError> {
        let mut player = Player::new(self, tape)?;
        player.keys = Some(std::mem::take(keys));
        player.play();
        *keys = player.keys.take().unwrap_or_default();
        Ok(player.done())
    }

    /// The events as they are, with what went out for them. Nothing is decided.
    pub(crate) fn folded(&self, tape: &RecordedRun) -> Result<Vec<RecordedEvent>, CassetteError> {
        let mut player = Player::new(self, tape)?;
        for recorded in &tape.events {
            let mut event = recorded.event.clone();
            self.fill(&mut event);
            player.keep(recorded, event);
        }
        Ok(player.played)
    }

    /// What the clients of a run heard.
    pub(crate) fn stretches(
        &self,
        tape: &RecordedRun,
        events: &[RecordedEvent],
    ) -> Result<Vec<Stretch>, CassetteError> {
        let agent = self.agent(&tape.record.config).map_err(|why| unfit(tape, why))?;
        let mut events = stamped(events);
        events.iter_mut().for_each(|stamped| self.fill(&mut stamped.event));
        Ok(frames::stretches(&events, &agent, &tape.record, None))
    }
}

pub(crate) fn stamped(events: &[RecordedEvent]) -> Vec<Stamped> {
    events.iter().map(|r| Stamped { at: r.at, event: r.event.clone() }).collect()
}

fn unfit(tape: &RecordedRun, why: String) -> CassetteError {
    CassetteError::Unfit { run: tape.record.run.clone(), why }
}

struct Player<'a> {
    cassette: &'a Cassette,
    limits: &'a TurnLimits,
    tape: &'a [RecordedEvent],
    run: Run,
    played: Vec<RecordedEvent>,
    /// Requests as the cassette has them, and as they are made now.
    before: Chain,
    now: Chain,
    /// What the journal has of the last request of each turn.
    digests: BTreeMap<Path, Option<String>>,
    requests: usize,
    parted: Option<Parted>,
    /// Set where keys may change.
    keys: Option<Keys>,
}

/// Keys of calls by those that stood in their places.
#[derive(Default)]
pub(crate) struct Keys(Vec<(String, String)>);

impl Keys {
    fn replace(&self, event: &Event) -> Event {
        let mut text = serde_json::to_string(event).expect("events are plain data");
        for (was, now) in &self.0 {
            text = text.replace(was.as_str(), now);
        }
        serde_json::from_str(&text).unwrap_or_else(|_| event.clone())
    }
}

impl<'a> Player<'a> {
    fn new(cassette: &'a Cassette, tape: &'a RecordedRun) -> Result<Self, CassetteError> {
        Ok(Player {
            cassette,
            limits: &cassette.limits,
            tape: &tape.events,
            run: cassette.run(tape)?,
            played: Vec::new(),
            before: Chain::default(),
            now: Chain::default(),
            digests: BTreeMap::new(),
            requests: 0,
            parted: None,
            keys: None,
        })
    }

    fn done(self) -> Played {
        Played { events: self.played, requests: self.requests, parted: self.parted }
    }

    fn next(&self) -> Option<Cow<'a, RecordedEvent>> {
        let recorded = self.tape.get(self.played.len())?;
        Some(match &self.keys {
            Some(keys) if !keys.0.is_empty() => Cow::Owned(RecordedEvent {
                event: keys.replace(&recorded.event),
                ..recorded.clone()
            }),
            _ => Cow::Borrowed(recorded),
        })
    }

    /// A call whose key is made of other arguments than the recorded one.
    fn learn(
        &mut self,
        decided: &Event,
        recorded: Cow<'a, RecordedEvent>,
    ) -> Cow<'a, RecordedEvent> {
        let key = |event: &Event| match innermost(event).1 {
            Event::Asked(Intent::Call(call)) => Some(call.key.clone()),
            _ => None,
        };
        match (&mut self.keys, key(&recorded.event), key(decided)) {
            (Some(keys), Some(was), Some(now)) if was != now => keys.0.push((was, now)),
            _ => return recorded,
        }
        self.next().unwrap_or(recorded)
    }

    /// To the end of the cassette, or until something else is decided than was.
    fn play(&mut self) {
        while let Some(recorded) = self.next() {
            let decided = self.decide(recorded.at);
            if decided.is_empty() {
                match self.comes_from_outside(&recorded.event) {
                    true => self.take(&recorded),
                    false => return self.part("the event", &recorded.event, None),
                }
            }
            for event in decided {
                // The run may have been recorded before it was over.
                let Some(recorded) = self.next() else { return };
                let recorded = self.learn(&event, recorded);
                let event = self.run.turn.named(as_ruled(event, &recorded.event));
                if same(&event, &recorded.event) {
                    self.keep(&recorded, event);
                } else if self.comes_from_outside(&recorded.event) {
                    self.take(&recorded);
                    break;
                } else {
                    return self.part("the event", &recorded.event, Some(&event));
                }
            }
        }
    }

    fn decide(&self, now: i64) -> Vec<Event> {
        // Replaced by the recorded one.
        let fresh_id = String::new;
        let policy = |tool: &Tool| self.run.policies.of(tool);
        let window = |model: &str| self.cassette.windows.get(model).copied();
        let provider = |_: &str| String::new();
        let facts = Facts {
            agent: &self.run.agent,
            limits: self.limits,
            fresh_id: &fresh_id,
            policy: &policy,
            window: (!self.cassette.windows.is_empty()).then_some(&window),
            provider: &provider,
            // A route is ruled: the recorded one takes its place.
            route: None,
            // So is what is held back, and that there was no room for it.
            budget: None,
            now,
        };
        turn::decide(&self.run.turn, &facts)
    }

    /// Whether an event is one that nobody here decides, and may come now.
    fn comes_from_outside(&self, event: &Event) -> bool {
        let (path, inner) = innermost(event);
        let Some(turn) = self.run.place(&path).map(|place| place.turn) else { return false };
        match inner {
            Event::Accepted(_) => turn.accepted.is_none(),
            Event::Started(_) => turn.accepted.is_some() && !turn.begun,
            Event::ModelSaid(_) | Event::ModelFailed(_) | Event::ModelOverflowed(_) => {
                turn.asking.is_some()
            }
            Event::Parsed(_) => turn.stages.parsing.is_some(),
            Event::ToolReturned(returned) => turn.awaits(&returned.tool_use_id),
            Event::Deferred(deferred) => turn.awaits(&deferred.tool_use_id),
            Event::Resumed(_) => turn.parked.is_some(),
            Event::Exhausted(_) => turn.budget.exhausted.is_none(),
            Event::Halted { .. } => turn.exhaustion().is_some(),
            Event::Replenished(_) => turn.budget.halted.is_some(),
            Event::Lost => turn.asking.is_some(),
            // People, time and crashes end a turn, hold it and let it go on.
            Event::Cancelled { .. } | Event::Failed { .. } | Event::Paused | Event::Continued => {
                true
            }
            Event::Asked(_)
            | Event::Shrunk(_)
            | Event::Refused(_)
            | Event::Parked(_)
            | Event::AskedUser(_)
            | Event::Delegated(_)
            | Event::Within(_)
            | Event::GaveUp(_)
            | Event::Finished { .. } => false,
        }
    }

    /// An outcome as the cassette has it; a model's names the request that is made now.
    fn take(&mut self, recorded: &RecordedEvent) {
        let mut event = recorded.event.clone();
        self.cassette.fill(&mut event);
        let (path, _) = innermost(&event);
        if let Some(said) = said(&mut event)
            && let (Some(was), Some(Some(now))) = (&said.prompt_digest, self.digests.get(&path))
            && was != now
        {
            said.prompt_digest = Some(now.clone());
        }
        self.keep(recorded, event);
    }

    /// Takes an event in, and looks at what goes out for it.
    fn keep(&mut self, recorded: &RecordedEvent, event: Event) {
        if let Some(policies) = Policies::by(&event) {
            self.run.policies = policies;
        }
        self.run.note(recorded.at, event.clone());
        // Views and rows of the ledger are made elsewhere from the same events.
        self.run.outs.clear();
        self.run.rows.clear();
        self.run.pending.clear();
        let (path, inner) = innermost(&event);
        let mut request = None;
        if let Event::Asked(intent) = inner
            && let Some(made) = request::made(&self.run, &path, intent)
        {
            self.requests += 1;
            self.digests.insert(path.clone(), made.digest);
            if let Some(sent) = &recorded.request {
                let was = self.before.unpack(&path, intent, sent);
                self.compare_request(intent, &was, &made.text);
            }
            request = Some(self.now.pack(&path, intent, made.text));
        }
        self.played.push(RecordedEvent { at: recorded.at, event, request });
    }

    fn compare_request(&mut self, intent: &Intent, was: &str, now: &str) {
        if was == now || self.parted.is_some() {
            return;
        }
        let what = format!("request {} ({})", self.requests, request::kind(intent));
        self.parted = Some(parted(&self.run, &what, was, now));
    }

    fn part(&mut self, what: &str, was: &Event, now: Option<&Event>) {
        let text = |event: &Event| serde_json::to_string(event).expect("events are plain data");
        let now =
            now.map_or_else(|| "(nothing is decided, and nothing waits for this)".to_owned(), text);
        let found = parted(&self.run, what, &text(was), &now);
        self.parted.get_or_insert(found);
    }
}

impl Cassette {
    /// A run before its first event.
    fn run(&self, tape: &RecordedRun) -> Result<Run, CassetteError> {
        let first = tape.events.first().map(|recorded| &recorded.event);
        let Some(Event::Accepted(accepted)) = first else {
            return Err(unfit(tape, "its first event is not accepted".to_owned()));
        };
        let (account, region) = accepted.tenant.split_once('/').unwrap_or((&accepted.tenant, ""));
        let record = tape.record.clone();
        let agent = self.agent(&record.config).map_err(|why| unfit(tape, why))?;
        Ok(Run {
            tenant: Tenant::new(account, region),
            id: record.run.clone(),
            epoch: 1,
            next: 1,
            turn: Default::default(),
            counted: Counted::default(),
            agent,
            policies: Policies::default(),
            book: Book::default(),
            // Routes are the recorded ones, and whether data is restricted stands in the events.
            named: Named::default(),
            live: Activation::new(&record.session_key(), &record.run),
            record,
            pending: Vec::new(),
            rows: Vec::new(),
            outs: Vec::new(),
            raised: Default::default(),
        })
    }
}

fn said(event: &mut Event) -> Option<&mut ModelSaid> {
    match event {
        Event::ModelSaid(said) => Some(said),
        Event::Within(within) => said(&mut within.event),
        _ => None,
    }
}

fn same(a: &Event, b: &Event) -> bool {
    let bytes = |event: &Event| serde_json::to_vec(event).expect("events are plain data");
    a == b || bytes(a) == bytes(b)
}

/// A decision with what the engine ruled for it then: times, fresh ids, routes, reservations.
fn as_ruled(decided: Event, recorded: &Event) -> Event {
    use Intent::{AskModel, Call};
    match (decided, recorded) {
        (Event::Within(now), Event::Within(was)) if now.tool_use_id == was.tool_use_id => {
            let Within { tool_use_id, event } = *now;
            Event::Within(Box::new(Within { tool_use_id, event: as_ruled(event, &was.event) }))
        }
        (Event::Asked(AskModel(mut now)), Event::Asked(AskModel(was))) => {
            now.route.clone_from(&was.route);
            now.reserved.clone_from(&was.reserved);
            Event::Asked(AskModel(now))
        }
        (Event::Asked(Call(mut now)), Event::Asked(Call(was))) => {
            (now.at, now.send_by) = (was.at, was.send_by);
            now.reserved.clone_from(&was.reserved);
            Event::Asked(Call(now))
        }
        (Event::Parked(mut now), Event::Parked(was)) => {
            now.invocation_id.clone_from(&was.invocation_id);
            Event::Parked(now)
        }
        (Event::Delegated(mut now), Event::Delegated(was)) => {
            now.at = was.at;
            now.accepted.provider.clone_from(&was.accepted.provider);
            Event::Delegated(now)
        }
        (Event::ToolReturned(mut now), Event::ToolReturned(was)) => {
            now.millis = was.millis;
            Event::ToolReturned(now)
        }
        (now, _) => now,
    }
}

fn parted(run: &Run, what: &str, was: &str, now: &str) -> Parted {
    let byte = was.bytes().zip(now.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let from = text.floor_char_boundary(byte.saturating_sub(AROUND));
        let to = text.ceil_char_boundary((byte + AROUND).min(text.len()));
        text[from..to].to_owned()
    };
    Parted {
        run: run.id.clone(),
        event: run.counted.events + 1,
        what: what.to_owned(),
        byte,
        recorded: around(was),
        replayed: around(now),
    }
}
