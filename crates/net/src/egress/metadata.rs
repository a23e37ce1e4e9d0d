//! The names by which clouds serve the credentials of their machines.
//!
//! The addresses behind them are refused anyway; the names are refused before anybody is asked for an
//! address, so that not even a resolver of an attacker's choice is asked.

/// Names that mean nothing else, each with its cloud.
const NAMES: &[&str] = &[
    "instance-data",              // AWS, by the search domain
    "instance-data.ec2.internal", // AWS
    "metadata.google.internal",
    "metadata.goog",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "api.metadata.cloud.ibm.com",
    "rancher-metadata",
];

/// `name` is in lower case.
pub(crate) fn is_named(name: &str) -> bool {
    NAMES.contains(&name)
}
