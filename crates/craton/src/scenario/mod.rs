//! Scenarios: what an agent is asked, which calls it should make, what it should answer, what that
//! may cost. `craton test` plays them, `craton bench models` plays them on several models.
//!
//! `file` reads them, `tools` looks for names that no tool has, `cast` finds or makes their agents on a `stage`, `play` speaks with the agents,
//! `observed` reads what they did from their journals, `matcher`, `calls` and `answer` compare. All
//! but `cassette`, `cast`, `judge`, `play` and `stage` is pure. `cassette` holds the same scenarios against
//! recorded runs.

pub(crate) mod answer;
pub(crate) mod calls;
pub(crate) mod cassette;
pub(crate) mod cast;
pub(crate) mod file;
mod hand_off;
mod judge;
pub(crate) mod limits;
mod matcher;
pub(crate) mod observed;
pub(crate) mod play;
mod simulated;
pub(crate) mod stage;
mod tools;

use std::sync::Mutex;

use futures_util::StreamExt as _;
use futures_util::stream;

use self::cast::Cast;
use self::file::Suite;
use self::play::{Outcome, Played, Player};
use crate::telemetry::aside;

/// What a mapping says. Any list would pass for the members of a struct in their order.
fn members<T: serde::de::DeserializeOwned>(given: &serde_json::Value) -> Result<T, String> {
    match given.is_object() {
        true => {
            serde::Deserialize::deserialize(given).map_err(|e: serde_json::Error| e.to_string())
        }
        false => Err(format!("{} is no mapping", observed::short(&given.to_string()))),
    }
}

/// What the ids of the embedded models begin with.
const OWN: &str = "craton.";

/// The embedded model that answered in the place of another, as in development for any id.
pub(crate) fn stand_in(model: &str, all: &[Played]) -> Option<String> {
    let mut turns = all.iter().flat_map(|one| &one.turns);
    if model.starts_with(OWN) { None } else { turns.find_map(|turn| turn.embedded.clone()) }
}

/// For the person at the terminal.
pub(crate) fn not_asked(model: &str, stand_in: &str) -> String {
    format!(
        "{model} was not asked: {OWN}{stand_in} answered for it; map it to a provider in craton.toml"
    )
}

/// How scenarios are played.
pub(crate) struct Plan<'a> {
    pub(crate) judge: Option<&'a str>,
    /// Scenarios under way at once.
    pub(crate) at_once: usize,
    /// Dollars, after which no scenario begins.
    pub(crate) max_cost: Option<f64>,
    /// Whether agents that were made are deleted: the server is somebody's.
    pub(crate) leave: bool,
}

/// Gathers the cast, plays all scenarios with it, and takes away what was made for them on a server that
/// goes on, however that ends. `None` if somebody interrupted it.
pub(crate) async fn perform(
    client: &crate::client::Client,
    suites: &[Suite],
    model: Option<&str>,
    plan: &Plan<'_>,
    tell: &dyn Fn(&Played),
) -> Result<Option<Vec<Played>>, String> {
    let mut cast = Cast::default();
    let played = {
        let playing = async {
            cast.gather(client, suites, model).await?;
            Ok(play_all(client, suites, &cast, plan, tell).await)
        };
        tokio::select! {
            played = playing => played.map(Some),
            () = crate::cmd::interrupted() => Ok(None),
        }
    };
    if plan.leave {
        cast.leave(client).await.iter().for_each(|why| aside(why));
    }
    played
}

/// Plays all scenarios. `tell` hears of each as it ends; they come back in the order of their files.
async fn play_all(
    client: &crate::client::Client,
    suites: &[Suite],
    cast: &Cast,
    plan: &Plan<'_>,
    tell: &dyn Fn(&Played),
) -> Vec<Played> {
    let spent = Mutex::new(0.0);
    let player = Player { client, judge: plan.judge };
    let all = suites.iter().flat_map(|suite| suite.scenarios.iter().map(move |one| (suite, one)));
    let playing = all.map(|(suite, scenario)| {
        let (player, spent) = (&player, &spent);
        async move {
            let so_far = *spent.lock().expect("nobody panics while it is held");
            let played = match plan.max_cost.filter(|most| so_far >= *most) {
                Some(most) => {
                    let why = format!("${so_far:.6} are spent, --max-cost is ${most}");
                    Played::new(&suite.name, scenario, Outcome::Skipped(why))
                }
                None => {
                    let target = cast.target(suite, &scenario.agent);
                    player.play(&suite.name, scenario, target).await
                }
            };
            *spent.lock().expect("nobody panics while it is held") += played.usage.usd;
            tell(&played);
            played
        }
    });
    // `buffered` keeps their order, and at most so many are under way.
    stream::iter(playing).buffered(plan.at_once).collect().await
}
