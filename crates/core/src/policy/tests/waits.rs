//! Pauses, rates and time-outs.

use core::time::Duration;

use proptest::prelude::*;

use crate::policy::Retry;
use crate::policy::rate::Pace;
use crate::policy::timing::Recent;

proptest! {
    /// `min(uniform(0, base·2ⁿ), max)`: as much of the draws lies below a pause as that says.
    #[test]
    fn pauses_have_full_jitter(
        base in 0.1f64..5.0, max in 0.5f64..20.0, done in 1u32..6, seed in any::<u64>(),
    ) {
        let retry = Retry { attempts: 3, base_seconds: base, max_seconds: max };
        let longest = base * 2f64.powi(i32::try_from(done).unwrap() - 1);
        // Evenly spread draws, from anywhere.
        let draws = (0..1_000u64).map(|n| seed.wrapping_add(n.wrapping_mul(u64::MAX / 1_000)));
        let mut pauses: Vec<f64> =
            draws.map(|draw| retry.pause(done, draw).as_secs_f64()).collect();
        pauses.sort_by(f64::total_cmp);
        for (rank, pause) in pauses.iter().enumerate() {
            let expected = (longest * rank as f64 / 1_000.0).min(max);
            prop_assert!((pause - expected).abs() <= longest / 400.0, "{rank}: {pause} {expected}");
        }
    }

    /// However calls come: never more than a second's worth at once, nor more than the rate.
    #[test]
    fn a_rate_holds_over_every_stretch(
        rate in 0.5f64..50.0, gaps in prop::collection::vec(0i64..300, 1..200),
    ) {
        let (mut pace, mut now, mut begun) = (Pace::default(), 0, Vec::new());
        for gap in gaps {
            now += gap;
            if let Some(wait) = pace.admit(rate, now, Duration::from_secs(2)) {
                begun.push(now as f64 + wait.as_secs_f64() * 1000.0);
            }
        }
        for (at, first) in begun.iter().enumerate() {
            for (later, last) in begun.iter().enumerate().skip(at) {
                let (calls, seconds) = ((later - at + 1) as f64, (last - first) / 1000.0);
                prop_assert!(calls <= rate.max(1.0) + seconds * rate + 1.0);
            }
        }
    }
}

#[test]
fn a_tool_that_asks_for_time_gets_it_unless_that_is_too_long() {
    let retry = Retry::default();
    let wanted = |seconds| retry.pause_after(1, u64::MAX, Some(Duration::from_secs(seconds)));
    assert_eq!(wanted(7), Some(Duration::from_secs(7)));
    assert_eq!(wanted(0).map(|pause| pause.as_secs_f64().round()), Some(1.0));
    assert_eq!(wanted(11), None);
}

#[test]
fn a_call_that_would_wait_too_long_has_no_turn_and_takes_none() {
    let mut pace = Pace::default();
    let mut ask = |now, patience| pace.admit(0.5, now, Duration::from_secs(patience));
    assert_eq!(ask(0, 0), Some(Duration::ZERO));
    assert_eq!(ask(0, 1), None);
    assert_eq!(ask(0, 2), Some(Duration::from_secs(2)));
    assert_eq!(ask(4_000, 0), Some(Duration::ZERO));
}

#[test]
fn a_time_out_follows_the_slowest_of_a_hundred_within_its_bounds() {
    let cap = Duration::from_secs(3);
    let limit = |count: u32, millis: u64, slow: u64| {
        let mut recent = Recent::default();
        (0..count).for_each(|_| recent.note(Duration::from_millis(millis)));
        (0..2).for_each(|_| recent.note(Duration::from_millis(slow)));
        recent.limit(cap).as_millis()
    };
    assert_eq!(limit(20, 50, 50), 3_000, "too few to say");
    assert_eq!(limit(98, 50, 400), 1_200, "three times the 99th of a hundred");
    assert_eq!(limit(98, 5, 6), 500, "never below the floor");
    assert_eq!(limit(98, 50, 2_000), 3_000, "never above the cap");
    assert_eq!(limit(1_000, 900, 900), 2_700, "the oldest are forgotten");
}
