//! AWS's other services, as far as it takes to answer their clients: which protocol a service speaks,
//! which operation a request asks for, and where AWS serves it.
//!
//! The table is `models/foreign.txt`, which codegen strips from botocore. Its heads are read once,
//! when the first request asks; the operations of a service are read through on each request for it,
//! for such requests are rare and the text is short. Nothing here decodes a body.

use std::sync::LazyLock;

use percent_encoding::percent_decode_str;

const TABLE: &str = include_str!("../../../models/foreign.txt");

static SERVICES: LazyLock<Vec<Service>> =
    LazyLock::new(|| TABLE.split("\n@").skip(1).filter_map(Service::read).collect());

/// What a literal segment of the path counts in a score; each condition counts one.
pub const LITERAL: usize = 8;

/// One service of AWS's, ours among them.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// botocore's name, such as `s3control`.
    pub name: &'static str,
    /// The credential scope's service, such as `s3`; several services may share it.
    pub signing: &'static str,
    pub version: &'static str,
    /// What stands before the operation in `X-Amz-Target`, and in the path of RPC v2.
    pub target: &'static str,
    protocols: &'static str,
    prefix: &'static str,
    hosts: &'static str,
    /// One line for each path; empty where the path does not tell the operation.
    operations: &'static str,
}

/// What errors look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    Query,
    Ec2,
    RestXml,
    /// As S3 has it: the error is the document's root.
    RestXmlBare,
    RestJson,
    Json10,
    Json11,
    Cbor,
}

/// What tells operations apart.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Empty: any method, whatever else it asks for.
    pub method: &'a str,
    /// Raw, and with the bucket in front where the host named it.
    pub path: &'a str,
    pub query: &'a str,
    pub has_header: &'a dyn Fn(&str) -> bool,
}

/// An operation whose path and conditions hold.
struct Fit {
    name: &'static str,
    /// As in the table: `list-type=2&:x-header`.
    conditions: &'static str,
    literal: usize,
}

impl Fit {
    /// Asks for less than `other` does.
    fn is_part_of(&self, other: &Fit) -> bool {
        let of = |fit: &Fit| fit.conditions.split('&').filter(|c| !c.is_empty()).count();
        let mut mine = self.conditions.split('&').filter(|condition| !condition.is_empty());
        of(self) < of(other) && mine.all(|one| other.conditions.split('&').any(|c| c == one))
    }
}

/// Where AWS serves a service.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    /// The region that signs.
    pub region: String,
}

/// The services that sign as `signing`.
// AWS: other names under which a part of a service signs (botocore's endpoint rules)
pub fn signed_as(signing: &str) -> impl Iterator<Item = &'static Service> {
    let other = match signing {
        "s3express" | "s3-outposts" | "s3-object-lambda" => "s3",
        "IngestionService" => "importexport",
        signing => signing,
    };
    SERVICES.iter().filter(move |service| service.signing == signing || service.signing == other)
}

pub fn services() -> impl Iterator<Item = &'static Service> {
    SERVICES.iter()
}

impl Service {
    fn read(block: &'static str) -> Option<Service> {
        let (head, operations) = block.split_once('\n').unwrap_or((block, ""));
        let mut words = head.split(' ');
        let mut word = || words.next();
        Some(Service {
            name: word()?,
            signing: word()?,
            protocols: word()?,
            version: word()?,
            target: word()?,
            prefix: word()?,
            hosts: word()?,
            operations,
        })
    }

    pub fn speaks(&self, protocol: &str) -> bool {
        let names = self.protocols.split('+').next().unwrap_or_default();
        names.split(',').any(|name| name.starts_with(protocol))
    }

    /// Its operations are named in a form.
    pub fn is_form(&self) -> bool {
        self.speaks("query") || self.speaks("ec2")
    }

    /// AWS serves both at one address.
    pub fn shares_hosts(&self, other: &Service) -> bool {
        (self.prefix, self.hosts) == (other.prefix, other.hosts)
    }

    /// Clients read codes of the query protocol from a header.
    pub fn is_query_compatible(&self) -> bool {
        self.protocols.contains("+query")
    }

    /// Some of its operations are called without a signature.
    pub fn is_open(&self) -> bool {
        self.protocols.contains("+open")
    }

    /// That of its first protocol.
    pub fn tongue(&self) -> Tongue {
        let first = self.protocols.split([',', '+']).next().unwrap_or_default();
        match first {
            "query" => Tongue::Query,
            "ec2" => Tongue::Ec2,
            // AWS: S3's errors have no wrapper (its Smithy model, noErrorWrapping)
            "rest-xml" if self.name == "s3" => Tongue::RestXmlBare,
            "rest-xml" => Tongue::RestXml,
            "json-1.0" => Tongue::Json10,
            "json-1.1" => Tongue::Json11,
            "cbor" => Tongue::Cbor,
            _ => Tongue::RestJson,
        }
    }

    /// The operation of a REST service that `asked` fits best, and its score: [`LITERAL`] for each
    /// literal segment of the path, and one for each condition.
    // AWS: SDKs differ in the last slash of a path (route53's rrset, S3's buckets)
    pub fn operation(&self, asked: &Asked<'_>) -> Option<(&'static str, usize)> {
        self.exactly(asked).or_else(|| {
            let cut = asked.path.strip_suffix('/').map(str::to_owned);
            let path = cut.unwrap_or_else(|| format!("{}/", asked.path));
            self.exactly(&Asked { path: &path, ..*asked })
        })
    }

    fn exactly(&self, asked: &Asked<'_>) -> Option<(&'static str, usize)> {
        let mut best = None;
        for line in self.operations.lines() {
            let mut words = line.split(' ');
            let Some(literal) = words.next().and_then(|path| fit(path, asked.path)) else {
                continue;
            };
            while let (Some(method), Some(name)) = (words.next(), words.next()) {
                let Some(conditions) = fulfilled(method, asked) else { continue };
                let score = literal * LITERAL + conditions.min(LITERAL - 1);
                if best.is_none_or(|(_, so_far)| score > so_far) {
                    best = Some((name, score));
                }
            }
        }
        best
    }

    /// Every operation that the service may read in `asked`: of the most literal path those whose
    /// conditions hold and are no part of another's. Where it is one, there is no doubt.
    pub fn readings(&self, asked: &Asked<'_>) -> Vec<&'static str> {
        let mut readings = Vec::new();
        let fits: Vec<Fit> = self.fits(asked).collect();
        let literal = fits.iter().map(|fit| fit.literal).max();
        let fits: Vec<Fit> = fits.into_iter().filter(|fit| Some(fit.literal) == literal).collect();
        for fit in &fits {
            let part = fits.iter().any(|other| fit.is_part_of(other));
            if !part && !readings.contains(&fit.name) {
                readings.push(fit.name);
            }
        }
        readings
    }

    fn fits(&self, asked: &Asked<'_>) -> impl Iterator<Item = Fit> {
        let toggled = match asked.path.strip_suffix('/') {
            Some(path) => path.to_owned(),
            None => format!("{}/", asked.path),
        };
        let asked = *asked;
        self.operations.lines().flat_map(move |line| {
            let (path, operations) = line.split_once(' ').unwrap_or((line, ""));
            let literal = fit(path, asked.path).or_else(|| fit(path, &toggled));
            let words: Vec<&'static str> = operations.split(' ').collect();
            let fits = words.chunks_exact(2).filter_map(|pair| {
                fulfilled(pair[0], &asked)?;
                let conditions = pair[0].split_once('?').map_or("", |(_, conditions)| conditions);
                Some(Fit { name: pair[1], conditions, literal: literal? })
            });
            fits.collect::<Vec<_>>()
        })
    }

    /// The endpoint that a plain client uses in `region`.
    // AWS: botocore's endpoint rules; most hosts are PREFIX.REGION.SUFFIX
    pub fn endpoint(&self, region: &str) -> Endpoint {
        let (partition, suffix) = partition(region);
        let own =
            self.hosts.split(',').find_map(|host| host.strip_prefix(partition)?.strip_prefix('='));
        let Some(own) = own else {
            let host = format!("{}.{region}.{suffix}", self.prefix);
            return Endpoint { host, region: region.to_owned() };
        };
        let (host, signs) = own.split_once('@').unwrap_or((own, region));
        Endpoint { host: host.replace("{}", region), region: signs.to_owned() }
    }
}

// AWS: botocore's partitions.json
fn partition(region: &str) -> (&'static str, &'static str) {
    match region.split('-').next().unwrap_or_default() {
        "cn" => ("aws-cn", "amazonaws.com.cn"),
        "eusc" => ("aws-eusc", "amazonaws.eu"),
        _ if region.starts_with("us-gov-") => ("aws-us-gov", "amazonaws.com"),
        _ if region.starts_with("us-isob-") => ("aws-iso-b", "sc2s.sgov.gov"),
        _ if region.starts_with("us-isof-") => ("aws-iso-f", "csp.hci.ic.gov"),
        _ if region.starts_with("us-iso-") => ("aws-iso", "c2s.ic.gov"),
        _ if region.starts_with("eu-isoe-") => ("aws-iso-e", "cloud.adc-e.uk"),
        _ => ("aws", "amazonaws.com"),
    }
}

/// How many segments of the template are literally the path's; `None` where it is another path.
fn fit(template: &str, path: &str) -> Option<usize> {
    // What is greedy leaves to the segments behind it what they need.
    let Some((before, after)) = template.split_once("{+}") else { return aligned(template, path) };
    let needed = |part: &str| part.matches('/').count();
    let cut = path.match_indices('/').nth(needed(before).checked_sub(1)?)?.0 + 1;
    let (first, rest) = path.split_at(cut);
    let last = match needed(after) {
        0 => rest.len(),
        count => rest.rmatch_indices('/').nth(count - 1)?.0,
    };
    let (taken, last) = rest.split_at(last);
    (!taken.is_empty()).then_some(aligned(before, first)? + aligned(after, last)?)
}

fn aligned(template: &str, path: &str) -> Option<usize> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut literal = 0;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(literal),
            (Some("{}"), Some(segment)) if !segment.is_empty() => {}
            (Some(segment), Some(same)) if segment == same => {
                literal += usize::from(!segment.is_empty());
            }
            _ => return None,
        }
    }
}

/// How many conditions of `GET?list-type=2&:x-header` there are, if all hold.
fn fulfilled(method: &str, asked: &Asked<'_>) -> Option<usize> {
    if asked.method.is_empty() {
        return Some(0);
    }
    let (method, conditions) = method.split_once('?').unwrap_or((method, ""));
    if method != asked.method {
        return None;
    }
    let mut conditions = conditions.split('&').filter(|condition| !condition.is_empty());
    conditions.try_fold(0, |count, condition| holds(condition, asked).then_some(count + 1))
}

fn holds(condition: &str, asked: &Asked<'_>) -> bool {
    if let Some(header) = condition.strip_prefix(':') {
        return (asked.has_header)(header);
    }
    let (name, value) = condition.split_once('=').unzip();
    asked.query.split('&').any(|pair| {
        let (given, text) = pair.split_once('=').unwrap_or((pair, ""));
        decodes_to(given, name.unwrap_or(condition))
            && value.is_none_or(|value| decodes_to(text, value))
    })
}

fn decodes_to(raw: &str, text: &str) -> bool {
    percent_decode_str(raw).eq(text.bytes())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// `service METHOD target [header]` per line becomes the operation's name.
    fn check(cases: &str, expected: &Expect) {
        let named = cases.lines().map(|case| {
            let mut words = case.split_whitespace();
            let mut word = || words.next().unwrap_or_default();
            let (service, method, target, header) = (word(), word(), word(), word());
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let has_header = |name: &str| name == header;
            let asked = Asked { method, path, query, has_header: &has_header };
            let service = services().find(|known| known.name == service).expect("in the table");
            service.operation(&asked).map_or("-", |(name, _)| name)
        });
        expected.assert_eq(&named.collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn method_path_query_and_headers_tell_operations_apart() {
        check(
            "s3 GET /
             s3 GET /bucket
             s3 GET /bucket?list-type=2&prefix=a
             s3 GET /bucket?acl=
             s3 GET /bucket/a/b//c
             s3 PUT /bucket/key
             s3 PUT /bucket/key x-amz-copy-source
             s3 PUT /bucket/key?partNumber=1&uploadId=x
             s3 PUT /bucket/key?partNumber=1&uploadId=x x-amz-copy-source
             s3 POST /bucket/key?uploads
             s3 DELETE /bucket/key?uploadId=x
             s3 HEAD /bucket/key
             s3 GET /bucket/",
            &expect![
                "ListBuckets ListObjects ListObjectsV2 GetBucketAcl GetObject PutObject CopyObject UploadPart UploadPartCopy CreateMultipartUpload AbortMultipartUpload HeadObject ListObjects"
            ],
        );
        check(
            "apigateway GET /restapis/a/resources/b
             apigateway PUT /restapis
             apigateway PATCH /restapis/a
             route53 POST /2013-04-01/hostedzone/Z1/rrset
             eks GET /clusters
             eks GET /clusters/
             workspaces-web PUT /portals/arn:aws:a/b/browserSettings
             workspaces-web PUT /portals/a
             sesv2 GET /nothing",
            &expect![
                "GetResource - UpdateRestApi ChangeResourceRecordSets ListClusters ListClusters AssociateBrowserSettings UpdatePortal -"
            ],
        );
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_read_in_both() {
        let readings = |method: &str, target: &str, headers: &[&str]| {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let has_header = |name: &str| headers.contains(&name);
            let asked = Asked { method, path, query, has_header: &has_header };
            let s3 = services().find(|service| service.name == "s3").expect("in the table");
            s3.readings(&asked).join(" ")
        };
        let copy = &["x-amz-copy-source"][..];
        assert_eq!(readings("PUT", "/b/k", &[]), "PutObject");
        assert_eq!(readings("PUT", "/b/k", copy), "CopyObject");
        assert_eq!(readings("PUT", "/b/k?uploadId=1&partNumber=1", copy), "UploadPartCopy");
        assert_eq!(readings("PUT", "/b/k?acl&tagging", &[]), "PutObjectAcl PutObjectTagging");
        assert_eq!(readings("PUT", "/b/k?acl", copy), "CopyObject PutObjectAcl");
        assert_eq!(readings("PUT", "/b?%70olicy", &[]), "PutBucketPolicy");
        assert_eq!(readings("GET", "/b?list-type=%32", &[]), "ListObjectsV2");
        assert_eq!(readings("GET", "/b/", &[]), "ListObjects");
        assert_eq!(readings("GET", "/b?analytics&id=1", &[]), "GetBucketAnalyticsConfiguration");
        assert_eq!(readings("PATCH", "/b", &[]), "");
    }

    #[test]
    fn a_service_is_served_where_its_rules_say() {
        let host = |name: &str, region: &str| {
            let service = services().find(|service| service.name == name).expect("in the table");
            let endpoint = service.endpoint(region);
            format!("{} {}", endpoint.host, endpoint.region)
        };
        assert_eq!(host("dynamodb", "eu-west-1"), "dynamodb.eu-west-1.amazonaws.com eu-west-1");
        assert_eq!(host("iam", "eu-west-1"), "iam.amazonaws.com us-east-1");
        assert_eq!(host("iam", "cn-northwest-1"), "iam.cn-north-1.amazonaws.com.cn cn-north-1");
        assert_eq!(host("s3", "cn-north-1"), "s3.cn-north-1.amazonaws.com.cn cn-north-1");
        assert_eq!(host("s3vectors", "us-west-2"), "s3vectors.us-west-2.api.aws us-west-2");
        assert_eq!(
            host("cloudwatch", "us-iso-east-1"),
            "monitoring.us-iso-east-1.c2s.ic.gov us-iso-east-1"
        );
        assert_eq!(
            host("organizations", "eu-west-1"),
            "organizations.us-east-1.amazonaws.com us-east-1"
        );
    }

    #[test]
    fn every_service_of_the_table_is_read_whole() {
        let heads = TABLE.lines().filter(|line| line.starts_with('@')).count();
        assert_eq!(services().count(), heads);
        assert!(heads > 400);
        for service in services() {
            let rest = matches!(
                service.tongue(),
                Tongue::RestJson | Tongue::RestXml | Tongue::RestXmlBare
            );
            assert_eq!(rest, !service.operations.is_empty(), "{}", service.name);
        }
    }
}
