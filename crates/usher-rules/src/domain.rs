//! E-mail domains as rules compare them. Must never guess: anything but exactly one valid address
//! has no domain, because a rule that lets people in depends on the answer.

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// RFC 5321, section 4.5.3.1.3: a path has at most 256 octets, two of which are its brackets.
const MAX_ADDRESS_BYTES: usize = 254;

/// The lower-case ASCII domain of one valid e-mail address, or `""`.
///
/// Internationalised domains become their `xn--` form. A domain that only becomes plain ASCII
/// because its characters are compatibility forms (full-width letters, a long s, an ideographic
/// full stop) has no answer: a mail server may deliver it elsewhere. An address has no answer
/// either if its local part may be taken for a route or for another address, whatever comes after
/// its last `@`.
pub(crate) fn domain_of(address: &str) -> String {
    domain_of_valid(address).unwrap_or_default()
}

/// The form of a domain in which two spellings are equal, or `None` if it is no domain name.
///
/// For what an administrator wrote; more lenient than [`domain_of`], since it maps all that UTS 46
/// maps.
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
    let parsed = EmailAddress::parse_with_options(address, options).ok()?;
    let (local, domain) = (parsed.local_part(), parsed.domain());
    // The parser forgives brackets around an address that has no name.
    if local.len() + "@".len() + domain.len() != address.len() || may_be_sent_elsewhere(local) {
        return None;
    }
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

/// Whether mail software is known to read another recipient out of a local part, or to route by it.
/// Then a confirmed address proves nothing about the domain after the last `@`.
fn may_be_sent_elsewhere(local: &str) -> bool {
    // Some libraries decode an encoded word into its content, which may be an `@`.
    local.contains("=?") || local.chars().any(is_structure)
}

/// Characters that separate addresses and their parts, or become one of them: `%` and `!` name
/// another host, a character that is no letter may be normalised to one, and some software keeps
/// the low byte only.
fn is_structure(c: char) -> bool {
    const STRUCTURE: &str = "@<>()[],;:\\%!";
    if c.is_ascii() {
        return STRUCTURE.contains(c);
    }
    let low_byte = char::from((u32::from(c) & 0xff) as u8);
    !c.is_alphanumeric() || STRUCTURE.contains(low_byte)
}

/// Whether the normal form differs from what was written in letter case and `xn--` only.
fn is_spelt_plainly(written: &str, ascii: &str) -> bool {
    let (unicode, valid) = Uts46::new().to_unicode(
        ascii.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
    );
    let mut labels = unicode.split('.');
    valid.is_ok()
        && written.split('.').all(|label| {
            // In lower case some letters are ASCII that were not before, such as the Kelvin sign.
            let is_plain = |normal: &str| {
                label.is_ascii() || !normal.is_ascii() && label.to_lowercase() == normal
            };
            labels.next().is_some_and(is_plain)
        })
        && labels.next().is_none()
}

#[cfg(test)]
mod tests {
    use crate::domain::{domain_of, normal_form};

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn gives_the_domain_of_one_valid_address_and_of_nothing_else() {
        let long_local = format!("{}@arsenal.com", "a".repeat(65));
        let longest_local = format!("{}@arsenal.com", "a".repeat(64));
        let long_label = format!("ann@{}.com", "a".repeat(64));
        let long_address = format!("ann@{}com", "abcdefghi.".repeat(26));
        let cases: &[(&str, &str, &str)] = &[
            ("ann@arsenal.com", "arsenal.com", "the plain case"),
            ("Ann@ARSENAL.Com", "arsenal.com", "domains have no case"),
            (
                "ann+arsenal@arsenal.com",
                "arsenal.com",
                "a plus tag is a local matter",
            ),
            (
                "ann+x@evil.example",
                "evil.example",
                "a plus tag is a local matter",
            ),
            (
                "o'hara_x-y@arsenal.com",
                "arsenal.com",
                "odd characters that are allowed",
            ),
            (
                "ünal@arsenal.com",
                "arsenal.com",
                "letters of any script (RFC 6531)",
            ),
            (
                "\"ann smith\"@arsenal.com",
                "arsenal.com",
                "a quoted local part (RFC 5321)",
            ),
            (
                "\"ann..x\"@arsenal.com",
                "arsenal.com",
                "a quoted local part (RFC 5321)",
            ),
            (&longest_local, "arsenal.com", "64 octets are allowed"),
            (
                "ann@fans.arsenal.com",
                "fans.arsenal.com",
                "a sub-domain is another domain",
            ),
            (
                "ann@notarsenal.com",
                "notarsenal.com",
                "a suffix of a text is no domain",
            ),
            (
                "ann@arsenal.com.evil.example",
                "arsenal.com.evil.example",
                "nor is a beginning",
            ),
            ("ann@arsenal.co", "arsenal.co", "nor is a beginning"),
            (
                "ann@arsena1.com",
                "arsena1.com",
                "a digit that looks like a letter",
            ),
            ("ann@localhost", "localhost", "a name without a dot"),
            // Names of other scripts, and names made to look like another.
            (
                "ann@bücher.example",
                "xn--bcher-kva.example",
                "IDNA, as written",
            ),
            (
                "ann@BÜCHER.example",
                "xn--bcher-kva.example",
                "IDNA, in capitals",
            ),
            (
                "ann@XN--BCHER-KVA.example",
                "xn--bcher-kva.example",
                "IDNA, in its ASCII form",
            ),
            (
                "ann@straße.example",
                "xn--strae-oqa.example",
                "IDNA 2008 keeps the sharp s",
            ),
            (
                "ann@аrsenal.com",
                "xn--rsenal-2nf.com",
                "a Cyrillic a is another letter",
            ),
            (
                "ann@arsenаl.com",
                "xn--arsenl-7nf.com",
                "a Cyrillic a is another letter",
            ),
            (
                "ann@arsenal.cоm",
                "arsenal.xn--cm-fmc",
                "a Cyrillic o is another letter",
            ),
            (
                "ann@αrsenal.com",
                "xn--rsenal-oxe.com",
                "a Greek alpha is another letter",
            ),
            (
                "ann@arsenal.ϲom",
                "",
                "a lunate sigma is mapped to another sigma",
            ),
            (
                "ann@ａｒｓｅｎａｌ.com",
                "",
                "full-width letters become ASCII",
            ),
            ("ann@arſenal.com", "", "a long s becomes ASCII"),
            ("ann@ban\u{212a}.example", "", "a Kelvin sign becomes ASCII"),
            ("ann@ⓐrsenal.com", "", "a circled letter becomes ASCII"),
            (
                "ann@arsenal。com",
                "",
                "an ideographic full stop becomes a dot",
            ),
            (
                "ann@arsenal．com",
                "",
                "a full-width full stop becomes a dot",
            ),
            ("ann@arsenal\u{ad}.com", "", "a soft hyphen is invisible"),
            (
                "ann@arse\u{200b}nal.com",
                "",
                "a zero-width space is invisible",
            ),
            (
                "ann@arse\u{200d}nal.com",
                "",
                "a zero-width joiner is invisible",
            ),
            (
                "ann@arsenal\u{fe0f}.com",
                "",
                "a variation selector is invisible",
            ),
            (
                "ann@\u{feff}arsenal.com",
                "",
                "a byte-order mark is invisible",
            ),
            (
                "ann@\u{202e}lanesra.com",
                "",
                "an override of the direction of writing",
            ),
            (
                "ann\u{202e}@arsenal.com",
                "",
                "an override of the direction of writing",
            ),
            (
                "ann@arsenal.com\u{200f}",
                "",
                "a right-to-left mark is invisible",
            ),
            ("ann@xn--arsenal-.com", "", "punycode that decodes to ASCII"),
            ("ann@xn--.com", "", "punycode of nothing"),
            ("ann@xn--a.com", "", "punycode that does not decode"),
            // More than one recipient, or another one than it seems.
            ("", "", "nothing"),
            ("ann", "", "no @"),
            ("@", "", "no parts"),
            ("@arsenal.com", "", "no local part"),
            ("ann@", "", "no domain"),
            ("arsenal.com", "", "a domain is no address"),
            ("ann@evil.example@arsenal.com", "", "two @"),
            ("ann@arsenal.com@evil.example", "", "two @"),
            ("ann@@arsenal.com", "", "two @"),
            (
                "\"ann@evil.example\"@arsenal.com",
                "",
                "mailers have sent to what is in the quotes",
            ),
            (
                "\"ann@evil.example x\"@arsenal.com",
                "",
                "mailers have sent to what is in the quotes",
            ),
            (
                "\"<ann@evil.example>\"@arsenal.com",
                "",
                "mailers have sent to what is in the brackets",
            ),
            (
                "\"ann\\\"@evil.example\"@arsenal.com",
                "",
                "an escaped quote and an @",
            ),
            (
                "\"ann,bob\"@arsenal.com",
                "",
                "a comma parts recipients for some",
            ),
            ("\"ann@arsenal.com\"@evil.example", "", "either way round"),
            (
                "ann%evil.example@arsenal.com",
                "",
                "a percent path goes on to another host",
            ),
            (
                "evil.example!ann@arsenal.com",
                "",
                "a bang path goes on to another host",
            ),
            (
                "@evil.example:ann@arsenal.com",
                "",
                "a source route goes through another host",
            ),
            (
                "=?utf-8?q?ann=40evil.example=3e?=@arsenal.com",
                "",
                "an encoded word hides an @",
            ),
            (
                "ann＠evil.example@arsenal.com",
                "",
                "a full-width @ may become an @",
            ),
            (
                "ann﹫evil.example@arsenal.com",
                "",
                "a small @ may become an @",
            ),
            (
                "ann\u{140}evil.example@arsenal.com",
                "",
                "its low byte is an @",
            ),
            ("ann@arsenal.com,bob@evil.example", "", "two addresses"),
            ("ann@arsenal.com;bob@evil.example", "", "two addresses"),
            ("ann@arsenal.com bob@evil.example", "", "two addresses"),
            (
                "ann@evil.example\u{2028}@arsenal.com",
                "",
                "a line separator",
            ),
            ("mailto:ann@arsenal.com", "", "a URL is no address"),
            // Decorated.
            (" ann@arsenal.com", "", "white space before"),
            ("ann@arsenal.com ", "", "white space after"),
            ("ann @arsenal.com", "", "white space within"),
            ("ann@ arsenal.com", "", "white space within"),
            ("ann\u{a0}@arsenal.com", "", "white space of another kind"),
            ("ann smith@arsenal.com", "", "white space within"),
            ("Ann <ann@arsenal.com>", "", "a name before it"),
            (
                "ann@evil.example <ann@arsenal.com>",
                "",
                "an address for a name",
            ),
            ("<ann@arsenal.com>", "", "brackets"),
            (" <ann@arsenal.com>", "", "brackets and no name"),
            ("ann(hello)@arsenal.com", "", "a comment"),
            ("ann@(hello)arsenal.com", "", "a comment"),
            ("ann@arsenal.com(hello)", "", "a comment"),
            // Control characters.
            ("ann@arsenal.com\n", "", "a line end"),
            (
                "ann@arsenal.com\r\nbcc: x@evil.example",
                "",
                "a header of the sender's choice",
            ),
            ("ann\0@arsenal.com", "", "NUL ends a text for some"),
            (
                "ann@arsenal.com\0.evil.example",
                "",
                "NUL ends a text for some",
            ),
            ("ann\t@arsenal.com", "", "a tab"),
            ("\"a\tb\"@arsenal.com", "", "a tab, quoted"),
            (
                "ann@arsenal.com\u{85}",
                "",
                "a control character beyond ASCII",
            ),
            // Malformed parts.
            (".ann@arsenal.com", "", "a dot at the start"),
            ("ann.@arsenal.com", "", "a dot at the end"),
            ("a..nn@arsenal.com", "", "two dots"),
            ("\"ann@arsenal.com", "", "a quote that does not end"),
            ("\"\"@arsenal.com", "", "nothing in the quotes"),
            ("ann@arsenal.com.", "", "a trailing dot"),
            ("ann@.arsenal.com", "", "a leading dot"),
            ("ann@arsenal..com", "", "an empty label"),
            ("ann@-arsenal.com", "", "a hyphen at the start"),
            ("ann@arsenal-.com", "", "a hyphen at the end"),
            ("ann@arse_nal.com", "", "no host name"),
            ("ann@arsenal.com/x", "", "a path"),
            ("ann@arsenal.com:25", "", "a port"),
            ("ann@*.arsenal.com", "", "a wildcard"),
            ("ann@127.0.0.1", "", "an IPv4 address"),
            ("ann@arsenal.1", "", "no top-level domain is a number"),
            ("ann@[127.0.0.1]", "", "an IPv4 literal"),
            ("ann@[IPv6:::1]", "", "an IPv6 literal"),
            (&long_local, "", "over 64 octets"),
            (&long_label, "", "a label over 63 octets"),
            (&long_address, "", "over 254 octets"),
        ];
        let wrong: Vec<_> = cases
            .iter()
            .map(|(address, expected, why)| (*address, *expected, domain_of(address), *why))
            .filter(|(_, expected, answer, _)| answer != expected)
            .collect();
        assert_eq!(wrong, [], "(address, expected, answer, reason)");
    }

    /// A stranger's address never passes for a partner's, whatever is put around it.
    #[test]
    fn a_stranger_never_passes_for_a_partner() {
        const STRANGER: &str = "x@evil.com";
        let ends = [
            "", "\"", "<", ">", " ", ",", ";", ":", "\\", "\0", "\n", "=?", "?=", "%", "!", "@",
        ];
        let mut passed = Vec::new();
        for open in ends {
            for close in ends {
                for between in ["@", " @", "\u{200d}@", "＠", ".", "@@"] {
                    let address = format!("{open}{STRANGER}{close}{between}arsenal.com");
                    if domain_of(&address) == "arsenal.com" {
                        passed.push(address);
                    }
                }
            }
        }
        assert_eq!(passed, Vec::<String>::new());
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
