//! Configurations that come with their requests.

use std::time::Duration;

use super::Bench;
use crate::record::Pinned;
use crate::sim::world::config;
use crate::upkeep;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn described(instruction: &str) -> Pinned {
    let mut config = config();
    config.instruction = instruction.to_owned();
    Pinned { config }
}

async fn is_there(bench: &Bench, digest: &str) -> bool {
    upkeep::clear(&bench.engine.0, bench.engine.now()).await.expect("a store");
    bench.store.get::<Pinned>(&bench.tenant, digest).await.expect("a store").is_some()
}

#[tokio::test(start_paused = true)]
async fn one_that_is_used_stays_and_one_that_is_not_goes_once_no_run_can_name_it() {
    let bench = Bench::new(&[]).await;
    let (used, left) = (described("used"), described("left"));
    let keep =
        async |pinned: &Pinned| bench.engine.keep(&bench.tenant, pinned).await.expect("kept");
    let (used_digest, left_digest) = (keep(&used).await, keep(&left).await);
    for _ in 0..60 {
        tokio::time::advance(DAY).await;
        assert_eq!(keep(&used).await, used_digest);
    }
    // A hand-off may have waited for thirty days, and what came of it is shown for thirty more.
    assert!(is_there(&bench, &left_digest).await);
    tokio::time::advance(2 * DAY).await;
    assert!(!is_there(&bench, &left_digest).await && is_there(&bench, &used_digest).await);
}
