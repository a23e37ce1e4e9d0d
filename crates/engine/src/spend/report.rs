//! Reads what was spent: sums by day, agent, user, model and tenant; single runs and sessions from
//! the records of runs, as long as those are kept, and sessions of clients' own from sums.

use std::collections::BTreeMap;

use craton_core::cost::Money;
use store::{StoreError, Tenant};

use super::{DAY_MILLIS, Spent, day, flush};
use crate::record::RunRecord;
use crate::{Engine, Inner, limits, note};

/// What the lines of a report are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Run,
    Session,
    Agent,
    Tenant,
    User,
    Model,
    Day,
}

impl By {
    pub const ALL: [(&'static str, By); 7] = [
        ("run", By::Run),
        ("session", By::Session),
        ("agent", By::Agent),
        ("tenant", By::Tenant),
        ("user", By::User),
        ("model", By::Model),
        ("day", By::Day),
    ];

    pub fn named(word: &str) -> Option<By> {
        By::ALL.iter().find(|(name, _)| *name == word).map(|(_, by)| *by)
    }

    fn word(self) -> &'static str {
        By::ALL.iter().find(|(_, by)| *by == self).map_or("day", |(name, _)| name)
    }
}

/// Which sums a report has.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub by: By,
    /// From the beginning of this moment's day.
    pub since: i64,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub of: String,
    pub spent: Spent,
}

/// A report: the dearest line first, days in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    pub rows: Vec<Row>,
    /// There was more to look at than one report looks at.
    pub partial: bool,
}

/// What an agent's turns were like, for whoever estimates the next.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spread {
    /// Of turns that ended by themselves, the latest first.
    pub runs: Vec<RunRecord>,
}

/// Today beside the days before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Today {
    pub spent: Money,
    /// The median of the days before on which anything was spent; `None` where there are too few.
    pub usual: Option<Money>,
}

/// Days that a median is made of, and the fewest of them.
const DAYS: i64 = 14;
const FEWEST: usize = 3;
const PAGE: usize = 1_000;

impl Engine {
    pub async fn spent(&self, tenant: &Tenant, wanted: Wanted) -> Result<Report, StoreError> {
        // What cannot be written now is missing in this report, and not in the next.
        note("writing down what was spent", flush(&self.0).await);
        let mut found = Found::default();
        match wanted.by {
            By::Run => self.of_runs(tenant, wanted, &mut found).await?,
            // Those of agents are in the records of runs, those that clients hold themselves in sums.
            By::Session => {
                self.of_runs(tenant, wanted, &mut found).await?;
                of_tallies(&self.0, tenant, wanted, &mut found).await?;
            }
            By::Agent | By::Tenant | By::User | By::Model | By::Day => {
                of_tallies(&self.0, tenant, wanted, &mut found).await?;
            }
        }
        let mut rows: Vec<Row> =
            found.sums.into_iter().map(|(of, spent)| Row { of, spent }).collect();
        if wanted.by != By::Day {
            rows.sort_by_key(|row| std::cmp::Reverse(row.spent.stack.total()));
        }
        Ok(Report { rows, partial: found.partial })
    }

    async fn of_runs(
        &self,
        tenant: &Tenant,
        wanted: Wanted,
        found: &mut Found,
    ) -> Result<(), StoreError> {
        let since = wanted.since.div_euclid(DAY_MILLIS) * DAY_MILLIS;
        let mut seen = 0;
        each_run(&self.0, tenant, &mut |record| {
            seen += 1;
            found.partial = seen > limits::SPENDING_ROWS;
            let of = match wanted.by {
                By::Session => &record.session_id,
                _ => &record.run,
            };
            if record.begun_at >= since && !found.partial {
                found.add(of, &Spent::of_run(&record.bill, record.usage));
            }
            record.begun_at >= since && !found.partial
        })
        .await
    }

    /// The latest turns of an agent, at most so many.
    pub async fn turns_of(
        &self,
        tenant: &Tenant,
        agent: &str,
        most: usize,
    ) -> Result<Spread, StoreError> {
        self.turns_where(tenant, most, &|record| record.agent_id == agent).await
    }

    pub(super) async fn turns_where(
        &self,
        tenant: &Tenant,
        most: usize,
        fits: &(dyn Fn(&RunRecord) -> bool + Sync),
    ) -> Result<Spread, StoreError> {
        let mut spread = Spread::default();
        let mut seen = 0;
        each_run(&self.0, tenant, &mut |record| {
            seen += 1;
            if record.ended_at.is_some() && record.model_calls > 0 && fits(record) {
                spread.runs.push(record.clone());
            }
            spread.runs.len() < most && seen < limits::SPENDING_ROWS
        })
        .await?;
        Ok(spread)
    }

    /// Whether today is dearer than usual, for whoever warns of it.
    pub async fn spent_today(&self, tenant: &Tenant) -> Result<Today, StoreError> {
        let since = self.now() - DAYS * DAY_MILLIS;
        let report = self.spent(tenant, Wanted { by: By::Day, since }).await?;
        let today = day(self.now());
        let (now, before): (Vec<Row>, Vec<Row>) =
            report.rows.into_iter().partition(|row| row.of == today);
        let total = |row: &Row| row.spent.stack.total();
        Ok(Today {
            spent: now.iter().map(total).sum(),
            usual: median(before.iter().map(total).filter(|sum| sum.0 > 0).collect()),
        })
    }
}

fn median(mut sums: Vec<Money>) -> Option<Money> {
    sums.sort();
    (sums.len() >= FEWEST).then(|| sums[sums.len() / 2])
}

#[derive(Default)]
struct Found {
    sums: BTreeMap<String, Spent>,
    partial: bool,
}

impl Found {
    fn add(&mut self, of: &str, spent: &Spent) {
        match self.sums.get_mut(of) {
            Some(sum) => sum.add(spent),
            None => {
                self.sums.insert(of.to_owned(), *spent);
            }
        }
    }
}

async fn of_tallies(
    inner: &Inner,
    tenant: &Tenant,
    wanted: Wanted,
    found: &mut Found,
) -> Result<(), StoreError> {
    let prefix = format!("spend/{}/", wanted.by.word());
    let mut after = format!("{prefix}{}", day(wanted.since));
    // A slash is the sign before "0".
    let below = format!("spend/{}0", wanted.by.word());
    let mut seen = 0;
    loop {
        let page = inner.store.tallies(tenant, (&after, &below), PAGE).await?;
        for (key, sums) in &page {
            let rest = key.strip_prefix(&prefix).unwrap_or_default();
            let Some((day, of)) = rest.split_once('/') else { continue };
            let of = if wanted.by == By::Day { day } else { of };
            found.add(of, &Spent::of_sums(sums));
        }
        seen += page.len();
        match page.last() {
            Some((last, _)) if page.len() == PAGE && seen < limits::SPENDING_ROWS => {
                after.clone_from(last);
            }
            Some(_) if page.len() == PAGE => {
                found.partial = true;
                return Ok(());
            }
            _ => return Ok(()),
        }
    }
}

/// The records of runs, the latest first, until `more` says that there are enough.
async fn each_run(
    inner: &Inner,
    tenant: &Tenant,
    more: &mut (dyn FnMut(&RunRecord) -> bool + Send),
) -> Result<(), StoreError> {
    let mut before: Option<String> = None;
    loop {
        let page = inner.store.list_back::<RunRecord>(tenant, "", before.as_deref(), PAGE).await?;
        for (_, found) in &page {
            if !more(&found.value) {
                return Ok(());
            }
        }
        match page.into_iter().last() {
            Some((id, _)) => before = Some(id),
            None => return Ok(()),
        }
    }
}
