//! Conditions as a table: the text, the arguments, whether a person is asked.

use expect_test::{Expect, expect};
use serde_json::{Value as Json, json};

use super::{function, operation};
use crate::policy::Condition;

#[track_caller]
fn check(text: &str, input: &Json, asks: bool) {
    let condition = Condition::parse(text).expect("a condition");
    let tool = function(&["amount", "currency", "urgent", "items", "tags", "to"]);
    assert_eq!(condition.asks(&tool, input), asks, "{text} of {input}");
}

#[test]
fn amounts_are_compared_as_numbers() {
    for (amount, asks) in [
        (json!(500), false),
        (json!(500.01), true),
        (json!("500"), false),
        (json!("500.01"), true),
        (json!(" 1e3 "), true),
        (json!(-900), false),
        (json!("$600"), true),
        (json!("1,000"), true),
        (json!("499,99"), true),
        (json!("NaN"), true),
        (json!("lots"), true),
        (json!(null), true),
        (json!([600]), true),
    ] {
        check("amount > 500", &json!({"amount": amount}), asks);
        check("not (amount <= 500)", &json!({"amount": amount}), asks);
        check("500 < amount", &json!({"amount": amount}), asks);
        check("amount gt 500", &json!({"amount": amount}), asks);
    }
}

#[test]
fn what_the_call_lacks_asks_and_what_the_tool_lacks_does_not() {
    check("amount > 500", &json!({}), true);
    check("amount > 500 and currency == 'EUR'", &json!({"currency": "EUR"}), true);
    check("amount > 500 and currency == 'EUR'", &json!({"currency": "USD"}), false);
    check("amount > 500 or currency == 'EUR'", &json!({"amount": 1}), true);
    check("currency == null", &json!({}), true);
    check("currency != null", &json!({}), false);
    check("price > 500", &json!({}), false);
    check("not price > 500", &json!({}), false);
    let mistaken = Condition::parse("amuont > 500").expect("a condition").of_tool();
    assert!(mistaken.asks(&function(&["amount"]), &json!({"amount": 1})));
}

#[test]
fn words_lists_and_what_is_nested() {
    let input = json!({
        "currency": "EUR", "urgent": true, "tags": ["vip", "new"], "to": "{\"country\": \"JP\"}",
        "items": [{"price": 80}, {"price": 120}]
    });
    check("currency in ['EUR', 'USD']", &input, true);
    check("currency not in ['EUR', 'USD']", &input, false);
    check("'vip' in tags", &input, true);
    check("'old' in tags", &input, false);
    check("urgent", &input, true);
    check("not urgent", &input, false);
    check("urgent == false", &input, false);
    check("items.price > 100", &input, true);
    check("items.price > 120", &input, false);
    check("to.country == 'JP'", &input, true);
    check("to.city == 'Kyoto'", &input, true);
    check("currency >= 'A' and currency < 'F'", &input, true);
    check("urgent or amount > 5 and currency == 'USD'", &input, true);
    check("(urgent or amount > 5) and currency == 'USD'", &input, false);
}

#[test]
fn what_a_list_or_an_object_says_to_a_plain_value() {
    for tags in [json!(["new", "vip"]), json!("[\"new\", \"vip\"]"), json!([["vip"]])] {
        let input = json!({"tags": tags});
        for text in ["tags in ['vip']", "tags == 'vip'", "'vip' == tags", "tags >= 'vip'"] {
            check(text, &input, true);
        }
        check("tags in ['old']", &input, false);
        check("tags == 'old'", &input, false);
        check("tags == null", &input, false);
    }
    check("'vip' not in tags", &json!({"tags": ["new", "vip"]}), false);
    check("tags == ['new', 'vip']", &json!({"tags": ["new", "vip"]}), true);
    check("tags == ['vip']", &json!({"tags": ["new", "vip"]}), false);
    check("to == 'x'", &json!({"to": {"country": "JP"}}), true);
    check("to == 'x'", &json!({"to": "{\"country\": \"JP\"}"}), true);
    check("urgent == false", &json!({"urgent": {"yes": true}}), true);
    for lacks in [json!({}), json!({"Price": 900}), json!(null), json!("dear")] {
        let input = json!({"items": [{"price": 50}, lacks]});
        check("items.price > 100", &input, true);
        check("not items.price <= 100", &input, false);
        check("items.price == null", &input, true);
    }
    check("items.price == null", &json!({"items": [{"price": 50}]}), false);
}

#[test]
fn a_text_that_is_no_number_is_not_put_beside_one_by_its_letters() {
    for (amount, asks) in [("1,000", true), ("$600", true), ("600", true), ("400", false)] {
        check("amount > '500'", &json!({"amount": amount}), asks);
    }
}

#[test]
fn an_api_s_fields_go_by_their_names_on_the_wire() {
    let tool = operation();
    let asks = |text: &str, input: Json| Condition::parse(text).unwrap().asks(&tool, &input);
    assert!(asks("address.city == 'Kyoto'", json!({"id": "1", "address": {"city": "Kyoto"}})));
    assert!(asks("id == '7'", json!({"id": "7"})));
    assert!(asks("id == '7'", json!({"id": "8", "body_id": "7"})));
    assert!(!asks("id == '7'", json!({"id": "8", "body_id": "9"})));
}

#[track_caller]
fn check_refused(text: &str, expected: &Expect) {
    expected.assert_eq(&Condition::parse(text).expect_err(text));
}

#[test]
fn a_mistake_is_refused_with_its_place() {
    check_refused(
        "",
        &expect![[
            r#"the condition "" at 1: expected the name of an argument, a number or a text"#
        ]],
    );
    check_refused(
        "amount >",
        &expect![[
            r#"the condition "amount >" at 9: expected the name of an argument, a number or a text"#
        ]],
    );
    check_refused(
        "amount > > 5",
        &expect![[
            r#"the condition "amount > > 5" at 10: expected the name of an argument, a number or a text"#
        ]],
    );
    check_refused(
        "amount > 500USD",
        &expect![[
            r#"the condition "amount > 500USD" at 10: expected the name of an argument, a number or a text"#
        ]],
    );
    check_refused(
        "amount > 5 && urgent",
        &expect![[r#"the condition "amount > 5 && urgent" at 12: '&' means nothing here"#]],
    );
    check_refused(
        "amount > 5 urgent",
        &expect![[r#"the condition "amount > 5 urgent" at 12: expected `and`, `or` or the end"#]],
    );
    check_refused("500", &expect![[r#"the condition "500" at 4: expected a comparison"#]]);
    check_refused("(urgent", &expect![[r#"the condition "(urgent" at 8: expected )"#]]);
    check_refused(
        "a in [1, b]",
        &expect![[r#"the condition "a in [1, b]" at 10: a list holds numbers and texts"#]],
    );
    check_refused("a == 'x", &expect![[r#"the condition "a == 'x" at 6: the text has no end"#]]);
    check_refused(
        "a..b > 1",
        &expect![[r#"the condition "a..b > 1" at 1: a dot stands between two names"#]],
    );
    let deep = format!("{}a", "not ".repeat(40));
    assert!(Condition::parse(&deep).expect_err("deep").contains("it nests too deeply"));
    let long = format!("a == '{}'", "x".repeat(1_000));
    assert!(Condition::parse(&long).expect_err("long").ends_with("has more than 1000 characters"));
}

mod any_text {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_read_or_refused(text in "[a-c0-9 ()\\[\\],.<>=!'\"-]{0,40}|((not|and|or|in|a|1|>|==|\\(|\\)) ?){0,20}") {
            if let Ok(condition) = Condition::parse(&text) {
                condition.asks(&function(&["a"]), &json!({"a": 1}));
            }
        }
    }
}
