//! A cassette as text: YAML with texts of several lines as blocks, members always in the same order,
//! so that two recordings can be compared line by line.

use serde_yaml_ng::with::singleton_map_recursive;

use super::{Cassette, CassetteError, FORM, MOST_BYTES, yaml};

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
        serde_json::from_value(parsed).map_err(|cause| malformed(cause.to_string()))
    }
}

fn bounded(text: &str) -> Result<(), CassetteError> {
    match text.len() > MOST_BYTES {
        true => Err(CassetteError::TooLarge(text.len())),
        false => Ok(()),
    }
}
