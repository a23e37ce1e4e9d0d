//! A cassette as text: YAML with texts of several lines as blocks, members always in the same order,
//! so that two recordings can be compared line by line.

use craton_core::agent::config::AgentConfig;
use serde::Deserialize as _;
use serde_json::Value as Json;
use serde_yaml_ng::with::singleton_map_recursive;

use super::{Cassette, CassetteError, FORM, MOST_BYTES, RecordedEvent, RecordedRun, yaml};

/// What an editor shows first.
const HEAD: &str = "\
# A recorded run of Craton: `craton replay FILE` plays it without models, tools and network.
# It may be edited; what no longer fits is said by the replay.
";

impl Cassette {
    pub fn to_text(&self) -> Result<String, CassetteError> {
        let malformed = |cause: serde_yaml_ng::Error| CassetteError::Malformed(cause.to_string());
        let mut written = Vec::from(HEAD);
        let mut yaml = serde_yaml_ng::Serializer::new(&mut written);
        // Enums as JSON has them, so that what reads JSON reads them.
        singleton_map_recursive::serialize(self, &mut yaml).map_err(malformed)?;
        let text = String::from_utf8(written).expect("YAML is made of strings");
        bounded(&text).map(|()| text)
    }

    pub fn from_text(text: &str) -> Result<Cassette, CassetteError> {
        bounded(text)?;
        let malformed = |cause: String| CassetteError::Malformed(cause);
        // First what every form has, so that a newer one is told as such.
        let parsed = yaml::read(text).map_err(|cause| malformed(cause.to_string()))?;
        let form = parsed["cassette"].as_u64();
        let form = form.ok_or_else(|| malformed("it has no number under cassette".to_owned()))?;
        if form > u64::from(FORM) {
            return Err(CassetteError::Newer(form));
        }
        Cassette::deserialize(&parsed).map_err(|cause| {
            let why = misfit(&parsed).unwrap_or_else(|| cause.to_string());
            malformed(format!("{why}{}", recorded_by(&parsed)))
        })
    }
}

/// The part that is not what a cassette has there, by its place.
fn misfit(parsed: &Json) -> Option<String> {
    let runs = parsed["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (run, events) in (1..).zip(runs.iter().map(|run| &run["events"])) {
        for (event, recorded) in (1..).zip(events.as_array().into_iter().flatten()) {
            if let Err(cause) = RecordedEvent::deserialize(recorded) {
                return Some(format!("event {event} of run {run}: {cause}"));
            }
        }
    }
    let whole = |(run, parsed)| {
        let error = RecordedRun::deserialize(parsed).err()?;
        Some(format!("run {run}: {error}"))
    };
    let agents = parsed["agents"].as_object().into_iter().flatten();
    let mut agents = agents.filter_map(|(digest, config)| {
        let error = AgentConfig::deserialize(config).err()?;
        Some(format!("agent {digest}: {error}"))
    });
    (1..).zip(runs).find_map(whole).or_else(|| agents.next())
}

/// Said where it is another version: what is unknown here may be known there.
fn recorded_by(parsed: &Json) -> String {
    let here = env!("CARGO_PKG_VERSION");
    match parsed["craton"].as_str().filter(|version| *version != here) {
        Some(version) => format!("; craton {version} recorded it, and this is craton {here}"),
        None => String::new(),
    }
}

fn bounded(text: &str) -> Result<(), CassetteError> {
    match text.len() > MOST_BYTES {
        true => Err(CassetteError::TooLarge(text.len())),
        false => Ok(()),
    }
}
