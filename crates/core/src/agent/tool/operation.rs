//! One operation of an OpenAPI document, with all that a request to it takes.
//!
//! Compiled once from the document. Where a function performs the operation only names, kinds and
//! places of the body matter; where the operation is called over HTTP, `request` reads the rest.

/// One operation of an OpenAPI document.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiOperation {
    /// Lower case, such as `get`.
    pub verb: String,
    pub path: String,
    pub operation_id: String,
    /// Path, query, header and cookie parameters.
    pub parameters: Vec<Field>,
    pub body: Option<Body>,
    /// The first server of the operation, else of its path, else of the document; variables stand at
    /// their defaults. It may be relative, and is not checked here.
    pub server: Option<String>,
    /// Names of security schemes: one of the lists is enough, and all in it are needed. `None` where
    /// neither operation nor document says anything.
    pub security: Option<Vec<Vec<String>>>,
    /// Media types of its successful answers, as declared.
    pub answers: Vec<String>,
}

/// The request body of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    pub media: String,
    pub fields: Vec<Field>,
    /// Whether members that are not declared belong to it as well.
    pub open: bool,
    /// The one field is the body itself, not a member of it.
    pub whole: bool,
    /// A request without one is refused.
    pub needed: bool,
}

/// One parameter or body property.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name on the wire.
    pub name: String,
    /// Its name among the tool's arguments: the same, unless that is taken or models refuse it.
    pub argument: String,
    /// JSON Schema type.
    pub kind: String,
    pub place: Place,
    pub spelling: Spelling,
}

/// Where in an HTTP request an argument goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
    Header,
    Cookie,
    Body,
    /// A place that OpenAPI 3.0 and 3.1 do not know.
    Other(String),
}

impl Place {
    pub(super) fn read(word: &str) -> Place {
        match word {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" => Place::Header,
            "cookie" => Place::Cookie,
            other => Place::Other(other.to_owned()),
        }
    }

    pub(super) fn word(&self) -> &str {
        match self {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
            Place::Cookie => "cookie",
            Place::Body => "body",
            Place::Other(word) => word,
        }
    }
}

/// How a value becomes text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spelling {
    Styled {
        style: Style,
        explode: bool,
        /// Reserved characters of a URL stand as they are.
        reserved: bool,
    },
    /// As a document of this media type; each item of an array in a form by itself.
    Content(String),
    /// A member of a JSON body, or a body.
    Member,
    /// A `style` that OpenAPI does not have.
    Unknown(String),
}

/// The values of `style`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

impl Style {
    pub(super) fn read(word: &str) -> Option<Style> {
        Some(match word {
            "simple" => Style::Simple,
            "label" => Style::Label,
            "matrix" => Style::Matrix,
            "form" => Style::Form,
            "spaceDelimited" => Style::SpaceDelimited,
            "pipeDelimited" => Style::PipeDelimited,
            "deepObject" => Style::DeepObject,
            _ => return None,
        })
    }

    /// Whether it may stand in a place (OpenAPI 3.1, "Style Values").
    pub(super) fn fits(self, place: &Place) -> bool {
        match self {
            Style::Simple => matches!(place, Place::Path | Place::Header),
            Style::Label | Style::Matrix => *place == Place::Path,
            Style::Form => matches!(place, Place::Query | Place::Cookie | Place::Body),
            Style::SpaceDelimited | Style::PipeDelimited | Style::DeepObject => {
                matches!(place, Place::Query | Place::Body)
            }
        }
    }
}
