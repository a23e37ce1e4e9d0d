//! What an agent's tags wish of the models that it asks: `craton:route`, `craton:route:planning`,
//! `craton:latency`, `craton:data-class`. AWS has no field for it.

use craton_core::route::{DATA_CLASS, LATENCY, ROUTE, Wishes};
use wire::fault::Fault;

use super::document::Tags;

/// What the next configuration pins.
pub(crate) fn of(tags: &Tags) -> Result<Wishes, Fault> {
    let mut wishes = Wishes::default();
    for (key, value) in tags {
        let taken = wishes.take(key, value);
        taken.map_err(|why| {
            Fault::validation(format!("tag {key} has the value {value:?}; {why}"))
        })?;
    }
    Ok(wishes)
}

/// The tag that is one of these, if any is.
pub(super) fn any(tags: &Tags) -> Option<&String> {
    let ours = |key: &&String| {
        let key = key.as_str();
        key.starts_with(ROUTE) || [LATENCY, DATA_CLASS].contains(&key)
    };
    tags.keys().find(ours)
}
