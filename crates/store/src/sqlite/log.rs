//! Keeps the write-ahead log short without making commits wait.
//!
//! Copying the log into the database costs a sync of each. A thread does it while the writer goes on
//! appending. Only a log that has been copied to its end starts over, and under constant load the thread
//! never sees an end, so at a larger size the writer copies the rest itself, between two groups; at twice that it
//! waits for the thread first.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::connection;
use crate::limits;

pub(super) struct Log {
    /// Pages in the log after the last commit.
    pages: Arc<AtomicI32>,
    /// Pages in it when the thread was last called, and when the writer last copied it.
    called: i32,
    copied: i32,
    bell: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    pub(super) fn watch(connection: &mut Connection, file: &Path) -> Log {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = pages.clone();
        // This takes the place of SQLite's own checkpoint, which would run inside a commit.
        let hook = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        };
        let watched = connection.wal_hook(Some(hook)).is_ok();
        debug_assert!(watched, "the writer's connection is owned, so it may have hooks");
        let (bell, rings) = sync_channel(1);
        let file = file.to_owned();
        let thread = std::thread::Builder::new()
            .name("store-log".into())
            .spawn(move || copy_when_called(&file, &rings))
            .ok();
        Log { pages, called: 0, copied: 0, bell: Some(bell), thread }
    }

    /// Called between two groups.
    pub(super) fn keep_short(&mut self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.called.max(self.copied) {
            (self.called, self.copied) = (0, 0); // the log has started over
        }
        if pages < limits::WAL_PAGES {
            self.call(pages);
        } else if pages >= 2 * limits::WAL_PAGES {
            // The thread cannot keep up. INVARIANT: the log is bounded, so commits wait for it here.
            copy(connection, "PRAGMA wal_checkpoint(FULL)");
        } else if pages - self.copied >= limits::CHECKPOINT_PAGES && copy(connection, PASSIVE) {
            self.copied = pages;
        }
    }

    fn call(&mut self, pages: i32) {
        if pages - self.called < limits::CHECKPOINT_PAGES {
            return;
        }
        // A full bell means that the thread is still at it; it is called again after the next group.
        if self.bell.as_ref().is_some_and(|bell| bell.try_send(()).is_ok()) {
            self.called = pages;
        }
    }

    pub(super) fn finish(&mut self) {
        self.bell = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn copy_when_called(file: &Path, rings: &Receiver<()>) {
    let mut connection = None;
    while rings.recv().is_ok() {
        if connection.is_none() {
            connection = connection::checkpointer(file).ok();
        }
        if let Some(connection) = &connection {
            copy(connection, PASSIVE);
        }
    }
}

/// Copies what can be copied without waiting for anybody.
const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Copies the log into the database; false if another thread was at it. A failure leaves the log as it is:
/// nothing is lost, it is tried again.
fn copy(connection: &Connection, checkpoint: &'static str) -> bool {
    connection.query_row(checkpoint, [], |row| row.get::<_, i64>(0)).is_ok_and(|busy| busy == 0)
}
