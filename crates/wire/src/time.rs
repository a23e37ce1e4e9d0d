//! Timestamps as AWS's protocols write them: epoch seconds, ISO 8601 and HTTP dates.

use jiff::fmt::rfc2822;

use crate::model::TimeFormat;
use crate::value::Timestamp;

/// The three ways, once the protocol's default is settled.
pub(crate) fn or_default(format: TimeFormat, default: TimeFormat) -> TimeFormat {
    if format == TimeFormat::Default { default } else { format }
}

pub(crate) fn parse(text: &str, format: TimeFormat) -> Option<Timestamp> {
    match format {
        TimeFormat::Default | TimeFormat::Iso8601 => {
            let time: jiff::Timestamp = text.parse().ok()?;
            Some(Timestamp(time.as_millisecond()))
        }
        TimeFormat::HttpDate => {
            let time = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Some(Timestamp(time.as_millisecond()))
        }
        TimeFormat::Epoch => from_epoch(text.parse().ok()?),
    }
}

/// Seconds with a fraction; `None` beyond the years that can be written down again.
pub(crate) fn from_epoch(seconds: f64) -> Option<Timestamp> {
    let millis = (seconds * 1000.0).round();
    let range =
        jiff::Timestamp::MIN.as_millisecond() as f64..=jiff::Timestamp::MAX.as_millisecond() as f64;
    range.contains(&millis).then_some(Timestamp(millis as i64))
}

pub(crate) fn format(time: Timestamp, format: TimeFormat) -> String {
    match format {
        TimeFormat::Default | TimeFormat::Iso8601 => instant(time).to_string(),
        TimeFormat::HttpDate => http_date(time),
        TimeFormat::Epoch => match time.0 % 1000 {
            0 => (time.0 / 1000).to_string(),
            _ => (time.0 as f64 / 1000.0).to_string(),
        },
    }
}

fn http_date(time: Timestamp) -> String {
    let printer = rfc2822::DateTimePrinter::new();
    // Years before 0000 have no HTTP date; ISO 8601 keeps the fact.
    printer
        .timestamp_to_rfc9110_string(&instant(time))
        .unwrap_or_else(|_| instant(time).to_string())
}

fn instant(time: Timestamp) -> jiff::Timestamp {
    let bound = if time.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(time.0).unwrap_or(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, style: TimeFormat, millis: i64) {
        assert_eq!(parse(text, style), Some(Timestamp(millis)), "{text}");
        assert_eq!(parse(&format(Timestamp(millis), style), style), Some(Timestamp(millis)));
    }

    #[test]
    fn every_format_reads_what_it_writes() {
        check("2019-12-16T22:48:18-01:00", TimeFormat::Iso8601, 1_576_540_098_000);
        check("2000-01-02T20:34:56.123Z", TimeFormat::Iso8601, 946_845_296_123);
        check("Tue, 29 Apr 2014 18:30:38 GMT", TimeFormat::HttpDate, 1_398_796_238_000);
        check("1398796238.5", TimeFormat::Epoch, 1_398_796_238_500);
        assert_eq!(parse("1e300", TimeFormat::Epoch), None);
        assert_eq!(parse("NaN", TimeFormat::Epoch), None);
        assert_eq!(format(Timestamp(i64::MIN), TimeFormat::Iso8601), "-009999-01-02T01:59:59Z");
        assert!(!format(Timestamp(i64::MIN), TimeFormat::HttpDate).is_empty());
    }
}
