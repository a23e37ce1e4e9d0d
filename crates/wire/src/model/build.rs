//! The short words in which the generated tables are written.
//!
//! Each makes a table entry with everything at its default; the methods after it say what differs.
//! All of it runs at compile time.

use super::{
    ErrorInfo, EventPart, Kind, Location, Member, Operation, Shape, ShapeId, State, Structure,
    TimeFormat,
};

pub(crate) const fn op(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    status: u16,
) -> Operation {
    Operation {
        name,
        method,
        path,
        query: "",
        status,
        input: None,
        output: None,
        result_wrapper: "",
        errors: &[],
        state: State::Later,
    }
}

impl Operation {
    pub(crate) const fn query(self, query: &'static str) -> Self {
        Operation { query, ..self }
    }

    pub(crate) const fn served(self, errors: &'static [ShapeId]) -> Self {
        Operation { state: State::Served, errors, ..self }
    }

    pub(crate) const fn refused(self, why: &'static str) -> Self {
        Operation { state: State::Refused(why), ..self }
    }

    pub(crate) const fn input(self, shape: u16) -> Self {
        Operation { input: Some(ShapeId(shape)), ..self }
    }

    pub(crate) const fn output(self, shape: u16) -> Self {
        Operation { output: Some(ShapeId(shape)), ..self }
    }

    pub(crate) const fn wrapper(self, result_wrapper: &'static str) -> Self {
        Operation { result_wrapper, ..self }
    }
}

/// A member in the body under its own name.
pub(crate) const fn m(name: &'static str, shape: u16) -> Member {
    Member {
        name,
        wire_name: name,
        location: Location::Body,
        shape: ShapeId(shape),
        required: false,
        idempotency_token: false,
        json_value: false,
        time: None,
        flattened: false,
        event: EventPart::None,
    }
}

impl Member {
    pub(crate) const fn required(self) -> Self {
        Member { required: true, ..self }
    }

    pub(crate) const fn at(self, location: Location, wire_name: &'static str) -> Self {
        Member { location, wire_name, ..self }
    }

    pub(crate) const fn token(self) -> Self {
        Member { idempotency_token: true, ..self }
    }

    #[allow(dead_code, reason = "the models of the served operations have none at times")]
    pub(crate) const fn json(self) -> Self {
        Member { json_value: true, ..self }
    }

    #[allow(dead_code, reason = "the models of the served operations have none at times")]
    pub(crate) const fn time(self, format: TimeFormat) -> Self {
        Member { time: Some(format), ..self }
    }

    #[allow(dead_code, reason = "the models of the served operations have none at times")]
    pub(crate) const fn flat(self) -> Self {
        Member { flattened: true, ..self }
    }

    #[allow(dead_code, reason = "the models of the served operations have none at times")]
    pub(crate) const fn event(self, event: EventPart) -> Self {
        Member { event, ..self }
    }
}

const fn shape(name: &'static str, kind: Kind) -> Shape {
    Shape { name, kind, sensitive: false }
}

pub(crate) const fn structure(name: &'static str, members: &'static [Member]) -> Shape {
    let structure =
        Structure { members, union: false, event_stream: false, payload: None, error: None };
    shape(name, Kind::Structure(structure))
}

pub(crate) const fn list(name: &'static str, item: u16) -> Shape {
    let item = ShapeId(item);
    let kind = Kind::List { item, item_name: "member", flattened: false, min: None, max: None };
    shape(name, kind)
}

pub(crate) const fn map(name: &'static str, key: u16, value: u16) -> Shape {
    let (key, value) = (ShapeId(key), ShapeId(value));
    let (key_name, value_name) = ("key", "value");
    let (flattened, min, max) = (false, None, None);
    shape(name, Kind::Map { key, value, key_name, value_name, flattened, min, max })
}

pub(crate) const fn string(name: &'static str) -> Shape {
    shape(name, Kind::String { min: None, max: None, pattern: "", values: &[] })
}

pub(crate) const fn blob(name: &'static str) -> Shape {
    shape(name, Kind::Blob { min: None, max: None })
}

pub(crate) const fn boolean(name: &'static str) -> Shape {
    shape(name, Kind::Boolean)
}

pub(crate) const fn integer(name: &'static str) -> Shape {
    shape(name, Kind::Integer { min: None, max: None })
}

pub(crate) const fn long(name: &'static str) -> Shape {
    shape(name, Kind::Long { min: None, max: None })
}

pub(crate) const fn float(name: &'static str) -> Shape {
    shape(name, Kind::Float { min: None, max: None })
}

pub(crate) const fn double(name: &'static str) -> Shape {
    shape(name, Kind::Double { min: None, max: None })
}

pub(crate) const fn timestamp(name: &'static str, format: TimeFormat) -> Shape {
    shape(name, Kind::Timestamp(format))
}

pub(crate) const fn document(name: &'static str) -> Shape {
    shape(name, Kind::Document)
}

/// Methods that take a shape of the wrong kind stop the build.
const WRONG_KIND: &str = "codegen asked a shape for what its kind does not have";

impl Shape {
    pub(crate) const fn sensitive(self) -> Self {
        Shape { sensitive: true, ..self }
    }

    pub(crate) const fn union(self) -> Self {
        let structure = self.as_structure();
        self.with(Structure { union: true, ..structure })
    }

    pub(crate) const fn event_stream(self) -> Self {
        let structure = self.as_structure();
        self.with(Structure { event_stream: true, union: true, ..structure })
    }

    pub(crate) const fn payload(self, member: u16) -> Self {
        let structure = self.as_structure();
        self.with(Structure { payload: Some(member), ..structure })
    }

    pub(crate) const fn error(self, code: &'static str, status: u16, sender: bool) -> Self {
        let structure = self.as_structure();
        self.with(Structure { error: Some(ErrorInfo { code, status, sender }), ..structure })
    }

    /// Bounds of a length.
    pub(crate) const fn size(self, low: Option<u64>, high: Option<u64>) -> Self {
        let mut bounded = self;
        match &mut bounded.kind {
            Kind::List { min, max, .. }
            | Kind::Map { min, max, .. }
            | Kind::String { min, max, .. }
            | Kind::Blob { min, max } => {
                *min = low;
                *max = high;
            }
            _ => panic!("{}", WRONG_KIND),
        }
        bounded
    }

    /// Bounds of a whole number.
    pub(crate) const fn range(self, low: Option<i64>, high: Option<i64>) -> Self {
        let mut bounded = self;
        match &mut bounded.kind {
            Kind::Integer { min, max } | Kind::Long { min, max } => {
                *min = low;
                *max = high;
            }
            _ => panic!("{}", WRONG_KIND),
        }
        bounded
    }

    /// Bounds of a fraction.
    pub(crate) const fn span(self, low: Option<f64>, high: Option<f64>) -> Self {
        let mut bounded = self;
        match &mut bounded.kind {
            Kind::Float { min, max } | Kind::Double { min, max } => {
                *min = low;
                *max = high;
            }
            _ => panic!("{}", WRONG_KIND),
        }
        bounded
    }

    pub(crate) const fn pattern(self, regex: &'static str) -> Self {
        let mut shape = self;
        match &mut shape.kind {
            Kind::String { pattern, .. } => *pattern = regex,
            _ => panic!("{}", WRONG_KIND),
        }
        shape
    }

    pub(crate) const fn values(self, all: &'static [&'static str]) -> Self {
        let mut shape = self;
        match &mut shape.kind {
            Kind::String { values, .. } => *values = all,
            _ => panic!("{}", WRONG_KIND),
        }
        shape
    }

    const fn as_structure(&self) -> Structure {
        match self.kind {
            Kind::Structure(structure) => structure,
            _ => panic!("{}", WRONG_KIND),
        }
    }

    const fn with(self, structure: Structure) -> Self {
        Shape { kind: Kind::Structure(structure), ..self }
    }
}
