//! Makes a cassette of a run that the store has, or of all runs of its session.

use std::collections::{BTreeMap, BTreeSet};

use craton_core::agent::config::AgentConfig;
use store::{StoreError, Tenant};

use super::frames::Sum;
use super::replay::{Keys, stamped};
use super::{
    Cassette, CassetteError, Digests, FORM, MOST_RUNS, RecordedEvent, RecordedRun, Replayed, Said,
    mask,
};
use crate::record::{Pinned, RunRecord};
use crate::{Engine, journal};

/// A cassette, and what came of playing it at once.
#[derive(Debug)]
pub struct Recorded {
    pub cassette: Cassette,
    pub replayed: Replayed,
}

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Cassette(#[from] CassetteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// A run by any id that finds it, or all of its session; `None` where there is no such run. What
    /// is not durable yet is not in it.
    pub async fn record(
        &self,
        tenant: &Tenant,
        id: &str,
        session: bool,
    ) -> Result<Option<Recorded>, RecordError> {
        let Some(found) = self.find_run(tenant, id).await? else { return Ok(None) };
        let records = match session {
            true => self.session_of(tenant, found).await?,
            false => vec![found],
        };
        let mut cassette = self.blank();
        for record in records {
            self.add(tenant, &mut cassette, record).await?;
        }
        let windows = cassette.models().into_iter();
        let windows =
            windows.filter_map(|model| Some((model.to_owned(), self.0.models.window(model)?)));
        cassette.windows = windows.collect();
        let known = self.0.secrets.get().map(Vec::as_slice).unwrap_or_default();
        let cassette = mask::masked(cassette, known)?;
        let cassette = cassette.with_requests()?;
        let replayed = cassette.replay()?;
        Ok(Some(Recorded { cassette, replayed }))
    }

    /// What must stand in no cassette, wherever it comes from. Said once, when the server starts.
    pub fn hide(&self, secrets: Vec<String>) {
        // Whoever comes second has nothing else to say.
        let _ = self.0.secrets.set(secrets);
    }

    fn blank(&self) -> Cassette {
        Cassette {
            cassette: FORM,
            craton: env!("CARGO_PKG_VERSION").to_owned(),
            recorded_at: self.now(),
            digests: Digests::default(),
            providers: Vec::new(),
            masked: BTreeMap::new(),
            limits: self.0.turn.clone(),
            windows: BTreeMap::new(),
            agents: BTreeMap::new(),
            exchanges: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// The oldest first.
    async fn session_of(
        &self,
        tenant: &Tenant,
        run: RunRecord,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let key = run.session_key();
        let mut runs = self.runs(tenant, Some(&run.session_id), MOST_RUNS).await?;
        if !runs.iter().any(|known| known.run == run.run) {
            runs.push(run);
        }
        runs.retain(|run| run.session_key() == key);
        runs.sort_by(|a, b| (a.begun_at, &a.run).cmp(&(b.begun_at, &b.run)));
        Ok(runs)
    }

    async fn add(
        &self,
        tenant: &Tenant,
        cassette: &mut Cassette,
        record: RunRecord,
    ) -> Result<(), RecordError> {
        let (mut events, _) = journal::load(&self.0, tenant, &record.run).await?;
        for stamped in &mut events {
            let Some(started) = stamped.event.started_mut() else { continue };
            for past in started.pasts_mut() {
                let said = (past.first..).zip(&past.exchanges).map(|(number, exchange)| Said {
                    thread: past.thread.clone(),
                    number,
                    exchange: exchange.clone(),
                });
                cassette.exchanges.extend(said);
            }
        }
        let mut seen = BTreeSet::new();
        cassette.exchanges.retain(|said| seen.insert((said.thread.clone(), said.number)));
        self.add_agents(tenant, cassette, &record.config).await?;
        for provider in &record.providers {
            if !cassette.providers.contains(provider) {
                cassette.providers.push(provider.clone());
            }
        }
        let recorded =
            |s: journal::Stamped| RecordedEvent { at: s.at, event: s.event, request: None };
        let events = events.into_iter().map(recorded).collect();
        cassette.runs.push(RecordedRun { record, events });
        Ok(())
    }

    /// A pinned configuration, with those of its collaborators.
    async fn add_agents(
        &self,
        tenant: &Tenant,
        cassette: &mut Cassette,
        digest: &str,
    ) -> Result<(), StoreError> {
        let mut wanted = vec![digest.to_owned()];
        while let Some(digest) = wanted.pop() {
            if digest.is_empty() || cassette.agents.contains_key(&digest) {
                continue;
            }
            let found = self.0.store.get::<Pinned>(tenant, &digest).await?;
            let Some(AgentConfig { collaborators, .. }) = found.as_ref().map(|f| &f.value.config)
            else {
                continue;
            };
            wanted.extend(collaborators.iter().map(|one| one.config.clone()));
            cassette.agents.extend(found.map(|found| (digest, found.value.config)));
        }
        Ok(())
    }
}

impl Cassette {
    /// The same with what went out for each event, and summed up.
    fn with_requests(mut self) -> Result<Cassette, CassetteError> {
        let mut keys = Keys::default();
        let mut runs = Vec::with_capacity(self.runs.len());
        let mut sum = Sum::default();
        for tape in &self.runs {
            // What is masked changes what is derived from it: keys of calls, digests of prompts.
            let rederived = (!self.masked.is_empty()).then(|| self.rederived(tape, &mut keys));
            let played = rederived.transpose()?.filter(|played| played.parted.is_none());
            let events = match played {
                Some(played) => played.events,
                None => self.folded(tape)?,
            };
            sum.add(&stamped(&events), &self.stretches(tape, &events)?);
            runs.push(RecordedRun { record: tape.record.clone(), events });
        }
        self.runs = runs;
        self.digests = sum.done();
        Ok(self)
    }
}
