//! Amazon resource names.

use std::fmt;
use std::str::FromStr;

/// `arn:partition:service:region:account:resource`; region and account may be empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    pub partition: String,
    pub service: String,
    pub region: String,
    pub account: String,
    /// All that follows the account, with its slashes and colons.
    pub resource: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an ARN")]
pub struct ArnError(String);

impl Arn {
    /// In the partition `aws`.
    pub fn new(service: &str, region: &str, account: &str, resource: impl Into<String>) -> Self {
        Arn {
            partition: "aws".to_owned(),
            service: service.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: resource.into(),
        }
    }

    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts[..] else {
            return Err(ArnError(text.to_owned()));
        };
        if partition.is_empty() || service.is_empty() || resource.is_empty() {
            return Err(ArnError(text.to_owned()));
        }
        let partition = partition.to_owned();
        Ok(Arn { partition, ..Arn::new(service, region, account, resource) })
    }

    /// Kind and id of the resource: `agent/ID` → (`agent`, `ID`), `function:f:1` → (`function`,
    /// `f:1`). A resource in one piece has no kind.
    pub fn kind_and_id(&self) -> (&str, &str) {
        self.resource.split_once(['/', ':']).unwrap_or(("", &self.resource))
    }
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        Arn::parse(text)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::Arn;

    fn check(text: &str, kind: &str, id: &str) {
        let arn = Arn::parse(text).expect("the test's ARN is one");
        assert_eq!(arn.to_string(), text);
        assert_eq!(arn.kind_and_id(), (kind, id));
    }

    #[test]
    fn an_arn_is_written_as_it_was_read() {
        check("arn:aws:bedrock:us-east-1:123456789012:agent/AGENT12345", "agent", "AGENT12345");
        check("arn:aws:bedrock:us-east-1:1:agent-alias/A/B", "agent-alias", "A/B");
        check("arn:aws:lambda:eu-west-1:123456789012:function:orders:1", "function", "orders:1");
        check("arn:aws:iam::123456789012:role/service-role/r", "role", "service-role/r");
        check("arn:aws-cn:s3:::bucket", "", "bucket");
        check("arn:aws:sts::1:assumed-role/r/s", "assumed-role", "r/s");
    }

    #[test]
    fn what_lacks_a_part_is_no_arn() {
        for text in [
            "",
            "arn",
            "arn:aws:lambda:r:1",
            "arn:aws:lambda:r:1:",
            "arn::x:r:1:y",
            "urn:a:b:c:d:e",
        ] {
            assert!(Arn::parse(text).is_err(), "{text}");
        }
    }
}
