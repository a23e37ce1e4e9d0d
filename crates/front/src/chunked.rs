//! S3's own chunks (`aws-chunked`): a body in signed pieces, with checksums behind it.
//!
//! It takes the pieces out of their frames, for a body that is sent on under another signature.
// AWS: S3 API reference, transferring payload in multiple chunks, with and without trailing headers

use http::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};

pub(crate) struct Plain {
    pub(crate) body: Vec<u8>,
    trailers: Vec<(String, String)>,
}

/// `None` if the chunks are broken.
pub(crate) fn read(framed: &[u8]) -> Option<Plain> {
    let (mut rest, mut body) = (framed, Vec::with_capacity(framed.len()));
    loop {
        let (line, after) = line(rest)?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(Plain { body, trailers: trailers(after) });
        }
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

fn trailers(mut rest: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((text, after)) = line(rest) {
        if let Some((name, value)) = text.split_once(':') {
            found.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        rest = after;
    }
    found
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]))
}

/// The headers of the body without its frames: checksums from behind it move here.
pub(crate) fn plain_headers(headers: &mut HeaderMap, plain: &Plain) {
    for gone in ["x-amz-decoded-content-length", "x-amz-trailer"] {
        headers.remove(gone);
    }
    let encodings = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let others: Vec<&str> = encodings
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "aws-chunked")
        .collect();
    let others = HeaderValue::from_str(&others.join(",")).ok().filter(|value| !value.is_empty());
    match others {
        Some(value) => drop(headers.insert(CONTENT_ENCODING, value)),
        None => drop(headers.remove(CONTENT_ENCODING)),
    }
    let checksums = plain.trailers.iter().filter(|(name, _)| name.starts_with("x-amz-checksum-"));
    for (name, value) in checksums {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_the_body_and_checksums_become_headers() {
        let framed = b"5;chunk-signature=aa\r\nhello\r\n6;chunk-signature=bb\r\n world\r\n\
                       0;chunk-signature=cc\r\nx-amz-checksum-crc32:AAAAAA==\r\n\
                       x-amz-trailer-signature:dd\r\n\r\n";
        let plain = read(framed).unwrap();
        assert_eq!(plain.body, b"hello world");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-encoding", "gzip,aws-chunked"),
            ("x-amz-decoded-content-length", "11"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        plain_headers(&mut headers, &plain);
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        assert_eq!(lines, ["content-encoding: gzip", "x-amz-checksum-crc32: AAAAAA=="]);
        for broken in
            [&b""[..], b"5\r\nhell", b"5\r\nhelloX\r\n0\r\n", b"z\r\n", b"ffffffffffffffff\r\nx"]
        {
            assert!(read(broken).is_none());
        }
    }
}
