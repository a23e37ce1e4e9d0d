//! The bills of all policies, for the shipped mix of tasks and for others.
//!
//! How many tasks of a real workload are hard is nobody's figure to know from here, and the ratio of
//! two policies hangs on it. So it is given for several shares, with the share up to which the goal
//! holds.

use std::collections::BTreeSet;

use craton_core::cost::Prices;
use serde_json::json;

use super::play::{Name, Played};
use super::policy::{self, Policy};
use super::price::{Bill, Task, bill};
use crate::Error;
use crate::limits::SHARES;

/// What routed tasks may cost of the medium model alone.
const GOAL: f64 = 0.30;

pub(super) struct Bills(Vec<Row>);

struct Row {
    policy: &'static str,
    shipped: Bill,
    /// Dollars of 1,000 everyday tasks, and of 1,000 hard ones.
    each: (f64, f64),
}

impl Bills {
    pub(super) fn of(
        all: &[(Policy, Played)],
        hard: &BTreeSet<Name>,
        prices: &Prices,
    ) -> Result<Bills, Error> {
        let row = |(policy, played): &(Policy, Played)| {
            let tasks = played.tasks.iter().filter(|(_, task)| task.len() > 1);
            let (hard, everyday): (Vec<_>, Vec<_>) =
                tasks.clone().partition(|(name, _)| hard.contains(*name));
            let dollars = |tasks: &[(&Name, &Task)]| {
                let tasks: Vec<&Task> = tasks.iter().map(|(_, task)| *task).collect();
                bill(&tasks, policy, prices).map(|bill| bill.total.dollars())
            };
            let shipped: Vec<&Task> = tasks.map(|(_, task)| task).collect();
            let shipped = bill(&shipped, policy, prices)?;
            let each = (dollars(&everyday)?, dollars(&hard)?);
            Ok(Row { policy: policy.name, shipped, each })
        };
        all.iter().map(row).collect::<Result<_, Error>>().map(Bills)
    }

    fn row(&self, name: &str) -> Result<&Row, Error> {
        let found = self.0.iter().find(|row| row.policy == name);
        found.ok_or_else(|| format!("no policy {name}").into())
    }
}

impl Row {
    /// Dollars of 1,000 tasks of which so many are hard.
    fn at(&self, share: f64) -> f64 {
        self.each.0 * (1.0 - share) + self.each.1 * share
    }
}

/// The shape that the goal is written in, with all on the medium model as 120.
pub(super) fn report(bills: &Bills, list: &str, prices: &Prices) -> Result<(), Error> {
    let (large, medium) = (bills.row(policy::LARGE)?, bills.row(policy::MEDIUM)?);
    for row in &bills.0 {
        let ratios = SHARES.map(|percent| {
            let share = f64::from(percent) / 100.0;
            (format!("{percent}%"), row.at(share) / medium.at(share))
        });
        let line = json!({
            "bench": "routing-bill", "prices": list, "as_of": prices.as_of, "policy": row.policy,
            "shipped": row.shipped.json(),
            "everyday": row.each.0, "hard": row.each.1,
            "of_medium_by_share_of_hard_tasks": ratios.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "goal_holds_to_share": holds_to(row, medium),
        });
        println!("{line}");
    }
    let whole = |row: &Row| row.shipped.total.dollars();
    for row in bills.0.iter().filter(|row| row.policy.starts_with(policy::ROUTED)) {
        let (name, ratio) = (row.policy, whole(row) / whole(medium));
        let above = whole(large) / whole(medium) * 120.0;
        println!("SHAPE {list}: large : medium : {name} = {above:.0} : 120 : {:.1}", ratio * 120.0);
        println!("RATIO {list}: {name}/medium={ratio:.3}");
    }
    Ok(())
}

/// The largest share of hard tasks at which a policy keeps to the goal. `None` if not even at none.
fn holds_to(row: &Row, medium: &Row) -> Option<f64> {
    let over = |share: f64| row.at(share) - GOAL * medium.at(share);
    let (none, all) = (over(0.0), over(1.0));
    if none > 0.0 {
        return None;
    }
    // It is a straight line.
    Some(if all <= 0.0 { 1.0 } else { none / (none - all) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(everyday: f64, hard: f64) -> Row {
        Row { policy: "p", shipped: Bill::default(), each: (everyday, hard) }
    }

    #[test]
    fn the_goal_holds_up_to_the_share_at_which_the_line_crosses_it() {
        let medium = row(10.0, 20.0);
        // At 10 %: 0.9 · 2.5 + 0.1 · 10.5 = 3.3, which is 0.30 of 11.
        let found = holds_to(&row(2.5, 10.5), &medium).unwrap();
        assert!((found - 0.1).abs() < 1e-12, "{found}");
        assert_eq!(holds_to(&row(4.0, 1.0), &medium), None);
        assert_eq!(holds_to(&row(1.0, 1.0), &medium), Some(1.0));
    }
}
