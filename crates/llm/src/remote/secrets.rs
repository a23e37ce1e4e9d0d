//! What a request says in confidence, and its removal from what a server says back.
//!
//! Servers quote keys in their refusals. Whoever fills a request marks such headers as sensitive.

use http::HeaderMap;

#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// The scheme before a key, as in `Bearer KEY`, is no secret.
    pub(super) fn of(headers: &HeaderMap) -> Secrets {
        let values = headers.values().filter(|value| value.is_sensitive());
        let words = values.filter_map(|value| value.to_str().ok()).flat_map(|text| {
            let schemes = text.split_whitespace().count().min(2).saturating_sub(1);
            text.split_whitespace().skip(schemes)
        });
        Secrets(words.map(str::to_owned).collect())
    }

    #[cfg(test)]
    pub(crate) fn one(secret: &str) -> Secrets {
        Secrets(vec![secret.to_owned()])
    }

    /// `text` as one line, without the secrets, even where they are half masked.
    pub(super) fn hidden(&self, text: &str) -> String {
        let words = text.split_whitespace();
        let words = words.map(|word| if self.shown_in(word) { "***" } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    fn shown_in(&self, word: &str) -> bool {
        self.0.iter().any(|secret| {
            let start: String = secret.chars().take(4).collect();
            word.contains(secret) || (word.contains(&start) && word.contains('*'))
        })
    }
}
