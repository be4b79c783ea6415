//! Addresses and networks as people write them. Pure. `usher_address` in SQL reads the addresses of
//! entries.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One address, or all of a network (CIDR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many bits of it count; none where it is one address.
    bits: Option<u8>,
}

/// Why a text is no address and no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoNetwork {
    /// It can be read as neither.
    #[error("expected an address such as 192.0.2.7 or a network such as 192.0.2.0/24")]
    Unread,
    /// Bits are set that do not count: one of them is a mistake.
    #[error("expected a network, and {0} is an address within {1}")]
    Within(IpAddr, Network),
}

impl Network {
    /// The text with which every address of it begins as IPv4 is written, the cheap part of the
    /// comparison; none for IPv6.
    pub(super) fn common_text(&self) -> Option<String> {
        let IpAddr::V4(address) = self.address else {
            return None;
        };
        let octets = usize::from(self.bits.unwrap_or(32) / 8);
        let mut common: Vec<String> = address.octets().map(|octet| octet.to_string()).into();
        if octets < common.len() {
            common.truncate(octets);
            common.push(String::new());
        }
        Some(common.join("."))
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let Some((address, bits)) = text.split_once('/') else {
            let address: IpAddr = text.parse().map_err(|_| NoNetwork::Unread)?;
            // `::ffff:192.0.2.7` is 192.0.2.7, as it is in entries.
            let address = address.to_canonical();
            return Ok(Self {
                address,
                bits: None,
            });
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork::Unread)?;
        let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u8 = bits.parse().map_err(|_| NoNetwork::Unread)?;
        if !is_number || bits > if address.is_ipv4() { 32 } else { 128 } {
            return Err(NoNetwork::Unread);
        }
        let network = Self {
            address: masked(address, bits),
            bits: Some(bits),
        };
        if network.address != address {
            return Err(NoNetwork::Within(address, network));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits {
            Some(bits) => write!(f, "{}/{bits}", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// The address with all bits after the first `bits` cleared.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn knows_what_all_of_its_addresses_begin_with() {
        for (text, common) in [
            ("192.0.2.7", Some("192.0.2.7")),
            ("192.0.2.0/24", Some("192.0.2.")),
            ("192.0.2.0/23", Some("192.0.")),
            ("0.0.0.0/0", Some("")),
            ("::1", None),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.common_text().as_deref(), common, "{text}");
        }
    }

    #[test]
    fn reads_addresses_and_networks_and_nothing_else() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7/32", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), shown, "{text}");
        }
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "::/129",
            "10.0.0",
            "010.0.0.1",
            "localhost",
            "10.0.0.1:80",
            "10.0.0.0/255.0.0.0",
            " 10.0.0.1",
            "' OR true --",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
        let within = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert_eq!(
            within.to_string(),
            "expected a network, and 10.1.2.3 is an address within 10.0.0.0/8"
        );
    }
}
