//! The text of conversations: exchanges as documents, each written once and never changed.
//!
//! A session and the journals of its runs say which exchanges they mean ([`Past`]); the text is filled
//! in here, from memory while a conversation goes on, else from the store. What retention has deleted
//! is filled in as such, so that an old run can still be looked at.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use craton_core::agent::history::{self, Exchange, Past};
use craton_core::agent::origin::Utterance;
use serde::{Deserialize, Serialize};
use store::{Batch, Record, StoreError, Tenant};

use crate::Inner;

/// Exchanges read from the store at once.
const PAGE: usize = 1_000;
/// What an exchange takes in memory beside its text, and its text per token: rough figures.
const BYTES_BESIDE_TEXT: usize = 512;
const BYTES_PER_TOKEN: usize = 8;

/// An exchange as a document, under its thread's name and its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Kept(pub(crate) Arc<Exchange>);

impl Record for Kept {
    const KIND: &'static str = "exchange";
    const VERSION: u32 = 1;
}

/// The thread of an agent by the path of names that leads to it, in the conversation that `past` is of
/// or that `run` begins. A conversation has the name of the run that began it.
pub(crate) fn thread(past: &Past, run: &str, path: &str) -> String {
    let conversation = past.thread.split('/').next().filter(|name| !name.is_empty());
    format!("{}/{path}", conversation.unwrap_or(run))
}

fn id(thread: &str, number: u32) -> String {
    format!("{thread}/{number:08}")
}

/// Exchanges that a turn leaves, by the ids of their documents.
pub(crate) type Left = Vec<(String, Kept)>;

/// What a turn left.
pub(crate) struct Added<'a> {
    pub(crate) run: &'a str,
    pub(crate) at: i64,
    pub(crate) messages: Vec<Utterance>,
}

/// A thread once more was said in it.
pub(crate) fn extended(mut past: Past, added: &Added<'_>, left: &mut Left) -> Past {
    for exchange in history::exchanges(added.run, added.at, &added.messages) {
        let exchange = Arc::new(exchange);
        left.push((id(&past.thread, past.end), Kept(exchange.clone())));
        past.exchanges.push(exchange);
        past.end += 1;
    }
    past
}

/// Makes a stretch, whose text is filled in, one of the conversation that a run begins.
pub(crate) fn copy(past: &mut Past, run: &str, until: i64, batch: &mut Batch) {
    if past.is_empty() {
        return;
    }
    let path = past.thread.split_once('/').map_or("", |(_, path)| path);
    past.thread = format!("{run}/{path}");
    keep(past, until, batch);
}

/// Writes a stretch whose text is filled in.
pub(crate) fn keep(past: &Past, until: i64, batch: &mut Batch) {
    for (number, exchange) in (past.first..).zip(&past.exchanges) {
        batch.put_until(&id(&past.thread, number), &Kept(exchange.clone()), until);
    }
}

/// Fills in the text of a stretch.
pub(crate) async fn fill(
    inner: &Inner,
    tenant: &Tenant,
    past: &mut Past,
) -> Result<(), StoreError> {
    if past.first >= past.end {
        return Ok(());
    }
    if let Some(exchanges) = inner.pasts.held(tenant, past) {
        past.exchanges = exchanges;
        return Ok(());
    }
    let mut found = read(inner, tenant, past).await?;
    let whole = found.len() == (past.end - past.first) as usize;
    let deleted = Arc::new(Exchange::deleted());
    let exchange = |number| found.remove(&number).unwrap_or_else(|| deleted.clone());
    past.exchanges = (past.first..past.end).map(exchange).collect();
    if whole {
        inner.pasts.hold(tenant, past);
    }
    Ok(())
}

async fn read(
    inner: &Inner,
    tenant: &Tenant,
    past: &Past,
) -> Result<BTreeMap<u32, Arc<Exchange>>, StoreError> {
    let prefix = format!("{}/", past.thread);
    let mut after = past.first.checked_sub(1).map(|before| id(&past.thread, before));
    let mut found = BTreeMap::new();
    loop {
        let page = inner.store.list::<Kept>(tenant, &prefix, after.as_deref(), PAGE).await?;
        let full = page.len() == PAGE;
        after = page.last().map(|(id, _)| id.clone());
        for (id, kept) in page {
            let number = id[prefix.len()..].parse().unwrap_or(u32::MAX);
            if number >= past.end {
                return Ok(found);
            }
            found.insert(number, kept.value.0);
        }
        if !full {
            return Ok(found);
        }
    }
}

/// Conversations that were used lately, in two generations: when the young one is full it becomes
/// the old one, and what was not asked for meanwhile is forgotten. Exchanges never change, so what
/// is held is always true.
#[derive(Debug)]
pub(crate) struct Pasts {
    generations: Mutex<Generations>,
    /// Of one generation.
    most: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<(Tenant, String), Held>,
    old: HashMap<(Tenant, String), Held>,
    /// What the young ones take.
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    first: u32,
    exchanges: Vec<Arc<Exchange>>,
}

impl Pasts {
    pub(crate) fn new(bytes: usize) -> Self {
        Pasts { generations: Mutex::default(), most: bytes / 2 }
    }

    fn held(&self, tenant: &Tenant, past: &Past) -> Option<Vec<Arc<Exchange>>> {
        let key = (tenant.clone(), past.thread.clone());
        let mut generations = self.generations.lock().expect("no holder of this lock panics");
        if !generations.young.contains_key(&key) {
            let held = generations.old.remove(&key)?;
            generations.keep(key.clone(), held, self.most);
        }
        let held = generations.young.get(&key)?;
        let from = past.first.checked_sub(held.first)? as usize;
        let to = past.end.checked_sub(held.first)? as usize;
        held.exchanges.get(from..to).map(<[_]>::to_vec)
    }

    #[cfg(test)]
    pub(crate) fn forget(&self) {
        *self.generations.lock().expect("no holder of this lock panics") = Generations::default();
    }

    /// Remembers a stretch whose exchanges are in the store.
    pub(crate) fn hold(&self, tenant: &Tenant, past: &Past) {
        let key = (tenant.clone(), past.thread.clone());
        let held = Held { first: past.first, exchanges: past.exchanges.clone() };
        let mut generations = self.generations.lock().expect("no holder of this lock panics");
        generations.old.remove(&key);
        generations.keep(key, held, self.most);
    }
}

impl Generations {
    fn keep(&mut self, key: (Tenant, String), held: Held, most: usize) {
        if let Some(before) = self.young.remove(&key) {
            self.bytes -= before.bytes();
        }
        let bytes = held.bytes();
        if self.bytes + bytes > most {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.young.insert(key, held);
    }
}

impl Held {
    fn bytes(&self) -> usize {
        let tokens: usize = self.exchanges.iter().map(|exchange| exchange.tokens).sum();
        tokens * BYTES_PER_TOKEN + (self.exchanges.len() + 1) * BYTES_BESIDE_TEXT
    }
}
