//! Citations: Anthropic's places in documents, and Converse's.
//!
//! Each kind of place has two names and the same numbers. What has no counterpart is left out; the
//! words that it supports stay.

use serde_json::{Map, Value as Json, json};

/// A kind of place: the API's type, its members for what is meant and where it begins and ends, and
/// Converse's names for the kind and for what is meant.
struct Place {
    kind: &'static str,
    members: [&'static str; 3],
    converse: (&'static str, &'static str),
}

/// Claude documentation, "Citations" and "Search results"; AWS: API reference, `CitationLocation`.
const PLACES: [Place; 4] = [
    Place {
        kind: "char_location",
        members: ["document_index", "start_char_index", "end_char_index"],
        converse: ("documentChar", "documentIndex"),
    },
    Place {
        kind: "page_location",
        members: ["document_index", "start_page_number", "end_page_number"],
        converse: ("documentPage", "documentIndex"),
    },
    Place {
        kind: "content_block_location",
        members: ["document_index", "start_block_index", "end_block_index"],
        converse: ("documentChunk", "documentIndex"),
    },
    Place {
        kind: "search_result_location",
        members: ["search_result_index", "start_block_index", "end_block_index"],
        converse: ("searchResultLocation", "searchResultIndex"),
    },
];

pub(super) fn converse(native: &Json) -> Option<Json> {
    let location = match native["type"].as_str()? {
        "web_search_result_location" => json!({ "web": web(native["url"].as_str()?) }),
        kind => {
            let place = PLACES.iter().find(|place| place.kind == kind)?;
            let [of, start, end] = place.members.map(|member| &native[member]);
            let (name, which) = place.converse;
            json!({ name: { which: of, "start": start, "end": end } })
        }
    };
    let mut citation = Map::new();
    let title = native["document_title"].as_str().or(native["title"].as_str());
    citation.extend(title.map(|title| ("title".to_owned(), json!(title))));
    let source = native["source"].as_str();
    citation.extend(source.map(|source| ("source".to_owned(), json!(source))));
    if let Some(text) = native["cited_text"].as_str() {
        citation.insert("sourceContent".to_owned(), json!([{ "text": text }]));
    }
    citation.insert("location".to_owned(), location);
    Some(Json::Object(citation))
}

fn web(url: &str) -> Json {
    let uri: Option<http::Uri> = url.parse().ok();
    match uri.as_ref().and_then(http::Uri::host) {
        Some(domain) => json!({ "url": url, "domain": domain }),
        None => json!({ "url": url }),
    }
}

/// What goes back with the words. A place in the web needs a proof that Converse has no room for.
pub(super) fn native(converse: &Json) -> Option<Json> {
    let (place, given) = PLACES.iter().find_map(|place| {
        let given = converse["location"].get(place.converse.0)?;
        Some((place, given))
    })?;
    let [of, start, end] = place.members;
    let text = crate::media::texts(&converse["sourceContent"]).concat();
    let mut citation = json!({ "type": place.kind, "cited_text": text,
        of: given[place.converse.1], start: given["start"], end: given["end"] });
    match place.kind {
        "search_result_location" => {
            citation["title"] = converse["title"].clone();
            citation["source"] = converse["source"].clone();
        }
        _ => citation["document_title"] = converse["title"].clone(),
    }
    Some(citation)
}
