//! Lists of runs, the latest first, page by page.
//!
//! What is not over is found by the queue, however long ago it began; the rest by its records. A
//! page looks at so many records and no more, and says where the next one begins.

use craton_core::agent::state::Turn;
use serde::Serialize;
use store::{QueueState, StoreError, Tenant};

use super::standing::Standing;
use crate::lane::PAGE;
use crate::record::{RunRecord, Session};
use crate::{Engine, journal};

/// Sessions that one bare session id may name: one for each agent and alias.
const SESSIONS: usize = 20;
/// Records that one page looks at where most do not fit.
const LOOKED_AT: usize = 2_000;

/// Which runs a list has.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub session: Option<String>,
    /// Of [`Wanted::STATUSES`]; none means all.
    pub statuses: Vec<String>,
    /// Only runs that began before this one.
    pub before: Option<String>,
    /// At most so many.
    pub last: usize,
}

/// A run in a list; what is not over says how it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    #[serde(flatten)]
    pub run: RunRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct RunPage {
    pub runs: Vec<Listed>,
    /// `before` of the next page; none where there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Wanted {
    /// `live` is all that is not over; `waiting`, `paused` and `pending` are how a run that is not over stands.
    pub const STATUSES: [&str; 10] = [
        "live",
        "running",
        "waiting",
        "paused",
        "parked",
        "pending",
        "answered",
        "gaveUp",
        "failed",
        "cancelled",
    ];

    /// The first of the statuses that is none.
    pub fn unknown_status(&self) -> Option<&str> {
        let known = |status: &&String| !Self::STATUSES.contains(&status.as_str());
        self.statuses.iter().find(known).map(String::as_str)
    }

    fn only_live(&self) -> bool {
        let live = &Self::STATUSES[..6];
        !self.statuses.is_empty() && self.statuses.iter().all(|s| live.contains(&s.as_str()))
    }

    fn takes(&self, listed: &Listed) -> bool {
        let word = match &listed.standing {
            Some(standing) => standing.state.word(),
            None => listed.run.status.word(),
        };
        let fits = |status: &String| match status.as_str() {
            "live" => listed.standing.is_some(),
            status => status == word,
        };
        self.statuses.is_empty() || self.statuses.iter().any(fits)
    }
}

impl Engine {
    /// One page of the tenant's runs.
    pub async fn list_runs(&self, tenant: &Tenant, wanted: &Wanted) -> Result<RunPage, StoreError> {
        let mut ids = match &wanted.session {
            Some(session) => self.runs_of_session(tenant, session).await?,
            None if wanted.only_live() => self.queued_in(tenant, "").await?,
            None => return self.list_records(tenant, wanted).await,
        };
        ids.sort();
        let mut page = RunPage::default();
        let before = |id: &String| wanted.before.as_ref().is_none_or(|before| id < before);
        for id in ids.into_iter().rev().filter(before) {
            if page.runs.len() == wanted.last {
                page.next = page.runs.last().map(|listed| listed.run.run.clone());
                break;
            }
            let Some(found) = self.0.store.get::<RunRecord>(tenant, &id).await? else { continue };
            let listed = self.listed(tenant, found.value).await?;
            page.runs.extend(Some(listed).filter(|listed| wanted.takes(listed)));
        }
        Ok(page)
    }

    async fn list_records(&self, tenant: &Tenant, wanted: &Wanted) -> Result<RunPage, StoreError> {
        let (mut page, mut before, mut seen) = (RunPage::default(), wanted.before.clone(), 0);
        loop {
            let from = before.as_deref();
            let found = self.0.store.list_back::<RunRecord>(tenant, "", from, PAGE).await?;
            let full = found.len() == PAGE;
            for (id, found) in found {
                if page.runs.len() == wanted.last || seen == LOOKED_AT {
                    page.next = before;
                    return Ok(page);
                }
                seen += 1;
                before = Some(id);
                let listed = self.listed(tenant, found.value).await?;
                page.runs.extend(Some(listed).filter(|listed| wanted.takes(listed)));
            }
            if !full {
                return Ok(page);
            }
        }
    }

    async fn listed(&self, tenant: &Tenant, run: RunRecord) -> Result<Listed, StoreError> {
        let standing = match run.ended_at {
            Some(_) => None,
            None => self.standing(tenant, &run).await?,
        };
        Ok(Listed { run, standing })
    }

    /// How a run that is not over stands; `None` if it has just ended.
    async fn standing(
        &self,
        tenant: &Tenant,
        run: &RunRecord,
    ) -> Result<Option<Standing>, StoreError> {
        let Some(row) = self.0.store.queued_run(tenant, &run.run).await? else { return Ok(None) };
        let (events, _) = journal::load(&self.0, tenant, &run.run).await?;
        let since = events.last().map_or(run.begun_at, |stamped| stamped.at);
        let turn = Turn::replay(events.iter().map(|stamped| &stamped.event));
        let agent = self.0.agent(tenant, &run.config).await?;
        let model = agent.as_ref().map_or("", |agent| agent.config.model.as_str());
        let waits = row.state == QueueState::Ready;
        Ok(Some(Standing::of(&turn, model, waits, since)))
    }

    /// The latest runs first; with a session only its own.
    pub async fn runs(
        &self,
        tenant: &Tenant,
        session: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let Some(session) = session else {
            let found = self.0.store.list_back::<RunRecord>(tenant, "", None, limit).await?;
            return Ok(found.into_iter().map(|(_, found)| found.value).collect());
        };
        let mut runs = Vec::new();
        for id in self.runs_of_session(tenant, session).await?.iter().rev().take(limit) {
            runs.extend(self.0.store.get::<RunRecord>(tenant, id).await?.map(|found| found.value));
        }
        Ok(runs)
    }

    /// Oldest first; a bare session id names the sessions of all agents and aliases.
    async fn runs_of_session(
        &self,
        tenant: &Tenant,
        session: &str,
    ) -> Result<Vec<String>, StoreError> {
        let prefix = format!("{session}/");
        let found = self.0.store.list::<Session>(tenant, &prefix, None, SESSIONS).await?;
        let mut runs: Vec<String> = found.into_iter().flat_map(|(_, s)| s.value.runs).collect();
        runs.extend(self.queued_in(tenant, &prefix).await?);
        runs.sort();
        runs.dedup();
        Ok(runs)
    }

    /// Runs under way or waiting: a session knows a run only once it has ended or parked.
    async fn queued_in(&self, tenant: &Tenant, lane: &str) -> Result<Vec<String>, StoreError> {
        let (mut runs, mut after) = (Vec::new(), 0);
        loop {
            let page = self.0.store.queued(after, PAGE).await?;
            let full = page.len() == PAGE;
            after = page.last().map_or(after, |row| row.place);
            let ours = page.into_iter().filter(|r| r.tenant == *tenant && r.lane.starts_with(lane));
            runs.extend(ours.map(|row| row.run));
            if !full {
                return Ok(runs);
            }
        }
    }
}
