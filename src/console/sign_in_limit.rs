//! How often somebody may try to sign in: wrong tokens are counted by address, and every try by
//! token, so that a stolen one cannot open sessions without end. Kept in memory, each for a minute.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use sha2::{Digest, Sha256};

use crate::clock::Clock;

/// Tries are counted for so long.
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Wrong tokens of one address in that time.
const WRONG_BY_ADDRESS: u32 = 10;
/// Tries with one token in that time, wrong or right.
const TRIES_BY_TOKEN: u32 = 20;
/// Addresses and tokens that are counted at once; the oldest are forgotten.
const COUNTED: usize = 10_000;

/// The counts. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct SignInLimit {
    counts: Arc<Mutex<Counts>>,
    clock: Clock,
    trusted_proxies: Arc<[IpNet]>,
}

#[derive(Debug, Default)]
struct Counts {
    addresses: HashMap<IpAddr, Count>,
    tokens: HashMap<[u8; 32], Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: DateTime<Utc>,
    tries: u32,
}

impl SignInLimit {
    /// None yet. The header of `trusted_proxies` is believed, nobody else's.
    pub(super) fn new(clock: Clock, trusted_proxies: &[IpNet]) -> Self {
        Self {
            counts: Arc::default(),
            clock,
            trusted_proxies: trusted_proxies.into(),
        }
    }

    /// The address that a request comes from: the last one in `X-Forwarded-For` that is no trusted
    /// proxy's, where the request comes by such a proxy.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let is_proxy = |address: IpAddr| {
            self.trusted_proxies
                .iter()
                .any(|net| net.contains(&address))
        };
        let mut client = peer.ip().to_canonical();
        let named = headers.get_all("x-forwarded-for").iter().rev();
        let named = named.filter_map(|line| line.to_str().ok());
        let mut named = named.flat_map(|line| line.rsplit(','));
        while is_proxy(client) {
            // What a proxy wrote that is no address says nothing: then the proxy counts.
            let Some(named) = named.next().and_then(address) else {
                break;
            };
            client = named.to_canonical();
        }
        client
    }

    /// Whether a request comes from this machine. One that some proxy passed on, which nobody said
    /// is trusted, may come from anywhere.
    pub(super) fn is_local(&self, peer: SocketAddr, headers: &HeaderMap) -> bool {
        let client = self.client(peer, headers);
        let is_passed_on = ["x-forwarded-for", "forwarded"]
            .iter()
            .any(|name| headers.contains_key(*name));
        client.is_loopback() && (!is_passed_on || client != peer.ip().to_canonical())
    }

    /// Counts a try with `token`; how long to wait where there were too many.
    pub(super) fn may_try(&self, address: IpAddr, token: &str) -> Result<(), Duration> {
        let now = self.clock.now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.addresses.get(&network(address)) {
            count.under(WRONG_BY_ADDRESS, now)?;
        }
        let hash = Sha256::digest(token.as_bytes()).into();
        let count = add(&mut counts.tokens, hash, now);
        count.under(TRIES_BY_TOKEN + 1, now)
    }

    /// Counts a wrong token.
    pub(super) fn failed(&self, address: IpAddr) {
        let now = self.clock.now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut counts.addresses, network(address), now);
    }
}

impl Count {
    fn under(self, most: u32, now: DateTime<Utc>) -> Result<(), Duration> {
        let left = WINDOW - (now - self.since);
        if self.tries < most || left <= TimeDelta::zero() {
            return Ok(());
        }
        Err(left.to_std().unwrap_or_default())
    }
}

/// What is counted as one address: of IPv6 a whole /64, which is what one subscriber has.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let kept = u128::from(address) >> 64 << 64;
            IpAddr::V6(kept.into())
        }
    }
}

/// An address as proxies name it, some of them with its port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse::<SocketAddr>().map(|it| it.ip()).ok();
    text.parse().ok().or_else(with_port)
}

/// Adds one to the count of `key`, which begins anew after a while.
fn add<K: std::hash::Hash + Eq + Copy>(
    counts: &mut HashMap<K, Count>,
    key: K,
    now: DateTime<Utc>,
) -> Count {
    if counts.len() >= COUNTED {
        counts.retain(|_, count| now - count.since < WINDOW);
    }
    if counts.len() >= COUNTED && !counts.contains_key(&key) {
        let oldest = counts.iter().min_by_key(|(_, count)| count.since);
        if let Some(oldest) = oldest.map(|(key, _)| *key) {
            counts.remove(&oldest);
        }
    }
    let count = counts.entry(key).or_insert(Count {
        since: now,
        tries: 0,
    });
    if now - count.since >= WINDOW {
        *count = Count {
            since: now,
            tries: 0,
        };
    }
    count.tries += 1;
    *count
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use axum::http::HeaderMap;
    use chrono::DateTime;

    use super::{SignInLimit, TRIES_BY_TOKEN, WRONG_BY_ADDRESS};
    use crate::clock::Clock;

    #[test]
    fn too_many_tries_wait_for_the_end_of_the_minute() {
        let seconds = Arc::new(AtomicI64::new(0));
        let now = Arc::clone(&seconds);
        let limit = SignInLimit::new(
            Clock::from_fn(move || {
                DateTime::from_timestamp(now.load(Ordering::Relaxed), 0).unwrap_or_default()
            }),
            &[],
        );
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let there = IpAddr::V4(Ipv4Addr::BROADCAST);
        for number in 0..WRONG_BY_ADDRESS {
            assert_eq!(limit.may_try(here, &format!("wrong {number}")), Ok(()));
            limit.failed(here);
        }
        let wait = limit.may_try(here, "the right one").unwrap_err();
        assert_eq!(wait.as_secs(), 60);
        assert_eq!(limit.may_try(there, "the right one"), Ok(()));
        seconds.store(60, Ordering::Relaxed);
        for _ in 0..TRIES_BY_TOKEN {
            assert_eq!(limit.may_try(here, "one token"), Ok(()));
        }
        assert!(limit.may_try(there, "one token").is_err());
    }

    #[test]
    fn only_a_trusted_proxy_says_who_the_client_is() {
        let clock = Clock::from_fn(chrono::DateTime::default);
        let limit = SignInLimit::new(clock, &["10.0.0.0/8".parse().unwrap()]);
        for (peer, forwarded, client) in [
            ("192.0.2.1:1", "203.0.113.9", "192.0.2.1"),
            ("10.0.0.1:1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1:1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1:1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("10.0.0.1:1", "203.0.113.9:4711", "203.0.113.9"),
            ("10.0.0.1:1", "unknown", "10.0.0.1"),
            ("[::ffff:10.0.0.1]:1", "203.0.113.9", "203.0.113.9"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            let found = limit.client(peer.parse().unwrap(), &headers);
            assert_eq!(
                found,
                client.parse::<IpAddr>().unwrap(),
                "{peer} {forwarded}"
            );
        }
    }

    #[test]
    fn who_is_passed_on_by_a_proxy_is_not_local() {
        let clock = Clock::from_fn(chrono::DateTime::default);
        for (trusted, peer, forwarded, local) in [
            (None, "127.0.0.1:1", None, true),
            (None, "[::1]:1", None, true),
            (None, "192.0.2.1:1", None, false),
            (None, "127.0.0.1:1", Some("127.0.0.1"), false),
            (
                Some("127.0.0.1/32"),
                "127.0.0.1:1",
                Some("203.0.113.9"),
                false,
            ),
            (Some("127.0.0.1/32"), "127.0.0.1:1", Some("::1"), true),
        ] {
            let trusted: Vec<_> = trusted
                .iter()
                .map(|net: &&str| net.parse().unwrap())
                .collect();
            let limit = SignInLimit::new(clock.clone(), &trusted);
            let mut headers = HeaderMap::new();
            if let Some(forwarded) = forwarded {
                headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            assert_eq!(
                limit.is_local(peer.parse().unwrap(), &headers),
                local,
                "{peer} {forwarded:?}"
            );
        }
    }

    #[test]
    fn addresses_of_one_subscriber_count_as_one() {
        let limit = SignInLimit::new(Clock::from_fn(chrono::DateTime::default), &[]);
        for number in 0..WRONG_BY_ADDRESS {
            limit.failed(format!("2001:db8::{number:x}").parse().unwrap());
        }
        let next = "2001:db8::ffff".parse().unwrap();
        assert!(limit.may_try(next, "a token").is_err());
        let other = "2001:db8:0:1::1".parse().unwrap();
        assert!(limit.may_try(other, "a token").is_ok());
    }
}
