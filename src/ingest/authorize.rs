//! Who may deliver: any of several accepted values of the `Authorization` header, compared in
//! constant time.

use axum::http::HeaderValue;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::Secret;

/// The accepted values, hashed so that a comparison does not show their length either.
#[derive(Debug)]
pub(super) struct Accepted(Vec<[u8; 32]>);

impl Accepted {
    pub(super) fn new(values: &[Secret]) -> Self {
        Self(
            values
                .iter()
                .map(|value| hash(value.expose().as_bytes()))
                .collect(),
        )
    }

    /// Whether the header equals one of the accepted values exactly.
    pub(super) fn accepts(&self, header: Option<&HeaderValue>) -> bool {
        let Some(header) = header else { return false };
        let given = hash(header.as_bytes());
        let one_of_them = self.0.iter().fold(Choice::from(0), |found, accepted| {
            found | accepted.ct_eq(&given)
        });
        one_of_them.into()
    }
}

fn hash(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_each_accepted_value_and_nothing_else() {
        let secrets = ["Bearer old", "Splunk new"].map(|value| Secret::new(value.to_owned()));
        let accepted = Accepted::new(&secrets);
        for (header, expected) in [
            ("Bearer old", true),
            ("Splunk new", true),
            ("bearer old", false),
            ("Bearer ol", false),
            ("Bearer old ", false),
            ("", false),
        ] {
            let header = HeaderValue::from_static(header);
            assert_eq!(accepted.accepts(Some(&header)), expected, "{header:?}");
        }
        assert!(!accepted.accepts(None));
        assert!(!Accepted::new(&[]).accepts(Some(&HeaderValue::from_static(""))));
    }
}
