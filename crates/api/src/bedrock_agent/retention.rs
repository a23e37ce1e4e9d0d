//! What of a conversation an agent's sessions keep, as the tags `craton:session-…` say it: AWS has
//! no field for it.

use craton_core::agent::config::Retention;
use wire::fault::Fault;

use super::document::Tags;

pub(super) const PREFIX: &str = "craton:session-";

/// The caps that an agent's tags set; the server's stand for the others.
pub(crate) fn of(tags: &Tags) -> Result<Retention, Fault> {
    let mut retention = Retention::default();
    for (key, value) in tags {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        let cap = match name {
            "exchanges" => &mut retention.exchanges,
            "tokens" => &mut retention.tokens,
            "hours" => &mut retention.hours,
            "days" => &mut retention.days,
            _ => {
                let message = format!(
                    "tag {key} is no setting of sessions; those are {PREFIX}exchanges, \
                     {PREFIX}tokens, {PREFIX}hours and {PREFIX}days"
                );
                return Err(Fault::validation(message));
            }
        };
        let number = value.parse().ok().filter(|number| *number > 0);
        *cap = Some(number.ok_or_else(|| {
            Fault::validation(format!(
                "tag {key} has the value {value:?}; it must be a whole number from 1 on"
            ))
        })?);
    }
    Ok(retention)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, value: &str, expected: Result<Retention, &str>) {
        let tags = Tags::from([(key.to_owned(), value.to_owned())]);
        let read = of(&tags).map_err(|fault| fault.message().to_owned());
        assert_eq!(read, expected.map_err(str::to_owned));
    }

    #[test]
    fn each_cap_has_its_tag_and_anything_else_is_refused() {
        let none = Retention::default;
        check("craton:session-exchanges", "10", Ok(Retention { exchanges: Some(10), ..none() }));
        check("craton:session-tokens", "5000", Ok(Retention { tokens: Some(5000), ..none() }));
        check("craton:session-hours", "24", Ok(Retention { hours: Some(24), ..none() }));
        check("craton:session-days", "30", Ok(Retention { days: Some(30), ..none() }));
        check("craton:sessions", "often", Ok(none()));
        let number =
            "tag craton:session-days has the value \"0\"; it must be a whole number from 1 on";
        check("craton:session-days", "0", Err(number));
        check(
            "craton:session-weeks",
            "1",
            Err("tag craton:session-weeks is no setting of sessions; those are \
                 craton:session-exchanges, craton:session-tokens, craton:session-hours and \
                 craton:session-days"),
        );
    }
}
