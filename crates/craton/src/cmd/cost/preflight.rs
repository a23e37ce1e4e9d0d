//! `craton cost preflight`: tokens, dollars and time of an agent's next turns, before any begins.

use clap::Args as Flags;
use craton_core::cost::Money;
use serde_json::Value as Json;

use super::super::trace;
use super::{Done, aligned, exact};
use crate::endpoint::Endpoint;
use crate::telemetry::say;

#[derive(Flags)]
pub(super) struct Args {
    /// The agent's id.
    agent: String,
    /// The alias's id. Default: the working draft.
    #[arg(long, value_name = "ID")]
    alias: Option<String>,
    /// What is asked.
    #[arg(long, value_name = "TEXT")]
    input: Option<String>,
    /// How many turns.
    #[arg(long, value_name = "N", default_value_t = 1)]
    interactions: u64,
    /// Refuse, by the exit code, what may cost more dollars than these.
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<Money>,
    /// The forecast as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

pub(super) fn run(args: &Args) -> Done {
    let path = path(args);
    let answer = super::super::wait_for(async {
        args.endpoint.client("bedrock-agent-runtime")?.get("craton", &path).await
    })?;
    match args.json {
        true => say(&trace::json(&answer)),
        false => lines(&answer).iter().for_each(|line| say(line)),
    }
    match (args.max_cost, exact(&answer["cost"][2])) {
        (Some(_), None) => Err(format!(
            "what turns of {} cost is not known: the price file has no model {}; add it by `prices` in \
             craton.toml (CR0041)",
            args.agent,
            answer["model"].as_str().unwrap_or_default()
        )),
        (most, highest) => within(most, highest.unwrap_or_default(), "this"),
    }
}

/// Refuses what may cost more than is allowed.
pub(super) fn within(most: Option<Money>, cost: Money, what: &str) -> Done {
    match most.filter(|most| cost > *most) {
        Some(most) => Err(format!("{what} may cost {cost}, more than --max-cost {most} (CR0041)")),
        None => Ok(()),
    }
}

fn path(args: &Args) -> String {
    let mut path =
        format!("/_craton/v1/cost/forecast?agent={}", super::super::escaped(&args.agent));
    for (name, value) in [("alias", &args.alias), ("input", &args.input)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", super::super::escaped(value)));
        }
    }
    path + &format!("&interactions={}", args.interactions)
}

fn lines(answer: &Json) -> Vec<String> {
    let model = answer["model"].as_str().unwrap_or_default();
    let basis = match answer["basis"].as_str() {
        Some("history") => format!("from the last {} turns", answer["turns"]),
        _ => "from its configuration, because too few turns were seen".to_owned(),
    };
    let heads = ["", "LOW", "LIKELY", "HIGH"].map(str::to_owned).to_vec();
    let row = |name: &str, shown: &dyn Fn(&Json) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend((0..3).map(|at| shown(&answer[name][at])));
        row
    };
    let number = |value: &Json| value.as_u64().map_or("unknown".to_owned(), |n| n.to_string());
    let money = |value: &Json| exact(value).map_or("unknown".to_owned(), |sum| sum.to_string());
    let rows = [heads, row("tokens", &number), row("cost", &money), row("millis", &number)];
    let turns = match answer["interactions"].as_u64() {
        Some(1) => "1 turn".to_owned(),
        many => format!("{} turns", many.unwrap_or_default()),
    };
    let mut lines = vec![format!("{turns} with {model}, {basis}")];
    lines.extend(aligned(&rows));
    let assumed = answer["assumed"].as_array().into_iter().flatten().filter_map(Json::as_str);
    lines.extend(assumed.map(|what| format!("- {what}")));
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_forecast_is_an_interval_and_says_what_it_does_not_know() {
        let known = json!({"model": "m", "basis": "history", "turns": 9, "interactions": 2,
            "tokens": [10, 20, 30], "cost": [0.001, 0.002, 0.5], "millis": [5, 6, 7],
            "assumed": ["turns as the last ones"]});
        expect![[r#"
            2 turns with m, from the last 9 turns
                       LOW  LIKELY   HIGH
            tokens      10      20     30
            cost    $0.001  $0.002  $0.50
            millis       5       6      7
            - turns as the last ones"#]]
        .assert_eq(&lines(&known).join("\n"));
        let unknown = json!({"model": "m", "basis": "configuration", "turns": 0, "interactions": 1,
            "tokens": [10, 20, 30], "cost": null, "millis": [0, 9, 99]});
        expect![[r#"
            1 turn with m, from its configuration, because too few turns were seen
                        LOW   LIKELY     HIGH
            tokens       10       20       30
            cost    unknown  unknown  unknown
            millis        0        9       99"#]]
        .assert_eq(&lines(&unknown).join("\n"));
    }

    #[test]
    fn what_may_cost_more_than_is_allowed_is_refused() {
        let most = |text: &str| text.parse::<Money>().ok();
        assert_eq!(within(most("20"), Money::DOLLAR, "this"), Ok(()));
        assert_eq!(within(None, Money::DOLLAR, "this"), Ok(()));
        expect!["this may cost $1.00, more than --max-cost $0.50 (CR0041)"]
            .assert_eq(&within(most("0.5"), Money::DOLLAR, "this").expect_err("refused"));
    }
}
