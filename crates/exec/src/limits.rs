//! The bounds of this crate, each with its source.

use std::time::Duration;

/// AWS: 6 MB for a synchronous request (Lambda quotas, "invocation payload").
pub const REQUEST_BYTES: usize = 6 * 1024 * 1024;

/// AWS: 6 MB and 100 bytes for a response (the figure of `Function.ResponseSizeTooLarge`).
pub const RESPONSE_BYTES: usize = 6_291_556;

/// Ours: how much of a response that is too large is read, and thrown away, before the connection
/// is cut.
pub(crate) const POSTED_BYTES: usize = 16 * RESPONSE_BYTES;

/// AWS: a function runs for 15 minutes at most (Lambda quotas).
pub(crate) const LAMBDA_SECONDS: u64 = 900;

/// AWS: up to 3,583 bytes of base64 (Invoke, `ClientContext`), which are so many of JSON.
pub(crate) const CLIENT_CONTEXT: usize = 2685;

/// AWS: an alias has up to 128 characters and a name up to 140 (Invoke, `FunctionName`; CreateAlias).
pub(crate) const FUNCTION_NAME: usize = 140 + 1 + 128;

/// Ours: the longest deadline of a call of an MCP server's tool.
pub(crate) const MCP_SECONDS: u64 = 900;

/// Ours: how long an MCP server may take to begin; one that a package manager fetches first takes
/// its time.
pub(crate) const MCP_OPENING: Duration = Duration::from_secs(30);

/// Ours: how long one page of its listing may take.
pub(crate) const MCP_LISTING: Duration = Duration::from_secs(10);

/// Ours: pages of one listing.
pub(crate) const MCP_PAGES: usize = 32;

/// Ours: connections to MCP servers, of all tenants together.
pub(crate) const MCP_CONNECTIONS: usize = 128;

/// Ours: a connection that nobody uses for so long is closed.
pub(crate) const MCP_IDLE: Duration = Duration::from_secs(300);

/// Ours: how much longer than its deadline an exchange may last, so that its end can be told.
pub(crate) const MCP_GRACE: Duration = Duration::from_secs(5);

/// Ours: memory of an MCP server that is started here, with all that it starts.
pub(crate) const MCP_MEMORY_MB: u32 = 1024;

/// AWS: the log tail of Invoke holds the last 4 KB (Invoke, `LogType=Tail`).
pub const LOG_TAIL_BYTES: usize = 4096;

/// AWS: the init phase may take 10 s (execution environment life cycle).
pub(crate) const INIT: Duration = Duration::from_secs(10);

/// AWS: 250 MB of code unzipped (Lambda quotas).
pub const CODE_BYTES: u64 = 250 * 1024 * 1024;

/// Ours: more files than any real package has; bounds the time that unpacking takes.
pub(crate) const CODE_FILES: usize = 50_000;

/// Ours: ending what a call left in a jail, and emptying its /tmp; else the jail is ended.
pub(crate) const JAIL_CLEARED: Duration = Duration::from_secs(1);

/// Ours: connections of one process to its Runtime API at the same time; a runtime needs one.
pub(crate) const RUNTIME_API_CONNECTIONS: usize = 16;

/// Ours: connections of one process to one host at the same time.
pub(crate) const GATE_CONNECTIONS: usize = 256;

/// Ours: connections of one process that ask for names, and how long one is kept.
pub(crate) const GATE_QUESTIONS: usize = 8;
pub(crate) const GATE_NAMES: Duration = Duration::from_secs(10);

/// Ours: processes of all functions together; one that idles is stopped to make room.
pub(crate) const PROCESSES: usize = 256;

/// Ours: calls that may wait for a free process of one function.
pub(crate) const QUEUE: usize = 1000;

/// Ours: how long such a call waits before it is refused.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_secs(60);

/// Ours: how often a running process is looked at for its memory.
pub(crate) const WATCH: Duration = Duration::from_millis(100);

/// Ours: an installation of packages that takes longer is given up.
pub(crate) const INSTALL: Duration = Duration::from_secs(300);

/// Ours: a failed installation is tried again after this pause, not on each call.
pub(crate) const INSTALL_RETRY: Duration = Duration::from_secs(60);

/// Ours: more than an answer with an access token has.
pub(crate) const TOKEN_BYTES: usize = 64 * 1024;

/// Ours: a token is not kept longer, whatever its server says of it: a day.
pub(crate) const TOKEN_SECONDS: f64 = 86_400.0;

/// Ours: how much of an API's answer is read; a model reads a tenth of it at most.
pub const API_ANSWER_BYTES: usize = 256 * 1024;

/// Ours: the longest deadline of one call of an API, that of a function on AWS: 15 minutes.
pub(crate) const API_TIMEOUT: Duration = Duration::from_secs(900);

/// Ours: redirects of one call; browsers follow 20, API clients rarely more than one.
pub(crate) const REDIRECTS: usize = 5;

/// Ours: how long a peer may ask to be left alone; a turn does not wait longer for it.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(300);

/// Ours: the answer of `python --version`-like probes.
pub(crate) const PROBE: Duration = Duration::from_secs(10);

/// AWS: `/tmp` has 512 MB unless a function asks for more (Lambda quotas, ephemeral storage).
pub(crate) const TMP_MB: u32 = 512;

/// AWS: processes and threads of one execution environment (Lambda quotas).
pub(crate) const JAIL_PROCESSES: u32 = 1024;

/// AWS: file descriptors of one execution environment (Lambda quotas).
pub(crate) const JAIL_FILES: u32 = 1024;

/// Ours: what describes a process to its jail; fits into the buffer of a socket.
pub(crate) const LETTER_BYTES: u32 = 128 * 1024;

/// Ours: a jail's root holds mount points and a handful of small files.
pub(crate) const ROOT_BYTES: u64 = 1024 * 1024;

/// Ours: files that fit into a jail's /tmp.
pub(crate) const TMP_INODES: u64 = 65_536;

/// Ours: shared memory between processes of a jail, as much as containers have.
pub(crate) const SHM_BYTES: u64 = 64 * 1024 * 1024;

/// Ours: memory that cannot be swapped out, and messages in queues.
pub(crate) const LOCKED_BYTES: u64 = 1024 * 1024;

/// Ours: address space that a Python process may reserve beyond twice its memory.
pub(crate) const RESERVED_BYTES: u64 = 4 << 30;

/// Ours: building a jail takes milliseconds; a machine that needs longer has a problem.
pub(crate) const JAIL_BUILT: Duration = Duration::from_secs(10);

/// Ours: users of the host that jails of a root server run as, above those that container managers
/// give out by default.
pub(crate) const JAIL_FIRST_USER: u32 = 0x7000_0000;

/// Ours: more than there are processes, so that no two that live share one.
pub(crate) const JAIL_USERS: u32 = 4096;

/// Ours: memory of a jail's init.
pub(crate) const INIT_BYTES: u64 = 32 * 1024 * 1024;

/// Ours: the init's processes and threads.
pub(crate) const INIT_PROCESSES: u32 = 16;

/// AWS: a function has one processor for each 1,769 MB of memory (Lambda developer guide, memory).
/// Ours: never less than one, because a start takes longer than on AWS otherwise.
pub(crate) const MB_PER_CPU: u32 = 1769;

/// The kernel's default.
pub(crate) const CPU_PERIOD_MICROS: u64 = 100_000;

/// Linux: links that one path may lead through.
pub(crate) const LINKS: usize = 40;

/// Ours: before a jail's cgroup is removed again that was not yet empty; doubled each time.
pub(crate) const CGROUP_PAUSE: Duration = Duration::from_millis(1);

/// Ours: the longest such pause. What has not ended then is stuck in the kernel.
pub(crate) const CGROUP_PATIENCE: Duration = Duration::from_secs(60);

/// Ours: how often idle processes are looked at for their memory and their age.
pub(crate) const IDLE_WATCH: Duration = Duration::from_secs(1);

/// Ours: listeners of one jail, which travel in one message (Linux: at most 253 descriptors).
pub(crate) const JAIL_LISTENERS: usize = 64;

/// Ours: hosts that one process may have looked up.
pub(crate) const JAIL_NAMES: usize = 4096;

/// Ours: for a function's connection to a host, the look-up of its name included. Below the 60 s
/// that most clients wait.
pub(crate) const GATE_CONNECT: Duration = Duration::from_secs(15);

/// Ours: before connections are accepted again after that failed.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// AWS: file descriptors of one execution environment (Lambda quotas) bound its connections.
pub(crate) const FUNCTION_CONNECTIONS: usize = 1024;

/// Ours: what one call may send and receive beyond Craton, in MB.
pub(crate) const FUNCTION_TRAFFIC_MB: u64 = 1024;
