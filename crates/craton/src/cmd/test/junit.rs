//! A report that CI systems read.
//!
//! JUnit has no standard; this keeps to what the schemas of Jenkins (`junit-10.xsd`) and of the Ant
//! task have in common: a suite for each file, a case for each scenario.

use std::collections::BTreeMap;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::scenario::play::{Outcome, Played};

pub(super) fn report(all: &[Played]) -> String {
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    let mut suites: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
    for one in all {
        suites.entry(&one.file).or_default().push(one);
    }
    write(&mut out, Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let whole: Vec<&Played> = all.iter().collect();
    write(&mut out, Event::Start(counted(BytesStart::new("testsuites"), "craton test", &whole)));
    for (file, scenarios) in &suites {
        write(&mut out, Event::Start(counted(BytesStart::new("testsuite"), file, scenarios)));
        scenarios.iter().for_each(|one| case(&mut out, one));
        write(&mut out, Event::End(BytesEnd::new("testsuite")));
    }
    write(&mut out, Event::End(BytesEnd::new("testsuites")));
    String::from_utf8(out.into_inner()).expect("only text was written") + "\n"
}

fn write(out: &mut Writer<Vec<u8>>, event: Event<'_>) {
    out.write_event(event).expect("memory takes all that is written");
}

fn counted<'a>(mut start: BytesStart<'a>, name: &str, all: &[&Played]) -> BytesStart<'a> {
    let count = |is: fn(&Outcome) -> bool| all.iter().filter(|one| is(&one.outcome)).count();
    let millis: u64 = all.iter().map(|one| one.usage.ms).sum();
    for (name, value) in [
        ("name", legal(name)),
        ("tests", all.len().to_string()),
        ("failures", count(|one| matches!(one, Outcome::Failed(_))).to_string()),
        ("errors", count(|one| matches!(one, Outcome::Broke(_))).to_string()),
        ("skipped", count(|one| matches!(one, Outcome::Skipped(_))).to_string()),
        ("time", seconds(millis)),
    ] {
        // The Ant schema has no `skipped` on the outermost element.
        if name != "skipped" || start.name().as_ref() == "testsuite" {
            start.push_attribute((name, value.as_str()));
        }
    }
    start
}

fn case(out: &mut Writer<Vec<u8>>, one: &Played) {
    let (name, file) = (legal(&one.name), legal(&one.file));
    let time = seconds(one.usage.ms);
    let mut start = BytesStart::new("testcase");
    for attribute in [("name", &name), ("classname", &file), ("time", &time)] {
        start.push_attribute((attribute.0, attribute.1.as_str()));
    }
    write(out, Event::Start(start));
    match &one.outcome {
        Outcome::Passed => {}
        Outcome::Failed(wrong) => bad(out, "failure", "expectation", wrong),
        Outcome::Broke(why) => bad(out, "error", "error", std::slice::from_ref(why)),
        Outcome::Skipped(why) => {
            let mut skipped = BytesStart::new("skipped");
            skipped.push_attribute(("message", legal(why).as_str()));
            write(out, Event::Empty(skipped));
        }
    }
    let said: Vec<String> = one.lines().into_iter().chain(one.notes.clone()).collect();
    element(out, &BytesStart::new("system-out"), &said.join("\n"));
    write(out, Event::End(BytesEnd::new("testcase")));
}

fn bad(out: &mut Writer<Vec<u8>>, element_name: &'static str, kind: &str, wrong: &[String]) {
    let mut start = BytesStart::new(element_name);
    start.push_attribute(("message", legal(wrong.first().map_or("", String::as_str)).as_str()));
    start.push_attribute(("type", kind));
    element(out, &start, &wrong.join("\n"));
}

fn element(out: &mut Writer<Vec<u8>>, start: &BytesStart<'_>, text: &str) {
    let end = start.to_end().into_owned();
    write(out, Event::Start(start.borrow()));
    write(out, Event::Text(BytesText::new(&legal(text))));
    write(out, Event::End(end));
}

/// Without the characters that XML 1.0 cannot hold, however they are escaped.
fn legal(text: &str) -> String {
    let is = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if is(c) { c } else { '\u{fffd}' }).collect()
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}
