//! From when until when a certificate is valid. Reads just so much of X.509 (RFC 5280) as that
//! takes, and checks nothing.

use chrono::{DateTime, NaiveDateTime, Utc};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// Tags of ASN.1.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The first and the last moment of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

/// That of the first certificate in a PEM file; none where there is no certificate that reads so.
pub(super) fn validity(pem: &[u8]) -> Option<Validity> {
    let first = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    of_der(&first)
}

fn of_der(der: &[u8]) -> Option<Validity> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (signed, _) = expect(certificate, SEQUENCE)?;
    // Version (unless it is 1), serial number, signature algorithm, issuer; then the validity.
    let mut rest = signed;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (tag, from, rest) = element(validity)?;
    let from = time(tag, from)?;
    let (tag, until, _) = element(rest)?;
    let until = time(tag, until)?;
    Some(Validity { from, until })
}

fn expect(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(input)?;
    (found == tag).then_some((content, rest))
}

/// The tag and the content of the first element, and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, input) = input.split_first()?;
    let (&first, input) = input.split_first()?;
    let (length, input) = if first < 0x80 {
        (usize::from(first), input)
    } else {
        let (bytes, input) = input.split_at_checked(usize::from(first & 0x7f))?;
        let is_short = bytes.len() <= 4;
        let length = bytes
            .iter()
            .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
        (is_short.then_some(length)?, input)
    };
    let (content, rest) = input.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(tag: u8, content: &[u8]) -> Option<DateTime<Utc>> {
    let text = str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // Two digits of the year: from 50 on they are of the last century.
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%S").ok()?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::{of_der, validity};

    fn certificate(from: i32, until: i32) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 2, 3);
        params.not_after = date_time_ymd(until, 4, 5);
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_certificate_says_until_when_it_is_valid() {
        // From 2050 on, years have four digits.
        for (from, until) in [(2020, 2024), (1999, 2049), (2024, 2061)] {
            let found = validity(certificate(from, until).as_bytes()).unwrap();
            assert_eq!(
                found.from.to_rfc3339(),
                format!("{from}-02-03T00:00:00+00:00")
            );
            assert_eq!(
                found.until.to_rfc3339(),
                format!("{until}-04-05T00:00:00+00:00")
            );
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        assert_eq!(validity(b"nonsense"), None);
        let whole = certificate(2020, 2024);
        let text: String = whole
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let der = STANDARD.decode(text).unwrap();
        for end in 0..der.len() {
            assert_eq!(of_der(&der[..end]), None, "{end}");
        }
    }
}
