//! E-mail domains as rules compare them. Must never guess: whatever is not exactly one valid
//! address has no domain, because a rule that lets people in hangs on the answer.

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// RFC 5321, section 4.5.3.1.3: a path has at most 256 octets, two of which are its brackets.
const MAX_ADDRESS_BYTES: usize = 254;

/// The lower-case ASCII domain of one valid e-mail address, or `""`.
///
/// Internationalised domains come out in their `xn--` form. A domain that only becomes plain
/// ASCII because its characters are compatibility forms (full-width letters, a long s, an
/// ideographic full stop) has no answer: a mail server may deliver it elsewhere.
pub(crate) fn domain_of(address: &str) -> String {
    domain_of_valid(address).unwrap_or_default()
}

/// The form of a domain in which two spellings are equal, or `None` if it is no domain name.
///
/// For what an administrator wrote; more lenient than [`domain_of`] in that it maps whatever
/// UTS 46 maps.
pub(crate) fn normal_form(domain: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .ok()?
        .into_owned();
    let top = ascii.rsplit('.').next().unwrap_or_default();
    // A name whose last label is a number is an IPv4 address to every resolver.
    (!top.bytes().all(|byte| byte.is_ascii_digit())).then_some(ascii)
}

fn domain_of_valid(address: &str) -> Option<String> {
    if address.len() > MAX_ADDRESS_BYTES || address.chars().any(is_deceptive) {
        return None;
    }
    let options = Options::default()
        .without_display_text()
        .without_domain_literal();
    let address = EmailAddress::parse_with_options(address, options).ok()?;
    let domain = address.domain();
    let ascii = normal_form(domain)?;
    is_spelt_plainly(domain, &ascii).then_some(ascii)
}

/// Characters that no address needs and that make it look like another.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || c.is_whitespace() && c != ' '
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether the normal form differs from what was written in letter case and `xn--` only.
fn is_spelt_plainly(written: &str, ascii: &str) -> bool {
    let (unicode, valid) = Uts46::new().to_unicode(
        ascii.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
    );
    let written = written.to_lowercase();
    let mut labels = unicode.split('.');
    valid.is_ok()
        && written.split('.').all(|label| {
            labels
                .next()
                .is_some_and(|normal| label.is_ascii() || label == normal)
        })
        && labels.next().is_none()
}

#[cfg(test)]
mod tests {
    use crate::rules::domain::{domain_of, normal_form};

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn gives_the_domain_of_one_valid_address_and_of_nothing_else() {
        let long_local = format!("{}@arsenal.com", "a".repeat(65));
        let long_label = format!("ann@{}.com", "a".repeat(64));
        let long_address = format!("ann@{}com", "abcdefghi.".repeat(26));
        let cases: &[(&str, &str)] = &[
            ("ann@arsenal.com", "arsenal.com"),
            ("Ann@ARSENAL.Com", "arsenal.com"),
            ("ann+arsenal@arsenal.com", "arsenal.com"),
            ("ann%evil.example@arsenal.com", "arsenal.com"),
            ("o'hara_x-y@arsenal.com", "arsenal.com"),
            ("ünal@arsenal.com", "arsenal.com"),
            ("\"ann smith\"@arsenal.com", "arsenal.com"),
            ("\"ann@evil.example\"@arsenal.com", "arsenal.com"),
            ("\"ann@arsenal.com\"@evil.example", "evil.example"),
            ("ann@fans.arsenal.com", "fans.arsenal.com"),
            ("ann@notarsenal.com", "notarsenal.com"),
            ("ann@arsenal.com.evil.example", "arsenal.com.evil.example"),
            ("ann@localhost", "localhost"),
            // Internationalised names, and names made to look like another.
            ("ann@bücher.example", "xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "xn--bcher-kva.example"),
            ("ann@XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("ann@straße.example", "xn--strae-oqa.example"),
            ("ann@аrsenal.com", "xn--rsenal-2nf.com"),
            ("ann@arsenаl.com", "xn--arsenl-7nf.com"),
            ("ann@arsenal.ϲom", ""),
            ("ann@ａｒｓｅｎａｌ.com", ""),
            ("ann@arſenal.com", ""),
            ("ann@ⓐrsenal.com", ""),
            ("ann@arsenal。com", ""),
            ("ann@arsenal\u{ad}.com", ""),
            ("ann@arse\u{200b}nal.com", ""),
            ("ann@arse\u{200d}nal.com", ""),
            ("ann@\u{202e}lanesra.com", ""),
            ("ann\u{202e}@arsenal.com", ""),
            ("ann@xn--arsenal-.com", ""),
            ("ann@xn--.com", ""),
            ("ann@xn--a.com", ""),
            // Not one address.
            ("", ""),
            ("ann", ""),
            ("@arsenal.com", ""),
            ("ann@", ""),
            ("arsenal.com", ""),
            ("ann@evil.example@arsenal.com", ""),
            ("ann@arsenal.com@evil.example", ""),
            ("ann@arsenal.com,bob@evil.example", ""),
            ("ann@arsenal.com;bob@evil.example", ""),
            ("ann@arsenal.com bob@evil.example", ""),
            ("mailto:ann@arsenal.com", ""),
            // Dressed up.
            (" ann@arsenal.com", ""),
            ("ann@arsenal.com ", ""),
            ("ann @arsenal.com", ""),
            ("ann@ arsenal.com", ""),
            ("ann smith@arsenal.com", ""),
            ("Ann <ann@arsenal.com>", ""),
            ("ann@evil.example <ann@arsenal.com>", ""),
            ("<ann@arsenal.com>", ""),
            ("ann(hello)@arsenal.com", ""),
            ("ann@(hello)arsenal.com", ""),
            ("ann@arsenal.com(hello)", ""),
            // Control characters.
            ("ann@arsenal.com\n", ""),
            ("ann@arsenal.com\r\nbcc: x@evil.example", ""),
            ("ann\0@arsenal.com", ""),
            ("ann@arsenal.com\0.evil.example", ""),
            ("ann\t@arsenal.com", ""),
            ("\"a\tb\"@arsenal.com", ""),
            // Malformed parts.
            (".ann@arsenal.com", ""),
            ("ann.@arsenal.com", ""),
            ("a..nn@arsenal.com", ""),
            ("\"ann@arsenal.com", ""),
            ("ann@arsenal.com.", ""),
            ("ann@.arsenal.com", ""),
            ("ann@arsenal..com", ""),
            ("ann@-arsenal.com", ""),
            ("ann@arsenal-.com", ""),
            ("ann@arse_nal.com", ""),
            ("ann@arsenal.com/x", ""),
            ("ann@arsenal.com:25", ""),
            ("ann@127.0.0.1", ""),
            ("ann@[127.0.0.1]", ""),
            ("ann@[IPv6:::1]", ""),
            (&long_local, ""),
            (&long_label, ""),
            (&long_address, ""),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .map(|(address, expected)| (*address, *expected, domain_of(address)))
            .filter(|(_, expected, answer)| answer != expected)
            .collect();
        assert_eq!(wrong, [], "(address, expected, answer)");
    }

    #[test]
    fn brings_what_an_administrator_wrote_to_the_same_form() {
        for (written, expected) in [
            ("Arsenal.COM", Some("arsenal.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("bu\u{308}cher.example", Some("xn--bcher-kva.example")),
            ("arsenal.com.", None),
            ("ann@arsenal.com", None),
            ("*.arsenal.com", None),
            ("10.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(normal_form(written).as_deref(), expected, "{written:?}");
        }
    }
}
