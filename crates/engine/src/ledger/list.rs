//! Rows of the ledger as lists, page by page, and one by one.

use serde::Serialize;
use store::{Store, StoreError, Tenant, Versioned};

use super::row::{LedgerRow, State};
use crate::Engine;
use crate::record::Session;

/// Rows read at once, and rows that one page looks at where most do not fit.
const READ: usize = 500;
const LOOKED_AT: usize = 5_000;

/// Which rows a list has.
#[derive(Debug, Clone, Default)]
pub struct WantedEffects {
    /// A run's id: its calls in their order. Otherwise the latest come first.
    pub run: Option<String>,
    pub session: Option<String>,
    /// The model's name for it.
    pub tool: Option<String>,
    /// None means all.
    pub states: Vec<State>,
    /// [`EffectPage::next`] of the page before.
    pub after: Option<String>,
    /// At most so many.
    pub last: usize,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct EffectPage {
    pub effects: Vec<LedgerRow>,
    /// Where the next page begins; none where there is no more. A page may be empty and have a next
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl WantedEffects {
    fn takes(&self, row: &LedgerRow) -> bool {
        self.session.as_ref().is_none_or(|session| row.session_id == *session)
            && self.tool.as_ref().is_none_or(|tool| row.tool == *tool)
            && (self.states.is_empty() || self.states.contains(&row.state))
    }
}

impl Engine {
    /// One page of the tenant's rows.
    pub async fn list_effects(
        &self,
        tenant: &Tenant,
        wanted: &WantedEffects,
    ) -> Result<EffectPage, StoreError> {
        let store = &self.0.store;
        let prefix = wanted.run.as_deref().map(LedgerRow::of_run);
        let (mut page, mut looked_at) = (EffectPage::default(), 0);
        let mut at = wanted.after.clone();
        while looked_at < LOOKED_AT {
            let found = match &prefix {
                Some(run) => store.list::<LedgerRow>(tenant, run, at.as_deref(), READ).await?,
                None => store.list_back::<LedgerRow>(tenant, "", at.as_deref(), READ).await?,
            };
            let full = found.len() == READ;
            for (id, row) in found {
                if page.effects.len() == wanted.last {
                    page.next = at;
                    return Ok(page);
                }
                looked_at += 1;
                page.effects.extend(Some(row.value).filter(|row| wanted.takes(row)));
                at = Some(id);
            }
            if !full {
                return Ok(page);
            }
        }
        page.next = at;
        Ok(page)
    }
}

/// All rows of a run, in the order of its calls.
pub(crate) async fn rows_of(
    store: &Store,
    tenant: &Tenant,
    run: &str,
) -> Result<Vec<Versioned<LedgerRow>>, StoreError> {
    let (prefix, mut rows) = (LedgerRow::of_run(run), Vec::new());
    let mut after: Option<String> = None;
    loop {
        let page = store.list(tenant, &prefix, after.as_deref(), READ).await?;
        let full = page.len() == READ;
        for (id, row) in page {
            after = Some(id);
            rows.push(row);
        }
        if !full {
            return Ok(rows);
        }
    }
}

/// The row of a call of a run, or of another run of the same session: its key says which.
pub(super) async fn row_of(
    store: &Store,
    tenant: &Tenant,
    (run, session): (&str, &Session),
    key: &str,
) -> Result<Option<Versioned<LedgerRow>>, StoreError> {
    let others = session.runs.iter().rev().filter(|other| *other != run);
    for run in std::iter::once(run).chain(others.map(String::as_str)) {
        let mut rows = rows_of(store, tenant, run).await?.into_iter();
        if let Some(found) = rows.find(|row| row.value.key == key) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
