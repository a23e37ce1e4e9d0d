//! The form of AWS's published models as static tables; `gen/` holds their contents.
//!
//! Shapes refer to each other by index into their service's table, so that a table is plain data
//! without addresses to chase at start-up.

pub(crate) mod build;

pub use crate::r#gen::SERVICES;

/// Index into [`Service::shapes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShapeId(pub u16);

#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// botocore's directory name, such as `bedrock-agent`.
    pub name: &'static str,
    /// The credential scope's service, such as `bedrock`.
    pub signing: &'static str,
    pub protocol: Protocol,
    pub api_version: &'static str,
    /// XML namespace of query answers; empty elsewhere.
    pub namespace: &'static str,
    /// Sorted by name.
    pub operations: &'static [Operation],
    /// Only what the served operations need; shared shapes once.
    pub shapes: &'static [Shape],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    RestJson,
    Query,
}

#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub name: &'static str,
    pub method: &'static str,
    /// URI template without its query part, such as `/agents/{agentId}/`.
    pub path: &'static str,
    /// Literal query part of the template, such as `list-type=2`; mostly empty.
    pub query: &'static str,
    pub status: u16,
    /// `None` where the operation is not served, or takes nothing.
    pub input: Option<ShapeId>,
    pub output: Option<ShapeId>,
    /// Query protocol: the element that wraps the result.
    pub result_wrapper: &'static str,
    pub errors: &'static [ShapeId],
    pub state: State,
}

/// What Craton does with an operation, from `models/operations.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Served,
    Later,
    Refused(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub kind: Kind,
    pub sensitive: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Structure(Structure),
    List {
        item: ShapeId,
        item_name: &'static str,
        flattened: bool,
        min: Option<u64>,
        max: Option<u64>,
    },
    Map {
        key: ShapeId,
        value: ShapeId,
        key_name: &'static str,
        value_name: &'static str,
        flattened: bool,
        min: Option<u64>,
        max: Option<u64>,
    },
    String {
        min: Option<u64>,
        max: Option<u64>,
        pattern: &'static str,
        values: &'static [&'static str],
    },
    Blob {
        min: Option<u64>,
        max: Option<u64>,
    },
    Boolean,
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    Long {
        min: Option<i64>,
        max: Option<i64>,
    },
    Float {
        min: Option<f64>,
        max: Option<f64>,
    },
    Double {
        min: Option<f64>,
        max: Option<f64>,
    },
    Timestamp(TimeFormat),
    /// A JSON document of any kind.
    Document,
}

#[derive(Debug, Clone, Copy)]
pub struct Structure {
    pub members: &'static [Member],
    pub union: bool,
    pub event_stream: bool,
    /// The member that is the whole body (or the event's payload), as an index into `members`.
    pub payload: Option<u16>,
    pub error: Option<ErrorInfo>,
}

#[derive(Debug, Clone, Copy)]
pub struct Member {
    pub name: &'static str,
    /// Name on the wire: location name, header name or prefix, query parameter, label.
    pub wire_name: &'static str,
    pub location: Location,
    pub shape: ShapeId,
    pub required: bool,
    pub idempotency_token: bool,
    /// `jsonvalue`: JSON text inside a string (base64 of it in a header).
    pub json_value: bool,
    /// Overrides the timestamp's own format.
    pub time: Option<TimeFormat>,
    /// Query protocol lists and maps: no wrapper element.
    pub flattened: bool,
    /// Event stream: `:event payload` or header of the event.
    pub event: EventPart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    Body,
    Header,
    /// All headers with this prefix, as a map.
    Headers,
    Label,
    /// A label that may hold slashes, `{key+}`.
    GreedyLabel,
    Query,
    /// A map of further query parameters.
    QueryMap,
    StatusCode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPart {
    None,
    Payload,
    Header,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// The protocol's default: epoch seconds in JSON bodies, ISO 8601 in query and URIs,
    /// HTTP date in headers.
    Default,
    Iso8601,
    Epoch,
    HttpDate,
}

#[derive(Debug, Clone, Copy)]
pub struct ErrorInfo {
    /// The code on the wire where it differs from the shape's name; else the name.
    pub code: &'static str,
    /// 0 where the model names none.
    pub status: u16,
    /// The sender is at fault.
    pub sender: bool,
}

/// The service of that name, as botocore calls its directory.
pub fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().copied().find(|service| service.name == name)
}

impl Service {
    pub fn operation(&self, name: &str) -> Option<&'static Operation> {
        let found = self.operations.binary_search_by(|op| op.name.cmp(name)).ok()?;
        Some(&self.operations[found])
    }

    pub fn shape(&self, id: ShapeId) -> &'static Shape {
        &self.shapes[usize::from(id.0)]
    }
}
