//! What stands between a hostile document and hours of scanning: told apart by hand, and held against
//! the YAML crate on documents that nobody thought of.

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde::Deserialize as _;
use serde::de::IgnoredAny;
use serde_json::Value as Json;

use super::brackets::Brackets;
use super::{open, read};

fn depths(text: &str) -> Vec<usize> {
    let mut brackets = Brackets::of(text);
    std::iter::from_fn(|| brackets.next_depth()).collect()
}

fn check(texts: &[&str], expected: &Expect) {
    let told = texts.iter().map(|text| format!("{text:?}: {:?}\n", depths(text)));
    expected.assert_eq(&told.collect::<String>());
}

#[test]
fn brackets_are_counted_where_they_are_brackets() {
    check(
        &[
            "a: [{b: [1]}, [2]]",
            "- - ? {a: [\n  [], {\n",
            "--- &x !t {a: 1}",
            "\"a: b\": [1]\n'c': {d: []}",
            "a:\t[[",
            "a: [' \"', ' #', [",
            "a: \"\n  b: |\n  \"\nc:\n  d: [[",
            "# a\u{85}b: [[",
            "a: [!<]]]> 1, [",
        ],
        &expect![[r##"
            "a: [{b: [1]}, [2]]": [1, 2, 3, 2, 1, 2, 1, 0]
            "- - ? {a: [\n  [], {\n": [1, 2, 3, 2, 3]
            "--- &x !t {a: 1}": [1, 0]
            "\"a: b\": [1]\n'c': {d: []}": [1, 0, 1, 2, 1, 0]
            "a:\t[[": [1, 2]
            "a: [' \"', ' #', [": [1, 2]
            "a: \"\n  b: |\n  \"\nc:\n  d: [[": [1, 2]
            "# a\u{85}b: [[": [1, 2]
            "a: [!<]]]> 1, [": [1, 2]
        "##]],
    );
}

#[test]
fn brackets_within_texts_are_not_counted() {
    check(
        &[
            "a: b [[[\nc: '[[ {''['\nd: \"{{{\\\"[\" # [[[\n# [[\n",
            "a: |\n  [[[[\n\n   {{{\nb: [1]\n- c: >-\n    [[[\n  d: []\n- |-\n  [[[[",
            "don't: [it's, \"[\"]",
            "a:\n  - b\n   [[[\n  - |2\n      [[",
            "%TAG ! [\n---\n!<[[> a",
        ],
        &expect![[r#"
            "a: b [[[\nc: '[[ {''['\nd: \"{{{\\\"[\" # [[[\n# [[\n": []
            "a: |\n  [[[[\n\n   {{{\nb: [1]\n- c: >-\n    [[[\n  d: []\n- |-\n  [[[[": [1, 0, 1, 0]
            "don't: [it's, \"[\"]": [1, 0]
            "a:\n  - b\n   [[[\n  - |2\n      [[": []
            "%TAG ! [\n---\n!<[[> a": []
        "#]],
    );
}

#[test]
fn nesting_without_end_is_refused_however_it_is_written() {
    for (open_each, close) in [("[", "]"), ("{a: ", "}"), ("[\n", "]"), ("{\"a\": [", "]}")] {
        for before in ["", "a: ", "a:\t", "a: [' \"', ", "a: \"\n  b: |\"\nc:\n  d: "] {
            let deep = format!("{before}{}{}", open_each.repeat(100_000), close.repeat(100_000));
            let refused = read::<Json>(&deep).unwrap_err().to_string();
            assert_eq!(refused, "its brackets are nested too deeply", "{before}{open_each}");
        }
    }
    assert!(open(&format!("a: |\n  {}", "[".repeat(100_000))).is_ok());
}

#[test]
fn what_the_crate_reads_is_opened() {
    for depth in 100..200 {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = serde_yaml_ng::from_str::<Json>(&text).is_ok();
        assert!(open(&text).is_ok() || !read, "{depth}");
    }
}

/// Pieces that the rules turn on.
const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    ":",
    ": ",
    ":\t",
    "\t",
    " ",
    "  ",
    "\n",
    "\n ",
    "\n  ",
    "\r",
    "\r\n",
    "#",
    " #",
    "|",
    "|\n",
    ">\n",
    "|2-",
    "|1+\n",
    "- ",
    "-",
    "? ",
    "?",
    ",",
    ", ",
    "a",
    "b: ",
    "1",
    "&x ",
    "*x",
    "!t ",
    "!<[[>",
    "!<]]> ",
    "%TAG ! [\n",
    "\n---\n",
    "---",
    "\n...\n",
    "\\",
    "\\\"",
    "\\\n",
    "''",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "é",
    "\u{1}",
    "@",
    "<<: ",
    "\na: ",
    "\n- ",
    "\n  b: ",
    "{a: b}",
    "\"x\": ",
    "'y'",
];

fn document() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// How many collections are within each other at most.
fn nested(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(nested).max().unwrap_or(0),
        Json::Object(members) => 1 + members.values().map(nested).max().unwrap_or(0),
        _ => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A bracket too few would let a document in, one too many would keep one out.
    #[test]
    fn the_depth_is_what_the_crate_finds(text in document()) {
        // Of a whole that stands in brackets, all that is nested stands in brackets.
        let text = format!("[{}]", text.replace("\n---", "\n").replace("\n...", "\n"));
        if let Ok(json) = serde_yaml_ng::from_str::<Json>(&text) {
            let depths = depths(&text);
            prop_assert_eq!(depths.last(), Some(&0), "{:?}", depths);
            let most = depths.into_iter().max().unwrap_or(0);
            // `[a: b]` is a mapping without brackets.
            prop_assert!(most <= nested(&json) && nested(&json) <= 2 * most, "{most} {json}");
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Behind anything at all, brackets without end are refused or are no brackets.
    #[test]
    fn what_is_opened_is_read_in_time(before in document()) {
        let text = format!("{before}{}", "[".repeat(20_000));
        let start = Instant::now();
        if let Ok(documents) = open(&text) {
            for document in documents {
                // A broken one is there again and again.
                if IgnoredAny::deserialize(document).is_err() {
                    break;
                }
            }
        }
        prop_assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
