//! What destinations match, over the very bytes that the kernel side makes of an address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use execlayer_common::subject::{Inet, Protocol};

use crate::{
    evaluate::matches,
    parse::{
        glob::Variables,
        inet::{Destination, parse},
    },
    pattern::Pattern,
};

fn pattern(text: &str) -> Pattern {
    match parse(text, &Variables::new()) {
        Ok(Destination::Inet { remote: pattern, .. } | Destination::Unix { pattern, .. }) => {
            pattern
        }
        Err(error) => panic!("{text}: {error:?}"),
    }
}

fn hits(pattern: &Pattern, protocol: Protocol, address: &str) -> bool {
    let address: SocketAddr = address.parse().unwrap();
    let inet = match address {
        SocketAddr::V4(v4) => Inet::v4(protocol, v4.ip().octets(), v4.port()),
        SocketAddr::V6(v6) => Inet::v6(protocol, v6.ip().octets(), v6.port()),
    };
    matches(pattern, inet.bytes())
}

#[test]
fn destinations_match_what_the_table_says() {
    let table: [(&str, &[&str], &[&str]); 14] = [
        ("10.0.0.1:443", &["10.0.0.1:443"], &["10.0.0.2:443", "10.0.0.1:444", "[::1]:443"]),
        (
            "10.0.0.0/8:5432",
            &["10.0.0.0:5432", "10.255.255.255:5432"],
            &["11.0.0.0:5432", "9.255.255.255:5432"],
        ),
        (
            "192.168.4.0/22:80",
            &["192.168.4.0:80", "192.168.7.255:80"],
            &["192.168.3.255:80", "192.168.8.0:80"],
        ),
        ("128.0.0.0/1:80", &["128.0.0.0:80", "255.0.0.1:80"], &["127.255.255.255:80"]),
        ("0.0.0.0/0:80", &["1.2.3.4:80", "0.0.0.0:80", "[::ffff:1.2.3.4]:80"], &["[::1]:80"]),
        (
            "[2001:db8::]/32:443",
            &["[2001:db8::]:443", "[2001:db8:ffff::1]:443"],
            &["[2001:db9::]:443", "10.0.0.1:443"],
        ),
        (
            "[2001:db8:0:8000::]/49:443",
            &["[2001:db8:0:8000::1]:443", "[2001:db8:0:ffff::1]:443"],
            &["[2001:db8:0:7fff::1]:443"],
        ),
        (
            "[::]/0:443",
            &["[::1]:443", "[2001:db8::1]:443"],
            &["10.0.0.1:443", "[::ffff:10.0.0.1]:443"],
        ),
        ("*:443", &["10.0.0.1:443", "[2001:db8::1]:443"], &["10.0.0.1:80"]),
        ("*:*", &["10.0.0.1:0", "[2001:db8::1]:65535"], &[]),
        (
            "localhost:80",
            &["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "0.0.0.0:80", "[::]:80"],
            &["126.0.0.1:80", "[::2]:80"],
        ),
        ("0.0.0.0:80", &["127.0.0.1:80", "0.0.0.0:80"], &["127.0.0.2:80", "1.2.3.4:80"]),
        ("[::]:80", &["[::1]:80", "[::]:80"], &["[::2]:80", "127.0.0.1:80"]),
        ("10.0.0.1:443", &["[::ffff:10.0.0.1]:443"], &["[::ffff:10.0.0.2]:443"]),
    ];
    for (text, good, bad) in table {
        let pattern = pattern(text);
        for address in good {
            assert!(hits(&pattern, Protocol::Tcp, address), "{text} must match {address}");
            assert!(hits(&pattern, Protocol::Udp, address), "{text} must match {address} by UDP");
            assert!(!hits(&pattern, Protocol::Other, address), "{text} is for TCP and UDP only");
        }
        for address in bad {
            assert!(!hits(&pattern, Protocol::Tcp, address), "{text} must not match {address}");
        }
    }
}

#[test]
fn a_protocol_in_front_leaves_the_other_out() {
    let (tcp, udp) = (pattern("tcp:*:53"), pattern("udp:[::1]:53"));
    assert!(hits(&tcp, Protocol::Tcp, "10.0.0.1:53") && !hits(&tcp, Protocol::Udp, "10.0.0.1:53"));
    assert!(hits(&udp, Protocol::Udp, "[::1]:53") && !hits(&udp, Protocol::Tcp, "[::1]:53"));
}

#[test]
fn every_port_range_matches_its_ports_and_no_other() {
    let edges = [
        0, 1, 127, 128, 254, 255, 256, 257, 511, 512, 8_000, 8_999, 65_279, 65_280, 65_534, 65_535,
    ];
    for first in edges {
        for last in edges.into_iter().filter(|&last| last >= first) {
            let pattern = pattern(&format!("10.0.0.1:{first}-{last}"));
            for port in edges.into_iter().chain([300, 4_096, 40_000]) {
                let hit = hits(&pattern, Protocol::Tcp, &format!("10.0.0.1:{port}"));
                assert_eq!(hit, (first..=last).contains(&port), "{first}-{last} on {port}");
            }
        }
    }
}

#[test]
fn every_prefix_length_matches_its_network_and_no_other() {
    let v4 = u32::from(Ipv4Addr::new(203, 0, 113, 77));
    for length in 1..=32 {
        let network = v4 & (u32::MAX << (32 - length));
        let pattern = pattern(&format!("{}/{length}:80", Ipv4Addr::from(network)));
        for bit in 0..32 {
            let address = format!("{}:80", Ipv4Addr::from(v4 ^ (1 << bit)));
            assert_eq!(
                hits(&pattern, Protocol::Tcp, &address),
                bit < 32 - length,
                "/{length} on {address}"
            );
        }
    }
    let v6 = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6));
    for length in 1..=128 {
        let network = v6 & (u128::MAX << (128 - length));
        let pattern = pattern(&format!("[{}]/{length}:80", Ipv6Addr::from(network)));
        for bit in 0..128 {
            let address = format!("[{}]:80", Ipv6Addr::from(v6 ^ (1 << bit)));
            assert_eq!(
                hits(&pattern, Protocol::Tcp, &address),
                bit < 128 - length,
                "/{length} on {address}"
            );
        }
    }
}

#[test]
fn an_address_that_is_bound_to_is_not_made_loopback() {
    let local = |text: &str| match parse(text, &Variables::new()) {
        Ok(Destination::Inet { local, .. }) => local,
        other => panic!("{text}: {other:?}"),
    };
    let bound = |text: &str, address: &str| {
        let address: SocketAddr = address.parse().unwrap();
        let inet = match address {
            SocketAddr::V4(v4) => Inet::local_v4(Protocol::Tcp, v4.ip().octets(), v4.port()),
            SocketAddr::V6(v6) => Inet::local_v6(Protocol::Tcp, v6.ip().octets(), v6.port()),
        };
        matches(&local(text), inet.bytes())
    };
    let table: [(&str, &[&str], &[&str]); 6] = [
        ("*:80", &["0.0.0.0:80", "[::]:80", "127.0.0.1:80", "10.0.0.1:80"], &["0.0.0.0:81"]),
        ("localhost:80", &["127.0.0.1:80", "[::1]:80"], &["0.0.0.0:80", "[::]:80"]),
        ("0.0.0.0:80", &["0.0.0.0:80"], &["127.0.0.1:80", "10.0.0.1:80", "[::]:80"]),
        ("[::]:80", &["[::]:80"], &["[::1]:80", "0.0.0.0:80"]),
        ("0.0.0.0/0:80", &["0.0.0.0:80", "10.0.0.1:80"], &["[::]:80"]),
        ("10.0.0.0/8:80", &["10.0.0.1:80", "[::ffff:10.0.0.1]:80"], &["0.0.0.0:80"]),
    ];
    for (text, good, bad) in table {
        for address in good {
            assert!(bound(text, address), "{text} must match {address}");
        }
        for address in bad {
            assert!(!bound(text, address), "{text} must not match {address}");
        }
    }
}

#[test]
fn unix_sockets_are_paths_and_abstract_names() {
    assert!(matches(&pattern("unix:/run/*/x.sock"), b"/run/a/x.sock"));
    assert!(!matches(&pattern("unix:/run/x"), b"@/run/x"));
    assert!(matches(&pattern("unix:@chrome-*"), b"@chrome-7"));
    assert!(!matches(&pattern("unix:@chrome-*"), b"chrome-7"));
    assert!(parse("unix:@", &Variables::new()).is_err());
    assert!(parse("unix:", &Variables::new()).is_err());
}

#[test]
fn variables_stand_for_parts_of_a_destination() {
    let variables = Variables::from([
        ("DB".to_owned(), "10.1.2.3".to_owned()),
        ("ANY".to_owned(), "*".to_owned()),
        ("NET".to_owned(), "10.1.2.3/8".to_owned()),
        ("DIR".to_owned(), "/run/*".to_owned()),
    ]);
    let Ok(Destination::Inet { text, remote: pattern, .. }) = parse("tcp:${DB}:5432", &variables)
    else {
        panic!()
    };
    assert_eq!(text, "tcp:10.1.2.3:5432");
    assert!(hits(&pattern, Protocol::Tcp, "10.1.2.3:5432"));
    assert!(parse("${ANY}:53", &variables).is_ok());
    let error = parse("tcp:${NET}:5432", &variables).unwrap_err();
    assert_eq!(
        (error.bytes, error.message.as_str()),
        (4..10, "`10.1.2.3/8` has bits set behind its prefix")
    );
    let error = parse("tcp:${DX}:5432", &variables).unwrap_err();
    assert_eq!((error.bytes, error.help.as_deref()), (4..9, Some("did you mean `DB`?")));
    let Ok(Destination::Unix { pattern, .. }) = parse("unix:${DIR}/s", &variables) else {
        panic!()
    };
    assert!(matches(&pattern, b"/run/*/s") && !matches(&pattern, b"/run/a/s"));
}
