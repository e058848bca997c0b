//! Lists of networks, in the notation of RFC 4632: `10.0.0.0/8`, `fd00::/8`. An address alone is a network of one.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::reader::Section;

const PROBLEM: &str =
    "must be networks such as \"10.0.0.0/8\" or \"fd00::/8\", without bits behind the prefix";

/// A list of networks. An empty one contains nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether an address lies in one of them. A socket for both families writes IPv4 addresses as IPv6 ones.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks that `key` lists.
    pub(super) fn read(section: &Section, key: &str) -> Self {
        let texts = section.texts(key);
        if texts.is_empty() {
            return Self::default();
        }
        texts.join(",").parse().unwrap_or_else(|()| {
            section.error(key, PROBLEM);
            Self::default()
        })
    }
}

/// Divided by commas: environment variables have no lists. A blank one is refused as well: out of a template that nobody
/// filled in, it would let everybody in.
impl FromStr for Networks {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let networks = text.split(',').map(str::trim).map(parse);
        networks.collect::<Option<_>>().map(Self).ok_or(())
    }
}

/// Bits behind the prefix are refused: whoever wrote them meant another network, or an address.
fn parse(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().ok()?,
    };
    (network == network.trunc()).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &str) -> Networks {
        text.parse().unwrap()
    }

    fn contains(networks: &Networks, address: &str) -> bool {
        networks.contains(address.parse().unwrap())
    }

    #[test]
    fn a_list_contains_what_one_of_its_networks_contains() {
        let networks = networks("10.0.0.0/8, 192.0.2.7,fd00::/8");

        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "::ffff:10.0.0.1",
            "192.0.2.7",
            "fd12::1",
        ] {
            assert!(contains(&networks, inside), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.8", "fe80::1", "::"] {
            assert!(!contains(&networks, outside), "{outside}");
        }
    }

    #[test]
    fn an_empty_list_contains_nobody() {
        assert!(Networks::default().is_empty());
        assert!(!contains(&Networks::default(), "127.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0",
            "host",
            "::/129",
            "10.0.0.0/8 ::/0",
            "",
            " ",
            "10.0.0.0/8,",
        ] {
            assert_eq!(wrong.parse::<Networks>(), Err(()), "{wrong}");
        }
    }
}
