//! Who asks: what requests are told apart by when they must wait for each other.
//!
//! Invariant: a [`Caller`] has no `Debug` and no `Display`. It decides whose turn it is, and is in no log, metric or trace.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderValue};

use crate::config::CallerConfig;

/// The longest name that is believed. What is longer is no name that a person gave.
const LONGEST_NAME: usize = 128;

/// What of an IPv6 address names the network. The rest is any host's to choose (RFC 4291, section 2.5.1): one has 2^64
/// addresses there, and would have as many turns.
const NETWORK: u128 = !(u64::MAX as u128);

/// One caller.
#[derive(Clone, PartialEq, Eq)]
pub enum Caller {
    /// Whoever connects from this address, whatever its port; or, with IPv6, from this network of 64 bits.
    Address(IpAddr),
    /// Whoever a trusted peer says it is.
    Named(HeaderValue),
}

impl Caller {
    /// Who sent these headers from there: who a trusted peer says, else the peer itself.
    #[must_use]
    pub fn of(headers: &HeaderMap, peer: IpAddr, config: &CallerConfig) -> Self {
        let name = config
            .header
            .as_ref()
            .filter(|_| config.trusted_peers.contains(peer))
            .and_then(|header| {
                let mut names = headers.iter().filter(|(given, _)| *given == header);
                names.next().xor(names.next())
            });
        match name {
            Some((_, name)) if is_name(name) => Self::Named(name.clone()),
            _ => Self::at(peer),
        }
    }

    fn at(peer: IpAddr) -> Self {
        Self::Address(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        })
    }
}

/// Visible ASCII, spaces inside included, and not too much of it.
fn is_name(value: &HeaderValue) -> bool {
    let visible = |byte: &u8| matches!(byte, b' '..=b'~');
    (1..=LONGEST_NAME).contains(&value.len()) && value.as_bytes().iter().all(visible)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const TRUSTED: &str = "10.1.2.3";
    const STRANGER: &str = "192.0.2.1";

    /// The caller of a request from `peer` with these values of the configured header.
    fn caller(peer: &str, values: &[&[u8]]) -> Caller {
        let header = HeaderName::from_static("x-caller");
        let headers = values.iter().map(|value| {
            let value = HeaderValue::from_bytes(value).unwrap();
            (header.clone(), value)
        });
        let config = CallerConfig {
            header: Some(header.clone()),
            trusted_peers: "10.0.0.0/8".parse().unwrap(),
        };
        Caller::of(&headers.collect(), peer.parse().unwrap(), &config)
    }

    fn is_address(caller: &Caller, peer: &str) -> bool {
        *caller == Caller::Address(peer.parse().unwrap())
    }

    #[test]
    fn a_trusted_peer_says_who_the_caller_is() {
        let crm = caller(TRUSTED, &[b"crm"]);

        assert!(crm == Caller::Named(HeaderValue::from_static("crm")));
        assert!(crm == caller("10.9.9.9", &[b"crm"]));
        assert!(crm != caller(TRUSTED, &[b"shop"]));
    }

    #[test]
    fn anybody_else_is_its_address_whatever_it_says() {
        assert!(is_address(&caller(STRANGER, &[b"crm"]), STRANGER));
    }

    #[test]
    fn all_addresses_of_a_host_with_ipv6_are_one_caller() {
        let host = caller("2001:db8:0:1::1", &[]);

        assert!(host == caller("2001:db8:0:1:ffff:ffff:ffff:ffff", &[]));
        assert!(host != caller("2001:db8:0:2::1", &[]));
        assert!(caller("192.0.2.1", &[]) != caller("192.0.2.2", &[]));
    }

    #[test]
    fn a_name_that_is_missing_doubled_or_odd_is_no_name() {
        let longest = [b'x'; LONGEST_NAME];
        assert!(!is_address(&caller(TRUSTED, &[&longest]), TRUSTED));

        let too_long = [b'x'; LONGEST_NAME + 1];
        let odd: [&[&[u8]]; 5] = [&[], &[b""], &[b"a", b"b"], &[b"caf\xc3\xa9"], &[&too_long]];
        for values in odd {
            assert!(is_address(&caller(TRUSTED, values), TRUSTED), "{values:?}");
        }
    }

    #[test]
    fn an_address_is_never_taken_for_a_name() {
        assert!(caller(TRUSTED, &[STRANGER.as_bytes()]) != caller(STRANGER, &[]));
    }
}
