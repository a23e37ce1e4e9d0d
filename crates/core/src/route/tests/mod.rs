//! The index from texts, and choices from questions, as tables.

#![allow(clippy::needless_pass_by_value, reason = "`expect!` reads best in place")]

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use serde_json::json;
use wire::converse::Tool;

use super::*;

fn tool(name: &str, required: &[&str]) -> Tool {
    let schema = json!({"type": "object", "required": required});
    Tool { name: name.to_owned(), description: String::new(), schema, strict: false }
}

/// The parts of the index of an instruction and a question, with four tools.
#[track_caller]
fn index(instruction: &str, question: &str, taken: u32, expected: Expect) {
    let tools = [
        tool("shop__get_order", &["order_id"]),
        tool("shop__refund", &["order_id", "amount"]),
        tool("notify_customer", &[]),
        tool("getWeather", &["city"]),
    ];
    let (instruction, question) = (vec![instruction], vec![question]);
    let task = Task { instruction, question, tools: &tools, forced: false, taken };
    let inputs = task.inputs();
    let Inputs { dependent_steps, required_tools, conditional_blocks } = inputs;
    let seen =
        format!("{dependent_steps} {required_tools} {conditional_blocks} = {}", inputs.rci());
    expected.assert_eq(&seen);
}

#[test]
fn the_index_counts_steps_tools_and_conditions() {
    index("You are friendly.", "Hello!", 0, expect!["0 1 0 = 7"]);
    index("Answer.", "What is the weather in Oslo?", 0, expect!["0 1 0 = 7"]);
    index(
        "Answer.",
        "Get the weather in Oslo, then notify the customer.",
        0,
        expect!["1 2 0 = 24"],
    );
    index("", "When did order 7 leave?", 0, expect!["0 1 0 = 7"]);
    index(
        "1. Get the order.\n2. If it is late, refund it; otherwise say so.\n3. Notify the customer.",
        "Refund order 7",
        0,
        expect!["4 3 2 = 77"],
    );
    index("If a, b. Unless c, d. Whether e or f", "x", 3, expect!["3 1 3 = 61"]);
    index(&"If so, do.\n".repeat(500), "x", 0, expect!["0 1 500 = 100"]);
}

const TABLE: &str = r#"
[classes]
large = ["big", "bigger"]
small = "little"
cheapest = "tiny"

[steps]
judging = "judge"

[[split]]
match = "lit*"
models = { left = 1, right = 1 }
"#;

struct Asked {
    kind: StepKind,
    inputs: Inputs,
    wishes: Wishes,
    on: bool,
}

fn asked(
    kind: StepKind,
    (steps, tools, conditions): (u32, u32, u32),
    wishes: &[(&str, &str)],
) -> Asked {
    let inputs =
        Inputs { dependent_steps: steps, required_tools: tools, conditional_blocks: conditions };
    let mut read = Wishes::default();
    for (name, value) in wishes {
        read.take(name, value).unwrap();
    }
    Asked { kind, inputs, wishes: read, on: true }
}

#[track_caller]
fn check(table: &str, asked: &Asked, expected: Expect) {
    let table: Table = toml::from_str(table).unwrap();
    table.check().unwrap();
    let known = Known {
        table: &table,
        on: asked.on,
        restricted: false,
        local: &|model| model.starts_with("home"),
        fallbacks: &|model| if model == "own" { vec!["stand-in".to_owned()] } else { Vec::new() },
        router: &|_| None,
        fits: &|pattern, id| pattern.strip_suffix('*').is_some_and(|start| id.starts_with(start)),
        draw: &|| u64::MAX,
    };
    let question = Question {
        kind: asked.kind,
        own: "own",
        wishes: &asked.wishes,
        by_table: asked.on,
        inputs: asked.inputs,
        session: 0,
    };
    let seen = match choose(&question, &known) {
        None => "as it was asked for".to_owned(),
        Some(route) => {
            let models: Vec<_> = std::iter::once(&route.model).chain(&route.fallbacks).collect();
            format!("{models:?}: {}", route.reason)
        }
    };
    expected.assert_eq(&seen);
}

#[test]
fn an_index_above_70_is_for_the_large_model_and_70_is_not() {
    let seventy = asked(StepKind::Planning, (7, 0, 0), &[]);
    check(
        TABLE,
        &seventy,
        expect![[
            r#"["left"]: planning, by the table: index 70 (7 dependent steps, 0 tools, 0 conditions) is not above 70; small; left of the split of "lit*", by session"#
        ]],
    );
    let more = asked(StepKind::Planning, (1, 3, 5), &[]);
    check(
        TABLE,
        &more,
        expect![[
            r#"["big", "bigger"]: planning, by the table: index 71 (1 dependent steps, 3 tools, 5 conditions) is above 70; large"#
        ]],
    );
    let medium =
        format!("medium_above = 40\n{TABLE}medium_model = 1").replace("medium_model = 1", "");
    check(
        &medium,
        &seventy,
        expect![[
            r#"["own", "stand-in"]: planning, by the table: index 70 (7 dependent steps, 0 tools, 0 conditions) is not above 70; no model is medium: the one that was asked for"#
        ]],
    );
}

#[test]
fn each_kind_of_step_has_its_class() {
    let of = |kind| asked(kind, (9, 9, 9), &[]);
    check(
        TABLE,
        &of(StepKind::ToolArguments),
        expect![[
            r#"["left"]: tool-arguments, by the table; small; left of the split of "lit*", by session"#
        ]],
    );
    check(
        TABLE,
        &of(StepKind::RetrievalText),
        expect![[r#"["tiny"]: retrieval-text, by the table; cheapest"#]],
    );
    check(TABLE, &of(StepKind::Judging), expect![[r#"["judge"]: judging, by the table"#]]);
    check(
        TABLE,
        &of(StepKind::Verification),
        expect![[
            r#"["big", "bigger"]: verification, by the table: index 100 (9 dependent steps, 9 tools, 9 conditions) is above 70; large"#
        ]],
    );
    let draw = TABLE.replace("right = 1 }", "right = 1 }\nby = \"draw\"");
    check(
        &draw,
        &of(StepKind::Summarisation),
        expect![[
            r#"["right"]: summarisation, by the table; small; right of the split of "lit*", by draw"#
        ]],
    );
}

#[test]
fn who_waits_at_most_1_2_s_gets_the_small_model_whatever_the_index() {
    let table = "[classes]\nlarge = \"big\"\nsmall = \"little\"";
    let hard = (5, 5, 5);
    for (latency, expected) in [
        (
            "1.2",
            expect![[r#"["little"]: planning: an answer within 1.2 s, whatever the index; small"#]],
        ),
        (
            "800ms",
            expect![[r#"["little"]: planning: an answer within 0.8 s, whatever the index; small"#]],
        ),
        (
            "1.3s",
            expect![[
                r#"["big"]: planning, by the table: index 100 (5 dependent steps, 5 tools, 5 conditions) is above 70; large"#
            ]],
        ),
    ] {
        check(table, &asked(StepKind::Planning, hard, &[(LATENCY, latency)]), expected);
    }
}

#[test]
fn wishes_stand_above_the_table_and_without_one() {
    let wished = [(ROUTE, "cheapest"), ("craton:route:planning", "a.model")];
    check(
        TABLE,
        &asked(StepKind::Planning, (9, 9, 9), &wished),
        expect![[r#"["a.model"]: planning: a.model is wished"#]],
    );
    check(
        TABLE,
        &asked(StepKind::Judging, (0, 0, 0), &wished),
        expect![[r#"["tiny"]: judging: cheapest is wished; cheapest"#]],
    );
    let mut off = asked(StepKind::Planning, (9, 9, 9), &[(ROUTE, "own")]);
    off.on = false;
    check("", &off, expect![[r#"["own", "stand-in"]: planning: own is wished"#]]);
    off.wishes = Wishes::default();
    check(TABLE, &off, expect!["as it was asked for"]);
}

#[test]
fn restricted_data_is_for_local_models_alone() {
    let restricted = [(DATA_CLASS, RESTRICTED)];
    let of = |kind| asked(kind, (0, 0, 0), &restricted);
    let home = TABLE.replace("\"bigger\"", "\"home.big\"");
    let hard = asked(StepKind::Planning, (9, 9, 9), &restricted);
    check(
        &home,
        &hard,
        expect![[
            r#"["home.big"]: planning, by the table: index 100 (9 dependent steps, 9 tools, 9 conditions) is above 70; large; restricted data goes to a local model instead"#
        ]],
    );
    check(
        &home,
        &of(StepKind::RetrievalText),
        expect![[
            r#"["home.big"]: retrieval-text, by the table; cheapest; restricted data goes to a local model instead"#
        ]],
    );
    check(
        TABLE,
        &of(StepKind::RetrievalText),
        expect![[
            r#"["tiny"]: retrieval-text, by the table; cheapest; restricted data, and no model is local"#
        ]],
    );
}

#[test]
fn a_prompt_router_leaves_its_fallback_for_tasks_that_are_worth_it() {
    let table = Table::default();
    let known = Known {
        table: &table,
        on: false,
        restricted: false,
        local: &|_| false,
        fallbacks: &|_| Vec::new(),
        router: &|_| None,
        fits: &|_, _| false,
        draw: &|| 0,
    };
    let models = || vec!["haiku".to_owned(), "sonnet".to_owned()];
    let chosen = |steps, quality_difference| {
        let inputs = Inputs { dependent_steps: steps, required_tools: 0, conditional_blocks: 0 };
        let router = Router { models: models(), fallback: "haiku".to_owned(), quality_difference };
        let wishes = Wishes::default();
        let (kind, own) = (StepKind::Planning, "router");
        let question = Question { kind, own, wishes: &wishes, by_table: false, inputs, session: 0 };
        of_router(&router, &question, &known).model
    };
    assert_eq!([chosen(7, 0.0), chosen(8, 0.0), chosen(8, 10.0)], ["haiku", "sonnet", "haiku"]);
}

#[test]
fn weights_share_calls_out_as_they_say() {
    let models = BTreeMap::from([("a".to_owned(), 90), ("b".to_owned(), 0), ("c".to_owned(), 10)]);
    let split = Split { pattern: "*".to_owned(), models, by: Spread::Session };
    let picked = (0..10_000).map(|n| split.pick(crate::agent::turn::spread(&n.to_string())));
    let (mut a, mut c) = (0, 0);
    for picked in picked {
        match picked {
            Some("a") => a += 1,
            Some("c") => c += 1,
            other => panic!("{other:?} has no share"),
        }
    }
    assert!((8_800..=9_200).contains(&a) && a + c == 10_000, "{a} {c}");
    assert_eq!([split.pick(0), split.pick(u64::MAX)], [Some("a"), Some("c")]);
}

#[test]
fn wishes_that_make_no_sense_are_refused_where_an_owner_says_them() {
    let told =
        |name: &str, value: &str| Wishes::default().take(name, value).err().unwrap_or_default();
    expect!["it must be seconds, such as 1.2 or 800ms"].assert_eq(&told(LATENCY, "soon"));
    expect!["it must be one of public, internal, restricted"]
        .assert_eq(&told(DATA_CLASS, "secret"));
    expect!["the kinds of steps are planning, tool-arguments, retrieval-text, summarisation, judging, verification"]
        .assert_eq(&told("craton:route:thinking", "large"));
    assert_eq!(told("craton:budget", "x"), "");
    let said = |pairs: &[(&str, &str)]| {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        Wishes::default().and(&pairs.iter().map(own).collect())
    };
    assert!(said(&[("data-class", "Restricted")]).restricted);
    assert!(said(&[("craton:latency", "soon")]).is_none());
    let lifted = Wishes { restricted: true, ..Wishes::default() };
    assert!(lifted.and(&BTreeMap::from([(DATA_CLASS.to_owned(), "public".to_owned())])).restricted);
}
