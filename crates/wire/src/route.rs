//! Finds the operation that a REST request asks for, by method and path template.
//!
//! The path is taken raw and matched as it stands: slashes are never merged or dropped
//! (`POST /agents/{agentId}/` is PrepareAgent, without the last slash it is InvokeInlineAgent), and
//! an encoded slash is part of its label. Only where nothing matches may the last slash be the
//! other way. Query-protocol services have one path; their operation
//! is the `Action` of the form, see [`action`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use percent_encoding::percent_decode_str;

use crate::arn::Arn;
use crate::model::{Operation, Protocol, SERVICES, Service, service};

/// Labels of the path by their name in the template (a member's `wire_name`), percent-decoded.
pub type Labels = BTreeMap<String, String>;

/// The operation of `service` at a target: a raw path, with its query if it has one. Only a few
/// templates look at the query (`/2018-10-31/layers?find=LayerVersion`).
pub fn find(
    service: &'static Service,
    method: &str,
    target: &str,
) -> Option<(&'static Operation, Labels)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let place = SERVICES.iter().position(|known| std::ptr::eq(*known, service));
    let request = Request { method, query, segments: &segments };
    match place {
        Some(place) => INDEXES[place].get_or_init(|| Node::index(service)).find(&request),
        None => Node::index(service).find(&request),
    }
}

/// For requests that do not say which service they mean: the first of `services` that has the
/// target, or has it but for its last slash. `/tags/{arn}` is common to several; there the ARN's own
/// service decides.
pub fn candidates(
    services: &[&'static Service],
    method: &str,
    target: &str,
) -> Option<(&'static Service, &'static Operation, Labels)> {
    let at = |target: &str| {
        let mut hits = services.iter().filter_map(|service| {
            find(service, method, target).map(|(op, labels)| (*service, op, labels))
        });
        let first = hits.next()?;
        let owner = first.2.get("resourceArn").and_then(|arn| tagged_by(arn));
        let Some(owner) = owner.filter(|owner| !std::ptr::eq(first.0, *owner)) else {
            return Some(first);
        };
        Some(hits.find(|hit| std::ptr::eq(hit.0, owner)).unwrap_or(first))
    };
    at(target).or_else(|| at(&other_slash(target)))
}

/// The target without its path's last slash, or with one if it has none.
// AWS: takes either where only one is an operation. The SDK for Rust sends no last slash at all
// (`PUT /agents`, aws-sdk-bedrockagent 1.156); Lambda's API reference has one that its models have
// not (`GET /2015-03-31/functions/`)
fn other_slash(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.ends_with('/') => shorter.to_owned(),
        _ => format!("{path}/"),
    };
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// The service whose TagResource takes this ARN.
// AWS: sessions are tagged through bedrock-agent-runtime, agents, flows and the like through
// bedrock-agent (patterns of TaggableResourcesArn in both models).
fn tagged_by(arn: &str) -> Option<&'static Service> {
    let arn = Arn::parse(arn).ok()?;
    match (arn.service.as_str(), arn.kind_and_id().0) {
        ("bedrock", "session") => service("bedrock-agent-runtime"),
        ("bedrock", _) => service("bedrock-agent"),
        _ => None,
    }
}

/// The operation that a query-protocol form names.
pub fn action(service: &'static Service, form: &str) -> Option<&'static Operation> {
    let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let name = pairs.into_iter().find(|(key, _)| *key == "Action")?.1;
    service.operation(&decode(name)?)
}

static INDEXES: [OnceLock<Node>; SERVICES.len()] = [const { OnceLock::new() }; SERVICES.len()];

struct Request<'a> {
    method: &'a str,
    query: &'a str,
    segments: &'a [&'a str],
}

/// A place in the tree of path templates.
#[derive(Default)]
struct Node {
    literals: HashMap<&'static str, Node>,
    label: Option<Box<Node>>,
    /// Operations whose template ends with a label that may hold slashes.
    greedy: Vec<&'static Operation>,
    ends: Vec<&'static Operation>,
}

impl Node {
    fn index(service: &'static Service) -> Node {
        let mut root = Node::default();
        if service.protocol == Protocol::RestJson {
            for operation in service.operations {
                root.insert(operation);
            }
        }
        root
    }

    fn insert(&mut self, operation: &'static Operation) {
        let mut node = self;
        for segment in template(operation) {
            node = match label(segment) {
                Some(Label { greedy: true, .. }) => return node.greedy.push(operation),
                Some(_) => node.label.get_or_insert_default(),
                None => node.literals.entry(segment).or_default(),
            };
        }
        node.ends.push(operation);
    }

    fn find(&self, request: &Request<'_>) -> Option<(&'static Operation, Labels)> {
        let operation = self.walk(request, 0)?;
        Some((operation, labels(operation, request.segments)?))
    }

    /// A literal is preferred to a label, and a label to a greedy one.
    fn walk(&self, request: &Request<'_>, depth: usize) -> Option<&'static Operation> {
        let Some(segment) = request.segments.get(depth) else { return choose(&self.ends, request) };
        let literal = self.literals.get(segment).and_then(|node| node.walk(request, depth + 1));
        literal
            .or_else(|| {
                let node = self.label.as_deref().filter(|_| !segment.is_empty())?;
                node.walk(request, depth + 1).or_else(|| node.raw_arn(request, depth))
            })
            .or_else(|| choose(&self.greedy, request).filter(|_| !segment.is_empty()))
    }

    /// `/tags/{arn}` also takes an ARN whose slashes the client left as they are.
    fn raw_arn(&self, request: &Request<'_>, depth: usize) -> Option<&'static Operation> {
        let below_tags = depth > 0 && request.segments[depth - 1] == "tags";
        let is_arn = decode(request.segments[depth]).is_some_and(|text| text.starts_with("arn:"));
        choose(&self.ends, request).filter(|_| below_tags && is_arn)
    }
}

/// Of operations with the same path, the one of this method; one that asks for a query wins.
fn choose(ends: &[&'static Operation], request: &Request<'_>) -> Option<&'static Operation> {
    let fits = |operation: &&&Operation| {
        operation.method == request.method
            && operation
                .query
                .split('&')
                .filter(|part| !part.is_empty())
                .all(|part| request.query.split('&').any(|given| given == part))
    };
    ends.iter().filter(fits).max_by_key(|operation| operation.query.len()).copied()
}

struct Label {
    name: &'static str,
    greedy: bool,
}

fn template(operation: &'static Operation) -> impl Iterator<Item = &'static str> {
    operation.path.strip_prefix('/').unwrap_or(operation.path).split('/')
}

fn label(segment: &'static str) -> Option<Label> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let greedy = name.strip_suffix('+');
    Some(Label { name: greedy.unwrap_or(name), greedy: greedy.is_some() })
}

fn labels(operation: &'static Operation, segments: &[&str]) -> Option<Labels> {
    let mut labels = Labels::new();
    let last = template(operation).count() - 1;
    for (i, part) in template(operation).enumerate() {
        let Some(label) = label(part) else { continue };
        // The last label takes what is left: one segment, but for greedy labels and raw ARNs.
        let text = if i == last { segments[i..].join("/") } else { segments[i].to_owned() };
        labels.insert(label.name.to_owned(), decode(&text)?.into_owned());
    }
    Some(labels)
}

/// `None` if the text is not UTF-8 underneath.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

#[cfg(test)]
mod tests;
