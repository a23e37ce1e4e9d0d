//! The query of a request to the door: names that a path knows, once each.

use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use wire::fault::Fault;

pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Refuses what is not among the names that the path takes.
    pub(crate) fn read(raw: &str, known: &[&str]) -> Result<Query, Fault> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name), decoded(&value.replace('+', " ")));
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                let text = format!("unknown query parameter {name}; this path takes {known}");
                return Err(Fault::validation(text));
            }
            if pairs.iter().any(|(given, _)| *given == name) {
                return Err(Fault::validation(format!("query parameter {name} is given twice")));
            }
            pairs.push((name, value));
        }
        Ok(Query(pairs))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A value that is read from its text; `what` says what it has to be.
    pub(crate) fn value<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = text.parse().map_err(|_| wrong(name, text, what))?;
        Ok(Some(value))
    }
}

pub(crate) fn wrong(name: &str, text: &str, what: &str) -> Fault {
    Fault::validation(format!("{name} is {text:?}; it is {what}"))
}

pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Text as it stands in an address.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(raw: &str, expected: &Expect) {
        let read = Query::read(raw, &["session", "last"]).and_then(|query| {
            let last: Option<usize> = query.value("last", "a number")?;
            Ok(format!("{:?} {last:?}", query.text("session")))
        });
        expected.assert_eq(&read.unwrap_or_else(|fault| fault.message().to_owned()));
    }

    #[test]
    fn a_query_is_read_by_name_and_what_is_unknown_is_refused() {
        check("", &expect!["None None"]);
        check("session=a%3Ab+c&last=3&", &expect![[r#"Some("a:b c") Some(3)"#]]);
        check("last=x", &expect![[r#"last is "x"; it is a number"#]]);
        check("later=1", &expect!["unknown query parameter later; this path takes session, last"]);
        check("last=1&last=2", &expect!["query parameter last is given twice"]);
    }
}
