//! Turns a personal or system account access token into the `Authorization` header.
//!
//! The token must leave this file only as a header value marked sensitive, so that neither `Debug`
//! nor a trace of the HTTP library shows it.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Error;

/// Makes the value of `Authorization` for a token, with or without its `Bearer ` scheme.
///
/// Konnect takes both kinds of token, `kpat_` and `spat_`, as bearer tokens.
pub(crate) fn bearer(token: &SecretString) -> Result<HeaderValue, Error> {
    let token = token.expose_secret().trim();
    let token = match token.split_once(char::is_whitespace) {
        Some(("Bearer", token)) => token.trim_start(),
        _ => token,
    };
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Error::Configuration {
            message: "the token is empty or has spaces in it",
        });
    }
    let mut value =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Error::Configuration {
            message: "the token has characters that no header may have",
        })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_a_token_with_or_without_its_scheme() {
        for token in ["kpat_a", "Bearer kpat_a", " kpat_a\n"] {
            let value = bearer(&SecretString::from(token)).unwrap();
            assert_eq!(value.to_str().unwrap(), "Bearer kpat_a", "{token:?}");
            assert!(!format!("{value:?}").contains("kpat_a"));
        }
    }

    #[test]
    fn refuses_a_token_that_no_header_can_carry_without_showing_it() {
        for token in ["", " \n", "kpat\u{1}_a", "kpat _a"] {
            let error = bearer(&SecretString::from(token)).unwrap_err();
            assert!(matches!(error, Error::Configuration { .. }), "{token:?}");
            assert!(!format!("{error} {error:?}").contains("kpat"));
        }
    }
}
