//! What a request that is passed on asks for, read as strictly as its service will read it.
//!
//! `foreign` guesses kindly, for the text of a refusal. Here the name decides what leaves under the
//! operator's signature, so it is taken from what leaves and from nothing else: RPC by one header
//! or path, a form by one `Action`, REST by method, path and the parameters in the tables. What can
//! be read in two ways needs the permissions of both, or is refused; what cannot be read is refused.

mod objects;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http::{HeaderName, Method};
use percent_encoding::percent_decode_str;
use wire::fault::Fault;
use wire::foreign::{Asked, Service};

use crate::route;

/// A request as it will be sent, without its signature and the part that the endpoint adds.
pub(crate) struct Leaving<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What S3's clients put before the host.
    pub(crate) bucket: Option<&'a str>,
    /// To an endpoint of the operator's, where all services of a name are one.
    pub(crate) elsewhere: bool,
}

/// What a request asks for, beyond doubt.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) service: &'static Service,
    /// Mostly one. All of them have to be allowed.
    pub(crate) operations: Vec<String>,
}

/// What one way of naming operations says, if the request uses it.
type Way = Result<Option<Reading>, Fault>;

impl Leaving<'_> {
    /// S3's path has the bucket in front; other services have their own names before the host.
    pub(crate) fn path_at(&self, service: &Service) -> String {
        match self.bucket.filter(|_| service.name == "s3") {
            Some(bucket) => format!("/{bucket}{}", self.path),
            None => self.path.to_owned(),
        }
    }

    fn is_form(&self) -> bool {
        route::is_form(&self.headers)
    }

    fn one(&self, name: &HeaderName) -> Result<Option<&str>, Fault> {
        let mut values = self.headers.get_all(name).iter();
        let (first, more) = (values.next(), values.next());
        match (first.map(http::HeaderValue::to_str), more) {
            (None, _) => Ok(None),
            (Some(Ok(value)), None) => Ok(Some(value)),
            _ => Err(unclear(&format!("it does not have one plain {name} header"))),
        }
    }
}

/// The one service of `candidates` that the request is for, and its operations there.
pub(crate) fn of(candidates: &[&'static Service], leaving: &Leaving<'_>) -> Result<Reading, Fault> {
    is_plain(leaving)?;
    let ways = [
        by_target(candidates, leaving)?,
        by_rpc_path(candidates, leaving)?,
        by_form(candidates, leaving)?,
        by_path(candidates, leaving)?,
    ];
    let mut ways = ways.into_iter().flatten();
    match (ways.next(), ways.next()) {
        (Some(reading), None) => Ok(reading),
        (None, _) => Err(unclear(&format!(
            "no operation that craton knows of has {} {}",
            leaving.method, leaving.path
        ))),
        _ => Err(unclear("it names one in two ways")),
    }
}

fn unclear(why: &str) -> Fault {
    Fault::access_denied(format!(
        "craton passes on what it can tell the operation of, and cannot tell this one: {why}"
    ))
}

/// Nothing in the head that servers are known to read in different ways.
fn is_plain(leaving: &Leaving<'_>) -> Result<(), Fault> {
    // AWS: SDKs for .NET send the first of them in place of PATCH, so services honour it
    const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
    if let Some(name) = OVERRIDES.iter().find(|name| leaving.headers.contains_key(**name)) {
        return Err(unclear(&format!("{name} may change its method")));
    }
    if !is_encoded(leaving.path) || !is_encoded(&leaving.query) {
        return Err(unclear("a percent sign in its target stands for nothing"));
    }
    if leaving.query.contains(';') {
        return Err(unclear("its query has a semicolon: write it as %3B"));
    }
    Ok(())
}

/// Every percent sign stands before two hexadecimal digits.
fn is_encoded(text: &str) -> bool {
    let hex = |part: &str| part.as_bytes().get(..2).is_some_and(|d| is_hex(d[0]) && is_hex(d[1]));
    text.split('%').skip(1).all(hex)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// AWS-JSON: `X-Amz-Target: PREFIX.OPERATION` on `POST /`.
fn by_target(candidates: &[&'static Service], leaving: &Leaving<'_>) -> Way {
    let target = leaving.one(&HeaderName::from_static("x-amz-target"))?;
    let Some(target) = target else { return Ok(None) };
    let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
    let speaks = |service: &&&'static Service| service.speaks("json") && service.target == prefix;
    let found = candidates.iter().find(speaks);
    let kind = leaving.one(&CONTENT_TYPE)?.unwrap_or_default();
    match found {
        Some(service) if is_name(operation) && is_rpc(leaving, "/") && is_json(kind) => {
            Ok(Some(Reading { service, operations: vec![operation.to_owned()] }))
        }
        _ => Err(unclear(&format!("x-amz-target {target:?} is none of the service's"))),
    }
}

/// Smithy's RPC v2: `POST /service/PREFIX/operation/OPERATION`.
fn by_rpc_path(candidates: &[&'static Service], leaving: &Leaving<'_>) -> Way {
    let protocol = leaving.one(&HeaderName::from_static("smithy-protocol"))?;
    let Some(protocol) = protocol else { return Ok(None) };
    let named = leaving.path.strip_prefix("/service/");
    let named = named.and_then(|named| named.split_once("/operation/"));
    let (prefix, operation) = named.unwrap_or_default();
    let found = candidates.iter().find(|s| s.speaks("cbor") && s.target == prefix);
    match found {
        Some(service)
            if protocol.starts_with("rpc-v2-")
                && is_name(operation)
                && is_rpc(leaving, leaving.path) =>
        {
            Ok(Some(Reading { service, operations: vec![operation.to_owned()] }))
        }
        _ => Err(unclear(&format!("{} is none of the service's operations", leaving.path))),
    }
}

/// Nothing but header or path names the operation.
fn is_rpc(leaving: &Leaving<'_>, path: &str) -> bool {
    leaving.method == Method::POST
        && leaving.path == path
        && leaving.query.is_empty()
        && !leaving.is_form()
}

fn is_json(kind: &str) -> bool {
    ["application/x-amz-json-1.0", "application/x-amz-json-1.1"]
        .iter()
        .any(|known| kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case(known)))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The query protocol: one `Action`, in the body or in the query string where there is no body.
fn by_form(candidates: &[&'static Service], leaving: &Leaving<'_>) -> Way {
    let mut speaking = candidates.iter().filter(|s| s.is_form() || s.is_query_compatible());
    let Some(first) = speaking.clone().next() else { return Ok(None) };
    let names_one = leaving.is_form() || !leaving.query.is_empty();
    if leaving.path != "/" || !names_one {
        return Ok(None);
    }
    let form = match (leaving.body.is_empty(), leaving.query.is_empty()) {
        (true, _) => leaving.query.as_bytes(),
        (false, true) if is_plain_form(leaving)? => &leaving.body,
        (false, true) => return Err(unclear("its form is encoded in a way of its own")),
        (false, false) => return Err(unclear("it has parameters in the query and a body")),
    };
    let form = std::str::from_utf8(form).map_err(|_| unclear("its form is no text"))?;
    let action = once(form, "Action")?.filter(|action| is_name(action));
    let action = action.ok_or_else(|| unclear("its form has no Action"))?;
    let version = once(form, "Version")?.unwrap_or_default();
    let service = speaking.find(|service| service.version == version).unwrap_or(first);
    Ok(Some(Reading { service, operations: vec![action] }))
}

/// A charset or a compression could turn the same bytes into another form.
fn is_plain_form(leaving: &Leaving<'_>) -> Result<bool, Fault> {
    let kind = leaving.one(&CONTENT_TYPE)?.unwrap_or_default().to_ascii_lowercase();
    let (kind, charset) = kind.split_once(';').unwrap_or((&kind, "charset=utf-8"));
    Ok(kind.trim() == "application/x-www-form-urlencoded"
        && matches!(charset.trim(), "charset=utf-8" | "charset=\"utf-8\"" | "")
        && !leaving.headers.contains_key(CONTENT_ENCODING))
}

/// A field that must not stand there twice, in whatever spelling.
fn once(form: &str, name: &str) -> Result<Option<String>, Fault> {
    let named = |pair: &&str| {
        let key = pair.split('=').next().unwrap_or_default();
        percent_decode_str(key).decode_utf8_lossy().trim().eq_ignore_ascii_case(name)
    };
    match form.split(['&', ';']).filter(named).count() {
        0 => Ok(None),
        1 => route::field(form.as_bytes(), name)
            .map(Some)
            .ok_or_else(|| unclear(&format!("its {name} is spelled in a way of its own"))),
        _ => Err(unclear(&format!("its form has more than one {name}"))),
    }
}

/// REST: by method and path, and by the parameters and headers that tell operations apart.
fn by_path(candidates: &[&'static Service], leaving: &Leaving<'_>) -> Way {
    let has_header = |name: &str| leaving.headers.contains_key(name);
    let mut found: Vec<(usize, &'static Service, Vec<String>)> = Vec::new();
    for service in candidates {
        let path = leaving.path_at(service);
        let (method, query) = (method(service, leaving), leaving.query.as_str());
        let asked = Asked { method, path: &path, query, has_header: &has_header };
        let readings = service.readings(&asked);
        let Some((_, score)) = service.operation(&asked).filter(|_| !readings.is_empty()) else {
            continue;
        };
        let mut operations: Vec<String> = readings.into_iter().map(str::to_owned).collect();
        match service.name {
            "s3" => operations.extend(objects::check(leaving, &path, &operations)?),
            _ => is_straight(&path)?,
        }
        found.push((score, service, operations));
    }
    let best = found.iter().rev().max_by_key(|(score, ..)| *score).map(|(_, service, _)| *service);
    let Some(best) = best else { return Ok(None) };
    let same_host = |service: &Service| leaving.elsewhere || service.shares_hosts(best);
    let all = found.into_iter().filter(|(_, service, _)| same_host(service));
    let mut operations: Vec<String> = all.flat_map(|(.., operations)| operations).collect();
    operations.sort_unstable();
    operations.dedup();
    Ok(Some(Reading { service: best, operations }))
}

/// Empty where the path alone tells the operation.
// AWS: botocore sends the searches of cloudsearchdomain as forms, with what tells a GET in the body
fn method<'a>(service: &Service, leaving: &'a Leaving<'_>) -> &'a str {
    match service.name == "cloudsearchdomain" && leaving.is_form() {
        true => "",
        false => leaving.method.as_str(),
    }
}

/// Has one spelling. Services take out dot segments and doubled slashes, and decode.
fn is_straight(path: &str) -> Result<(), Fault> {
    let plain = |code: &str| {
        let byte = code.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    let dots = |segment: &str| matches!(segment, "." | "..");
    if path.contains("//") || path.split('/').any(dots) || path.split('%').skip(1).any(plain) {
        return Err(unclear("its path has another spelling: send it without dots and codes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use http::{HeaderName, HeaderValue, Uri};

    use super::*;

    /// A request as text; `elsewhere` unless the first line ends with `aws`.
    fn read(service: &str, request: &str) -> String {
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let mut lines = head.lines().map(str::trim);
        let mut first = lines.next().unwrap().split(' ');
        let method: Method = first.next().unwrap().parse().unwrap();
        let uri: Uri = first.next().unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let leaving = Leaving {
            method: &method,
            path: uri.path(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            body: body.to_owned().into(),
            bucket: None,
            elsewhere: first.next() != Some("aws"),
        };
        let candidates: Vec<_> = wire::foreign::signed_as(service).collect();
        match of(&candidates, &leaving) {
            Ok(reading) => format!("{} {}", reading.service.name, reading.operations.join("+")),
            Err(fault) => {
                let message = fault.message();
                message.rsplit_once("this one: ").map_or(message, |(_, why)| why).to_owned()
            }
        }
    }

    fn check(service: &str, requests: &[&str], expected: &Expect) {
        let lines: Vec<String> = requests.iter().map(|request| read(service, request)).collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn method_and_path_alone_name_an_operation_of_rest() {
        check(
            "s3",
            &[
                "GET /b/k?x-id=PutObject",
                "PUT /b/k?x-id=GetObject",
                "PUT /b/k\nx-amz-target: x.GetObject",
                "PUT /b/service/x/operation/GetObject",
                "PUT /b/k?Action=GetObject",
                "PUT /b/k\ncontent-type: application/x-www-form-urlencoded",
                "PUT /b?%70olicy",
                "PUT /b/k?acl&tagging",
                "PUT /b/k?x;acl",
                "PUT /b/k?acl%zz",
                "GET /b/k\nx-http-method-override: PUT",
                "BREW /b/k",
                "POST /b",
                "POST /",
            ],
            &expect![[r#"
                s3 GetObject
                s3 PutObject
                x-amz-target "x.GetObject" is none of the service's
                s3 PutObject
                s3 PutObject
                s3 PutObject
                s3 PutBucketPolicy
                s3 PutObjectAcl+PutObjectTagging
                its query has a semicolon: write it as %3B
                a percent sign in its target stands for nothing
                x-http-method-override may change its method
                no operation that craton knows of has BREW /b/k
                no operation that craton knows of has POST /b
                no operation that craton knows of has POST /"#]],
        );
        check(
            "eks",
            &[
                "GET /clusters",
                "GET /clusters/",
                "GET /clusters/a",
                "GET /clusters//a",
                "GET /clusters/../clusters",
                "GET /x/%2e%2e",
                "GET /%63lusters",
                "GET /clusters/a%2Fb",
                "GET /clusters/..",
                "GET /clusters/%2e%2e",
                "GET /clusters/%61",
            ],
            &expect![[r#"
                eks ListClusters
                eks ListClusters
                eks DescribeCluster
                no operation that craton knows of has GET /clusters//a
                no operation that craton knows of has GET /clusters/../clusters
                no operation that craton knows of has GET /x/%2e%2e
                no operation that craton knows of has GET /%63lusters
                eks DescribeCluster
                its path has another spelling: send it without dots and codes
                its path has another spelling: send it without dots and codes
                its path has another spelling: send it without dots and codes"#]],
        );
    }

    #[test]
    fn a_search_may_come_as_a_form() {
        let form = "content-type: application/x-www-form-urlencoded";
        let search = "/2013-01-01/search";
        check(
            "cloudsearch",
            &[&format!("POST {search}\n{form}\n\nq=a"), &format!("POST {search}")],
            &expect![[r#"
                cloudsearchdomain Search
                no operation that craton knows of has POST /2013-01-01/search"#]],
        );
    }

    #[test]
    fn what_s3_does_for_headers_and_parameters_needs_its_permission() {
        check(
            "s3",
            &[
                "PUT /b/k\nx-amz-copy-source: /other/k",
                "PUT /b/k\nx-amz-copy-source: /other/k%3FversionId=1",
                "PUT /b/k?X-Amz-Copy-Source=/other/k",
                "PUT /b/k\nx-amz-acl: public-read",
                "PUT /b/k?x-amz-grant-read=all",
                "PUT /b\nx-amz-acl: public-read",
                "GET /b/k?versionId=1",
                "HEAD /b/k?versionId=1",
                "DELETE /b/k?versionId=1\nx-amz-bypass-governance-retention: true",
                "PUT /b/k?acl\nx-amz-acl: private",
                "DELETE /b/k\nx-minio-force-delete: true",
                "GET /b/k?rgwx-uid=other",
            ],
            &expect![[r#"
                s3 CopyObject+GetObject
                s3 CopyObject+GetObject+GetObjectVersion
                it has x-amz-copy-source in its query: send it as a header
                s3 PutObject+PutObjectAcl
                s3 PutObject+PutObjectAcl
                s3 CreateBucket+PutBucketAcl
                s3 GetObject+GetObjectVersion
                s3 GetObjectVersion+HeadObject
                s3 BypassGovernanceRetention+DeleteObject+DeleteObjectVersion
                s3 PutObjectAcl
                x-minio-force-delete is none of S3's
                rgwx-uid is none of S3's"#]],
        );
    }

    #[test]
    fn a_path_of_s3_is_an_object_to_every_server() {
        check(
            "s3",
            &[
                "GET /b/dots/../kept/./so//on",
                "GET /b/",
                "GET /b/..",
                "GET /b/%2e%2e/",
                "GET /b/../c/k",
                "GET /b/.",
                "GET /../b/k",
                "PUT /minio/admin/v3/add-user",
                "PUT /admin/user aws",
                "PUT /_internal/state",
                "PUT /b%3Fpolicy/k",
                "PUT /v20180820/accesspoint/x",
                "PUT /v20180820/accesspoint/x aws",
            ],
            &expect![[r#"
                s3 GetObject
                s3 ListObjects
                its path is another one without its dots and slashes
                its path is another one without its dots and slashes
                its path is another one without its dots and slashes
                its path is another one without its dots and slashes
                its path is another one without its dots and slashes
                "minio" is no name of a bucket
                s3 PutObject
                "_internal" is no name of a bucket
                its path is another one without its dots and slashes
                s3control CreateAccessPoint+PutObject
                s3control CreateAccessPoint"#]],
        );
    }

    #[test]
    fn rpc_is_named_by_one_header_or_path() {
        let json = "content-type: application/x-amz-json-1.0";
        let target = "x-amz-target: DynamoDB_20120810.ListTables";
        check(
            "dynamodb",
            &[
                &format!("POST /\n{target}\n{json}"),
                &format!("POST /\nx-amz-target: DynamoDBStreams_20120810.ListStreams\n{json}"),
                &format!("POST /\n{target}\n{target}\n{json}"),
                &format!("POST /\n{target}\n{json}\n{json}"),
                &format!("POST /?Action=DeleteTable\n{target}\n{json}"),
                &format!("GET /\n{target}\n{json}"),
                &format!("POST /other\n{target}\n{json}"),
                &format!("POST /\n{target}"),
                &format!("POST /\nx-amz-target: Other.ListTables\n{json}"),
                &format!("POST /\nx-amz-target: DynamoDB_20120810.List-Tables\n{json}"),
                &format!("POST /\n{json}"),
            ],
            &expect![[r#"
                dynamodb ListTables
                dynamodbstreams ListStreams
                it does not have one plain x-amz-target header
                it does not have one plain content-type header
                x-amz-target "DynamoDB_20120810.ListTables" is none of the service's
                x-amz-target "DynamoDB_20120810.ListTables" is none of the service's
                x-amz-target "DynamoDB_20120810.ListTables" is none of the service's
                x-amz-target "DynamoDB_20120810.ListTables" is none of the service's
                x-amz-target "Other.ListTables" is none of the service's
                x-amz-target "DynamoDB_20120810.List-Tables" is none of the service's
                no operation that craton knows of has POST /"#]],
        );
        let path = "POST /service/GraniteServiceVersion20100801/operation/ListMetrics";
        let rpc = "smithy-protocol: rpc-v2-cbor";
        let form = "content-type: application/x-www-form-urlencoded";
        check(
            "monitoring",
            &[
                &format!("{path}\n{rpc}"),
                path,
                &format!("{path}?Action=DeleteAlarms\n{rpc}"),
                &format!("{path}\n{rpc}\n{form}"),
                &format!(
                    "{path}\n{rpc}\nx-amz-target: GraniteServiceVersion20100801.PutMetricData\n{json}"
                ),
                "POST /service/Other/operation/ListMetrics\nsmithy-protocol: rpc-v2-cbor",
                &format!(
                    "POST /\n{form}\nx-amz-target: GraniteServiceVersion20100801.ListMetrics\n\nAction=DeleteAlarms"
                ),
            ],
            &expect![[r#"
                cloudwatch ListMetrics
                no operation that craton knows of has POST /service/GraniteServiceVersion20100801/operation/ListMetrics
                /service/GraniteServiceVersion20100801/operation/ListMetrics is none of the service's operations
                /service/GraniteServiceVersion20100801/operation/ListMetrics is none of the service's operations
                x-amz-target "GraniteServiceVersion20100801.PutMetricData" is none of the service's
                /service/Other/operation/ListMetrics is none of the service's operations
                x-amz-target "GraniteServiceVersion20100801.ListMetrics" is none of the service's"#]],
        );
    }

    #[test]
    fn a_form_names_one_action_in_one_place() {
        let form = "POST /\ncontent-type: application/x-www-form-urlencoded";
        check(
            "elasticloadbalancing",
            &[
                &format!("{form}\n\nAction=DescribeTags&Version=2015-12-01"),
                &format!("{form}; charset=utf-8\n\nAction=DescribeTags&Version=2012-06-01"),
                "GET /?Action=DescribeTags&Version=2015-12-01",
                &format!("{form}\n\nAction=DescribeTags&Action=DeleteRule"),
                &format!("{form}\n\nAction=DescribeTags&%41ction=DeleteRule"),
                &format!("{form}\n\nAction=DescribeTags&x=;Action=DeleteRule"),
                &format!("{form}\n\naction=DescribeTags"),
                &format!("{form}\n\nVersion=2015-12-01"),
                &format!("{form}\n\nAction=Describe+Tags"),
                &format!("{form}; charset=ibm037\n\nAction=DescribeTags"),
                &format!("{form}\ncontent-encoding: deflate\n\nAction=DescribeTags"),
                "POST /\ncontent-type: text/plain\n\nAction=DescribeTags",
                "POST /?Action=DescribeTags\n\nAction=DeleteRule",
                "POST /other?Action=DescribeTags",
            ],
            &expect![[r#"
                elbv2 DescribeTags
                elb DescribeTags
                elbv2 DescribeTags
                its form has more than one Action
                its form has more than one Action
                its form has more than one Action
                its Action is spelled in a way of its own
                its form has no Action
                its form has no Action
                its form is encoded in a way of its own
                its form is encoded in a way of its own
                no operation that craton knows of has POST /
                it has parameters in the query and a body
                no operation that craton knows of has POST /other"#]],
        );
    }
}
