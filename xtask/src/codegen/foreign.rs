//! `models/foreign.txt`: every service of the pinned botocore, as little of it as it takes to say in
//! a client's own protocol which operation it asked for, and where AWS serves it.
//!
//! A line that begins with `@` is a service: name, signing name, protocols, API version, target
//! prefix, endpoint prefix, hosts. Of REST services the operations follow, one line for each path:
//! the path with nameless labels, then method and operation in turn. A method may ask for more, as
//! in `PUT?uploadId&:x-amz-copy-source`: parameters of the query, headers after a colon.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value as Json;

use crate::codegen::endpoint;
use crate::{Outcome, root};

/// Prints each service's newest model, and its endpoint rules, as a line of JSON.
const UNPACK: &str = "import gzip, json, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
newest = {}
for path in sorted(wheel.namelist()):
    parts = path.split('/')
    if parts[:2] == ['botocore', 'data'] and parts[-1] == 'service-2.json.gz':
        newest[parts[2]] = path
for name, path in newest.items():
    model = json.loads(gzip.decompress(wheel.read(path)))
    rules = path.replace('service-2', 'endpoint-rule-set-1')
    rules = json.loads(gzip.decompress(wheel.read(rules))) if rules in wheel.NameToInfo else None
    print(json.dumps({'name': name, 'metadata': model['metadata'], 'rules': rules,
        'operations': {o: {'http': x['http'], 'input': x.get('input'),
                           'deprecated': x.get('deprecated', False),
                           'open': x.get('authtype') == 'none'}
                       for o, x in model['operations'].items()},
        'shapes': {n: s for n, s in model['shapes'].items() if s['type'] == 'structure'}}))";

#[derive(Deserialize)]
struct Service {
    name: String,
    metadata: Metadata,
    rules: Option<Json>,
    operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Structure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    api_version: String,
    endpoint_prefix: String,
    protocol: String,
    #[serde(default)]
    protocols: Vec<String>,
    json_version: Option<String>,
    signature_version: Option<String>,
    signing_name: Option<String>,
    target_prefix: Option<String>,
    aws_query_compatible: Option<Json>,
}

#[derive(Deserialize)]
struct Operation {
    http: Http,
    input: Option<Reference>,
    deprecated: bool,
    /// Called without a signature.
    open: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    request_uri: String,
}

#[derive(Deserialize)]
struct Reference {
    shape: String,
}

#[derive(Deserialize)]
struct Structure {
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    members: BTreeMap<String, Member>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    location: Option<String>,
    location_name: Option<String>,
}

fn path() -> PathBuf {
    root().join("models/foreign.txt")
}

fn head(version: &str) -> String {
    format!("# AWS's services by botocore {version} (Apache-2.0, see README.md).\n")
}

pub(crate) fn is_current(version: &str) -> bool {
    fs::read_to_string(path()).is_ok_and(|text| text.starts_with(&head(version)))
}

pub(crate) fn strip(wheel: &Path, version: &str) -> Outcome {
    let mut text = head(version);
    let mut unpack =
        Command::new("python3").args(["-c", UNPACK]).arg(wheel).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(unpack.stdout.take().ok_or("the output is not piped")?).lines();
    let mut services = 0;
    for line in lines {
        let service: Service = serde_json::from_str(&line?)?;
        write_service(&mut text, &service)?;
        services += 1;
    }
    if !unpack.wait()?.success() {
        return Err("the models of other services could not be unpacked".into());
    }
    fs::write(path(), &text)?;
    println!("stripped {services} services of botocore {version} to {} bytes", text.len());
    Ok(())
}

fn write_service(text: &mut String, service: &Service) -> Result<(), Box<dyn Error>> {
    let metadata = &service.metadata;
    let protocols = protocols(service);
    let signing = metadata.signing_name.as_ref().unwrap_or(&metadata.endpoint_prefix);
    let rules = service.rules.as_ref();
    let hosts = rules.map(|rules| endpoint::hosts(rules, &metadata.endpoint_prefix));
    writeln!(
        text,
        "@{} {signing} {protocols} {} {} {} {}",
        service.name,
        metadata.api_version,
        metadata.target_prefix.as_deref().unwrap_or("-"),
        metadata.endpoint_prefix,
        hosts.filter(|hosts| !hosts.is_empty()).as_deref().unwrap_or("-"),
    )?;
    if metadata.protocol.starts_with("rest-") {
        write_operations(text, service)?;
    }
    Ok(())
}

/// As wire reads them: the version of AWS-JSON behind its name, `+query` where codes of the query
/// protocol go into a header, `+open` where some operations are called unsigned.
fn protocols(Service { metadata, operations, .. }: &Service) -> String {
    let mut names = metadata.protocols.clone();
    if names.is_empty() {
        names.push(metadata.protocol.clone());
    }
    for name in &mut names {
        match name.as_str() {
            "json" => *name = format!("json-{}", metadata.json_version.as_deref().unwrap_or("1.1")),
            "smithy-rpc-v2-cbor" => "cbor".clone_into(name),
            _ => {}
        }
    }
    let compatible = metadata.aws_query_compatible.as_ref().map_or("", |_| "+query");
    let bearer = metadata.signature_version.as_deref() == Some("bearer");
    let open = bearer || operations.values().any(|operation| operation.open);
    names.join(",") + compatible + if open { "+open" } else { "" }
}

fn write_operations(text: &mut String, service: &Service) -> Outcome {
    let mut paths: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
    for (name, operation) in &service.operations {
        let (path, query) = place(&operation.http.request_uri);
        let method = format!("{}{query}", operation.http.method);
        paths.entry(path).or_default().entry(method).or_default().push(name);
    }
    for (path, methods) in paths {
        text.push_str(&path);
        for (method, mut names) in methods {
            if names.iter().any(|name| !service.operations[*name].deprecated) {
                names.retain(|name| !service.operations[*name].deprecated);
            }
            let alone = names.len() == 1;
            for name in names {
                // Where the URI is the same, what is required tells operations apart.
                let more = if alone { Vec::new() } else { required(service, name) };
                let joint = if method.contains('?') || more.is_empty() { "&" } else { "?" };
                let joint = if more.is_empty() { "" } else { joint };
                write!(text, " {method}{joint}{} {name}", more.join("&"))?;
            }
        }
        text.push('\n');
    }
    Ok(())
}

/// The path with `{}` and `{+}` for labels, and the query with its question mark.
fn place(uri: &str) -> (String, String) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'))
    {
        Some(label) if label.ends_with('+') => "{+}".to_owned(),
        Some(_) => "{}".to_owned(),
        None => segment.to_owned(),
    };
    let path: Vec<String> = path.split('/').map(segment).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    (path.join("/"), query)
}

fn required(service: &Service, operation: &str) -> Vec<String> {
    let input = service.operations[operation].input.as_ref();
    let Some(shape) = input.and_then(|input| service.shapes.get(&input.shape)) else {
        return Vec::new();
    };
    let members = shape.required.iter().filter_map(|name| shape.members.get_key_value(name));
    members
        .filter_map(|(name, member)| {
            let wire = member.location_name.as_ref().unwrap_or(name);
            match member.location.as_deref()? {
                "querystring" => Some(wire.clone()),
                "header" => Some(format!(":{}", wire.to_ascii_lowercase())),
                _ => None,
            }
        })
        .collect()
}
