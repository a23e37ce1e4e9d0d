//! Every bound of the benchmarks, with the reason for its size.

use std::time::Duration;

/// How long a peer may take until it answers. LangGraph imports for several seconds when the
/// machine is busy.
pub(crate) const START: Duration = Duration::from_secs(60);

/// Invocations before a measurement: pools filled, statements prepared, code paged in.
pub(crate) const WARM_UP: Duration = Duration::from_millis(500);

/// The same where a turn has a fixed length.
pub(crate) const WARM_UP_TURNS: usize = 5;

/// One invocation. More means that something hangs.
pub(crate) const INVOCATION: Duration = Duration::from_secs(30);

/// Appends of one disk probe; at 0.1 to 4 ms each it takes 20 to 800 ms.
pub(crate) const PROBES: usize = 200;
pub(crate) const PROBE_BYTES: usize = 512;

/// A probe slower than this many idle ones voids its round: then the disk, or the scheduler's
/// tick, is what was measured.
pub(crate) const VOID: f64 = 2.0;

/// Statements of many appends under one sync, as in the store.
pub(crate) const GROUP: usize = 256;
pub(crate) const WAITING: usize = 4096;

/// Pages of write-ahead log before it is copied back (32 MiB), where the store does the same.
pub(crate) const WAL_PAGES: u32 = 8000;

/// Starts of one cold start figure.
pub(crate) const STARTS: usize = 11;

/// Calls of the policy benchmark: a second's worth of work at its budget.
pub(crate) const POLICY_CALLS: usize = 50_000;

/// Tasks that the policies of routing are priced for; the set of scenarios is repeated so often.
pub(crate) const ROUTED_TASKS: usize = 1_000;

/// What a summary of a conversation has: two topics of two or three sentences each.
pub(crate) const SUMMARY_TOKENS: u64 = 120;

/// Shares of harder tasks, in percent, for which the policies of routing are compared.
pub(crate) const SHARES: [u32; 7] = [0, 2, 5, 10, 20, 50, 100];
