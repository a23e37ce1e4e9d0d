//! Sessions between turns: what the next one starts from, and hand-offs that nobody answers.

use std::collections::{BTreeMap, BTreeSet};

use craton_core::agent::config::AgentConfig;
use craton_core::agent::event::{Event, Started, UnknownEffect};
use craton_core::agent::history::Past;
use craton_core::agent::state::Turn;
use craton_core::agent::{prompt, state};
use store::{Batch, CommitError, Record as _, StoreError, Tenant, Versioned};

use crate::inspect::Totals;
use crate::journal::{self, Stamped};
use crate::past::{Added, Left};
use crate::record::{ParkedRun, RunRecord, RunStatus, Session};
use crate::run::Run;
use crate::{Inner, ledger, memory, past, pending, spend, trace};

/// What the ids of hand-offs' timers begin with.
pub(crate) const PARK_TIMERS: &str = "hand-off/";

/// The name of the timer that calls off a run's hand-off.
pub(crate) fn park_timer(run: &str) -> String {
    format!("{PARK_TIMERS}{run}")
}

/// What an accepted turn starts from: the session's text as far as its retention lets it be read.
pub(crate) async fn started(
    inner: &Inner,
    tenant: &Tenant,
    run: &Run,
    session: Session,
) -> Result<Event, StoreError> {
    let config = &run.agent.config;
    let asked = run.turn.accepted.as_ref().and_then(|accepted| accepted.memory_id.clone());
    let memory_id = session.memory_id.or(asked);
    let memory = match &memory_id {
        Some(id) => memory::recall(inner, tenant, config, (&run.record.alias_id, id)).await?,
        None => Vec::new(),
    };
    let recalled: Vec<String> = memory.iter().map(|recalled| recalled.text.clone()).collect();
    let mut started = Started {
        system: prompt::system(config, &run.turn.prompt_attributes, &recalled),
        memory_id,
        memory,
        past: session.past,
        threads: session.threads,
        history: session.history,
        session_attributes: session.attributes,
        unknown: session.unknown,
        routed: session.routed,
        cost: None,
        keeping: None,
        policies: run.policies.set(),
    };
    started.cost = started.memory_id.as_ref().map(|_| inner.prices.rates.memory_search);
    let recalled = started.memory.iter().any(|recalled| recalled.restricted);
    started.past.restricted |= recalled || run.is_restricted();
    let (retention, now) = (inner.retention(config), inner.clock.now());
    for past in started.pasts_mut() {
        past::fill(inner, tenant, past).await?;
        past.retain(&retention, now);
    }
    Ok(Event::Started(Box::new(started)))
}

/// Why a turn may not begin that names another memory than its session's.
pub(crate) fn of_another_memory(session: &Session, asked: Option<&str>) -> Option<String> {
    let (memory, asked) = (session.memory_id.as_deref()?, asked?);
    (memory != asked).then(|| {
        format!(
            "session {} belongs to memory {memory}; begin another session for memoryId {asked}",
            session.session_id
        )
    })
}

/// Why a hand-off is called off whose session gets new input.
pub(crate) const BY_USER: &str = "by the user, who said something new instead";

/// The session for a turn that begins now; a hand-off that still waits there is called off.
pub(crate) async fn for_lane(
    inner: &Inner,
    tenant: &Tenant,
    lane: &str,
) -> Result<Session, CommitError> {
    let found = current(inner, tenant, lane).await.map_err(CommitError::Store)?;
    let Some(parked) = found.value.parked.clone() else { return Ok(found.value) };
    call_off_parked(inner, tenant, &parked, BY_USER).await?;
    Ok(current(inner, tenant, lane).await.map_err(CommitError::Store)?.value)
}

/// A session by its key; a lapsed or missing one is empty, at the version it has in the store.
pub(crate) async fn current(
    inner: &Inner,
    tenant: &Tenant,
    key: &str,
) -> Result<Versioned<Session>, StoreError> {
    let now = inner.clock.now();
    let found = inner.store.get::<Session>(tenant, key).await?;
    Ok(match found {
        Some(found) if !found.value.lapsed(now) => found,
        Some(lapsed) => Versioned { version: lapsed.version, value: Session::default() },
        None => Versioned { version: 0, value: Session::default() },
    })
}

/// Ends a parked turn without its results; its session keeps what was said and done.
pub(crate) async fn call_off_parked(
    inner: &Inner,
    tenant: &Tenant,
    parked: &ParkedRun,
    reason: &str,
) -> Result<(), CommitError> {
    call_off(inner, tenant, &parked.run, parked.epoch, reason).await
}

/// Ends a run that no task drives, at the epoch it was found with.
pub(crate) async fn call_off(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
    epoch: u64,
    reason: &str,
) -> Result<(), CommitError> {
    let event = Event::Cancelled { reason: reason.to_owned() };
    end(inner, tenant, run, epoch, event).await
}

/// What the client of a run hears that a defect of ours ended.
pub(crate) const DEFECT: &str =
    "a defect in craton ended this turn; its server log has the details";

/// Ends a run that no task can drive any more.
pub(crate) async fn give_up(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
    epoch: u64,
) -> Result<(), CommitError> {
    let (code, message) = ("InternalServerException".to_owned(), DEFECT.to_owned());
    let event = Event::Failed { code, message };
    end(inner, tenant, run, epoch, event).await
}

/// Ends a run from outside with one last event.
async fn end(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
    epoch: u64,
    event: Event,
) -> Result<(), CommitError> {
    let now = inner.clock.now();
    let mut batch = Batch::new(tenant, now);
    batch.clear_timer(&park_timer(run));
    batch.clear_timer(&pending::timer(run));
    let Some(record) = run_record(inner, tenant, run).await? else {
        batch.dequeue(run, epoch);
        return inner.store.commit(batch).await;
    };
    let loaded = journal::load(inner, tenant, run).await.map_err(CommitError::Store)?;
    let (events, next) = loaded;
    let mut turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
    let agent = inner.agent(tenant, &record.config).await.map_err(CommitError::Store)?;
    let told = agent.as_ref().map(|agent| trace::outs(&turn, agent, &record, now, &event));
    let open = ledger::open_effects(&turn);
    state::apply(&mut turn, &event);
    let rows = ledger::rows_after(&record, &open, &turn, (now, &event));
    let status = match event {
        Event::Failed { .. } => RunStatus::Failed,
        _ => RunStatus::Cancelled,
    };
    let last = [Stamped { at: now, event }];
    let payload = journal::encode(&last);
    batch.append(run, next, epoch, journal::EVENTS, "agent", payload);
    ledger::write(&mut batch, rows.into_iter());
    let config = agent.map(|agent| agent.config.clone()).unwrap_or_default();
    let until = now + inner.text_millis(&config);
    let ended = record.of(&turn, status, Some(now));
    batch.put_until(run, &ended, until);
    spend::tally(&mut batch, &ended, now);
    batch.dequeue(run, epoch);
    let closing = Closing { record: &record, turn: &turn, config: &config, parked: None };
    commit(inner, tenant, batch, &closing).await?;
    inner.tally.count(tenant, &Totals::of(&last));
    inner.alarms.spenders.note(tenant);
    inner.live.dismiss(tenant, run, told.unwrap_or_default());
    Ok(())
}

/// A turn that leaves its session: ended, or parked.
pub(crate) struct Closing<'a> {
    pub(crate) record: &'a RunRecord,
    pub(crate) turn: &'a Turn,
    pub(crate) config: &'a AgentConfig,
    pub(crate) parked: Option<ParkedRun>,
}

/// Commits a run's last batch with the session as the next turn finds it; once more if somebody,
/// an operator for example, wrote the session meanwhile.
pub(crate) async fn commit(
    inner: &Inner,
    tenant: &Tenant,
    batch: Batch,
    closing: &Closing<'_>,
) -> Result<(), CommitError> {
    if closing.turn.sums_up() {
        return memory::commit(inner, tenant, batch, closing).await;
    }
    let key = closing.record.session_key();
    loop {
        let found = current(inner, tenant, &key).await.map_err(CommitError::Store)?;
        let now = inner.clock.now();
        let settled = ledger::settled(inner, tenant, closing).await.map_err(CommitError::Store)?;
        let (after, left) = after(closing, found.value, &settled, now);
        let longest = inner.limits.parked_millis.max(inner.limits.pending_millis);
        let kept = longest + inner.limits.lease_millis;
        let mut batch = batch.clone();
        batch.expect_version::<Session>(&key, found.version);
        batch.put_until(&key, &after, after.lapses_at.unwrap_or(now + kept));
        if closing.config.memory.is_some() {
            memory::follow(&mut batch, &after, &closing.record.config);
        }
        let until = now + inner.text_millis(closing.config);
        for (id, exchange) in &left {
            batch.put_until(id, exchange, until);
        }
        match inner.store.commit(batch).await {
            Err(CommitError::Conflict(conflict)) if conflict.kind == Session::KIND => {}
            Ok(()) => {
                if !left.is_empty() {
                    inner.pasts.hold(tenant, &after.past);
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// The session once this turn has ended or parked, and the exchanges that it adds. A parked turn's
/// messages are not history yet, and a turn that never began leaves none.
fn after(
    closing: &Closing<'_>,
    before: Session,
    settled: &BTreeSet<String>,
    now: i64,
) -> (Session, Left) {
    let Closing { record, turn, config, parked } = closing;
    let lapsed = before.session_id.is_empty();
    let (mut session, mut left) = (before, Left::new());
    session.agent_id = record.agent_id.clone();
    session.alias_id = record.alias_id.clone();
    session.session_id = record.session_id.clone();
    session.remember(&record.run);
    if lapsed {
        session.began_at = record.begun_at;
    }
    if turn.begun {
        session.memory_id = session.memory_id.or_else(|| turn.memory_id.clone());
        session.attributes = turn.session_attributes.clone();
        if lapsed {
            // It lapsed while the turn ran: what the turn had from it still holds.
            session.unknown = turn.unknown[..turn.inherited].to_vec();
        }
        // A person may have looked at earlier ones meanwhile; those of this turn are added.
        let known = session.unknown.clone();
        let fresh = |of: &&UnknownEffect| !known.contains(of) && !settled.contains(&of.key);
        let own = turn.all_unknown().into_iter().filter(fresh);
        session.unknown.extend(own.cloned());
        if parked.is_none() {
            let messages = turn.leaves();
            let added = Added { run: &record.run, at: now, messages };
            let past =
                Past { thread: past::thread(&turn.past, added.run, ""), ..turn.past.clone() };
            session.past = past::extended(past, &added, &mut left);
            session.threads = threads(turn, added.run, now, &mut left);
            session.routed = turn.team.routed.clone();
            session.history.clear();
        }
    }
    let lapses_at = now + i64::from(config.idle_session_ttl_seconds) * 1000;
    // One that never began says nothing of the turn that is parked here.
    if turn.begun || session.parked.as_ref().is_some_and(|parked| parked.run == record.run) {
        session.parked = parked.clone();
    }
    session.lapses_at = session.parked.is_none().then_some(lapses_at);
    (session, left)
}

/// What collaborators may read in later turns.
fn threads(turn: &Turn, run: &str, now: i64, left: &mut Left) -> BTreeMap<String, Past> {
    let mut threads = turn.team.threads.clone();
    for (path, messages) in &turn.team.added {
        let added = Added { run, at: now, messages: messages.clone() };
        let before = threads.remove(path).unwrap_or_else(|| {
            let thread = past::thread(&turn.past, run, path);
            Past { thread, ..Past::default() }
        });
        threads.insert(path.clone(), past::extended(before, &added, left));
    }
    threads
}

pub(crate) async fn run_record(
    inner: &Inner,
    tenant: &Tenant,
    run: &str,
) -> Result<Option<RunRecord>, CommitError> {
    let found = inner.store.get::<RunRecord>(tenant, run).await.map_err(CommitError::Store)?;
    Ok(found.map(|f| f.value))
}
