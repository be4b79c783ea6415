//! The check of a signature in words: what was found, which bytes it may cover, which keys were
//! tried, and what follows. It was done anew for the page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use crate::console::raw_view::visible;
use crate::console::show::cut;
use crate::event::signature::{Candidate, Scope, Signed};
use crate::event::{Format, Verdict};
use crate::intake::{Examined, TriedKey};

/// Letters of a message that are shown: the page has the whole entry below.
const MESSAGE_LETTERS: usize = 2_000;

/// The check of one entry.
#[derive(Debug)]
pub(super) struct SignatureView {
    /// What stands in the entry.
    pub(super) found: String,
    /// The signature itself.
    pub(super) sig: Option<String>,
    /// What it may cover.
    pub(super) messages: Vec<MessageView>,
    /// Which keys were tried.
    pub(super) keys: Vec<KeyView>,
    /// What was received before this is settled.
    pub(super) settled_before: Option<DateTime<Utc>>,
    /// What follows now.
    pub(super) verdict: &'static str,
    /// Why.
    pub(super) reason: &'static str,
    /// How that differs from what is stored.
    pub(super) difference: Option<String>,
}

/// A message that a signature may cover.
#[derive(Debug)]
pub(super) struct MessageView {
    pub(super) what: &'static str,
    pub(super) bytes: u64,
    pub(super) text: String,
    /// Whether a key fits it.
    pub(super) fits: bool,
}

/// A key that was tried.
#[derive(Debug)]
pub(super) struct KeyView {
    pub(super) key: String,
    pub(super) kid: String,
    pub(super) first_seen: DateTime<Utc>,
    pub(super) last_seen: DateTime<Utc>,
    pub(super) result: &'static str,
    pub(super) fits: bool,
}

impl SignatureView {
    /// What `examined` says of an entry of this format, whose stored verdict is `stored`.
    pub(super) fn new(examined: &Examined, format: Format, raw: &[u8], stored: Verdict) -> Self {
        let (sig, candidates) = match &examined.signed {
            Signed::Present { sig, candidates } => {
                (Some(URL_SAFE_NO_PAD.encode(sig)), candidates.as_slice())
            }
            Signed::Unsigned | Signed::Malformed => (None, [].as_slice()),
        };
        let fitting = |place: usize| {
            let fits = |tried: &TriedKey| tried.was_good && tried.fits == Some(place);
            examined.keys.iter().any(fits)
        };
        let messages = candidates.iter().enumerate();
        Self {
            found: found(&examined.signed, format, raw),
            messages: messages
                .map(|(place, candidate)| MessageView::new(candidate, fitting(place)))
                .collect(),
            keys: match sig {
                Some(_) => examined.keys.iter().map(KeyView::new).collect(),
                None => Vec::new(),
            },
            sig,
            settled_before: examined.settled_before,
            verdict: examined.verdict.as_str(),
            reason: reason(&examined.signed, examined.verdict),
            difference: difference(stored, examined.verdict),
        }
    }
}

impl MessageView {
    fn new(candidate: &Candidate, fits: bool) -> Self {
        let text = String::from_utf8_lossy(&candidate.message);
        Self {
            what: match candidate.scope {
                Scope::Entry => "the whole entry without its signature",
                Scope::CpsInner => "the wrapped object alone, without the signature",
                Scope::CpsLine => "the whole line with the wrapper, without the signature",
            },
            bytes: candidate.message.len() as u64,
            text: visible(&cut(&text, MESSAGE_LETTERS)),
            fits,
        }
    }
}

impl KeyView {
    fn new(tried: &TriedKey) -> Self {
        let key = &tried.key;
        Self {
            key: URL_SAFE_NO_PAD.encode(&key.key),
            kid: key.kid.clone().unwrap_or_default(),
            first_seen: key.first_seen,
            last_seen: key.last_seen,
            result: match (tried.was_good, tried.fits) {
                (true, Some(_)) => "fits",
                (true, None) => "does not fit",
                (false, Some(_)) => "fits, but had left the set over 8 days before the receipt",
                (false, None) => "does not fit, and had left the set by then",
            },
            fits: tried.was_good && tried.fits.is_some(),
        }
    }
}

/// What stands in the entry, in words.
fn found(signed: &Signed, format: Format, raw: &[u8]) -> String {
    if format == Format::Pull {
        return "The entry was pulled. Konnect does not document which bytes the member signature \
                covers, so it is not checked."
            .to_owned();
    }
    let place = match format {
        Format::Cef => "the last sig= of the line",
        Format::Json => "the member sig",
        Format::Cps => "the member sig of the wrapped object or of the wrapper",
        Format::Pull => "the member signature",
    };
    match signed {
        Signed::Unsigned => format!("There is no signature: {place} is absent."),
        Signed::Malformed => format!(
            "There is a sig that cannot be a signature, where {place} should be 64 bytes in \
             unpadded base64url, and be there once."
        ),
        Signed::Present { candidates, .. } => {
            let place = match (format, candidates.first()) {
                (Format::Cps, Some(inner)) if contains(raw, &inner.message) => {
                    "the member sig of the wrapper, beside the object"
                }
                (Format::Cps, _) => "the member sig of the wrapped object",
                _ => place,
            };
            format!("There is a signature: {place}.")
        }
    }
}

fn contains(raw: &[u8], part: &[u8]) -> bool {
    let texts = std::str::from_utf8(raw)
        .ok()
        .zip(std::str::from_utf8(part).ok());
    texts.is_some_and(|(raw, part)| raw.contains(part))
}

/// Why the verdict is what it is.
fn reason(signed: &Signed, verdict: Verdict) -> &'static str {
    match (verdict, signed) {
        (Verdict::Verified, _) => "A key of Konnect's fits: it signed exactly these bytes.",
        (Verdict::Failed, Signed::Malformed) => {
            "No key can fit what is not a signature: the entry was forged or damaged."
        }
        (Verdict::Failed, _) => {
            "No key fits, and three sets of keys were fetched since, over five minutes: the entry \
             was forged or changed on its way."
        }
        (Verdict::KeyUnknown, _) => {
            "No key fits so far. A key may be served later than its first signature, and too few \
             sets were fetched since. usher checks it again by itself."
        }
        (Verdict::Unsigned, _) => "Nothing in the entry proves who wrote it.",
        (Verdict::NotApplicable, _) => "It is not checked.",
    }
}

/// How the verdict of now differs from the stored one; none where it does not.
fn difference(stored: Verdict, now: Verdict) -> Option<String> {
    if stored == now {
        return None;
    }
    Some(match stored {
        Verdict::NotApplicable => {
            "Signatures were not checked when it was received (ingest.verify = \"off\"), so none \
             is stored as its verdict. `usher events reverify` stores it."
                .to_owned()
        }
        Verdict::Verified => format!(
            "The stored verdict is verified, and the check of now says {now}: the key that fitted \
             is not among those that were tried. Nothing makes the stored verdict weaker."
        ),
        _ if now.strength() > stored.strength() => format!(
            "The stored verdict is {stored}, and the check of now says {now}. `usher events \
             reverify` stores the stronger one."
        ),
        _ => format!("The stored verdict is {stored}, and the check of now says {now}."),
    })
}

#[cfg(test)]
mod tests {
    use super::{SignatureView, difference};
    use crate::event::signature::locate;
    use crate::event::{Format, Verdict};
    use crate::intake::Examined;

    fn view(raw: &str, format: Format) -> SignatureView {
        let examined = Examined {
            signed: locate(raw.as_bytes()),
            keys: Vec::new(),
            settled_before: None,
            verdict: Verdict::KeyUnknown,
        };
        SignatureView::new(&examined, format, raw.as_bytes(), Verdict::KeyUnknown)
    }

    #[test]
    fn says_where_the_signature_stands_and_what_it_may_cover() {
        let sig = "A".repeat(86);
        let inside = format!(r#"{{"event":{{"name":"n","sig":"{sig}"}}}}"#);
        let beside = format!(r#"{{"event":{{"name":"n"}},"sig":"{sig}"}}"#);
        for (raw, place) in [(inside, "wrapped object."), (beside, "beside the object.")] {
            let view = view(&raw, Format::Cps);
            assert!(view.found.ends_with(place), "{}", view.found);
            assert_eq!(view.messages.len(), 2);
            assert_eq!(view.messages[0].text, r#"{"name":"n"}"#);
            assert_eq!(view.difference, None);
        }
        let unsigned = view(r#"{"name":"n"}"#, Format::Json);
        assert!(unsigned.messages.is_empty() && unsigned.sig.is_none());
    }

    #[test]
    fn a_verdict_that_differs_is_told_with_what_can_be_done() {
        let told = |stored, now| difference(stored, now).unwrap_or_default();
        assert!(told(Verdict::Failed, Verdict::Verified).contains("reverify"));
        assert!(told(Verdict::Verified, Verdict::Failed).contains("Nothing makes"));
        assert_eq!(told(Verdict::Unsigned, Verdict::Unsigned), "");
    }
}
