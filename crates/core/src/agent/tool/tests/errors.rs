use expect_test::{Expect, expect};

use crate::agent::tool::{clean_error, function_error, short_error};

fn check(text: &str, expect: &Expect) {
    expect.assert_eq(&clean_error(text));
}

#[test]
fn a_short_error_names_code_fact_and_advice() {
    let said =
        short_error("order_not_found", "no order matches 4471", "ask the user to re-check the ID");
    expect!["order_not_found: no order matches 4471; ask the user to re-check the ID"]
        .assert_eq(&said);
    expect!["timed_out"].assert_eq(&short_error("timed_out", "", ""));
}

#[test]
fn traces_and_pages_shrink_to_the_line_that_names_the_failure() {
    check(
        "Traceback (most recent call last):\n  File \"/var/task/app.py\", line 97, in handler\n    order = ORDERS[key]\n            ~~~~~~^^^^^\nKeyError: '4471'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/var/task/app.py\", line 99, in handler\n    raise OrderError(key)\napp.OrderError: no order 4471\n",
        &expect!["app.OrderError: no order 4471"],
    );
    check(
        "Exception in thread \"main\" java.lang.IllegalStateException: no refund\n\tat com.shop.Refund.run(Refund.java:31)\n\tat com.shop.Main.main(Main.java:7)\nCaused by: java.net.ConnectException: Connection refused\n\tat java.base/sun.nio.ch.Net.connect0(Native Method)\n\t... 7 more\n",
        &expect![[
            r#"Exception in thread "main" java.lang.IllegalStateException: no refund Caused by: java.net.ConnectException: Connection refused"#
        ]],
    );
    check(
        "/var/task/index.js:3\n  throw new Error('boom');\n  ^\n\nError: boom\n    at handler (/var/task/index.js:3:9)\n    at node:internal/main/run_main_module:28:49\n\nNode.js v20.11.0\n",
        &expect!["Error: boom"],
    );
    check(
        "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>Oops</h1><script>x</script></body></html>",
        &expect!["502 Bad Gateway"],
    );
    check(
        "\u{1b}[31mlook at the amount: it\u{1b}[0m must be\r\n  below 500",
        &expect!["look at the amount: it must be below 500"],
    );
    check(
        "refused: 620\nat most 500 (see the policy): ask a manager",
        &expect!["refused: 620 at most 500 (see the policy): ask a manager"],
    );
    check(
        "   at handler (/var/task/index.js:3:9)\n",
        &expect!["at handler (/var/task/index.js:3:9)"],
    );
    check("  ", &expect!["no error text was given"]);
    assert_eq!(clean_error(&"é".repeat(5_000)).chars().count(), 1_000);
}

#[test]
fn a_function_error_is_its_type_and_message() {
    let check =
        |payload: &str, expect: Expect| expect.assert_eq(&function_error(payload.as_bytes()));
    check(
        r#"{"errorMessage": "no order 4471", "errorType": "KeyError", "stackTrace": ["  File \"/x.py\", line 3"]}"#,
        expect!["KeyError: no order 4471"],
    );
    check(
        r#"{"errorMessage": "2026-11-20 Task timed out after 3.00 seconds"}"#,
        expect!["2026-11-20 Task timed out after 3.00 seconds"],
    );
    check("Segmentation fault", expect!["Segmentation fault"]);
}
