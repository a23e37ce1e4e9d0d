//! What an address is good for: everybody's, somebody's own, or nobody's.
//!
//! Two tables, of IPv4 and of IPv6, hold every special-purpose block of IANA's registries; what is in
//! none of them is public, and of IPv6 only what lies in 2000::/3, the space that is given out. An
//! address of IPv4 that travels inside one of IPv6 is judged as what it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How an address may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// By whoever may reach public hosts.
    Public,
    /// Only by whom the operator lets reach exactly this host; the word says what it is.
    Own(&'static str),
    /// By nobody.
    Never(&'static str),
}

use Class::{Never, Own};

/// That a host keeps credentials of its machine there.
pub(crate) const METADATA: &str = "a cloud's metadata service";

type Block<Address> = (Address, u32, Class);

/// The IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its successors), and before it the
/// addresses at which clouds serve credentials. The first block that fits counts.
const IPV4: &[Block<[u8; 4]>] = &[
    // AWS: instance metadata, DNS and time (169.254.169.x), credentials of ECS tasks and EKS pods
    // (169.254.170.x). Google's, Azure's, Oracle's and most others' metadata is 169.254.169.254 too.
    ([169, 254, 169, 0], 24, Never(METADATA)),
    ([169, 254, 170, 0], 24, Never(METADATA)),
    ([169, 254, 0, 23], 32, Never(METADATA)),    // Tencent
    ([169, 254, 42, 42], 32, Never(METADATA)),   // Scaleway
    ([100, 100, 100, 200], 32, Never(METADATA)), // Alibaba
    ([168, 63, 129, 16], 32, Never(METADATA)),   // Azure's platform, in a public range
    ([192, 0, 0, 192], 32, Never(METADATA)),     // Oracle Cloud Classic
    ([0, 0, 0, 0], 8, Never("no host's address")),
    ([224, 0, 0, 0], 4, Never("a multicast address")),
    ([255, 255, 255, 255], 32, Never("the broadcast address")),
    ([127, 0, 0, 0], 8, Own("a loopback address")),
    ([10, 0, 0, 0], 8, Own("a private address")),
    ([172, 16, 0, 0], 12, Own("a private address")),
    ([192, 168, 0, 0], 16, Own("a private address")),
    ([169, 254, 0, 0], 16, Own("a link-local address")),
    ([100, 64, 0, 0], 10, Own("a shared (carrier-grade NAT) address")),
    ([192, 0, 0, 0], 24, Own("an address of IETF protocols")),
    ([192, 0, 2, 0], 24, Own("a documentation address")),
    ([198, 51, 100, 0], 24, Own("a documentation address")),
    ([203, 0, 113, 0], 24, Own("a documentation address")),
    ([198, 18, 0, 0], 15, Own("a benchmarking address")),
    ([192, 88, 99, 0], 24, Own("a 6to4 relay's address")),
    ([192, 31, 196, 0], 24, Own("an AS112 address")),
    ([192, 175, 48, 0], 24, Own("an AS112 address")),
    ([192, 52, 193, 0], 24, Own("an AMT address")),
    ([240, 0, 0, 0], 4, Own("a reserved address")),
];

/// The same for IPv6. What is in no block and not in 2000::/3 is reserved.
const IPV6: &[Block<[u16; 8]>] = &[
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, Never(METADATA)), // AWS: of IMDS, time, EKS pods
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Never(METADATA)), // Google
    ([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1], 128, Never(METADATA)), // Linode
    ([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, Never(METADATA)), // Scaleway
    ([0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128, Never(METADATA)), // OpenStack
    ([0; 8], 128, Never("no host's address")),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Never("a multicast address")),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Own("a loopback address")),
    ([0; 8], 96, Own("an IPv4-compatible address")),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Own("an IPv4-translated address")),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Own("a local NAT64 address")),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 32, Own("a discard address")),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Own("a Teredo address")),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Own("a benchmarking address")),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Own("an address of IETF protocols")),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Own("a documentation address")),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Own("a documentation address")),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Own("a 6to4 address")),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Own("an AS112 address")),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Own("a segment-routing address")),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Own("a unique local address")),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Own("a link-local address")),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Own("a site-local address")),
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Class::Public),
];

impl Class {
    pub(crate) fn of(address: IpAddr) -> Class {
        match address.to_canonical() {
            IpAddr::V4(address) => of_ipv4(address),
            IpAddr::V6(address) => of_ipv6(address),
        }
    }
}

fn of_ipv4(address: Ipv4Addr) -> Class {
    let bits = address.to_bits();
    let within = |base: [u8; 4], length| {
        let base = Ipv4Addr::from_octets(base).to_bits();
        (bits ^ base).leading_zeros() >= length
    };
    let block = IPV4.iter().find(|(base, length, _)| within(*base, *length));
    block.map_or(Class::Public, |(.., class)| *class)
}

fn of_ipv6(address: Ipv6Addr) -> Class {
    // What a network's NAT64 serves is the public IPv4 Internet (RFC 6052).
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() {
        return of_ipv4(ipv4(high, low));
    }
    if inside(address).into_iter().any(|hidden| of_ipv4(hidden) == Never(METADATA)) {
        return Never(METADATA);
    }
    let bits = address.to_bits();
    let within = |base: [u16; 8], length| {
        let base = Ipv6Addr::from_segments(base).to_bits();
        (bits ^ base).leading_zeros() >= length
    };
    let block = IPV6.iter().find(|(base, length, _)| within(*base, *length));
    match block.map_or(Own("a reserved address"), |(.., class)| *class) {
        Class::Public if is_isatap(address) => Own("an ISATAP address"),
        class => class,
    }
}

/// The addresses of IPv4 to which a tunnel or translator may take what is sent to this one.
fn inside(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    match address.segments() {
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => vec![ipv4(high, low)],
        // Teredo (RFC 4380): the server, and the client with its bits turned.
        [0x2001, 0, high, low, _, _, far, near] => vec![ipv4(high, low), ipv4(!far, !near)],
        // A local NAT64 (RFC 8215): its prefix may have 96 or 48 bits (RFC 6052, 2.2).
        [0x64, 0xff9b, 1, first, second, third, high, low] => {
            vec![ipv4(high, low), ipv4(first, second << 8 | third >> 8)]
        }
        // IPv4-compatible, IPv4-translated.
        [0, 0, 0, 0, 0 | 0xffff, 0, high, low] => vec![ipv4(high, low)],
        [.., high, low] if is_isatap(address) => vec![ipv4(high, low)],
        _ => Vec::new(),
    }
}

/// An interface identifier that carries an address of IPv4 (RFC 5214).
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _])
}

fn ipv4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::Class;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(addresses: &str, expected: &Expect) {
        let classed = |text: &str| match Class::of(text.parse().unwrap()) {
            Class::Public => format!("{text}: public\n"),
            Class::Own(what) => format!("{text}: {what}\n"),
            Class::Never(what) => format!("{text}: never, {what}\n"),
        };
        expected.assert_eq(&addresses.split_whitespace().map(classed).collect::<String>());
    }

    #[test]
    fn every_special_block_begins_and_ends_where_the_registry_says() {
        check(
            "0.0.0.0 0.255.255.255 1.0.0.0 9.255.255.255 10.0.0.0 10.255.255.255 11.0.0.0
             100.63.255.255 100.64.0.0 100.127.255.255 100.128.0.0
             126.255.255.255 127.0.0.0 127.255.255.255 128.0.0.0
             169.253.255.255 169.254.0.0 169.254.255.255 169.255.0.0
             172.15.255.255 172.16.0.0 172.31.255.255 172.32.0.0
             191.255.255.255 192.0.0.0 192.0.0.255 192.0.1.0 192.0.2.0 192.0.2.255 192.0.3.0
             192.31.196.1 192.52.193.1 192.88.99.1 192.167.255.255 192.168.0.0 192.168.255.255
             192.169.0.0 192.175.48.1 198.17.255.255 198.18.0.0 198.19.255.255 198.20.0.0
             198.51.100.0 198.51.101.0 203.0.113.0 203.0.114.0 223.255.255.255 224.0.0.0
             239.255.255.255 240.0.0.0 255.255.255.254 255.255.255.255",
            &expect![[r#"
                0.0.0.0: never, no host's address
                0.255.255.255: never, no host's address
                1.0.0.0: public
                9.255.255.255: public
                10.0.0.0: a private address
                10.255.255.255: a private address
                11.0.0.0: public
                100.63.255.255: public
                100.64.0.0: a shared (carrier-grade NAT) address
                100.127.255.255: a shared (carrier-grade NAT) address
                100.128.0.0: public
                126.255.255.255: public
                127.0.0.0: a loopback address
                127.255.255.255: a loopback address
                128.0.0.0: public
                169.253.255.255: public
                169.254.0.0: a link-local address
                169.254.255.255: a link-local address
                169.255.0.0: public
                172.15.255.255: public
                172.16.0.0: a private address
                172.31.255.255: a private address
                172.32.0.0: public
                191.255.255.255: public
                192.0.0.0: an address of IETF protocols
                192.0.0.255: an address of IETF protocols
                192.0.1.0: public
                192.0.2.0: a documentation address
                192.0.2.255: a documentation address
                192.0.3.0: public
                192.31.196.1: an AS112 address
                192.52.193.1: an AMT address
                192.88.99.1: a 6to4 relay's address
                192.167.255.255: public
                192.168.0.0: a private address
                192.168.255.255: a private address
                192.169.0.0: public
                192.175.48.1: an AS112 address
                198.17.255.255: public
                198.18.0.0: a benchmarking address
                198.19.255.255: a benchmarking address
                198.20.0.0: public
                198.51.100.0: a documentation address
                198.51.101.0: public
                203.0.113.0: a documentation address
                203.0.114.0: public
                223.255.255.255: public
                224.0.0.0: never, a multicast address
                239.255.255.255: never, a multicast address
                240.0.0.0: a reserved address
                255.255.255.254: a reserved address
                255.255.255.255: never, the broadcast address
            "#]],
        );
    }

    #[test]
    fn of_ipv6_only_what_is_given_out_is_public() {
        check(
            ":: ::1 ::2 ::ffff:8.8.8.8 ::ffff:10.0.0.1 64:ff9b::8.8.8.8 64:ff9b::10.0.0.1
             64:ff9b:0:1:: 64:ff9b:1::8.8.8.8 100::1 100:0:0:1::1 1fff:ffff:: 2000:: 2001::1
             2001:2::1 2001:20::1 2001:1ff:ffff:: 2001:200:: 2001:db8::1 2001:db9:: 2002:808:808::
             2606:4700:4700::1111 2620:4f:8000::1 3ffe:ffff:: 3fff::1 3fff:1000:: 4000::1 5f00::1
             fbff:ffff:: fc00::1 fdff:ffff:: fe00:: fe80::1 fec0::1 ff02::1
             2606:4700::5efe:7f00:1 2606:4700::200:5efe:808:808",
            &expect![[r#"
                ::: never, no host's address
                ::1: a loopback address
                ::2: an IPv4-compatible address
                ::ffff:8.8.8.8: public
                ::ffff:10.0.0.1: a private address
                64:ff9b::8.8.8.8: public
                64:ff9b::10.0.0.1: a private address
                64:ff9b:0:1::: a reserved address
                64:ff9b:1::8.8.8.8: a local NAT64 address
                100::1: a discard address
                100:0:0:1::1: a discard address
                1fff:ffff::: a reserved address
                2000::: public
                2001::1: a Teredo address
                2001:2::1: a benchmarking address
                2001:20::1: an address of IETF protocols
                2001:1ff:ffff::: an address of IETF protocols
                2001:200::: public
                2001:db8::1: a documentation address
                2001:db9::: public
                2002:808:808::: a 6to4 address
                2606:4700:4700::1111: public
                2620:4f:8000::1: an AS112 address
                3ffe:ffff::: public
                3fff::1: a documentation address
                3fff:1000::: public
                4000::1: a reserved address
                5f00::1: a segment-routing address
                fbff:ffff::: a reserved address
                fc00::1: a unique local address
                fdff:ffff::: a unique local address
                fe00::: a reserved address
                fe80::1: a link-local address
                fec0::1: a site-local address
                ff02::1: never, a multicast address
                2606:4700::5efe:7f00:1: an ISATAP address
                2606:4700::200:5efe:808:808: an ISATAP address
            "#]],
        );
    }

    #[test]
    fn what_serves_a_clouds_credentials_is_nobodys_in_every_disguise() {
        check(
            "169.254.169.254 169.254.169.253 169.254.170.2 169.254.170.23 169.254.0.23
             100.100.100.200 168.63.129.16 192.0.0.192 169.254.42.42
             fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fe80::a9fe:a9fe fd00:a9fe:a9fe::1 fd00:42::42
             ::ffff:169.254.169.254 ::169.254.169.254 ::ffff:0:169.254.169.254
             64:ff9b::169.254.169.254 64:ff9b:1::169.254.169.254 64:ff9b:1:a9fe:a9:fe00::
             2002:a9fe:a9fe::1 2001:0:a9fe:a9fe:: 2001::5601:5601 fe80::5efe:a9fe:a9fe
             2606:4700::5efe:a9fe:a9fe",
            &expect![[r#"
                169.254.169.254: never, a cloud's metadata service
                169.254.169.253: never, a cloud's metadata service
                169.254.170.2: never, a cloud's metadata service
                169.254.170.23: never, a cloud's metadata service
                169.254.0.23: never, a cloud's metadata service
                100.100.100.200: never, a cloud's metadata service
                168.63.129.16: never, a cloud's metadata service
                192.0.0.192: never, a cloud's metadata service
                169.254.42.42: never, a cloud's metadata service
                fd00:ec2::254: never, a cloud's metadata service
                fd00:ec2::23: never, a cloud's metadata service
                fd20:ce::254: never, a cloud's metadata service
                fe80::a9fe:a9fe: never, a cloud's metadata service
                fd00:a9fe:a9fe::1: never, a cloud's metadata service
                fd00:42::42: never, a cloud's metadata service
                ::ffff:169.254.169.254: never, a cloud's metadata service
                ::169.254.169.254: never, a cloud's metadata service
                ::ffff:0:169.254.169.254: never, a cloud's metadata service
                64:ff9b::169.254.169.254: never, a cloud's metadata service
                64:ff9b:1::169.254.169.254: never, a cloud's metadata service
                64:ff9b:1:a9fe:a9:fe00::: never, a cloud's metadata service
                2002:a9fe:a9fe::1: never, a cloud's metadata service
                2001:0:a9fe:a9fe::: never, a cloud's metadata service
                2001::5601:5601: never, a cloud's metadata service
                fe80::5efe:a9fe:a9fe: never, a cloud's metadata service
                2606:4700::5efe:a9fe:a9fe: never, a cloud's metadata service
            "#]],
        );
    }
}
