//! Alerts: what a person should hear of, as documents that reach a webhook sooner or later.
//!
//! What comes from a run is written in the commit that has its event ([`Alarm::write`]); all else in a commit
//! of its own. Each has an id that is the same however often it is delivered: at least once, up to a
//! day long ([`deliver`]). What would be said again within an hour is not.

mod dear;
mod deliver;
mod events;
mod meter;

use dear::Spenders;
pub(crate) use deliver::deliver_due;
pub(crate) use events::{Raised, near, of_events};
pub(crate) use meter::{Meters, Who};

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use craton_core::budget::Scope;
use exec::Webhook;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Batch, Record, StoreError, Tenant};

use crate::model::ProviderView;
use crate::record::digest;
use crate::{Engine, Inner, note};

/// How long the same is not said again.
const WINDOW_MILLIS: i64 = 3_600_000;
/// How long an alert stays in the list.
const KEPT_MILLIS: i64 = 30 * 24 * 3_600_000;
/// What was said lately, of which a process knows; more are forgotten and said again.
const REMEMBERED: usize = 10_000;
const TIMERS: &str = "alert/";

/// Where alerts go, and what raises one of its own.
#[derive(Clone, Default)]
pub struct Settings {
    /// Without one they stand in the list alone.
    pub webhook: Option<Webhook>,
    /// An agent that uses more tokens within a minute raises an alarm.
    pub tokens_per_minute: Option<u64>,
    /// So does one that uses so many times its usual minute's.
    pub anomaly_factor: Option<u64>,
}

/// What a process has to do with alerts.
pub(crate) struct Alarms {
    pub(crate) webhook: Option<Webhook>,
    /// The window in which something was last said, by tenant and what it is about.
    said: Mutex<HashMap<(Tenant, String), i64>>,
    pub(crate) meters: Meters,
    pub(crate) spenders: Spenders,
    delivering: AtomicBool,
}

impl Alarms {
    pub(crate) fn new(settings: Settings) -> Alarms {
        let meters = Meters::new(&settings);
        let (said, delivering) = (Mutex::default(), AtomicBool::new(false));
        let spenders = Spenders::default();
        Alarms { webhook: settings.webhook, said, meters, spenders, delivering }
    }

    fn is_news(&self, tenant: &Tenant, said: &Said) -> bool {
        let known = self.said.lock().expect("no holder of this lock panics");
        known.get(&(tenant.clone(), said.about.clone())) != Some(&said.window)
    }

    /// Something is said, and is no news any more.
    pub(crate) fn keep(&self, tenant: &Tenant, Said { about, window }: Said) {
        let mut said = self.said.lock().expect("no holder of this lock panics");
        if said.len() >= REMEMBERED {
            said.retain(|_, at| *at >= window);
        }
        if said.len() >= REMEMBERED {
            said.clear();
        }
        said.insert((tenant.clone(), about), window);
    }
}

/// An alert as it is kept and listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    pub id: String,
    /// Such as `budget.exceeded`.
    pub kind: String,
    /// What it is about; within an hour nothing is said twice of the same.
    pub key: String,
    pub at: i64,
    pub message: String,
    pub facts: Json,
    pub state: State,
    /// Deliveries that were tried.
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// There is no webhook.
    Listed,
    Pending,
    Delivered,
    /// Nobody took it for a day.
    GivenUp,
}

impl Record for Alert {
    const KIND: &'static str = "alert";
    const VERSION: u32 = 1;
}

/// That something was said, and in which hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    about: String,
    window: i64,
}

/// Something that a person should hear of.
pub(crate) struct Alarm {
    pub(crate) kind: &'static str,
    pub(crate) key: String,
    pub(crate) message: String,
    pub(crate) facts: Json,
}

impl Alarm {
    /// Puts it into a commit, unless it was said within the hour. It is said once the commit has gone
    /// through, which whoever commits tells [`Alarms::keep`].
    pub(crate) fn write(self, inner: &Inner, tenant: &Tenant, batch: &mut Batch) -> Option<Said> {
        let now = inner.clock.now();
        let window = now - now.rem_euclid(WINDOW_MILLIS);
        let said = Said { about: format!("{}/{}", self.kind, self.key), window };
        if !inner.alarms.is_news(tenant, &said) {
            return None;
        }
        tracing::warn!(kind = self.kind, about = self.key, "{}", self.message);
        // The same in this window has the same id, also after a restart.
        let id = format!("{window:013}-{}", &digest(said.about.as_bytes())[..16]);
        let sent = inner.alarms.webhook.is_some();
        let alert = Alert {
            id: id.clone(),
            kind: self.kind.to_owned(),
            key: self.key,
            at: now,
            message: self.message,
            facts: self.facts,
            state: if sent { State::Pending } else { State::Listed },
            attempts: 0,
            last_error: None,
        };
        batch.put_until(&id, &alert, now + KEPT_MILLIS);
        if sent {
            batch.timer(&format!("{TIMERS}{id}"), now, id);
        }
        Some(said)
    }

    /// The same in a commit of its own, which is not waited for.
    pub(crate) fn raise(self, inner: &Inner, tenant: &Tenant) {
        let mut batch = Batch::new(tenant, inner.clock.now());
        if let Some(said) = self.write(inner, tenant, &mut batch) {
            drop(inner.store.submit(batch));
            inner.alarms.keep(tenant, said);
        }
    }
}

/// Counts what was used beside the runs; raises an alarm if that is too much for a minute.
pub(crate) fn used(inner: &Inner, tenant: &Tenant, who: Who<'_>, tokens: u64) {
    let now = inner.clock.now();
    for alarm in inner.alarms.meters.alarms(tenant, who, tokens, now) {
        alarm.raise(inner, tenant);
    }
    inner.alarms.meters.count(tenant, who, tokens, now);
}

/// The alerts of a dry run that may be about more than itself: it spends from budgets that others share.
const OF_BUDGETS: [&str; 2] = ["budget.near", "budget.exceeded"];
/// Budgets that one run spends from, each near or at its end.
const MOST_OF_A_RUN: usize = 32;

/// Raises in the live engine what a dry run raised in its own.
pub(crate) async fn of_dry_run(
    live: &Engine,
    dry: &Engine,
    tenant: &Tenant,
) -> Result<(), StoreError> {
    for alert in dry.alerts(tenant, None, MOST_OF_A_RUN).await? {
        let own = alert.key.starts_with(Scope::Run.word());
        let kind = OF_BUDGETS.into_iter().find(|kind| *kind == alert.kind && !own);
        let Some(kind) = kind else { continue };
        let Alert { key, message, mut facts, .. } = alert;
        if let Some(facts) = facts.as_object_mut() {
            // Nobody finds the run, so nobody can let it go on.
            facts.remove("resume");
            facts.insert("dry".to_owned(), Json::Bool(true));
        }
        Alarm { kind, key, message, facts }.raise(&live.0, tenant);
    }
    Ok(())
}

/// Raises what only a look at the process tells: breakers of tools that opened.
pub(crate) fn look_around(inner: &Inner) {
    for (tenant, view) in inner.desk.open(inner.clock.now()) {
        let facts = serde_json::to_value(&view).expect("it is plain data");
        let (tool, function) = (&view.tool, &view.function);
        let message = format!(
            "the breaker of tool {tool} is {}: {} of its last {} calls failed ({function})",
            view.state, view.failures, view.calls
        );
        let key = format!("{function}/{tool}");
        Alarm { kind: "breaker.opened", key, message, facts }.raise(inner, &tenant);
    }
}

/// A provider is left alone for a while. All accounts share its breaker.
pub(crate) fn provider_opened(view: &ProviderView) -> Alarm {
    let ProviderView { provider, calls, failures, .. } = view;
    let why = match calls {
        0 => "the call that tried whether it is back failed".to_owned(),
        _ => format!("{failures} of its last {calls} calls failed"),
    };
    Alarm {
        kind: "breaker.opened",
        key: format!("provider/{provider}"),
        message: format!("the breaker of provider {provider:?} is open: {why}"),
        facts: serde_json::to_value(view).expect("it is plain data"),
    }
}

impl Engine {
    /// Alerts from the latest back, those of the last 30 days.
    pub async fn alerts(
        &self,
        tenant: &Tenant,
        before: Option<&str>,
        last: usize,
    ) -> Result<Vec<Alert>, StoreError> {
        let page = self.0.store.list_back::<Alert>(tenant, "", before, last).await?;
        Ok(page.into_iter().map(|(_, found)| found.value).collect())
    }
}

/// Upkeep's part: what became known, and what is to be delivered.
pub(crate) async fn tend(engine: &Engine) {
    look_around(&engine.0);
    note("looking at the day's cost", dear::look(engine).await);
    note("delivering alerts", deliver_due(engine).await);
}
