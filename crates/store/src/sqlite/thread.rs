//! The writer on a thread of its own. While it waits for the disk, work gathers; when it returns it takes
//! what has gathered as one group. So the group grows with the load, and alone a batch waits for nobody.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::log::Log;
use super::writer::Writer;
use crate::backend::{Outcome, Submitted, Work};
use crate::error::StoreError;
use crate::limits;

pub(super) struct WriterThread {
    door: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    work: Work,
    reply: oneshot::Sender<Outcome>,
}

impl WriterThread {
    pub(super) fn start(
        writer: Writer,
        file: &Path,
        closed: Arc<AtomicBool>,
    ) -> std::io::Result<WriterThread> {
        let (door, jobs) = sync_channel(limits::WAITING_SUBMISSIONS);
        let file = file.to_owned();
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            write(writer, &jobs, &file, &closed);
        })?;
        Ok(WriterThread { door: Some(door), thread: Some(thread) })
    }

    pub(super) fn submit(&self, work: Work) -> Submitted {
        let (reply, outcome) = oneshot::channel();
        match &self.door {
            Some(door) if door.send(Job { work, reply }).is_ok() => Submitted::Later(outcome),
            Some(_) | None => Submitted::Now(Some(Err(StoreError::Closed.into()))),
        }
    }

    /// Waits until everything submitted is on disk and the database is closed.
    pub(super) fn finish(&mut self) {
        self.door = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the writer has been printed; those who waited were told that it is closed.
            let _ = thread.join();
        }
    }
}

fn write(mut writer: Writer, jobs: &Receiver<Job>, file: &Path, closed: &AtomicBool) {
    let mut log = Log::watch(&mut writer.connection, file);
    let mut group = Vec::with_capacity(limits::GROUP);
    // Many came while the last group was written, so many will come now: a moment's wait makes one
    // sync of several. Whoever is alone does not wait, but for the first after a busy time.
    let mut busy = false;
    while let Ok(first) = jobs.recv() {
        group.push(first);
        if busy {
            std::thread::sleep(limits::GATHER);
        }
        while group.len() < limits::GROUP
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        busy = group.len() >= limits::BUSY_GROUP;
        let works: Vec<&Work> = group.iter().map(|job| &job.work).collect();
        let outcomes = writer.transact(&works);
        if writer.broken() {
            closed.store(true, Ordering::Release);
        }
        for (job, outcome) in group.drain(..).zip(outcomes) {
            // Whoever dropped its Pending does not want to know.
            let _ = job.reply.send(outcome);
        }
        if writer.broken() {
            return;
        }
        log.keep_short(&writer.connection);
    }
    log.finish();
}
