//! Whom the person means: an agent and one of its aliases, each by name or id.
//!
//! It reads AWS's own lists. A name that fits nothing, or several, is an error that says what
//! there is.

use serde_json::{Value as Json, json};

use super::limits::NAMES_SHOWN;
use crate::client::Client;

/// AWS: the alias that every agent has, which leads to its prepared draft (user guide, "Test and
/// troubleshoot agent behavior").
const TEST_ALIAS: &str = "TSTALIASID";
/// Above this likeness (Jaro-Winkler) a name may have been meant.
const NEAR: f64 = 0.75;

/// An agent behind an alias.
#[derive(Debug)]
pub(crate) struct Partner {
    pub(crate) name: String,
    pub(crate) agent_id: String,
    pub(crate) alias_id: String,
    /// In words.
    pub(crate) alias_name: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Named {
    id: String,
    name: String,
}

pub(crate) async fn find(
    client: &Client,
    agent: &str,
    alias: Option<&str>,
) -> Result<Partner, String> {
    let names = ["agentSummaries", "agentId", "agentName"];
    let agents = list(client, "ListAgents", json!({}), names).await?;
    let found = choose("agent", agent, &agents)?;
    let partner = |alias_id: &str, alias_name| Partner {
        name: found.name.clone(),
        agent_id: found.id.clone(),
        alias_id: alias_id.to_owned(),
        alias_name,
    };
    let Some(alias) = alias.filter(|alias| *alias != TEST_ALIAS) else {
        return Ok(partner(TEST_ALIAS, "its prepared draft".to_owned()));
    };
    let names = ["agentAliasSummaries", "agentAliasId", "agentAliasName"];
    let of = json!({"agentId": found.id});
    let aliases = list(client, "ListAgentAliases", of, names).await?;
    let chosen = choose("alias", alias, &aliases)?;
    Ok(partner(&chosen.id, format!("alias {}", chosen.name)))
}

async fn list(
    client: &Client,
    operation: &str,
    of: Json,
    [member, id, name]: [&str; 3],
) -> Result<Vec<Named>, String> {
    let listed = client.list(operation, of, member).await.map_err(|failure| failure.coded())?;
    let text = |one: &Json, field| one[field].as_str().unwrap_or_default().to_owned();
    Ok(listed.iter().map(|one| Named { id: text(one, id), name: text(one, name) }).collect())
}

/// The one that is meant: by id, by name, or by the only name that differs in case alone.
fn choose<'a>(kind: &str, wanted: &str, all: &'a [Named]) -> Result<&'a Named, String> {
    if let Some(exact) = all.iter().find(|one| one.id == wanted) {
        return Ok(exact);
    }
    let by_name = |same: fn(&str, &str) -> bool| -> Vec<&Named> {
        all.iter().filter(|one| same(&one.name, wanted)).collect()
    };
    for same in [|a: &str, b: &str| a == b, |a: &str, b: &str| a.eq_ignore_ascii_case(b)] {
        match by_name(same).as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let shown = shown(several.iter().copied());
                return Err(format!(
                    "{wanted} may be any of these: {shown}; give the {kind}'s id (CR0029)"
                ));
            }
        }
    }
    Err(not_found(kind, wanted, all))
}

fn not_found(kind: &str, wanted: &str, all: &[Named]) -> String {
    if all.is_empty() {
        let deploy = if kind == "agent" { "; `craton deploy FILE` makes one" } else { "" };
        let place = "in the account and region of this shell's AWS_ variables";
        return format!("there is no {kind} {wanted}, nor any other {place}{deploy} (CR0029)");
    }
    let lower = wanted.to_lowercase();
    let likeness = |one: &Named| {
        let name = one.name.to_lowercase();
        let inside = !lower.is_empty() && name.contains(&lower);
        if inside { 1.0 } else { strsim::jaro_winkler(&name, &lower) }
    };
    let mut near: Vec<(f64, &Named)> = all.iter().map(|one| (likeness(one), one)).collect();
    near.retain(|(likeness, _)| *likeness >= NEAR);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    if near.is_empty() {
        return format!("there is no {kind} {wanted}; there are: {} (CR0029)", shown(all.iter()));
    }
    let near = near.into_iter().map(|(_, one)| one);
    format!("there is no {kind} {wanted}; did you mean {}? (CR0029)", shown(near))
}

fn shown<'a>(all: impl Iterator<Item = &'a Named>) -> String {
    let mut names: Vec<String> = all.map(|one| format!("{} ({})", one.name, one.id)).collect();
    let more = names.len().saturating_sub(NAMES_SHOWN);
    names.truncate(NAMES_SHOWN);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(wanted: &str, expected: &Expect) {
        let ids = ["AAAAAAAAAA", "BBBBBBBBBB", "CCCCCCCCCC", "DDDDDDDDDD"];
        let names = ["support", "Support-EU", "weather", "Weather"];
        let all: Vec<Named> = ids
            .iter()
            .zip(names)
            .map(|(id, name)| Named { id: (*id).to_owned(), name: name.to_owned() })
            .collect();
        let said = choose("agent", wanted, &all).map_or_else(|why| why, |one| one.id.clone());
        expected.assert_eq(&said);
    }

    #[test]
    fn an_id_an_exact_name_and_the_only_near_one_are_chosen() {
        check("CCCCCCCCCC", &expect!["CCCCCCCCCC"]);
        check("support", &expect!["AAAAAAAAAA"]);
        check("Weather", &expect!["DDDDDDDDDD"]);
        check("support-eu", &expect!["BBBBBBBBBB"]);
    }

    #[test]
    fn what_fits_several_or_none_is_an_error_that_names_them() {
        check(
            "WEATHER",
            &expect![
                "WEATHER may be any of these: weather (CCCCCCCCCC), Weather (DDDDDDDDDD); give the agent's id (CR0029)"
            ],
        );
        check(
            "suport",
            &expect![
                "there is no agent suport; did you mean support (AAAAAAAAAA), Support-EU (BBBBBBBBBB)? (CR0029)"
            ],
        );
        check(
            "",
            &expect![
                "there is no agent ; there are: support (AAAAAAAAAA), Support-EU (BBBBBBBBBB), weather (CCCCCCCCCC), Weather (DDDDDDDDDD) (CR0029)"
            ],
        );
        check(
            "zzz",
            &expect![
                "there is no agent zzz; there are: support (AAAAAAAAAA), Support-EU (BBBBBBBBBB), weather (CCCCCCCCCC), Weather (DDDDDDDDDD) (CR0029)"
            ],
        );
    }
}
