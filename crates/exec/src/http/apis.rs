//! All APIs of `[apis]`, found by the function in whose place each is called.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::api::Api;
use super::config::ApiConfig;

/// By ARN or name of the function. Cheap to clone.
#[derive(Clone, Default)]
pub struct Apis(Arc<BTreeMap<String, Arc<Api>>>);

impl Apis {
    /// Refuses a section with a mistake, by its name, and a function that two of them name.
    pub fn open(
        sections: &BTreeMap<String, ApiConfig>,
        egress: &net::egress::Config,
    ) -> Result<Apis, String> {
        let mut found: BTreeMap<String, Arc<Api>> = BTreeMap::new();
        for (name, section) in sections {
            let api = Arc::new(Api::open(name, section, egress)?);
            for function in &section.functions {
                if let Some(other) = found.insert(function.clone(), api.clone()) {
                    let other = other.name().to_owned();
                    return Err(format!(
                        "apis.{name}.functions: {function} is in apis.{other} too"
                    ));
                }
            }
        }
        Ok(Apis(Arc::new(found)))
    }

    pub fn get(&self, function: &str) -> Option<&Api> {
        self.0.get(function).map(Arc::as_ref)
    }

    /// The functions that it serves.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
