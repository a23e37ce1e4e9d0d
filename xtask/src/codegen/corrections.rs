//! `models/corrections.toml`: repairs of patterns that AWS published broken.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Outcome;
use crate::codegen::source::Model;

/// By service and shape.
pub(crate) type Corrections = BTreeMap<String, BTreeMap<String, Correction>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Correction {
    /// For the reader of the file.
    #[serde(rename = "why")]
    _why: String,
    from: String,
    to: String,
}

pub(crate) fn read(path: &Path) -> Result<Corrections, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()).into())
}

pub(crate) fn apply(corrections: &Corrections, service: &str, model: &mut Model) -> Outcome {
    for (shape, correction) in corrections.get(service).into_iter().flatten() {
        let pattern = model.shapes.get_mut(shape).and_then(|shape| shape.pattern.as_mut());
        let Some(pattern) = pattern.filter(|pattern| pattern.contains(&correction.from)) else {
            let problem = "has no such text in its pattern any more; remove the correction";
            return Err(format!("corrections.toml: {service} {shape} {problem}").into());
        };
        *pattern = pattern.replace(&correction.from, &correction.to);
    }
    Ok(())
}
