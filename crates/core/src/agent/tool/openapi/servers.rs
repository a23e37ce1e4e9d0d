//! Where an operation is served, whom it lets in, and what it answers with.

use serde_json::Value as Json;

use super::super::schema::Expander;
use super::super::{Problem, problem};
use super::Site;
use crate::limits;

impl Site<'_> {
    /// The first server, its variables at their defaults.
    pub(super) fn server(&self) -> Option<String> {
        let lists = [self.operation, self.item, self.document];
        let server = lists.iter().find_map(|of| of.get("servers")?.as_array()?.first())?;
        let mut url = server.get("url")?.as_str()?.to_owned();
        for (name, variable) in
            server.get("variables").and_then(Json::as_object).into_iter().flatten()
        {
            if let Some(default) = variable.get("default").and_then(Json::as_str) {
                url = url.replace(&format!("{{{name}}}"), default);
            }
        }
        Some(url)
    }

    /// The operation's own requirements, else the document's.
    pub(super) fn security(&self) -> Result<Option<Vec<Vec<String>>>, Problem> {
        let declared = self.operation.get("security").or_else(|| self.document.get("security"));
        let Some(declared) = declared.filter(|declared| !declared.is_null()) else {
            return Ok(None);
        };
        let alternative = |one: &Json| Some(one.as_object()?.keys().cloned().collect());
        let alternatives = declared.as_array().into_iter().flatten().map(alternative);
        let read: Option<Vec<Vec<String>>> = alternatives.collect();
        match read {
            Some(read) if declared.is_array() => Ok(Some(read)),
            // Read as if it said nothing, a mistake here would send no credentials, or all.
            _ => Err(problem(
                format!("security is {declared}"),
                "write a list of objects, each naming security schemes",
            )),
        }
    }

    /// Media types of the answers that tell of success.
    pub(super) fn answers(&self) -> Vec<String> {
        let expander = Expander::new(self.document);
        let answers = self.operation.get("responses").and_then(Json::as_object);
        let good = answers.into_iter().flatten().filter(|(status, _)| status.starts_with('2'));
        let mut found: Vec<String> = Vec::new();
        for (_, answer) in good {
            let Ok(answer) = expander.follow(answer) else { continue };
            let content = answer.get("content").and_then(Json::as_object);
            for media in content.into_iter().flatten().map(|(media, _)| media) {
                if !found.contains(media) && found.len() < limits::ANSWER_MEDIA_TYPES {
                    found.push(media.clone());
                }
            }
        }
        found
    }
}
