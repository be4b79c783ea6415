//! Links that sign somebody in once, within five minutes: `usher demo` prints one.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::clock::{Clock, Ids};
use crate::http::tokens::TokenHash;

/// How long a link is good.
const GOOD_FOR: TimeDelta = TimeDelta::minutes(5);

/// The links that were made and not used yet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SignInLinks {
    made: Arc<Mutex<Vec<Link>>>,
    clock: Clock,
}

#[derive(Debug)]
struct Link {
    hash: [u8; 32],
    token_hash: TokenHash,
    made_at: DateTime<Utc>,
}

impl SignInLinks {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self {
            made: Arc::default(),
            clock,
        }
    }

    /// Makes a link that signs in whoever has this token; returns its path and query.
    pub fn make(&self, token_hash: TokenHash) -> String {
        let secret = Ids::secret();
        let link = Link {
            hash: Sha256::digest(secret.as_bytes()).into(),
            token_hash,
            made_at: self.clock.now(),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(link);
        format!("/sign-in?once={secret}")
    }

    /// Uses a link up; the token that it stands for, if it is good.
    pub(super) fn take(&self, secret: &str) -> Option<TokenHash> {
        let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let now = self.clock.now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|link| now - link.made_at < GOOD_FOR);
        let place = made.iter().position(|link| link.hash == hash)?;
        Some(made.swap_remove(place).token_hash)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use chrono::DateTime;

    use super::SignInLinks;
    use crate::clock::Clock;

    #[test]
    fn a_link_is_good_once_and_for_five_minutes() {
        let seconds = Arc::new(AtomicI64::new(0));
        let now = Arc::clone(&seconds);
        let clock = Clock::from_fn(move || {
            DateTime::from_timestamp(now.load(Ordering::Relaxed), 0).unwrap_or_default()
        });
        let links = SignInLinks::new(clock);
        let secret = |link: String| link.split_once('=').unwrap().1.to_owned();
        let first = secret(links.make([1; 32]));
        let second = secret(links.make([2; 32]));
        assert_eq!(links.take("something else"), None);
        assert_eq!(links.take(&first), Some([1; 32]));
        assert_eq!(links.take(&first), None);
        seconds.store(300, Ordering::Relaxed);
        assert_eq!(links.take(&second), None);
    }
}
