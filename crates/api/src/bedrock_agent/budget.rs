//! What an agent may spend, as the tags `craton:budget-…` say it: AWS has no field for it.
//!
//! A tag lowers what the server gives; it cannot raise it.

use craton_core::budget::caps::{self, Most};
use wire::fault::Fault;

use super::document::Tags;

pub(super) const PREFIX: &str = "craton:budget-";

/// The caps that an agent's tags set.
pub(crate) fn of(tags: &Tags) -> Result<Vec<Most>, Fault> {
    let caps = tags.iter().filter_map(|(key, value)| {
        let name = key.strip_prefix(PREFIX)?;
        let cap = caps::of_tag(name, value);
        Some(cap.map_err(|problem| Fault::validation(format!("tag {key} {problem}"))))
    });
    caps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_no_cap_is_refused_by_name() {
        let of = |key: &str, value: &str| {
            let tags = Tags::from([(key.to_owned(), value.to_owned())]);
            of(&tags).map(|caps| caps.len()).map_err(|fault| fault.message().to_owned())
        };
        assert_eq!(of("craton:budget-session-dollars", "2.50"), Ok(1));
        assert_eq!(of("craton:effect", "read"), Ok(0));
        let value = "tag craton:budget-run-tokens has the value \"many\"; it must be a whole number \
                     from 1 on";
        assert_eq!(of("craton:budget-run-tokens", "many"), Err(value.to_owned()));
        assert!(of("craton:budget-week-tokens", "1").is_err_and(|e| e.contains("agent-month")));
    }
}
