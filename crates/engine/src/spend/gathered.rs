//! What clients spend by asking models directly, until it is written.
//!
//! A lock is held for a few sums and never across a wait. What was gathered and could not be written
//! is gathered again; a crash loses the last second of it.

use std::collections::HashMap;
use std::sync::Mutex;

use craton_core::cost::Share;
use store::{Batch, CommitError, Tenant};

use super::{DAY_MILLIS, Spent, expires_at, key};
use crate::Inner;
use crate::limits::SESSION_SPENDING_DAYS;
use crate::model::account::Bearer;

/// By tenant and day (days since 1970).
#[derive(Debug, Default)]
pub(crate) struct Spending(Mutex<HashMap<(Tenant, i64), Gathered>>);

#[derive(Debug, Default)]
struct Gathered {
    day: Spent,
    customers: HashMap<String, Spent>,
    agents: HashMap<String, Spent>,
    users: HashMap<String, Spent>,
    sessions: HashMap<String, Spent>,
    models: HashMap<String, Spent>,
}

impl Spending {
    /// One reply, on somebody's account.
    pub(crate) fn note(&self, bearer: &Bearer, (model, now): (&str, i64), share: &Share) {
        let spent = Spent::of_share(share, bearer.line);
        let mut gathered = self.0.lock().expect("no holder of this lock panics");
        let of = (bearer.tenant.clone(), now.div_euclid(DAY_MILLIS));
        let gathered = gathered.entry(of).or_default();
        gathered.day.add(&spent);
        put(&mut gathered.models, model, &spent);
        let payer = &bearer.payer;
        for (map, who) in [
            (&mut gathered.customers, &payer.customer),
            (&mut gathered.agents, &payer.agent),
            (&mut gathered.users, &payer.user),
            (&mut gathered.sessions, &payer.session),
        ] {
            if let Some(who) = who {
                put(map, who, &spent);
            }
        }
    }

    fn take(&self) -> HashMap<(Tenant, i64), Gathered> {
        std::mem::take(&mut *self.0.lock().expect("no holder of this lock panics"))
    }

    fn give_back(&self, of: (Tenant, i64), back: Gathered) {
        let mut gathered = self.0.lock().expect("no holder of this lock panics");
        let gathered = gathered.entry(of).or_default();
        gathered.day.add(&back.day);
        for (map, back) in [
            (&mut gathered.customers, back.customers),
            (&mut gathered.agents, back.agents),
            (&mut gathered.users, back.users),
            (&mut gathered.sessions, back.sessions),
            (&mut gathered.models, back.models),
        ] {
            back.iter().for_each(|(who, spent)| put(map, who, spent));
        }
    }
}

/// Allocates only for whoever is new.
fn put(map: &mut HashMap<String, Spent>, who: &str, spent: &Spent) {
    match map.get_mut(who) {
        Some(sum) => sum.add(spent),
        None => {
            map.insert(who.to_owned(), *spent);
        }
    }
}

/// Writes what was gathered; nothing is no commit.
pub(crate) async fn flush(inner: &Inner) -> Result<(), CommitError> {
    let mut failed = None;
    for ((tenant, day), gathered) in inner.spending.take() {
        let mut batch = Batch::new(&tenant, inner.clock.now());
        gathered.write(&mut batch, &tenant, day * DAY_MILLIS);
        match inner.store.commit(batch).await {
            Ok(()) => inner.alarms.spenders.note(&tenant),
            Err(error) => {
                inner.spending.give_back((tenant, day), gathered);
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

impl Gathered {
    fn write(&self, batch: &mut Batch, tenant: &Tenant, at: i64) {
        let mut row = |dimension: &str, of: &str, spent: &Spent| {
            batch.tally(&key(dimension, at, of), &spent.sums(), expires_at(at));
        };
        row("day", "", &self.day);
        let of_customers = self.customers.values().map(|spent| spent.model_calls).sum::<i64>();
        // What no customer of the tenant's was named for is the tenant's own.
        if of_customers < self.day.model_calls {
            row("tenant", &tenant.to_string(), &self.without_customers());
        }
        for (dimension, map) in [
            ("tenant", &self.customers),
            ("agent", &self.agents),
            ("user", &self.users),
            ("model", &self.models),
        ] {
            map.iter().for_each(|(who, spent)| row(dimension, who, spent));
        }
        for (session, spent) in &self.sessions {
            let expires_at = at + SESSION_SPENDING_DAYS * DAY_MILLIS;
            batch.tally(&key("session", at, session), &spent.sums(), expires_at);
        }
    }

    fn without_customers(&self) -> Spent {
        let mut sums = self.day.sums();
        for spent in self.customers.values() {
            sums.iter_mut().zip(spent.sums()).for_each(|(sum, less)| *sum -= less);
        }
        Spent::of_sums(&sums)
    }
}
