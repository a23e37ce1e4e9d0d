//! Query-protocol requests: a form of dotted names, `Tags.member.1.Key=a`.
//!
//! The names are gathered into a tree first, so that a list is read in the order of its numbers
//! whatever the order of the form.

use std::collections::BTreeMap;

use crate::decode::http::pairs;
use crate::decode::{Malformed, RequestParts, text};
use crate::limits;
use crate::model::{Kind, Member, Service, ShapeId, Structure, TimeFormat};
use crate::time;
use crate::value::{Map, Value};

#[derive(Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

pub(crate) fn request(
    service: &'static Service,
    input: ShapeId,
    parts: &RequestParts<'_>,
) -> Result<Value, Malformed> {
    let body = std::str::from_utf8(parts.body).map_err(|e| {
        Malformed::new(format!("the body is not UTF-8 at byte {}", e.valid_up_to()))
    })?;
    // AWS: a query request may be a GET with everything in its query string.
    let source = if body.is_empty() { parts.query } else { body };
    let tree = grow(source.trim_end())?;
    let Kind::Structure(structure) = &service.shape(input).kind else {
        return Err(Malformed::new("the operation's input is not a structure"));
    };
    members(service, structure, &tree)
}

fn grow(source: &str) -> Result<Node, Malformed> {
    let mut root = Node::default();
    for (name, value) in pairs(source)? {
        if name.split('.').count() > limits::FORM_DEPTH {
            return Err(Malformed::new("a parameter's name nests too deep"));
        }
        let node = name
            .split('.')
            .fold(&mut root, |node, part| node.children.entry(part.to_owned()).or_default());
        if node.text.replace(value.into_owned()).is_some() {
            return Err(Malformed::new("a parameter stands twice"));
        }
    }
    Ok(root)
}

fn members(
    service: &'static Service,
    structure: &'static Structure,
    node: &Node,
) -> Result<Value, Malformed> {
    let mut map = Map::new();
    for member in structure.members {
        if let Some(value) = member_of(service, member, node)? {
            map.insert(member.name.to_owned(), value);
        }
    }
    Ok(Value::Map(map))
}

fn member_of(
    service: &'static Service,
    member: &'static Member,
    parent: &Node,
) -> Result<Option<Value>, Malformed> {
    let mut found = parent.children.get(member.wire_name);
    if let (None, Kind::List { item_name, flattened, .. }) =
        (found, &service.shape(member.shape).kind)
    {
        // AWS: a list shape that is flattened by itself goes by its items' name where they have
        // one (botocore's query serializer); one that its member flattens, by the member's.
        if *flattened && !member.flattened && !matches!(*item_name, "" | "member") {
            found = parent.children.get(*item_name);
        }
    }
    let Some(node) = found else { return Ok(None) };
    let place = Place { service, time: member.time, flattened: member.flattened };
    place.read(member.shape, node).map(Some)
}

/// What a member says about the shape it refers to.
#[derive(Clone, Copy)]
struct Place {
    service: &'static Service,
    time: Option<TimeFormat>,
    flattened: bool,
}

impl Place {
    fn plain(service: &'static Service) -> Self {
        Place { service, time: None, flattened: false }
    }

    fn read(self, shape: ShapeId, node: &Node) -> Result<Value, Malformed> {
        let shape = self.service.shape(shape);
        match &shape.kind {
            Kind::Structure(structure) => members(self.service, structure, node),
            Kind::List { item, item_name, flattened, .. } => {
                let flat = *flattened || self.flattened;
                self.list(*item, if flat { None } else { Some(*item_name) }, node)
            }
            Kind::Map { key_name, value_name, value, flattened, .. } => {
                let entries = if *flattened || self.flattened { None } else { Some("entry") };
                let names = (or(key_name, "key"), or(value_name, "value"));
                self.map(*value, entries, names, node)
            }
            _ => {
                let text = node.text.as_deref().ok_or_else(|| {
                    Malformed::new("Start of structure or map found where not expected")
                })?;
                let own = match shape.kind {
                    Kind::Timestamp(format) => format,
                    _ => TimeFormat::Default,
                };
                let format = time::or_default(self.time.unwrap_or(own), TimeFormat::Iso8601);
                text::scalar(shape, format, text)
            }
        }
    }

    /// `Name=` alone is the empty list.
    fn list(
        self,
        item: ShapeId,
        item_name: Option<&'static str>,
        node: &Node,
    ) -> Result<Value, Malformed> {
        let node = match item_name {
            None => Some(node),
            Some(name) => node.children.get(or(name, "member")),
        };
        let Some(node) = node else { return Ok(Value::List(Vec::new())) };
        let items = numbered(node)?;
        let items = items.into_iter().map(|n| Place::plain(self.service).read(item, n));
        Ok(Value::List(items.collect::<Result<_, _>>()?))
    }

    fn map(
        self,
        value: ShapeId,
        entries: Option<&'static str>,
        (key_name, value_name): (&str, &str),
        node: &Node,
    ) -> Result<Value, Malformed> {
        let node = match entries {
            None => Some(node),
            Some(name) => node.children.get(name),
        };
        let mut map = Map::new();
        let Some(node) = node else { return Ok(Value::Map(map)) };
        for entry in numbered(node)? {
            let key = entry.children.get(key_name).and_then(|n| n.text.clone());
            let key = key.ok_or_else(|| Malformed::new("a map entry has no key"))?;
            let of = entry.children.get(value_name);
            let of = of.ok_or_else(|| Malformed::new("a map entry has no value"))?;
            let read = Place::plain(self.service).read(value, of)?;
            if map.insert(key, read).is_some() {
                return Err(Malformed::new("a map's key stands twice"));
            }
        }
        Ok(Value::Map(map))
    }
}

fn or(name: &'static str, default: &'static str) -> &'static str {
    if name.is_empty() { default } else { name }
}

/// A list's nodes in the order of their numbers; gaps close up.
fn numbered(node: &Node) -> Result<Vec<&Node>, Malformed> {
    let mut items = Vec::with_capacity(node.children.len());
    for (number, child) in &node.children {
        let number: u32 = number
            .parse()
            .map_err(|_| Malformed::new("a list is not numbered where its shape says so"))?;
        items.push((number, child));
    }
    items.sort_by_key(|(number, _)| *number);
    Ok(items.into_iter().map(|(_, child)| child).collect())
}
