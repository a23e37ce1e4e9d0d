//! Sources of a text: Anthropic's citations and Converse's, which say the same in other words.

use serde_json::{Map, Value as Json, json};
use wire::fault::Fault;

use super::super::body::Body;
use crate::bedrock_agent::feature::refused;

/// A kind of place: its name in Messages, its name in Converse, and the members of both.
struct Place {
    theirs: &'static str,
    ours: &'static str,
    members: [(&'static str, &'static str); 3],
}

// Anthropic's API reference, "Citations"; AWS's, `CitationLocation`.
const PLACES: [Place; 4] = [
    Place {
        theirs: "char_location",
        ours: "documentChar",
        members: [
            ("document_index", "documentIndex"),
            ("start_char_index", "start"),
            ("end_char_index", "end"),
        ],
    },
    Place {
        theirs: "page_location",
        ours: "documentPage",
        members: [
            ("document_index", "documentIndex"),
            ("start_page_number", "start"),
            ("end_page_number", "end"),
        ],
    },
    Place {
        theirs: "content_block_location",
        ours: "documentChunk",
        members: [
            ("document_index", "documentIndex"),
            ("start_block_index", "start"),
            ("end_block_index", "end"),
        ],
    },
    Place {
        theirs: "search_result_location",
        ours: SEARCH,
        members: [
            ("search_result_index", "searchResultIndex"),
            ("start_block_index", "start"),
            ("end_block_index", "end"),
        ],
    },
];
const SEARCH: &str = "searchResultLocation";

/// Anthropic's name of a title that a citation has.
fn title(place: &Place) -> &'static str {
    if place.ours == SEARCH { "title" } else { "document_title" }
}

/// What Converse says of a source, as Messages does.
pub(super) fn told(citation: &Json) -> Json {
    let quoted = citation["sourceContent"].as_array().into_iter().flatten();
    let quoted: String = quoted.filter_map(|piece| piece["text"].as_str()).collect();
    let mut told = json!({"cited_text": quoted});
    let location = &citation["location"];
    let Some(place) = PLACES.iter().find(|place| location.get(place.ours).is_some()) else {
        return told;
    };
    told["type"] = json!(place.theirs);
    told[title(place)] = citation["title"].clone();
    if place.ours == SEARCH {
        told["source"] = citation["source"].clone();
    }
    for (theirs, ours) in place.members {
        told[theirs] = location[place.ours][ours].clone();
    }
    told
}

/// What Messages says of a source, as Converse does.
pub(super) fn read(mut citation: Body) -> Result<Json, Fault> {
    let kind = citation.required_text("type")?;
    let Some(place) = PLACES.iter().find(|place| place.theirs == kind) else {
        let at = citation.place("type");
        return Err(refused(at.trim_start_matches("#/"), &kind, "citations of this kind"));
    };
    let quoted = citation.text("cited_text")?.unwrap_or_default();
    let mut location = Map::new();
    for (theirs, ours) in place.members {
        location.extend(citation.take(theirs).map(|value| (ours.to_owned(), value)));
    }
    let mut read = json!({
        "sourceContent": [{"text": quoted}],
        "location": {place.ours: location},
    });
    if let Some(title) = citation.text(title(place))? {
        read["title"] = json!(title);
    }
    if let Some(source) = citation.text("source")? {
        read["source"] = json!(source);
    }
    citation.pass(&["file_id"]);
    citation.done()?;
    Ok(read)
}
