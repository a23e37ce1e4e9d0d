//! A second, equal request when the first one's reply is slow to begin. Off unless a model's entry
//! says after how long. The first reply counts, the other request is cancelled; both are attempts.
//!
//! A hedge is one of the provider's repeats: where all are slow, few are asked twice.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either};
use llm::{ModelError, Resolved};
use wire::converse::Call;

use super::account::Account;
use super::chain::{self, Begun};
use super::gate::Room;
use crate::Inner;

/// The reply that began first, and whether another attempt was made that may be billed too.
pub(super) async fn begin(
    inner: &Inner,
    account: &mut Account,
    call: &mut Call,
    (resolved, provisioned): (&Resolved, Option<&str>),
) -> (Result<Begun, ModelError>, bool) {
    let doors = &inner.gateway.doors;
    let after = resolved.rule.as_ref().and_then(|(_, rule)| rule.hedge_after_ms);
    let Some(after) = after else { return (chain::begin(resolved, call).await, false) };
    let mut copy = call.clone();
    let mut first = pin!(chain::begin(resolved, call));
    let slow = tokio::time::sleep(Duration::from_millis(after));
    if let Either::Left((begun, _)) = future::select(&mut first, pin!(slow)).await {
        return (begun, false);
    }
    let spare = || doors.provider(resolved).is_none_or(|door| door.spare.take(inner.clock.now()));
    let room = if account.affords(2) && spare() {
        room(inner, &copy, resolved, provisioned)
    } else {
        None
    };
    let Some(mut room) = room else { return (first.await, false) };
    room.use_up();
    account.under_way += 1;
    account.conduct.attempts += 1;
    account.conduct.hedged = true;
    let second = pin!(chain::begin(resolved, &mut copy));
    let begun = match future::select(first, second).await {
        // The other is cut off where it is.
        Either::Left((Ok(begun), _)) | Either::Right((Ok(begun), _)) => (Ok(begun), true),
        Either::Left((Err(error), other)) | Either::Right((Err(error), other)) => {
            account.under_way -= u32::from(!error.may_be_billed);
            (other.await, error.may_be_billed)
        }
    };
    // One of the two is over: its place is free, what it drew of the minute is used.
    room.stand_back();
    account.room.join(room);
    begun
}

/// A second request takes no room that it would have to wait for.
fn room(
    inner: &Inner,
    call: &Call,
    resolved: &Resolved,
    provisioned: Option<&str>,
) -> Option<Room> {
    let mut room = Room::default();
    let mut gates = inner.gateway.doors.of_model(resolved, provisioned);
    let entered = gates.all(|gate| {
        let tokens = if gate.counts_tokens() { chain::estimate(call) } else { 0 };
        room.enter_now(gate, tokens, inner.clock.now())
    });
    entered.then_some(room)
}
