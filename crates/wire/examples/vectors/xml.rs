//! XML as a tree, as far as a query answer's meaning goes: no namespaces, no white space between
//! elements, no request id.

use quick_xml::Reader;
use quick_xml::events::Event;

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

pub(crate) fn parse(text: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(start) => open.push(named(start.local_name().into_inner())),
            Event::Empty(start) => close(&mut open, named(start.local_name().into_inner())),
            Event::End(_) => {
                let done = open.pop().ok_or("an end without start")?;
                close(&mut open, done);
            }
            Event::Text(piece) => push_text(&mut open, &piece),
            Event::GeneralRef(name) => {
                let reference = format!("&{};", &*name);
                let resolved = quick_xml::escape::unescape(&reference)
                    .map_err(|e| e.to_string())?
                    .into_owned();
                push_text(&mut open, &resolved);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let mut root = open.pop().and_then(|mut e| e.children.pop()).ok_or("no element")?;
    tidy(&mut root);
    Ok(root)
}

fn named(name: &str) -> Element {
    Element { name: name.to_owned(), ..Element::default() }
}

fn close(open: &mut [Element], done: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(done);
    }
}

fn push_text(open: &mut [Element], piece: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(piece);
    }
}

fn tidy(element: &mut Element) {
    element.children.retain(|c| c.name != "ResponseMetadata" && c.name != "RequestId");
    if !element.children.is_empty() || element.text.trim().is_empty() {
        element.text.clear();
    }
    element.children.iter_mut().for_each(tidy);
}

/// Leaves of one name keep their order, which is a list's; members and map entries have none.
pub(crate) fn same(a: &Element, b: &Element) -> bool {
    canonical(a) == canonical(b)
}

fn canonical(element: &Element) -> Element {
    let mut element = element.clone();
    element.children = element.children.iter().map(canonical).collect();
    let key = |e: &Element| {
        let inside = if e.children.is_empty() { String::new() } else { format!("{e:?}") };
        (e.name.clone(), inside)
    };
    element.children.sort_by_key(key);
    element
}
