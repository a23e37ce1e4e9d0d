//! A script is a line per call, and its transcript a line per answer.
//!
//! A line without a mark is one batch, its operations joined by ` + `. `?` marks any other call. `restart`
//! closes the store and opens it again over the same data. `b:` in front acts for another tenant.

use expect_test::Expect;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{Batch, QueueState, Queued, Record, Store, StoreError, Tenant, Versioned};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) text: String,
}

impl Record for Note {
    const KIND: &'static str = "note";
    const VERSION: u32 = 2;
}

/// A document whose id is a run's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told;

impl Record for Told {
    const KIND: &'static str = "told";
    const VERSION: u32 = 1;
    const LABEL: &'static str = crate::JOURNALED;
}

/// A document that is kept beside a run's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Beside;

impl Record for Beside {
    const KIND: &'static str = crate::BESIDE_JOURNAL;
    const VERSION: u32 = 1;
}

/// Plays the script on every backend; all must answer as expected.
pub(super) fn check(script: &str, expected: &Expect) {
    let transcript = Subject::memory().play(script);
    assert_eq!(Subject::directory().play(script), transcript, "a directory differs from memory");
    expected.assert_eq(&transcript);
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

struct Subject {
    store: Option<Store>,
    dir: Option<TempDir>,
}

impl Subject {
    fn memory() -> Subject {
        Subject { store: Some(Store::memory().unwrap()), dir: None }
    }

    fn directory() -> Subject {
        let dir = tempfile::tempdir().unwrap();
        Subject { store: Some(Store::open(dir.path()).unwrap()), dir: Some(dir) }
    }

    fn play(&mut self, script: &str) -> String {
        let mut transcript = String::new();
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let answer = self.answer(line);
            transcript.push_str(&format!("{line} → {answer}\n"));
        }
        transcript
    }

    fn answer(&mut self, line: &str) -> String {
        if line == "restart" {
            self.restart();
            return "restarted".into();
        }
        let (account, call) = line.split_once(": ").unwrap_or(("a", line));
        let tenant = Tenant::new(account, "r");
        let store = self.store.as_ref().unwrap();
        let told = match call.strip_prefix("? ") {
            Some(call) => block_on(read(store, &tenant, call)).map_err(|error| error.to_string()),
            None => block_on(store.commit(batch(&tenant, call)))
                .map(|()| "ok".to_owned())
                .map_err(|error| error.to_string()),
        };
        told.unwrap_or_else(|error| format!("error: {error}"))
    }

    fn restart(&mut self) {
        let old = self.store.take().unwrap();
        self.store = Some(match &self.dir {
            None => old.reopen().unwrap(),
            Some(dir) => {
                drop(old);
                Store::open(dir.path()).unwrap()
            }
        });
    }
}

fn batch(tenant: &Tenant, line: &str) -> Batch {
    let mut batch = Batch::new(tenant, 7);
    for op in line.split(" + ") {
        let words: Vec<&str> = op.split(' ').collect();
        add(&mut batch, &words);
    }
    batch
}

fn add(batch: &mut Batch, words: &[&str]) {
    let note = |text: &str| Note { text: text.into() };
    match *words {
        ["expect", id, version] => batch.expect_version::<Note>(id, num(version)),
        ["put", id, text] => batch.put(id, &note(text)),
        ["put", id, text, "until", at] => batch.put_until(id, &note(text), num(at)),
        ["tell", run, "until", at] => batch.put_until(run, &Told, num(at)),
        ["beside", id] => batch.put(id, &Beside),
        ["delete", id] => batch.delete::<Note>(id),
        ["append", run, place, text] => {
            let (seq, epoch) = place.split_once('@').unwrap();
            batch.append(run, num(seq), num(epoch), 3, "label", text.to_owned())
        }
        ["enqueue", run, lane] => batch.enqueue(run, lane, 0, None),
        ["enqueue", run, lane, "due", due] => batch.enqueue(run, lane, num(due), None),
        ["enqueue", run, lane, "for", who, until] => {
            batch.enqueue(run, lane, 0, Some((who, num(until))))
        }
        ["park", run, epoch] => batch.park(run, num(epoch)),
        ["unpark", run] => batch.unpark(run, None),
        ["unpark", run, "for", who, until] => batch.unpark(run, Some((who, num(until)))),
        ["dequeue", run, epoch] => batch.dequeue(run, num(epoch)),
        ["release", run, epoch] => batch.release(run, num(epoch)),
        ["timer", id, due, text] => batch.timer(id, num(due), text.to_owned()),
        ["clear", id] => batch.clear_timer(id),
        ["add", key, delta] => batch.add(key, num(delta), None, None),
        ["add", key, delta, low, high] => {
            batch.add(key, num(delta), low.parse().ok(), high.parse().ok())
        }
        ["tally", key, sums, "until", at] => {
            let sums: Vec<i64> = sums.split(',').map(num).collect();
            batch.tally(key, &sums, num(at))
        }
        ["blob", id, text] => batch.blob(id, text.to_owned()),
        ["unblob", id] => batch.delete_blob(id),
        _ => panic!("no such operation: {words:?}"),
    };
}

async fn read(store: &Store, t: &Tenant, call: &str) -> Result<String, StoreError> {
    let words: Vec<&str> = call.split(' ').collect();
    Ok(match *words {
        ["get", id] => match store.get::<Note>(t, id).await? {
            Some(Versioned { version, value }) => format!("{}@{version}", value.text),
            None => "nothing".into(),
        },
        ["list", prefix, after, limit] => {
            let page = store.list::<Note>(t, some(prefix).unwrap_or(""), some(after), num(limit));
            joined(page.await?.iter().map(|(id, _)| id.clone()))
        }
        ["back", prefix, before, limit] => {
            let prefix = some(prefix).unwrap_or("");
            let page = store.list_back::<Note>(t, prefix, some(before), num(limit));
            joined(page.await?.iter().map(|(id, _)| id.clone()))
        }
        ["beside"] => {
            let page = store.list::<Beside>(t, "", None, 9).await?;
            joined(page.iter().map(|(id, _)| id.clone()))
        }
        ["journal", run, from, limit] => {
            let entries = store.journal(t, run, num(from), num(limit)).await?;
            joined(entries.iter().map(|e| {
                let text = String::from_utf8_lossy(&e.payload);
                format!("{}@{} {text} ({} v{} at {})", e.seq, e.epoch, e.label, e.version, e.at)
            }))
        }
        ["last", run] => store.last_seq(t, run).await?.to_string(),
        ["verify", run] => format!("{} entries", store.verify_journal(t, run).await?),
        ["runs", after, limit] => joined(store.runs(t, some(after), num(limit)).await?.into_iter()),
        ["queued", after, limit] => {
            joined(store.queued(num(after), num(limit)).await?.iter().map(shown))
        }
        ["lane", lane] => joined(store.lane(t, lane, 100).await?.iter().map(shown)),
        ["run", run] => joined(store.queued_run(t, run).await?.iter().map(shown)),
        ["claim", now, who, until, limit] => {
            let rows = store.claim(num(now), who, num(until), num(limit)).await?;
            joined(rows.iter().map(shown))
        }
        ["renew", who, now, until] => store.renew(who, num(now), num(until)).await?.to_string(),
        ["timers", now, limit, ref prefix @ ..] => {
            let prefix = prefix.first().copied().unwrap_or_default();
            let timers = store.due_timers(prefix, num(now), num(limit)).await?;
            joined(timers.iter().map(|timer| {
                let text = String::from_utf8_lossy(&timer.payload);
                format!("{} {} at {} {text}", timer.tenant, timer.id, timer.due)
            }))
        }
        ["counter", key] => store.counter(t, key).await?.to_string(),
        ["tallies", after, below, limit] => {
            let found = store.tallies(t, (after, below), num(limit)).await?;
            joined(found.iter().map(|(key, sums)| format!("{key}: {sums:?}")))
        }
        ["blob", id] => match store.blob(t, id).await? {
            Some(body) => String::from_utf8_lossy(&body).into_owned(),
            None => "nothing".into(),
        },
        ["purge", now, limit] => {
            format!("{} gone", store.purge_expired(num(now), num(limit)).await?)
        }
        _ => panic!("no such call: {words:?}"),
    })
}

fn shown(row: &Queued) -> String {
    let standing = match row.state {
        QueueState::Ready => format!("ready, due {}", row.due),
        QueueState::Parked => "parked".into(),
        QueueState::Leased => {
            format!("leased to {} until {}", row.owner.as_deref().unwrap_or("?"), row.lease_until)
        }
    };
    format!("{} {} in {}@{} {standing}", row.tenant.account(), row.run, row.lane, row.epoch)
}

fn joined(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "nothing".into() } else { items.join("; ") }
}

fn num<N: std::str::FromStr<Err: std::fmt::Debug>>(word: &str) -> N {
    word.parse().unwrap()
}

fn some(word: &str) -> Option<&str> {
    Some(word).filter(|word| *word != "_")
}
