//! A run's stream for whoever lost it, or never had it: from any position, as long as it goes on.
//!
//! Events come from the journal, once they are durable, so a position that was given out stands
//! for ever. Between them comes the text of the answer that is being made, of which the journal
//! knows nothing yet: a position inside it is an event and a byte. INVARIANT: what a client heard,
//! less what it was told to forget, adds up to what the journal tells, however often it came back.
//! Nothing here moves a run.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::event::Event;
use craton_core::agent::state::{self, End, Turn};
use craton_core::agent::turn::Agent;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use store::{StoreError, Tenant};
use tokio::sync::watch;

use crate::journal::{self, Row, Stamped};
use crate::live::{Activation, Out, Progress};
use crate::record::{RunRecord, RunStatus};
use crate::run::Counted;
use crate::{Engine, trace};

/// How long a row that was sent to the store is waited for before the next look.
const SETTLING: Duration = Duration::from_millis(5);
/// Between two looks at a run that no task of this process has.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// All up to an event was heard, of the next one some parts, of the answer being made some bytes.
///
/// Written `EVENT`, `EVENT-PARTS`, `EVENT.BYTES` or `EVENT-PARTS.BYTES`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    pub event: u64,
    pub parts: usize,
    pub bytes: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event)?;
        if self.parts > 0 {
            write!(f, "-{}", self.parts)?;
        }
        if self.bytes > 0 {
            write!(f, ".{}", self.bytes)?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (text, bytes) = text.split_once('.').unwrap_or((text, "0"));
        let (event, parts) = text.split_once('-').unwrap_or((text, "0"));
        Ok(Position { event: event.parse()?, parts: parts.parse()?, bytes: bytes.parse()? })
    }
}

/// One thing that a listener hears, and where it stands once it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub position: Position,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Out(Out),
    /// The text that came after this event is void: another attempt says it anew.
    Reset {
        event: u64,
    },
    /// An operator holds the run, or lets it go on. The stream stays.
    Paused,
    Continued,
    /// The run waits for its client; the stream ends.
    Parked {
        invocation_id: String,
    },
    /// The run is over, and so is the stream.
    Ended(RunStatus),
}

/// Why nothing is to be heard.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error(
        "{from} is beyond the run, which has {events} events; give the id of the last one heard"
    )]
    Beyond { from: Position, events: u64 },
    #[error("the pinned configuration {0} of the run is missing or no longer compiles")]
    NoConfig(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// What a run says after `from`. `traces` overrules what its client asked for.
    pub async fn tail(
        &self,
        tenant: &Tenant,
        record: RunRecord,
        from: Position,
        traces: Option<bool>,
    ) -> Result<BoxStream<'static, Result<Heard, StoreError>>, TailError> {
        let (events, _) = journal::load(&self.0, tenant, &record.run).await?;
        let events = events.len() as u64;
        if from.event > events {
            return Err(TailError::Beyond { from, events });
        }
        let Some(agent) = self.0.agent(tenant, &record.config).await? else {
            return Err(TailError::NoConfig(record.config));
        };
        let script = Script {
            agent,
            record,
            from,
            traces,
            turn: Turn::default(),
            counted: Counted::default(),
            asked_in: 0,
            bytes: from.bytes,
            heard_in: None,
            queue: VecDeque::new(),
        };
        let tail =
            Tail { engine: self.clone(), tenant: tenant.clone(), script, row: 1, over: false };
        Ok(stream::unfold(tail, |mut tail| async {
            let heard = tail.next().await.transpose()?;
            Some((heard, tail))
        })
        .boxed())
    }
}

struct Tail {
    engine: Engine,
    tenant: Tenant,
    script: Script,
    /// The next row of the journal.
    row: u64,
    over: bool,
}

impl Tail {
    async fn next(&mut self) -> Result<Option<Heard>, StoreError> {
        loop {
            if let Some(heard) = self.script.queue.pop_front() {
                return Ok(Some(heard));
            }
            if self.over {
                return Ok(None);
            }
            if let Err(error) = self.advance().await {
                self.over = true;
                return Err(error);
            }
        }
    }

    /// Reads on, or waits until something may have come.
    async fn advance(&mut self) -> Result<(), StoreError> {
        let (inner, run) = (self.engine.0.clone(), self.script.record.run.clone());
        // Taken before the journal is read, so that nothing falls between the two.
        let live = inner.live.get(&self.tenant, &run);
        let mut progress = live.as_ref().map(|live| live.watch());
        let reached = progress.as_mut().map(|progress| *progress.borrow_and_update());
        let rows = journal::rows(&inner, &self.tenant, &run, self.row).await?;
        if let Some(last) = rows.last() {
            self.row = last.seq + 1;
            rows.into_iter().for_each(|row| self.script.absorb(row));
            return Ok(());
        }
        if self.script.conclude() {
            self.over = true;
            return Ok(());
        }
        if let Some(live) = &live
            && self.script.listen(live)
        {
            return Ok(());
        }
        self.wait(reached, progress).await;
        Ok(())
    }

    async fn wait(&self, reached: Option<Progress>, progress: Option<watch::Receiver<Progress>>) {
        match (reached, progress) {
            (Some(reached), _) if reached.rows >= self.row => tokio::time::sleep(SETTLING).await,
            (Some(reached), Some(mut progress)) if !reached.done => {
                // It ends by time as well, for a run that another stretch takes over.
                drop(tokio::time::timeout(LOOK_AGAIN, progress.changed()).await);
            }
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Turns rows and live text into what is heard after `from`. Pure.
struct Script {
    agent: Arc<Agent>,
    record: RunRecord,
    from: Position,
    traces: Option<bool>,
    turn: Turn,
    counted: Counted,
    /// The epoch in which a model was last asked.
    asked_in: u64,
    /// How much of the answer being made was heard.
    bytes: usize,
    /// The epoch that said it; `None` where only the client knows.
    heard_in: Option<u64>,
    queue: VecDeque<Heard>,
}

impl Script {
    fn absorb(&mut self, row: Row) {
        for Stamped { at, event } in row.events {
            let asked = self.counted.asked;
            self.counted.count(&event);
            if self.counted.events > self.from.event {
                self.tell((at, &event), row.epoch, asked);
            }
            if self.counted.asked == self.counted.events {
                self.asked_in = row.epoch;
            }
            state::apply(&mut self.turn, &event);
        }
    }

    fn tell(&mut self, stamped: (i64, &Event), epoch: u64, asked: u64) {
        let (_, event) = stamped;
        let begins_anew = self.counted.asked == self.counted.events;
        let other_attempt = is_said(event) && !self.heard_from(epoch);
        let ends_midway =
            matches!(event, Event::Finished { text } if text.get(self.bytes..).is_none());
        // What was said before a tool was asked for, or a turn failed, is no answer.
        if begins_anew || other_attempt || ends_midway || gives_up(event) {
            self.forget(asked, self.counted.events - 1);
        }
        let outs = trace::heard(&self.turn, &self.agent, &self.record, stamped, self.traces);
        let mut parts: Vec<What> = outs.into_iter().map(What::Out).collect();
        if let Event::Finished { text } = event {
            parts.retain(|what| !matches!(what, What::Out(Out::Chunk(_))));
            let rest = text.get(self.bytes..).filter(|rest| !rest.is_empty());
            parts.extend(rest.map(|rest| What::Out(Out::Chunk(rest.to_owned()))));
        }
        parts.extend(matches!(event, Event::Paused).then_some(What::Paused));
        parts.extend(matches!(event, Event::Continued).then_some(What::Continued));
        self.queue_parts(parts, matches!(event, Event::Finished { .. }));
    }

    /// INVARIANT: the parts of an event are the same whenever it is told to somebody who stands at
    /// the same position before it, so that a number of them is a position.
    fn queue_parts(&mut self, parts: Vec<What>, ends_answer: bool) {
        let event = self.counted.events;
        let known = if event == self.from.event + 1 { self.from.parts } else { 0 };
        let (whole, within) = (parts.len(), self.bytes);
        if ends_answer {
            self.bytes = 0;
        }
        for (nth, what) in (1..).zip(parts).skip(known) {
            let position = match nth == whole {
                true => Position { event, parts: 0, bytes: self.bytes },
                false => Position { event: event - 1, parts: nth, bytes: within },
            };
            self.queue.push_back(Heard { position, what });
        }
    }

    /// Whether what was heard of the answer so far comes from this attempt.
    fn heard_from(&self, epoch: u64) -> bool {
        self.bytes == 0 || self.heard_in.unwrap_or(self.asked_in) == epoch
    }

    /// Makes void what was heard in answer to the event `asked`, of a client that has heard all
    /// events up to `told`.
    fn forget(&mut self, asked: u64, told: u64) {
        self.heard_in = None;
        if std::mem::take(&mut self.bytes) > 0 {
            let position = Position { event: told, parts: 0, bytes: 0 };
            self.queue.push_back(Heard { position, what: What::Reset { event: asked } });
        }
    }

    /// Says that the run is over or waits for its client, if the journal ends there.
    fn conclude(&mut self) -> bool {
        let what = match (&self.turn.end, &self.turn.parked) {
            (Some(end), _) => What::Ended(status_of(end)),
            (None, Some(parked)) => What::Parked { invocation_id: parked.invocation_id.clone() },
            // Nobody's hand-off has an id: a budget stopped it.
            (None, None) if self.turn.budget.halted.is_some() => {
                What::Parked { invocation_id: String::new() }
            }
            (None, None) => return false,
        };
        let position = Position { event: self.counted.events, parts: 0, bytes: 0 };
        self.queue.push_back(Heard { position, what });
        true
    }

    /// Takes what a model has said meanwhile. `false` if that is nothing new.
    fn listen(&mut self, live: &Activation) -> bool {
        let (asked, at) = (self.counted.asked, self.counted.events);
        if self.turn.asking.is_none() && self.turn.team.members.is_empty() {
            return false;
        }
        let Some((epoch, mut text)) = live.spoken_since(asked, self.bytes) else { return false };
        if !self.heard_from(epoch) {
            self.forget(asked, at);
            text = live.spoken_since(asked, 0).map(|(_, text)| text).unwrap_or_default();
        }
        if text.is_empty() {
            return !self.queue.is_empty();
        }
        self.heard_in = Some(epoch);
        self.bytes += text.len();
        let position = Position { event: at, parts: 0, bytes: self.bytes };
        self.queue.push_back(Heard { position, what: What::Out(Out::Chunk(text)) });
        true
    }
}

fn is_said(event: &Event) -> bool {
    match event {
        Event::Within(within) => is_said(&within.event),
        event => matches!(event, Event::ModelSaid(_)),
    }
}

/// The turn ends with other words than those that a model was heard to say.
fn gives_up(event: &Event) -> bool {
    matches!(
        event,
        Event::GaveUp(_)
            | Event::AskedUser(_)
            | Event::ModelFailed(_)
            | Event::Failed { .. }
            | Event::Cancelled { .. }
    )
}

pub(crate) fn status_of(end: &End) -> RunStatus {
    match end {
        End::Answered(_) => RunStatus::Answered,
        End::GaveUp(..) => RunStatus::GaveUp,
        End::Failed { .. } => RunStatus::Failed,
        End::Cancelled(_) => RunStatus::Cancelled,
    }
}
