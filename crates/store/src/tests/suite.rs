//! What every backend does.

use expect_test::expect;

use super::script::check;

#[test]
fn a_document_is_written_over_only_by_whoever_saw_it() {
    check(
        "expect x 0 + put x one
         expect x 0 + put x two
         expect x 1 + put x two
         ? get x
         delete x + expect x 0 + put x again + expect x 1
         ? get x
         expect y 3
         put x three
         ? get x
         b: ? get x
         b: expect x 0 + put x theirs
         ? get x",
        &expect![[r#"
            expect x 0 + put x one → ok
            expect x 0 + put x two → error: version of note x: expected 0, found 1
            expect x 1 + put x two → ok
            ? get x → two@2
            delete x + expect x 0 + put x again + expect x 1 → ok
            ? get x → again@1
            expect y 3 → error: version of note y: expected 3, found 0
            put x three → ok
            ? get x → three@2
            b: ? get x → nothing
            b: expect x 0 + put x theirs → ok
            ? get x → three@2
        "#]],
    );
}

#[test]
fn a_batch_that_fails_anywhere_leaves_nothing_anywhere() {
    check(
        "put x one + blob y body + add n 5 + timer t 9 go + enqueue r s for me 9 + append r 1@1 hello
         put x two + delete x + unblob y + add n 1 + clear t + append r 2@1 more + park r 1 + expect x 9
         ? get x
         ? blob y
         ? counter n
         ? timers 9 9
         ? queued 0 9
         ? journal r 0 9
         append r 2@1 more
         ? verify r",
        &expect![[r#"
            put x one + blob y body + add n 5 + timer t 9 go + enqueue r s for me 9 + append r 1@1 hello → ok
            put x two + delete x + unblob y + add n 1 + clear t + append r 2@1 more + park r 1 + expect x 9 → error: version of note x: expected 9, found 0
            ? get x → one@1
            ? blob y → body
            ? counter n → 5
            ? timers 9 9 → a/r t at 9 go
            ? queued 0 9 → a r in s@1 leased to me until 9
            ? journal r 0 9 → 1@1 hello (label v3 at 7)
            append r 2@1 more → ok
            ? verify r → 2 entries
        "#]],
    );
}

#[test]
fn a_journal_grows_by_one_and_only_for_the_current_epoch() {
    check(
        "append r 1@0 early
         enqueue r s + append r 1@0 asked
         append r 3@0 gap
         append r 1@0 twice
         ? claim 1 w 10 9
         append r 2@0 stale
         append r 2@1 step + append r 3@1 step
         ? claim 10 v 20 9
         append r 4@1 fenced
         append r 4@2 step + dequeue r 2
         append r 5@2 late
         ? journal r 2 2
         ? last r
         ? verify r
         ? runs _ 9
         b: ? journal r 0 9
         enqueue r s for me 9
         append r 5@2 stale
         append r 5@3 back
         restart
         append r 6@3 on
         ? verify r",
        &expect![[r#"
            append r 1@0 early → error: epoch of run r: expected 0, found a run that is not queued
            enqueue r s + append r 1@0 asked → ok
            append r 3@0 gap → error: next sequence of run r: expected 3, found 2
            append r 1@0 twice → error: next sequence of run r: expected 1, found 2
            ? claim 1 w 10 9 → a r in s@1 leased to w until 10
            append r 2@0 stale → error: epoch of run r: expected 0, found 1
            append r 2@1 step + append r 3@1 step → ok
            ? claim 10 v 20 9 → a r in s@2 leased to v until 20
            append r 4@1 fenced → error: epoch of run r: expected 1, found 2
            append r 4@2 step + dequeue r 2 → ok
            append r 5@2 late → error: epoch of run r: expected 2, found a run that is not queued
            ? journal r 2 2 → 2@1 step (label v3 at 7); 3@1 step (label v3 at 7)
            ? last r → 4
            ? verify r → 4 entries
            ? runs _ 9 → r
            b: ? journal r 0 9 → nothing
            enqueue r s for me 9 → ok
            append r 5@2 stale → error: epoch of run r: expected 2, found 3
            append r 5@3 back → ok
            restart → restarted
            append r 6@3 on → ok
            ? verify r → 6 entries
        "#]],
    );
}

#[test]
fn a_lane_carries_one_run_at_a_time_in_order() {
    check(
        "enqueue a s for me 10
         enqueue b s for me 10
         enqueue b s
         enqueue c s
         enqueue d t due 5
         b: enqueue a s
         enqueue a s
         ? claim 1 w 10 9
         dequeue a 1
         ? claim 5 w 10 1
         ? claim 5 w 10 9
         ? claim 5 w 10 9
         release b 0
         release b 1
         ? lane s
         ? claim 6 w 12 9
         ? renew w 6 30
         ? claim 12 v 40 9
         ? claim 30 v 40 9
         ? queued 0 2
         ? queued 3 9
         ? run c",
        &expect![[r#"
            enqueue a s for me 10 → ok
            enqueue b s for me 10 → error: holder of lane s: expected nobody, found run a leased
            enqueue b s → ok
            enqueue c s → ok
            enqueue d t due 5 → ok
            b: enqueue a s → ok
            enqueue a s → error: state of run a: expected a run not queued, found leased at epoch 1
            ? claim 1 w 10 9 → b a in s@1 leased to w until 10
            dequeue a 1 → ok
            ? claim 5 w 10 1 → a b in s@1 leased to w until 10
            ? claim 5 w 10 9 → a d in t@1 leased to w until 10
            ? claim 5 w 10 9 → nothing
            release b 0 → error: epoch of run b: expected 0, found 1
            release b 1 → ok
            ? lane s → a b in s@1 ready, due 0; a c in s@0 ready, due 0
            ? claim 6 w 12 9 → a b in s@2 leased to w until 12
            ? renew w 6 30 → 3
            ? claim 12 v 40 9 → nothing
            ? claim 30 v 40 9 → a b in s@3 leased to v until 40; a d in t@2 leased to v until 40; b a in s@2 leased to v until 40
            ? queued 0 2 → a b in s@3 leased to v until 40; a c in s@0 ready, due 0
            ? queued 3 9 → a d in t@2 leased to v until 40; b a in s@2 leased to v until 40
            ? run c → a c in s@0 ready, due 0
        "#]],
    );
}

#[test]
fn a_parked_run_holds_no_lane_and_comes_back_at_its_end() {
    check(
        "enqueue a s for me 10 + append a 1@1 asks
         enqueue b s
         park a 1
         ? claim 1 w 10 9
         unpark a for me 10
         unpark a
         unpark a
         park a 1
         release a 2
         ? lane s
         ? claim 99 v 100 9
         dequeue b 2
         ? claim 99 v 100 9
         append a 2@1 stale
         append a 2@3 goes-on + park a 3 + append a 3@3 handed-off
         unpark a for me 200
         ? run a
         unpark c
         restart
         ? queued 0 9",
        &expect![[r#"
            enqueue a s for me 10 + append a 1@1 asks → ok
            enqueue b s → ok
            park a 1 → ok
            ? claim 1 w 10 9 → a b in s@1 leased to w until 10
            unpark a for me 10 → error: holder of lane s: expected nobody, found run b leased
            unpark a → ok
            unpark a → error: state of run a: expected parked, found ready
            park a 1 → error: epoch of run a: expected 1, found 2
            release a 2 → error: state of run a: expected leased, found ready
            ? lane s → a b in s@1 leased to w until 10; a a in s@2 ready, due 0
            ? claim 99 v 100 9 → a b in s@2 leased to v until 100
            dequeue b 2 → ok
            ? claim 99 v 100 9 → a a in s@3 leased to v until 100
            append a 2@1 stale → error: epoch of run a: expected 1, found 3
            append a 2@3 goes-on + park a 3 + append a 3@3 handed-off → ok
            unpark a for me 200 → ok
            ? run a → a a in s@4 leased to me until 200
            unpark c → error: state of run c: expected parked, found not queued
            restart → restarted
            ? queued 0 9 → a a in s@4 leased to me until 200
        "#]],
    );
}

#[test]
fn sums_stand_side_by_side_until_they_expire() {
    check(
        "tally a/1/x 1,2 until 5 + tally a/1/x 1 until 9 + tally a/2/x -4,0,7 until 20
         tally b/1/x 9223372036854775807 until 20 + tally b/1/x 1,1 until 20
         tally c/1/x 5 until 20 + add n 1 _ 0
         b: tally a/1/x 3 until 20
         ? tallies a/ a0 9
         ? tallies a/1/x a0 9
         ? tallies a/ c0 2
         restart
         ? tallies b/ c0 9
         ? purge 8 9
         ? tallies a/ a0 9
         ? purge 9 9
         ? tallies a/ a0 9
         b: ? tallies a/ a0 9",
        &expect![[r#"
            tally a/1/x 1,2 until 5 + tally a/1/x 1 until 9 + tally a/2/x -4,0,7 until 20 → ok
            tally b/1/x 9223372036854775807 until 20 + tally b/1/x 1,1 until 20 → ok
            tally c/1/x 5 until 20 + add n 1 _ 0 → error: value of counter n: expected a sum of at most 0, found 0 +1
            b: tally a/1/x 3 until 20 → ok
            ? tallies a/ a0 9 → a/1/x: [2, 2]; a/2/x: [-4, 0, 7]
            ? tallies a/1/x a0 9 → a/2/x: [-4, 0, 7]
            ? tallies a/ c0 2 → a/1/x: [2, 2]; a/2/x: [-4, 0, 7]
            restart → restarted
            ? tallies b/ c0 9 → b/1/x: [9223372036854775807, 1]
            ? purge 8 9 → 0 gone
            ? tallies a/ a0 9 → a/1/x: [2, 2]; a/2/x: [-4, 0, 7]
            ? purge 9 9 → 0 gone
            ? tallies a/ a0 9 → a/2/x: [-4, 0, 7]
            b: ? tallies a/ a0 9 → a/1/x: [3]
        "#]],
    );
}

#[test]
fn a_counter_stays_in_its_range() {
    check(
        "add n 3 0 5
         add n 3 0 5
         add n 2 0 5
         add n -6 0 5
         add n -5 0 _
         add n -1 0 _
         add n 1 _ 0
         add n 9223372036854775807
         add n 1
         add n 1 0 _
         ? counter n
         ? counter m
         b: ? counter n",
        &expect![[r#"
            add n 3 0 5 → ok
            add n 3 0 5 → error: value of counter n: expected a sum from 0 to 5, found 3 +3
            add n 2 0 5 → ok
            add n -6 0 5 → error: value of counter n: expected a sum from 0 to 5, found 5 -6
            add n -5 0 _ → ok
            add n -1 0 _ → error: value of counter n: expected a sum of at least 0, found 0 -1
            add n 1 _ 0 → error: value of counter n: expected a sum of at most 0, found 0 +1
            add n 9223372036854775807 → ok
            add n 1 → ok
            add n 1 0 _ → error: value of counter n: expected a sum of at least 0, found 9223372036854775807 +1
            ? counter n → 9223372036854775807
            ? counter m → 0
            b: ? counter n → 0
        "#]],
    );
}

#[test]
fn lists_page_by_prefix_in_both_directions() {
    check(
        "put a/1 x + put a/2 x + put a/3 x + put a/4 x + put b/1 x + put a x + put aé x + put é x
         ? list a/ _ 2
         ? list a/ a/2 2
         ? list a/ a/4 2
         ? list a/ _ 0
         ? list _ a/4 9
         ? list a/ A 9
         ? back a/ _ 2
         ? back a/ a/3 2
         ? back a/ a/1 2
         ? back a/ z 9
         ? back _ a/2 9
         ? list é _ 9
         b: ? list _ _ 9
         ? list _ _ 10001",
        &expect![[r#"
            put a/1 x + put a/2 x + put a/3 x + put a/4 x + put b/1 x + put a x + put aé x + put é x → ok
            ? list a/ _ 2 → a/1; a/2
            ? list a/ a/2 2 → a/3; a/4
            ? list a/ a/4 2 → nothing
            ? list a/ _ 0 → nothing
            ? list _ a/4 9 → aé; b/1; é
            ? list a/ A 9 → a/1; a/2; a/3; a/4
            ? back a/ _ 2 → a/4; a/3
            ? back a/ a/3 2 → a/2; a/1
            ? back a/ a/1 2 → nothing
            ? back a/ z 9 → a/4; a/3; a/2; a/1
            ? back _ a/2 9 → a/1; a
            ? list é _ 9 → é
            b: ? list _ _ 9 → nothing
            ? list _ _ 10001 → error: a page of 10001 rows was asked for, 10000 is the most; read page by page
        "#]],
    );
}

#[test]
fn timers_come_due_in_order_for_all_tenants() {
    check(
        "timer x 5 one + timer y 3 two
         b: timer x 4 three
         ? timers 2 9
         ? timers 5 2
         ? timers 5 1 x
         ? timers 5 1 %
         timer y 9 moved
         clear x + clear none
         ? timers 9 9",
        &expect![[r#"
            timer x 5 one + timer y 3 two → ok
            b: timer x 4 three → ok
            ? timers 2 9 → nothing
            ? timers 5 2 → a/r y at 3 two; b/r x at 4 three
            ? timers 5 1 x → b/r x at 4 three
            ? timers 5 1 % → nothing
            timer y 9 moved → ok
            clear x + clear none → ok
            ? timers 9 9 → b/r x at 4 three; a/r y at 9 moved
        "#]],
    );
}

#[test]
fn expired_documents_go_for_all_tenants_when_told() {
    check(
        "put x one until 5 + put y two until 6 + put z three
         b: put x one until 4
         ? purge 3 9
         ? get x
         ? purge 5 1
         b: ? get x
         put x kept
         ? purge 6 9
         ? list _ _ 9",
        &expect![[r#"
            put x one until 5 + put y two until 6 + put z three → ok
            b: put x one until 4 → ok
            ? purge 3 9 → 0 gone
            ? get x → one@1
            ? purge 5 1 → 1 gone
            b: ? get x → nothing
            put x kept → ok
            ? purge 6 9 → 1 gone
            ? list _ _ 9 → x; z
        "#]],
    );
}

#[test]
fn a_journal_goes_with_the_document_that_leads_to_it() {
    check(
        "enqueue r s for me 9 + append r 1@1 one + append r 2@1 two + dequeue r 1 + tell r until 5
         b: enqueue r s for me 9 + append r 1@1 theirs + dequeue r 1
         enqueue q s for me 9 + append q 1@1 other + dequeue q 1 + put q note until 5
         ? purge 4 9
         ? journal r 0 9
         ? purge 5 9
         ? journal r 0 9
         ? journal q 0 9
         b: ? journal r 0 9
         enqueue r s for me 9 + append r 1@1 again
         ? verify r",
        &expect![[r#"
            enqueue r s for me 9 + append r 1@1 one + append r 2@1 two + dequeue r 1 + tell r until 5 → ok
            b: enqueue r s for me 9 + append r 1@1 theirs + dequeue r 1 → ok
            enqueue q s for me 9 + append q 1@1 other + dequeue q 1 + put q note until 5 → ok
            ? purge 4 9 → 0 gone
            ? journal r 0 9 → 1@1 one (label v3 at 7); 2@1 two (label v3 at 7)
            ? purge 5 9 → 2 gone
            ? journal r 0 9 → nothing
            ? journal q 0 9 → 1@1 other (label v3 at 7)
            b: ? journal r 0 9 → 1@1 theirs (label v3 at 7)
            enqueue r s for me 9 + append r 1@1 again → ok
            ? verify r → 1 entries
        "#]],
    );
}

#[test]
fn what_is_kept_beside_a_journal_goes_with_it() {
    check(
        "enqueue r s for me 9 + append r 1@1 one + dequeue r 1 + tell r until 5
         beside r/1 + beside r/2 + beside r2/1 + beside r + beside r0 + put r/1 note until 5
         b: beside r/1
         ? purge 4 9
         ? beside
         ? purge 5 9
         ? beside
         b: ? beside",
        &expect![[r#"
            enqueue r s for me 9 + append r 1@1 one + dequeue r 1 + tell r until 5 → ok
            beside r/1 + beside r/2 + beside r2/1 + beside r + beside r0 + put r/1 note until 5 → ok
            b: beside r/1 → ok
            ? purge 4 9 → 0 gone
            ? beside → r; r/1; r/2; r0; r2/1
            ? purge 5 9 → 2 gone
            ? beside → r; r0; r2/1
            b: ? beside → r/1
        "#]],
    );
}

#[test]
fn everything_is_there_after_a_restart() {
    check(
        "put x one + blob y body + add n 5 + timer t 9 go + enqueue r s for me 9 + append r 1@1 hello
         b: put x other + enqueue r s due 3
         restart
         ? get x
         ? blob y
         ? counter n
         ? timers 9 9
         ? queued 0 9
         ? journal r 0 9
         b: ? get x
         expect x 1 + append r 2@1 more + enqueue q u
         blob y new + unblob z
         restart
         ? verify r
         ? blob y
         b: ? blob y
         ? queued 0 9",
        &expect![[r#"
            put x one + blob y body + add n 5 + timer t 9 go + enqueue r s for me 9 + append r 1@1 hello → ok
            b: put x other + enqueue r s due 3 → ok
            restart → restarted
            ? get x → one@1
            ? blob y → body
            ? counter n → 5
            ? timers 9 9 → a/r t at 9 go
            ? queued 0 9 → a r in s@1 leased to me until 9; b r in s@0 ready, due 3
            ? journal r 0 9 → 1@1 hello (label v3 at 7)
            b: ? get x → other@1
            expect x 1 + append r 2@1 more + enqueue q u → ok
            blob y new + unblob z → ok
            restart → restarted
            ? verify r → 2 entries
            ? blob y → new
            b: ? blob y → nothing
            ? queued 0 9 → a r in s@1 leased to me until 9; b r in s@0 ready, due 3; a q in u@0 ready, due 0
        "#]],
    );
}
