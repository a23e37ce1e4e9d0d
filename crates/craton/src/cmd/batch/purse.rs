//! What a batch may spend: each record's most is held before it is sent, and given back for what it cost.
//!
//! It never lets two records under way come to more than is left, and never waits where nothing is
//! under way that could give anything back.

use std::cell::Cell;

use craton_core::cost::Money;
use tokio::sync::Notify;

pub(super) struct Purse {
    most: Money,
    spent: Cell<Money>,
    held: Cell<Money>,
    given_back: Notify,
}

impl Purse {
    pub(super) fn new(most: Money) -> Purse {
        let (spent, held) = (Cell::default(), Cell::default());
        Purse { most, spent, held, given_back: Notify::new() }
    }

    /// Holds what a record may cost; `Err` says what is left where that is too little.
    pub(super) async fn hold(&self, cost: Money) -> Result<(), Money> {
        loop {
            let given_back = self.given_back.notified();
            let left = self.most - self.spent.get() - self.held.get();
            if cost <= left {
                self.held.set(self.held.get() + cost);
                return Ok(());
            }
            if self.held.get() == Money::ZERO {
                return Err(left);
            }
            given_back.await;
        }
    }

    /// What a record cost that held so much.
    pub(super) fn settle(&self, held: Money, cost: Money) {
        self.held.set(self.held.get() - held);
        self.spent.set(self.spent.get() + cost);
        self.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_record_waits_for_those_under_way_and_is_refused_where_nothing_comes_back() {
        let dollars = |n: i64| Money(Money::DOLLAR.0 * n);
        let purse = Purse::new(dollars(10));
        let hold = |n| purse.hold(dollars(n)).now_or_never();
        assert_eq!(hold(6), Some(Ok(())));
        assert_eq!(hold(4), Some(Ok(())));
        assert_eq!(hold(1), None, "it waits");
        purse.settle(dollars(6), dollars(1));
        assert_eq!(hold(5), Some(Ok(())), "five of the six came back");
        purse.settle(dollars(4), dollars(4));
        purse.settle(dollars(5), dollars(3));
        assert_eq!(hold(3), Some(Err(dollars(2))), "eight are spent");
        assert_eq!(hold(2), Some(Ok(())));
    }
}
