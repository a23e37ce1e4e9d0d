//! Days that are dearer than usual: what a tenant has spent today beside the median of the days before.
//!
//! Whoever has written a sum names the tenant here, once it is durable; upkeep looks at most once a minute. It reads the sums
//! that reports read, so a run counts once it has ended, and nothing is learnt anew after a restart.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use craton_core::cost::Money;
use serde_json::json;
use store::{StoreError, Tenant};

use super::{Alarm, REMEMBERED};
use crate::Engine;
use crate::spend::{Today, day};

const LOOK_MILLIS: i64 = 60_000;
/// So many times the usual day is strange (ours: a day with twice the work is not).
const FACTOR: i64 = 3;
/// Less than this in a day is nobody's worry (ours).
const LEAST: Money = Money::DOLLAR;

/// Tenants that have spent something since upkeep last looked, and when it did.
#[derive(Default)]
pub(crate) struct Spenders {
    new: Mutex<HashSet<Tenant>>,
    looked: Mutex<HashMap<Tenant, i64>>,
}

impl Spenders {
    pub(crate) fn note(&self, tenant: &Tenant) {
        let mut new = self.new.lock().expect("no holder of this lock panics");
        if new.len() < REMEMBERED && !new.contains(tenant) {
            new.insert(tenant.clone());
        }
    }

    /// Those that were not looked at within the last minute; the others stay.
    pub(crate) fn due(&self, now: i64) -> Vec<Tenant> {
        let mut looked = self.looked.lock().expect("no holder of this lock panics");
        looked.retain(|_, at| (now - *at).unsigned_abs() < LOOK_MILLIS.unsigned_abs());
        let mut new = self.new.lock().expect("no holder of this lock panics");
        let due: Vec<Tenant> = new.extract_if(|tenant| !looked.contains_key(tenant)).collect();
        looked.extend(due.iter().map(|tenant| (tenant.clone(), now)));
        due
    }
}

/// Raises an alarm for each tenant whose day is strange. One whose sums cannot be read is looked at
/// again, and keeps no other from its turn.
pub(super) async fn look(engine: &Engine) -> Result<(), StoreError> {
    let inner = &engine.0;
    let mut looked = Ok(());
    for tenant in inner.alarms.spenders.due(inner.clock.now()) {
        match engine.spent_today(&tenant).await {
            Ok(today) => {
                if let Some(alarm) = strange(&today, &day(inner.clock.now())) {
                    alarm.raise(inner, &tenant);
                }
            }
            Err(error) => {
                inner.alarms.spenders.note(&tenant);
                looked = Err(error);
            }
        }
    }
    looked
}

fn strange(today: &Today, day: &str) -> Option<Alarm> {
    let (spent, usual) = (today.spent, today.usual?);
    let most = usual.times(FACTOR.unsigned_abs());
    (spent >= LEAST && spent > most).then(|| Alarm {
        kind: "anomaly.cost",
        key: day.to_owned(),
        message: format!("{spent} were spent today, where {usual} are usual"),
        facts: json!({"day": day, "spent": spent.dollars(), "usual": usual.dollars()}),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(spent: &str, usual: Option<&str>) -> Option<String> {
        let money = |text: &str| text.parse::<Money>().expect("dollars");
        let today = Today { spent: money(spent), usual: usual.map(money) };
        strange(&today, "2026-11-20").map(|alarm| alarm.message)
    }

    #[test]
    fn a_day_of_more_than_three_times_the_usual_raises_an_alarm() {
        let message = "$3.01 were spent today, where $1.00 are usual".to_owned();
        assert_eq!(told("3.01", Some("1")), Some(message));
        assert_eq!(told("3.00", Some("1")), None);
        // Cents are nobody's worry, and nothing is unusual while nothing is usual.
        assert_eq!(told("0.99", Some("0.01")), None);
        assert_eq!(told("1000", None), None);
    }

    #[test]
    fn a_tenant_is_looked_at_once_a_minute_as_long_as_it_spends() {
        let (spenders, tenant) = (Spenders::default(), Tenant::new("000000000000", "us-east-1"));
        assert!(spenders.due(0).is_empty());
        spenders.note(&tenant);
        spenders.note(&tenant);
        assert_eq!(spenders.due(1).len(), 1);
        spenders.note(&tenant);
        assert!(spenders.due(LOOK_MILLIS).is_empty());
        assert_eq!(spenders.due(LOOK_MILLIS + 1).len(), 1);
        assert!(spenders.due(9 * LOOK_MILLIS).is_empty());
    }
}
