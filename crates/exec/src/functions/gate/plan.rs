//! What a function may reach, and at which addresses its jail has it.
//!
//! Each host that is named gets a loopback address of its own, so that ports and the names that TLS
//! checks stay as they are; a host that is named by its address has that address inside as well.
//! Listening is by port alone: which host is meant says the address at which a connection comes in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use net::Egress;
use net::egress::{Advice, Budget, Entry, EntryError, Rules};

use crate::config::{Config, Names};
use crate::function::{Function, Surroundings};
use crate::functions::containment::RUNTIME_API;
use crate::limits;

/// The port of the jail's resolver.
pub(crate) const DNS: u16 = 53;

/// Ports of a function's jail that no host can have.
const TAKEN: &[u16] = &[RUNTIME_API.port(), DNS];

/// What a refusal tells to do; the function's log has it.
const ADVICE: Advice = Advice {
    unlisted: "name it under functions.hosts in craton.toml, or in the function's tag \
               craton:allow-hosts",
    own: "only functions.hosts in craton.toml, naming exactly this host and port, opens it",
};

/// Destinations of one process.
pub(crate) struct Plan {
    rules: Rules,
    names_by: Option<Names>,
    /// Ports of the jail's own.
    taken: &'static [u16],
    /// Where a connection comes in, and whom it is for.
    pub(crate) fixed: BTreeMap<(IpAddr, u16), (String, u16)>,
    /// Hosts that are named one by one.
    pub(crate) names: BTreeMap<String, Ipv4Addr>,
    /// Ports at which more hosts than can be listed may be reached.
    pub(crate) open_ports: BTreeSet<u16>,
    listen: BTreeSet<SocketAddr>,
    addresses: BTreeSet<IpAddr>,
}

impl Plan {
    /// The reason why there is none names the entry at fault.
    pub(crate) fn of(
        config: &Config,
        function: &Function,
        around: &Surroundings,
    ) -> Result<Plan, String> {
        let asked = asked(&function.allow_hosts)
            .map_err(|why| format!("its tag craton:allow-hosts: {why}"))?;
        let named: Vec<Entry> = config.hosts_of(&function.arn, &function.name).cloned().collect();
        let rules = Rules::closed().naming(named.clone()).asking(asked.clone()).advising(ADVICE);
        let mut plan = Plan::within(config, rules, TAKEN);
        for entry in named.iter().chain(&asked) {
            plan.add(entry)?;
        }
        if let Some(url) = &around.endpoint_url {
            plan.add_endpoint(url)?;
        }
        plan.bounded()
    }

    /// Of a program that an operator names with its hosts.
    pub(crate) fn of_program(
        config: &Config,
        hosts: &[Entry],
        advice: Advice,
    ) -> Result<Plan, String> {
        let rules = Rules::closed().naming(hosts.to_vec()).advising(advice);
        let mut plan = Plan::within(config, rules, &[DNS]);
        hosts.iter().try_for_each(|entry| plan.add(entry))?;
        plan.bounded()
    }

    fn bounded(self) -> Result<Plan, String> {
        if self.listen.len() >= limits::JAIL_LISTENERS {
            return Err(format!("its hosts have more than {} ports", limits::JAIL_LISTENERS));
        }
        Ok(self)
    }

    fn within(config: &Config, rules: Rules, taken: &'static [u16]) -> Plan {
        let budget = Budget {
            connections: config.max_connections,
            bytes: config.max_traffic_mb.saturating_mul(1024 * 1024),
        };
        Plan {
            rules: rules.within(budget),
            names_by: config.names.clone(),
            taken,
            fixed: BTreeMap::new(),
            names: BTreeMap::new(),
            open_ports: BTreeSet::new(),
            listen: BTreeSet::from([(Ipv4Addr::LOCALHOST, DNS).into()]),
            addresses: BTreeSet::new(),
        }
    }

    fn add(&mut self, entry: &Entry) -> Result<(), String> {
        let port = entry.port();
        if self.taken.contains(&port) {
            return Err(format!("{entry} cannot be reached: a jail needs port {port} itself"));
        }
        let Some(host) = entry.host() else {
            self.open_ports.insert(port);
            self.listen.insert((Ipv4Addr::UNSPECIFIED, port).into());
            return Ok(());
        };
        let at = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if is_nobodys(address) => {
                return Err(format!("{entry} cannot be reached: it is no host's address"));
            }
            Ok(address) => self.own_address(address),
            Err(_) => self.address_of(&host).into(),
        };
        self.enter(at, port, (host, port));
        Ok(())
    }

    fn enter(&mut self, at: IpAddr, port: u16, whom: (String, u16)) {
        self.fixed.insert((at, port), whom);
        self.listen.insert(match at {
            IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
            // A listener for all of IPv6 would take IPv4's place too.
            IpAddr::V6(_) => (at, port).into(),
        });
    }

    fn own_address(&mut self, address: IpAddr) -> IpAddr {
        if !address.is_loopback() {
            self.addresses.insert(address);
        }
        address
    }

    fn address_of(&mut self, name: &str) -> Ipv4Addr {
        if name == "localhost" {
            return Ipv4Addr::LOCALHOST;
        }
        let next = nth(self.names.len());
        *self.names.entry(name.to_owned()).or_insert(next)
    }

    /// Craton itself, at the address that the function is told.
    fn add_endpoint(&mut self, url: &str) -> Result<(), String> {
        let entry = Entry::of_url(url).map_err(|e| format!("its AWS_ENDPOINT_URL: {e}"))?;
        let host = entry.host().unwrap_or_default();
        // Whoever connects to no address in particular arrives at the loopback.
        let loopback = match host.as_str() {
            "0.0.0.0" => Some("127.0.0.1"),
            "[::]" => Some("[::1]"),
            _ => None,
        };
        let entry = match loopback {
            Some(host) => format!("{host}:{}", entry.port()).parse().map_err(|e| format!("{e}"))?,
            None => entry,
        };
        self.add(&entry)?;
        self.rules = self.rules.clone().naming([entry]);
        Ok(())
    }

    /// The guard of all of this process's connections.
    pub(crate) fn egress(&self) -> Egress {
        match self.names_by.clone() {
            Some(Names(names)) => Egress::resolving(self.rules.clone(), names),
            None => Egress::new(self.rules.clone()),
        }
    }

    /// What the jail listens on, after its Runtime API.
    pub(crate) fn listen(&self) -> Vec<SocketAddr> {
        self.listen.iter().copied().collect()
    }

    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.addresses.iter().copied().collect()
    }

    pub(crate) fn hosts(&self) -> Vec<(String, Ipv4Addr)> {
        self.names.iter().map(|(name, address)| (name.clone(), *address)).collect()
    }
}

/// No jail could have it as an address of its own, to listen there.
fn is_nobodys(address: IpAddr) -> bool {
    let broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    address.is_multicast() || address.is_unspecified() || broadcast
}

fn asked(tag: &str) -> Result<Vec<Entry>, EntryError> {
    tag.split_whitespace().map(str::parse).collect()
}

/// What is wrong with a value of the tag `craton:allow-hosts`.
pub fn refused_hosts(tag: &str) -> Option<String> {
    asked(tag).err().map(|error| error.to_string())
}

/// The n-th loopback address that a host gets, out of reach of what programs use themselves.
pub(crate) fn nth(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("limits::JAIL_NAMES is far below") + 1;
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 83, 0, 0).to_bits() + number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use expect_test::{Expect, expect};

    use super::Plan;
    use crate::config::Config;
    use crate::function::{Function, Surroundings};

    #[test]
    fn an_address_that_no_host_has_is_refused() {
        for tag in ["224.0.0.1:80", "255.255.255.255:80", "0.0.0.0:80", "[ff02::1]:80", "[::]:80"] {
            let mut plan = Plan::within(&Config::default(), super::Rules::closed(), super::TAKEN);
            assert!(plan.add(&tag.parse().unwrap()).is_err(), "{tag}");
        }
    }

    fn check(hosts: &[&str], tag: &str, endpoint: &str, expected: &Expect) {
        let hosts = hosts.iter().map(|entry| entry.parse().unwrap()).collect();
        let config =
            Config { hosts: BTreeMap::from([("orders".to_owned(), hosts)]), ..Config::default() };
        let function = Function {
            arn: "arn:aws:lambda:us-east-1:000000000000:function:orders:7".to_owned(),
            name: "orders".to_owned(),
            version: "7".to_owned(),
            runtime: String::new(),
            handler: String::new(),
            env: BTreeMap::new(),
            timeout: Duration::ZERO,
            memory_mb: 0,
            clean: false,
            code: String::new(),
            allow_hosts: tag.to_owned(),
        };
        let around = Surroundings {
            account: String::new(),
            region: String::new(),
            endpoint_url: Some(endpoint.to_owned()),
            credentials: None,
        };
        expected.assert_eq(&match Plan::of(&config, &function, &around) {
            Ok(plan) => format!(
                "listen {:?}\naddresses {:?}\nhosts {:?}\nfixed {:?}\n",
                plan.listen(),
                plan.addresses(),
                plan.hosts(),
                plan.fixed
            ),
            Err(why) => format!("{why}\n"),
        });
    }

    #[test]
    fn each_host_has_an_address_and_each_port_a_listener() {
        check(
            &["db.internal:5432", "api.stripe.com", "10.0.0.5:5432", "localhost:6379"],
            "api.stripe.com:8443 [fd00::1]:80 .s3.amazonaws.com",
            "http://127.0.0.1:4747",
            &expect![[r#"
                listen [0.0.0.0:443, 0.0.0.0:4747, 0.0.0.0:5432, 0.0.0.0:6379, 0.0.0.0:8443, 127.0.0.1:53, [fd00::1]:80]
                addresses [10.0.0.5, fd00::1]
                hosts [("api.stripe.com", 127.83.0.2), ("db.internal", 127.83.0.1)]
                fixed {(10.0.0.5, 5432): ("10.0.0.5", 5432), (127.0.0.1, 4747): ("127.0.0.1", 4747), (127.0.0.1, 6379): ("localhost", 6379), (127.83.0.1, 5432): ("db.internal", 5432), (127.83.0.2, 443): ("api.stripe.com", 443), (127.83.0.2, 8443): ("api.stripe.com", 8443), (fd00::1, 80): ("[fd00::1]", 80)}
            "#]],
        );
        check(
            &[],
            "",
            "http://0.0.0.0:4747",
            &expect![[r#"
            listen [0.0.0.0:4747, 127.0.0.1:53]
            addresses []
            hosts []
            fixed {(127.0.0.1, 4747): ("127.0.0.1", 4747)}
        "#]],
        );
    }

    #[test]
    fn what_a_jail_cannot_open_is_named() {
        check(
            &["db.internal:9001"],
            "",
            "http://127.0.0.1:4747",
            &expect![[r#"
            db.internal:9001 cannot be reached: a jail needs port 9001 itself
        "#]],
        );
        check(
            &[],
            "https://api.stripe.com",
            "http://127.0.0.1:4747",
            &expect![[r#"
            its tag craton:allow-hosts: "https://api.stripe.com" names no destination: it has more than a host and a port; write host:port, host for port 443, or *.domain:port
        "#]],
        );
    }
}
