//! Query-protocol responses: XML elements by table, the result in its wrapper, then the metadata.

use std::fmt::Write as _;

use crate::encode::http::text;
use crate::encode::{Modelled, fault_members};
use crate::fault::Fault;
use crate::model::{Kind, Member, Operation, Service, Shape, ShapeId, Structure, TimeFormat};
use crate::time;
use crate::value::{Map, Value};

pub(crate) fn response(
    service: &'static Service,
    operation: &'static Operation,
    value: &Value,
    request_id: &str,
) -> String {
    let mut xml = Xml { service, out: String::with_capacity(256) };
    let _ = write!(xml.out, "<{}Response xmlns=\"", operation.name);
    escape(service.namespace, &mut xml.out);
    xml.out.push_str("\">");
    if let Some(output) = operation.output {
        let default = format!("{}Result", operation.name);
        let wrapper =
            if operation.result_wrapper.is_empty() { &default } else { operation.result_wrapper };
        xml.value(wrapper, service.shape(output), None, value);
    }
    xml.out.push_str("<ResponseMetadata>");
    xml.leaf("RequestId", request_id);
    let _ = write!(xml.out, "</ResponseMetadata></{}Response>", operation.name);
    xml.out
}

pub(crate) fn fault(
    service: &'static Service,
    modelled: Option<Modelled>,
    fault: &Fault,
    status: u16,
    request_id: &str,
) -> String {
    let sender = modelled.map_or(status < 500, |m| m.info.sender);
    let mut xml = Xml { service, out: String::with_capacity(256) };
    xml.out.push_str("<ErrorResponse xmlns=\"");
    escape(service.namespace, &mut xml.out);
    xml.out.push_str("\"><Error>");
    xml.leaf("Type", if sender { "Sender" } else { "Receiver" });
    xml.leaf("Code", modelled.map_or(fault.code(), |m| m.info.code));
    // AWS: the common part spells it Message whatever the exception's own member is called.
    if !fault.message().is_empty() {
        xml.leaf("Message", fault.message());
    }
    if let Some(Modelled { structure, .. }) = modelled {
        let mut members = fault_members(Some(structure), fault, status);
        members.retain(|name, _| !name.eq_ignore_ascii_case("message") && name != "Type");
        xml.members(structure, &members);
    }
    xml.out.push_str("</Error>");
    xml.leaf("RequestId", request_id);
    xml.out.push_str("</ErrorResponse>");
    xml.out
}

struct Xml {
    service: &'static Service,
    out: String,
}

impl Xml {
    fn members(&mut self, structure: &'static Structure, map: &Map) {
        for member in structure.members {
            match map.get(member.name) {
                None | Some(Value::Null) => {}
                Some(value) => self.member(member, value),
            }
        }
    }

    fn member(&mut self, member: &'static Member, value: &Value) {
        let shape = self.service.shape(member.shape);
        match (&shape.kind, value) {
            (Kind::List { item, item_name, flattened, .. }, Value::List(items))
                if *flattened || member.flattened =>
            {
                // Items of a shape that is flattened by itself go by their own name.
                let own = !member.flattened && !matches!(*item_name, "" | "member");
                let name = if own { item_name } else { member.wire_name };
                self.items(name, *item, items);
            }
            (Kind::Map { flattened, .. }, Value::Map(map)) if *flattened || member.flattened => {
                self.entries(member.wire_name, shape, map);
            }
            _ => self.value(member.wire_name, shape, member.time, value),
        }
    }

    fn value(
        &mut self,
        name: &str,
        shape: &'static Shape,
        time: Option<TimeFormat>,
        value: &Value,
    ) {
        match (&shape.kind, value) {
            (Kind::Structure(structure), Value::Map(map)) => {
                self.around(name, |xml| xml.members(structure, map));
            }
            (Kind::List { item, item_name, .. }, Value::List(items)) => {
                let each = if item_name.is_empty() { "member" } else { item_name };
                self.around(name, |xml| xml.items(each, *item, items));
            }
            (Kind::Map { .. }, Value::Map(map)) => {
                self.around(name, |xml| xml.entries("entry", shape, map));
            }
            (Kind::Timestamp(own), value) => {
                let format = time::or_default(time.unwrap_or(*own), TimeFormat::Iso8601);
                self.leaf(name, &text(value, format));
            }
            (_, value) => self.leaf(name, &text(value, TimeFormat::Iso8601)),
        }
    }

    fn items(&mut self, name: &str, item: ShapeId, items: &[Value]) {
        for value in items {
            self.value(name, self.service.shape(item), None, value);
        }
    }

    fn entries(&mut self, name: &str, shape: &'static Shape, map: &Map) {
        let Kind::Map { value: each, key_name, value_name, .. } = &shape.kind else { return };
        let key_name = if key_name.is_empty() { "key" } else { key_name };
        let value_name = if value_name.is_empty() { "value" } else { value_name };
        for (key, value) in map {
            self.around(name, |xml| {
                xml.leaf(key_name, key);
                xml.value(value_name, xml.service.shape(*each), None, value);
            });
        }
    }

    fn around(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let _ = write!(self.out, "<{name}>");
        inside(self);
        let _ = write!(self.out, "</{name}>");
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.around(name, |xml| escape(text, &mut xml.out));
    }
}

/// What XML 1.0 cannot hold even when escaped, most control characters, becomes U+FFFD.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A bare carriage return would be read back as a line feed.
            '\r' => out.push_str("&#xD;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}
