//! Who may deliver: any of several accepted values of the `Authorization` header, compared in
//! constant time, and when each of them was last used.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::HeaderValue;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::config::Secret;

/// Stands for a value that was never used.
const NEVER: i64 = i64::MIN;

/// The accepted values, hashed so that a comparison does not show their length either.
#[derive(Debug)]
pub(super) struct Accepted(RwLock<Vec<Arc<Value>>>);

/// One accepted value.
#[derive(Debug)]
pub(super) struct Value {
    hash: [u8; 32],
    /// Milliseconds since 1970.
    used_at: AtomicI64,
}

impl Accepted {
    pub(super) fn new(values: &[Secret]) -> Self {
        let this = Self(RwLock::default());
        this.replace(values);
        this
    }

    /// Accepts these values instead; when those that stay were used is kept.
    pub(super) fn replace(&self, values: &[Secret]) {
        let mut accepted = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of_before = |hash: [u8; 32]| accepted.iter().find(|value| value.hash == hash);
        let now = values.iter().flat_map(Secret::values).map(|value| {
            let hash = hash(value.as_bytes());
            of_before(hash).map_or_else(|| Arc::new(Value::new(hash)), Arc::clone)
        });
        *accepted = now.collect();
    }

    /// The accepted value that the header equals exactly.
    pub(super) fn find(&self, header: Option<&HeaderValue>) -> Option<Arc<Value>> {
        let given = hash(header?.as_bytes());
        let accepted = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = u64::MAX;
        for (place, value) in (0_u64..).zip(accepted.iter()) {
            found.conditional_assign(&place, value.hash.ct_eq(&given));
        }
        let place = usize::try_from(found).ok()?;
        accepted.get(place).cloned()
    }
}

impl Value {
    fn new(hash: [u8; 32]) -> Self {
        Self {
            hash,
            used_at: AtomicI64::new(NEVER),
        }
    }

    /// When it was last used to deliver, since this process began.
    pub(super) fn used_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.used_at.load(Ordering::Relaxed))
    }

    /// Notes that it is used to deliver.
    pub(super) fn note_use(&self, now: DateTime<Utc>) {
        self.used_at
            .fetch_max(now.timestamp_millis(), Ordering::Relaxed);
    }
}

fn hash(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets<const N: usize>(values: [&str; N]) -> [Secret; N] {
        values.map(|value| Secret::new(value.to_owned()))
    }

    #[test]
    fn takes_each_accepted_value_and_nothing_else() {
        let accepted = Accepted::new(&secrets(["Bearer old", "Splunk new\r\n\nBearer third "]));
        for (header, expected) in [
            ("Bearer old", true),
            ("Splunk new", true),
            ("Bearer third", true),
            ("bearer old", false),
            ("Bearer ol", false),
            ("Bearer old ", false),
            ("", false),
        ] {
            let header = HeaderValue::from_static(header);
            assert_eq!(
                accepted.find(Some(&header)).is_some(),
                expected,
                "{header:?}"
            );
        }
        assert!(accepted.find(None).is_none());
        let empty = HeaderValue::from_static("");
        assert!(Accepted::new(&[]).find(Some(&empty)).is_none());
    }

    #[test]
    fn keeps_when_a_value_was_used_as_long_as_it_is_accepted() {
        let header = HeaderValue::from_static("Bearer old");
        let used_at = |accepted: &Accepted| accepted.find(Some(&header)).unwrap().used_at();
        let moment = DateTime::from_timestamp_millis(7).unwrap();
        let accepted = Accepted::new(&secrets(["Bearer old"]));
        assert_eq!(used_at(&accepted), None);
        accepted.find(Some(&header)).unwrap().note_use(moment);
        accepted.replace(&secrets(["Bearer new\nBearer old"]));
        assert_eq!(used_at(&accepted), Some(moment));
        accepted.replace(&secrets(["Bearer new"]));
        assert!(accepted.find(Some(&header)).is_none());
        accepted.replace(&secrets(["Bearer old"]));
        assert_eq!(used_at(&accepted), None);
    }
}
