//! Which tool calls a turn should make, held against those it made.
//!
//! Pure. A call that was refused before it was made (unknown tool, arguments that do not fit the
//! schema, a policy) is no call: it fits nothing that is expected, and nothing that is forbidden.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::matcher::Matcher;
use super::members;
use super::observed::{Call, short};

/// The calls of a turn.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) calls: Vec<Wanted>,
    /// In this order; else in any.
    pub(crate) ordered: bool,
    /// Calls beside these are no failure.
    pub(crate) others: bool,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) tool: String,
    /// The collaborator that makes it.
    agent: Option<String>,
    arguments: Vec<(String, Matcher)>,
    /// No argument beside these.
    only: bool,
    times: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    tool: String,
    agent: Option<String>,
    #[serde(default)]
    arguments: Map<String, Json>,
    #[serde(default)]
    only: bool,
    times: Option<usize>,
}

impl Wanted {
    /// `get_order`, `{get_order: {order_id: A-1}}` or all of it by its names.
    pub(crate) fn read(given: &Json) -> Result<Wanted, String> {
        let written = match given {
            Json::String(tool) => Written::of(tool, Map::new()),
            Json::Object(members) if !members.contains_key("tool") => {
                let mut each = members.iter();
                let (Some((tool, arguments)), None) = (each.next(), each.next()) else {
                    return Err(format!("{given} is no call; write `TOOL: {{ARGUMENT: VALUE}}`"));
                };
                let arguments = match arguments {
                    Json::Null => Map::new(),
                    Json::Object(arguments) => arguments.clone(),
                    other => return Err(format!("{tool}: {other} are no arguments")),
                };
                Written::of(tool, arguments)
            }
            other => members::<Written>(other)?,
        };
        if written.times == Some(0) {
            return Err(format!("{}: zero times is what `never` says", written.tool));
        }
        let arguments = written.arguments.iter().map(|(name, wanted)| {
            let read = Matcher::read(wanted);
            let read = read.map_err(|why| format!("{}: {name}: {why}", written.tool));
            read.map(|matcher| (name.clone(), matcher))
        });
        Ok(Wanted {
            arguments: arguments.collect::<Result<_, _>>()?,
            tool: written.tool,
            agent: written.agent,
            only: written.only,
            times: written.times.unwrap_or(1),
        })
    }

    fn is_of(&self, call: &Call) -> bool {
        call.is(&self.tool) && self.agent.as_ref().is_none_or(|agent| call.agent == *agent)
    }

    /// Nothing if the call is this one.
    fn against(&self, call: &Call) -> Result<(), String> {
        for (name, matcher) in &self.arguments {
            let value = call.arguments.get(name);
            matcher.against(value).map_err(|why| format!("{name}: {why}"))?;
        }
        let named = |name: &String| self.arguments.iter().any(|(known, _)| known == name);
        let more = call.arguments.as_object().into_iter().flat_map(Map::keys).find(|n| !named(n));
        match more.filter(|_| self.only) {
            Some(more) => Err(format!("{more} should not be given")),
            None => Ok(()),
        }
    }
}

impl Written {
    fn of(tool: &str, arguments: Map<String, Json>) -> Written {
        Written { tool: tool.to_owned(), agent: None, arguments, only: false, times: None }
    }
}

/// How well the calls of a turn were what they should be, for accuracy over many.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Score {
    /// Calls that should be made.
    pub(crate) wanted: usize,
    /// Of these, made under the right name.
    pub(crate) named: usize,
    /// Of these, with the right arguments.
    pub(crate) right: usize,
    /// Calls that should not have been made.
    pub(crate) beside: usize,
    /// Turns with an expectation of their answer, and those whose answer was so.
    pub(crate) answers: usize,
    pub(crate) answers_right: usize,
}

impl Score {
    pub(crate) fn add(&mut self, other: &Score) {
        self.wanted += other.wanted;
        self.named += other.named;
        self.right += other.right;
        self.beside += other.beside;
        self.answers += other.answers;
        self.answers_right += other.answers_right;
    }
}

impl Expected {
    /// What is wrong, and the score.
    pub(crate) fn against(&self, made: &[&Call]) -> (Vec<String>, Score) {
        let wanted: Vec<&Wanted> =
            self.calls.iter().flat_map(|one| std::iter::repeat_n(one, one.times)).collect();
        let fits =
            |w: usize, m: usize| wanted[w].is_of(made[m]) && wanted[w].against(made[m]).is_ok();
        let right = pair(wanted.len(), made.len(), &fits);
        let open: Vec<usize> = (0..wanted.len()).filter(|w| right[*w].is_none()).collect();
        let free: Vec<usize> = (0..made.len()).filter(|m| !right.contains(&Some(*m))).collect();
        let same_name = |o: usize, f: usize| wanted[open[o]].is_of(made[free[f]]);
        let near = pair(open.len(), free.len(), &same_name);

        let mut wrong = Vec::new();
        for (o, near) in near.iter().enumerate() {
            let one = wanted[open[o]];
            wrong.push(match near {
                None => format!("{} was not called", one.tool),
                Some(f) => {
                    let call = made[free[*f]];
                    let why = one.against(call).err().unwrap_or_default();
                    format!("{} was called otherwise: {why}", one.tool)
                }
            });
        }
        let beside: Vec<&Call> =
            (0..free.len()).filter(|f| !near.contains(&Some(*f))).map(|f| made[free[f]]).collect();
        if !self.others {
            wrong
                .extend(beside.iter().map(|call| format!("{} should not be called", call.shown())));
        }
        if self.ordered && wrong.is_empty() && !right.is_sorted() {
            let order: Vec<&str> = made.iter().map(|call| call.tool.as_str()).collect();
            wrong.push(format!("the calls came in another order: {}", order.join(", ")));
        }
        let named = wanted.len() - near.iter().filter(|one| one.is_none()).count();
        let right = wanted.len() - open.len();
        let beside = if self.others { 0 } else { beside.len() };
        let score = Score { wanted: wanted.len(), named, right, beside, ..Score::default() };
        (wrong, score)
    }
}

/// A largest set of pairs that fit (augmenting paths): a loose expectation never takes the call that
/// a strict one needs. For each of `wanted` its partner; of several the first, so that order shows.
fn pair(wanted: usize, made: usize, fits: &dyn Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let mut owner: Vec<Option<usize>> = vec![None; made];
    for one in 0..wanted {
        let mut seen = vec![false; made];
        augment(one, fits, &mut owner, &mut seen);
    }
    let mut partner = vec![None; wanted];
    for (m, owner) in owner.iter().enumerate() {
        if let Some(w) = owner {
            partner[*w] = Some(m);
        }
    }
    partner
}

fn augment(
    one: usize,
    fits: &dyn Fn(usize, usize) -> bool,
    owner: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for m in 0..owner.len() {
        if seen[m] || !fits(one, m) {
            continue;
        }
        seen[m] = true;
        if owner[m].is_none_or(|other| augment(other, fits, owner, seen)) {
            owner[m] = Some(one);
            return true;
        }
    }
    false
}

/// What was called and must not be.
pub(crate) fn forbidden(never: &[Wanted], made: &[&Call]) -> Vec<String> {
    let hit = |call: &&&Call| never.iter().any(|one| one.is_of(call) && one.against(call).is_ok());
    made.iter().filter(hit).map(|call| format!("{} must never be called", call.shown())).collect()
}

pub(crate) fn too_many(at_most: &BTreeMap<String, usize>, made: &[&Call]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (tool, most) in at_most {
        let count = made.iter().filter(|call| call.is(tool)).count();
        if count > *most {
            wrong.push(format!("{tool} was called {count} times, at most {most} are right"));
        }
    }
    wrong
}

impl Call {
    pub(crate) fn shown(&self) -> String {
        format!("{}({})", self.tool, short(&self.arguments.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::super::observed::Fate;
    use super::*;

    fn call(tool: &str, arguments: Json) -> Call {
        Call {
            id: String::new(),
            agent: String::new(),
            tool: tool.to_owned(),
            arguments,
            fate: Fate::Made,
            said: String::new(),
        }
    }

    fn expected(yaml: &str, ordered: bool, others: bool) -> Expected {
        let calls: Vec<Json> = serde_yaml_ng::from_str(yaml).unwrap();
        let calls = calls.iter().map(Wanted::read).collect::<Result<_, _>>().unwrap();
        Expected { calls, ordered, others }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(expected: &Expected, made: &[Call], wanted: Expect) {
        let made: Vec<&Call> = made.iter().collect();
        let (wrong, score) = expected.against(&made);
        let Score { wanted: all, named, right, beside, .. } = score;
        wanted.assert_eq(&format!("{} | {all} {named} {right} {beside}", wrong.join("; ")));
    }

    #[test]
    fn names_fit_with_or_without_their_group() {
        let made = [call("get__ledger__search", json!({"from": "2026"}))];
        for name in ["search", "ledger.search", "ledger__search", "get__ledger__search"] {
            let one = expected(&format!("[{name}]"), false, false);
            check(&one, &made, expect![" | 1 1 1 0"]);
        }
        check(
            &expected("[arch]", false, false),
            &made,
            expect![[
                r#"arch was not called; get__ledger__search({"from":"2026"}) should not be called | 1 0 0 1"#
            ]],
        );
    }

    #[test]
    fn a_loose_expectation_leaves_a_strict_one_its_call() {
        let made = [call("g__a", json!({"n": 1})), call("g__a", json!({"n": 2}))];
        check(&expected("[a, {a: {n: 1}}]", false, false), &made, expect![" | 2 2 2 0"]);
        check(&expected("[{tool: a, times: 2}]", false, false), &made, expect![" | 2 2 2 0"]);
        check(
            &expected("[{a: {n: 3}}, {a: {n: 1}}]", false, false),
            &made,
            expect!["a was called otherwise: n: 2 is not 3 | 2 2 1 0"],
        );
    }

    #[test]
    fn order_and_other_calls_matter_if_they_are_said_to() {
        let made = [call("g__a", json!({})), call("g__b", json!({})), call("g__c", json!({}))];
        check(
            &expected("[b, a]", true, true),
            &made,
            expect!["the calls came in another order: g__a, g__b, g__c | 2 2 2 0"],
        );
        check(
            &expected("[b, a]", false, false),
            &made,
            expect!["g__c({}) should not be called | 2 2 2 1"],
        );
        check(&expected("[a, c]", true, true), &made, expect![" | 2 2 2 0"]);
        check(
            &expected("[]", false, false),
            &made[..1],
            expect!["g__a({}) should not be called | 0 0 0 1"],
        );
    }

    #[test]
    fn what_must_not_be_called_is_told_with_its_arguments() {
        let never = [Wanted::read(&json!({"pay": {"amount": {"above": 500}}})).unwrap()];
        let made = [call("g__pay", json!({"amount": 620})), call("g__pay", json!({"amount": 5}))];
        let made: Vec<&Call> = made.iter().collect();
        assert_eq!(forbidden(&never, &made), ["g__pay({\"amount\":620}) must never be called"]);
        let most = BTreeMap::from([("pay".to_owned(), 1)]);
        assert_eq!(too_many(&most, &made), ["pay was called 2 times, at most 1 are right"]);
    }
}
