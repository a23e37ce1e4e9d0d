//! What only one backend can do: share a directory with nobody, survive many writers, stop on demand; and
//! what is done to a file behind its back.

use rusqlite::Connection;

use super::script::{Note, block_on};
use crate::{Batch, CommitError, Record, Store, StoreError, Tenant};

fn tenant() -> Tenant {
    Tenant::new("1", "r")
}

fn note(text: &str) -> Note {
    Note { text: text.into() }
}

fn step(run: &str, seq: u64) -> Batch {
    let mut batch = Batch::new(&tenant(), 0);
    if seq == 1 {
        batch.enqueue(run, run, 0, Some(("me", 9)));
    }
    batch.append(run, seq, 1, 1, "", format!("step {seq}"));
    batch
}

#[test]
fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/inside");
    let first = Store::open(&path).unwrap();
    assert_eq!(Store::open(&path).err(), Some(StoreError::InUse(path.clone())));
    drop(first);
    Store::open(&path).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("craton.db"), [b'x'; 4096]).unwrap();
    let error = Store::open(dir.path()).err().unwrap().to_string();
    let dir = dir.path().display();
    let said = "its craton.db cannot be used: file is not a database (CR0003)";
    assert_eq!(error, format!("data directory {dir}: {said}"));
}

#[test]
fn a_newer_schema_is_refused_by_its_number() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let file = Connection::open(dir.path().join("craton.db")).unwrap();
    file.execute("UPDATE meta SET value = 99 WHERE name = 'schema'", []).unwrap();
    let refused = Store::open(dir.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
}

/// Every batch of every task is there once and in order, and those that conflict took nobody with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_commit_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let run = format!("run-{task}");
                for seq in 1..=20 {
                    let wrong = store.submit(step(&run, seq + 1));
                    let right = store.submit(step(&run, seq));
                    assert!(matches!(wrong.await, Err(CommitError::Conflict(_))));
                    right.await.unwrap();
                    assert_eq!(store.last_seq(&tenant(), &run).await.unwrap(), seq);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    for task in 0..32 {
        let run = format!("run-{task}");
        assert_eq!(store.verify_journal(&tenant(), &run).await.unwrap(), 20);
    }
}

#[test]
fn a_batch_nobody_waits_for_is_on_disk_when_the_store_has_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for seq in 1..=600 {
        drop(store.submit(step("run", seq)));
    }
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(block_on(store.verify_journal(&tenant(), "run")).unwrap(), 600);
}

/// More than the log may hold, written without a pause.
#[test]
fn the_log_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let body = vec![7_u8; 1 << 20];
    for blob in 0..100 {
        let mut batch = Batch::new(&tenant(), 0);
        batch.blob(&format!("{}", blob % 4), body.clone());
        block_on(store.commit(batch)).unwrap();
    }
    let log = std::fs::metadata(dir.path().join("craton.db-wal")).unwrap().len();
    assert!(log < 80 << 20, "{log} bytes");
}

#[test]
fn a_changed_or_missing_entry_breaks_the_chain() {
    for damage in [
        "UPDATE journal SET payload = x'00' WHERE seq = 2",
        "UPDATE journal SET digest = zeroblob(32) WHERE seq = 2",
        "DELETE FROM journal WHERE seq = 1",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        for seq in 1..=3 {
            block_on(store.commit(step("run", seq))).unwrap();
        }
        drop(store);
        let file = Connection::open(dir.path().join("craton.db")).unwrap();
        file.execute(damage, []).unwrap();
        drop(file);
        let store = Store::open(dir.path()).unwrap();
        let found = block_on(store.verify_journal(&tenant(), "run"));
        assert!(matches!(found, Err(StoreError::Broken { seq: 2, .. })), "{damage}: {found:?}");
    }
}

#[test]
fn a_memory_store_stops_after_a_number_of_changes() {
    for answered in [true, false] {
        let store = Store::memory().unwrap();
        match answered {
            true => store.crash_after(2).unwrap(),
            false => store.crash_unanswered_after(2).unwrap(),
        }
        block_on(store.commit(step("run", 1))).unwrap();
        // A refused batch is no change.
        assert!(matches!(block_on(store.commit(step("run", 5))), Err(CommitError::Conflict(_))));
        let closed = Err(CommitError::Store(StoreError::Closed));
        let second = block_on(store.commit(step("run", 2)));
        assert_eq!(second, if answered { Ok(()) } else { closed.clone() });
        assert_eq!(block_on(store.commit(step("run", 3))), closed);
        assert_eq!(block_on(store.last_seq(&tenant(), "run")), Err(StoreError::Closed));

        let again = store.reopen().unwrap();
        assert_eq!(block_on(again.last_seq(&tenant(), "run")), Ok(2));
        block_on(again.commit(step("run", 3))).unwrap();
    }
    let stopped = Store::memory_crashing_after(0).unwrap();
    assert_eq!(block_on(stopped.counter(&tenant(), "n")), Err(StoreError::Closed));
}

#[test]
fn a_directory_cannot_be_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert!(matches!(store.crash_after(1), Err(StoreError::NotInMemory(_))));
    assert!(matches!(store.reopen(), Err(StoreError::NotInMemory(_))));
}

#[derive(serde::Serialize, serde::Deserialize)]
struct OlderNote {
    text: String,
}

impl Record for OlderNote {
    const KIND: &'static str = Note::KIND;
    const VERSION: u32 = 1;
}

#[test]
fn a_document_of_a_newer_form_is_not_misread() {
    let store = Store::memory().unwrap();
    let mut batch = Batch::new(&tenant(), 0);
    batch.put("new", &note("x")).put("old", &OlderNote { text: "y".into() });
    block_on(store.commit(batch)).unwrap();
    assert_eq!(block_on(store.get::<Note>(&tenant(), "old")).unwrap().unwrap().value, note("y"));
    let error = block_on(store.get::<OlderNote>(&tenant(), "new")).err().unwrap();
    assert_eq!(
        error.to_string(),
        "note new cannot be read: its form is 2, this craton knows up to 1 (CR0006)"
    );
}

#[test]
fn tenants_with_slashes_in_their_names_stay_apart() {
    let (one, two) = (Tenant::new("a/b", "c"), Tenant::new("a", "b/c"));
    assert_ne!(one, two);
    assert_eq!(Tenant::from_key(two.key()), two);
    assert_eq!((two.account(), two.region()), ("a", "b/c"));
}

/// A store whose counters are another's adds under their ceilings, and takes back what it added in vain.
#[tokio::test]
async fn counters_that_stand_elsewhere_change_with_the_rest_of_a_batch_or_not_at_all() {
    let counters = Store::memory().unwrap();
    let store = Store::memory_counting_in(&counters).unwrap();
    let put = |text: &str, delta: i64| {
        let mut batch = Batch::new(&tenant(), 0);
        batch.put("note", &note(text)).add("n", delta, None, Some(10));
        batch
    };
    store.commit(put("first", 7)).await.unwrap();
    let full = store.commit(put("too much", 4)).await.unwrap_err().to_string();
    assert!(full.contains("expected a sum of at most 10, found 7 +4"), "{full}");
    let mut twice = put("once more", 3);
    twice.expect_version::<Note>("note", 9);
    assert!(matches!(store.commit(twice).await, Err(CommitError::Conflict(_))));
    // Whether or not anybody waits.
    drop(store.submit(put("last", 2)));
    while store.get::<Note>(&tenant(), "note").await.unwrap().unwrap().value != note("last") {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.counter(&tenant(), "n").await, Ok(9));
    assert_eq!(counters.counter(&tenant(), "n").await, Ok(9));
    assert_eq!(counters.get::<Note>(&tenant(), "note").await, Ok(None));
}
