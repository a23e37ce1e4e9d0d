//! What starts a change and what does not: the same few tools, many ways of saying it.

use expect_test::{Expect, expect};
use serde_json::json;
use wire::converse::Tool;

use super::{call, check, play, tool};

/// A club's register: fees to collect, members to keep.
fn club() -> Vec<Tool> {
    let id = json!({"type": "string", "description": "Such as FEE-12"});
    let state = json!({"type": "string", "enum": ["unpaid", "waived", "paused"]});
    vec![
        tool("list_fees", "List the fees of the year.", json!({"state": state}), &[]),
        tool("get_fees_feeId", "Returns one fee.", json!({"feeId": id}), &["feeId"]),
        tool(
            "patch_fees_feeId",
            "Changes the state of a fee.",
            json!({"feeId": {"type": "string"}, "state": state}),
            &["feeId"],
        ),
        tool(
            "create_visit",
            "Create a visit in the club's diary.",
            json!({
                "title": {"type": "string"},
                "date": {"type": "string", "format": "date"},
                "start": {"type": "string", "description": "Time as HH:MM"},
                "duration_minutes": {"type": "integer"},
            }),
            &["title", "date"],
        ),
        tool(
            "revoke_pass",
            "Revokes a pass.",
            json!({"pass_id": {"type": "string"}}),
            &["pass_id"],
        ),
        tool(
            "lockers_assign",
            "Assigns a locker.",
            json!({"locker_number": {"type": "integer"}}),
            &["locker_number"],
        ),
        tool(
            "repaint_gate",
            "Fresh paint.",
            json!({"gate_number": {"type": "integer"}}),
            &["gate_number"],
        ),
    ]
}

#[expect(clippy::needless_pass_by_value, reason = "snapshots are written in place")]
fn lines(said: &[&str], expected: Expect) {
    let one = |said: &&str| {
        let mut call = call(club(), Vec::new());
        call.system = vec!["Today is Wednesday, 11 March 2026.".into()];
        let reply = play(call, &format!("user: {said}"));
        let calls: Vec<&str> = reply.lines().filter(|l| l.starts_with('→')).collect();
        format!("{said}\n{}\n", if calls.is_empty() { "-".into() } else { calls.join("\n") })
    };
    expected.assert_eq(&said.iter().map(one).collect::<String>());
}

#[test]
fn a_change_is_asked_for_by_verbs_of_its_kind_and_by_the_attribute_it_sets() {
    lines(
        &[
            "Waive FEE-12",
            "set FEE-12 to paused please",
            "Could you schedule a visit \"Tax office\" for tomorrow at 3pm?",
            "Add \"Inspection\" to the diary for Friday, 2 hours",
            "Revoke pass P-7",
        ],
        expect![[r#"
            Waive FEE-12
            → patch_fees_feeId {"feeId":"FEE-12","state":"waived"}
            set FEE-12 to paused please
            → patch_fees_feeId {"feeId":"FEE-12","state":"paused"}
            Could you schedule a visit "Tax office" for tomorrow at 3pm?
            → create_visit {"date":"2026-03-12","start":"15:00","title":"Tax office"}
            Add "Inspection" to the diary for Friday, 2 hours
            → create_visit {"date":"2026-03-13","duration_minutes":120,"title":"Inspection"}
            Revoke pass P-7
            → revoke_pass {"pass_id":"P-7"}
        "#]],
    );
}

#[test]
fn what_is_told_wondered_or_refused_changes_nothing() {
    lines(
        &[
            "state of FEE-12?",
            "FEE-12 is waived",
            "Why was FEE-12 waived?",
            "Waive FEE-12? I am not sure yet",
            "I was going to waive FEE-12 but don't do it",
            "Waive FEE-12. No, don't!",
            "We haven't decided, so do not revoke pass P-7",
            "we repainted gate 12 last week",
            "Lockers near number 12 please",
            "Revoke all passes from last week",
            "Add a member named Bo on 2026-05-01",
        ],
        expect![[r#"
            state of FEE-12?
            → get_fees_feeId {"feeId":"FEE-12"}
            FEE-12 is waived
            → get_fees_feeId {"feeId":"FEE-12"}
            Why was FEE-12 waived?
            → get_fees_feeId {"feeId":"FEE-12"}
            Waive FEE-12? I am not sure yet
            → get_fees_feeId {"feeId":"FEE-12"}
            I was going to waive FEE-12 but don't do it
            → get_fees_feeId {"feeId":"FEE-12"}
            Waive FEE-12. No, don't!
            → get_fees_feeId {"feeId":"FEE-12"}
            We haven't decided, so do not revoke pass P-7
            -
            we repainted gate 12 last week
            -
            Lockers near number 12 please
            -
            Revoke all passes from last week
            -
            Add a member named Bo on 2026-05-01
            -
        "#]],
    );
}

#[test]
fn each_of_a_list_is_changed_only_where_the_look_takes_every_word_that_narrows_it() {
    let fees = r#"{"fees": [{"feeId": "FEE-1"}, {"feeId": "FEE-2"}]}"#;
    check(
        club(),
        &format!("user: Waive all unpaid fees\nresult: {fees}\nresult: {{}}\nresult: {{}}"),
        expect![[r#"
            → list_fees {"state":"unpaid"}
            → patch_fees_feeId {"feeId":"FEE-1","state":"waived"}
            → patch_fees_feeId {"feeId":"FEE-2","state":"waived"}
            = Done. Fees fee id of fee FEE-1: done. Done. Fees fee id of fee FEE-2: done.
        "#]],
    );
    for said in ["Waive all overdue fees", "Waive all fees of last week"] {
        let reply = play(call(club(), Vec::new()), &format!("user: {said}"));
        assert!(!reply.contains('→'), "{said}: {reply}");
    }
}

#[test]
fn of_several_things_a_change_picks_none_by_itself() {
    let fees = r#"{"fees": [{"feeId": "FEE-1"}, {"feeId": "FEE-2"}]}"#;
    check(
        club(),
        &format!(
            "user: List the fees\nresult: {fees}\nuser: Waive both\nresult: {{}}\nresult: {{}}"
        ),
        expect![[r#"
            → list_fees {}
            = Fees: fee id FEE-1; fee id FEE-2.
            → patch_fees_feeId {"feeId":"FEE-1","state":"waived"}
            → patch_fees_feeId {"feeId":"FEE-2","state":"waived"}
            = Done. Fees fee id of fee FEE-1: done. Done. Fees fee id of fee FEE-2: done.
        "#]],
    );
    check(
        club(),
        &format!("user: List the fees\nresult: {fees}\nuser: Waive that fee"),
        expect![[r#"
            → list_fees {}
            = Fees: fee id FEE-1; fee id FEE-2.
            → list_fees {}
        "#]],
    );
}

/// A shop's till: what is paid back is looked up, in different ways of saying which order it is of.
fn till() -> Vec<Tool> {
    let id = json!({"type": "string", "description": "Such as A-1001"});
    vec![
        tool("get_order", "Shows an order.", json!({"order_id": id}), &["order_id"]),
        tool("list_orders", "Lists the orders of the customer.", json!({}), &[]),
        tool(
            "refund_order",
            "Refunds an order.",
            json!({"order_id": id, "amount": {"type": "number"}}),
            &["amount", "order_id"],
        ),
        tool(
            "ship_order",
            "Ships an order.",
            json!({"order_id": id, "address": {"type": "string"}}),
            &["order_id", "address"],
        ),
    ]
}

// INVARIANT: a change never takes a value of another thing.
#[test]
fn a_change_never_takes_a_value_of_another_thing() {
    let before = [
        r#"{"order_id": "A-1001", "total": 42.5}"#,
        r#"{"total": 42.5}"#,
        r#"{"number": "A-1001", "amount": 42.5}"#,
        r#"{"order": {"id": "A-1001"}, "payment": {"total": 42.5}}"#,
        r#"{"order_id": "A-1001", "total": 42.5, "replaces": {"order_id": "A-1002"}}"#,
    ];
    for result in before {
        let script = format!(
            "user: Where is order A-1001?\nresult: {result}\nuser: Refund order A-1002, please."
        );
        let reply = play(call(till(), Vec::new()), &script);
        assert!(reply.ends_with("→ get_order {\"order_id\":\"A-1002\"}\n"), "{result}: {reply}");
    }
    for result in [
        r#"{"order_id": "A-1001", "address": "Elm Street 3"}"#,
        r#"{"number": "A-1001", "address": "Elm Street 3"}"#,
        r#"[{"number": "A-1001", "address": "Elm Street 3"}, {"number": "A-1003"}]"#,
    ] {
        let script =
            format!("user: List my orders\nresult: {result}\nuser: Ship order A-1002, please.");
        let reply = play(call(till(), Vec::new()), &script);
        assert!(!reply.contains("→ ship_order"), "{result}: {reply}");
    }
    let lists = [
        r#"{"orders": [{"order_id": "A-1001", "total": 42.5}, {"order_id": "A-1002", "total": 189}], "total": 231.5}"#,
        r#"[{"total": 42.5, "order_id": "A-1001"}, {"total": 189, "order_id": "A-1002"}]"#,
        r#"[{"total": 42.5, "number": "A-1001"}, {"total": 189, "number": "A-1002"}]"#,
    ];
    for list in lists {
        let script =
            format!("user: List my orders\nresult: {list}\nuser: Refund order A-1002, please.");
        let reply = play(call(till(), Vec::new()), &script);
        let own = "→ refund_order {\"amount\":189,\"order_id\":\"A-1002\"}\n";
        assert!(reply.ends_with(own), "{list}: {reply}");
    }
}

#[test]
fn changes_beside_each_other_take_each_its_own_value() {
    check(
        till(),
        r#"user: Refund orders A-1001 and A-1002
           result: {"order_id": "A-1001", "total": 42.5}
           result: {"order_id": "A-1002", "total": 189}
           result: refunded A-1001
           result: refunded A-1002"#,
        expect![[r#"
            → get_order {"order_id":"A-1001"}
            → get_order {"order_id":"A-1002"}
            → refund_order {"amount":42.5,"order_id":"A-1001"}
            → refund_order {"amount":189,"order_id":"A-1002"}
            = Done. refunded A-1001. Done. refunded A-1002.
        "#]],
    );
}
