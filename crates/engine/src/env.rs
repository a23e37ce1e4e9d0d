//! The two things a run may read from outside: the time and fresh ids.
//!
//! INVARIANT: nothing that a run's events depend on reads another clock or draws another random
//! number. Simulations replace both and get the same run from the same seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub trait Clock: Send + Sync {
    fn now(&self) -> i64;
}

/// Unique ids: sortable by time of making, in the form of a UUID.
pub trait Ids: Send + Sync {
    fn fresh(&self) -> String;

    /// Text that nobody can guess, for whoever has to show that it was given to them.
    fn secret(&self) -> String;

    /// 64 bits to spread things with, such as pauses; never a secret.
    fn draw(&self) -> u64 {
        // FNV-1a, then the finaliser of SplitMix64, so that the high bits depend on every byte.
        let spread = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = self.fresh().bytes().fold(0xcbf2_9ce4_8422_2325, spread);
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

/// The machine's clock and the kernel's randomness.
#[derive(Debug, Default)]
pub struct System {
    drawn: AtomicU64,
}

impl Clock for System {
    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Ids for System {
    /// A UUID of version 7 (RFC 9562): 48 bits of time, then a counter and random bits, so that
    /// ids made later sort later within this process.
    fn fresh(&self) -> String {
        let millis = u64::try_from(self.now()).unwrap_or(0);
        let count = self.drawn.fetch_add(1, Ordering::Relaxed) & 0xfff;
        let random = random();
        format!(
            "{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
            millis >> 16,
            millis & 0xffff,
            count,
            0x8000 | (random >> 50),
            random & 0xffff_ffff_ffff
        )
    }

    fn secret(&self) -> String {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the kernel has random bytes once the machine is up");
        bytes.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

/// 64 random bits from the standard library's per-thread keys, hashed with a counter.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static DRAWS: AtomicU64 = AtomicU64::new(0);
    thread_local!(static KEYS: RandomState = RandomState::new());
    KEYS.with(|keys| keys.hash_one(DRAWS.fetch_add(1, Ordering::Relaxed)))
}
