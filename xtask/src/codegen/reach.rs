//! Which shapes the served operations need, and which members must be boxed.

use std::collections::{BTreeMap, BTreeSet};

use crate::codegen::Service;
use crate::codegen::source::{Model, Operation, Shape};

/// Shapes of the tables: inputs, outputs and errors of the served operations. Their order is
/// their number.
pub(crate) fn table(service: &Service) -> BTreeMap<&str, u16> {
    let roots = served(service).flat_map(|(_, operation)| {
        let ends = operation.input.iter().chain(&operation.output);
        ends.chain(&operation.errors).map(|reference| reference.shape.as_str())
    });
    let names = closure(&service.model, roots.collect());
    let numbers = 0..u16::try_from(names.len()).expect("a service has fewer than 65536 shapes");
    names.into_iter().zip(numbers).collect()
}

/// Shapes that become Rust types: inputs and outputs alone, as errors travel as `Fault`.
pub(crate) fn types(service: &Service) -> BTreeSet<&str> {
    let roots = served(service).flat_map(|(_, operation)| {
        operation.input.iter().chain(&operation.output).map(|reference| reference.shape.as_str())
    });
    closure(&service.model, roots.collect())
}

fn served(service: &Service) -> impl Iterator<Item = (&String, &Operation)> {
    let operations = service.model.operations.iter();
    operations.filter(|(name, _)| service.plan.served.contains(*name))
}

fn closure<'a>(model: &'a Model, mut open: Vec<&'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(neighbours(model.shape(name)));
        }
    }
    seen
}

fn neighbours(shape: &Shape) -> impl Iterator<Item = &str> {
    let inner = shape.member.iter().chain(&shape.key).chain(&shape.value);
    shape.members.values().chain(inner).map(|reference| reference.shape.as_str())
}

/// Whether a member of shape `to` inside structure `from` would make `from` contain itself without
/// an indirection. Lists and maps are indirections already.
pub(crate) fn needs_box(model: &Model, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![to]);
    while let Some(name) = open.pop() {
        if name == from {
            return true;
        }
        let shape = model.shape(name);
        if shape.kind == "structure" && seen.insert(name) {
            open.extend(neighbours(shape));
        }
    }
    false
}
