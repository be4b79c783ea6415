//! What is known of time, of webhooks and of replay jobs, in plain words. Pure.

use crate::backfill::StretchState;
use crate::console::show::Tone;
use crate::journal::{GapReason, JobOrigin, JobState, ReplayJobRow, SourceState};

/// A word as a chip, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Word {
    /// The word of the API.
    pub(in crate::console) name: &'static str,
    /// The class of its chip.
    pub(in crate::console) tone: &'static str,
    /// A sentence.
    pub(in crate::console) meaning: &'static str,
}

impl Word {
    const fn new(name: &'static str, tone: Tone, meaning: &'static str) -> Self {
        Self {
            name,
            tone: tone.class(),
            meaning,
        }
    }
}

/// The worst that is known of the time of a log, and for a stretch of it what is known there.
pub(in crate::console) const fn state(state: StretchState) -> Word {
    let (tone, meaning) = match state {
        StretchState::Covered => (Tone::Ok, "No loss is known."),
        StretchState::Settling => (Tone::Muted, "It is too early to say."),
        StretchState::Replaying => (Tone::Info, "A replay job is under way."),
        StretchState::Missing => (
            Tone::Warn,
            "Entries may be missing, and Konnect still has them.",
        ),
        StretchState::Lost => (
            Tone::Bad,
            "Entries may be lost: Konnect has dropped what was of that time.",
        ),
    };
    Word::new(state.as_str(), tone, meaning)
}

/// How a webhook fares.
pub(in crate::console) const fn webhook(state: SourceState) -> Word {
    let (tone, meaning) = match state {
        SourceState::Active => (Tone::Ok, "It delivers."),
        SourceState::Failing => (
            Tone::Bad,
            "Its latest delivery failed: see the log of usher, and the way from Konnect to it.",
        ),
        SourceState::Disabled => (
            Tone::Bad,
            "It is switched off or has no destination: usher setup enables it.",
        ),
        SourceState::Elsewhere => (
            Tone::Bad,
            "It delivers to another destination: usher setup takes it, or names who has it.",
        ),
        SourceState::Unknown => (
            Tone::Warn,
            "The token may not read it, so only what usher notices itself counts.",
        ),
        SourceState::Gone => (Tone::Muted, "Konnect has no such portal any more."),
    };
    Word::new(state.as_str(), tone, meaning)
}

/// Why time is not covered.
pub(in crate::console) const fn reason(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Before => "usher did not receive this log yet",
        GapReason::Down => "no instance could take deliveries",
        GapReason::Refused => "usher did not take a delivery",
        GapReason::Webhook => "the webhook did not deliver, or it is not known whether it did",
        GapReason::Unbrought => "Konnect's API has entries that the webhook did not bring",
    }
}

/// How far a job is.
pub(in crate::console) const fn job(state: JobState) -> Word {
    let (tone, meaning) = match state {
        JobState::Queued => (Tone::Muted, "It waits until no other job of this log runs."),
        JobState::Planned => (Tone::Info, "usher asks Konnect for it."),
        JobState::Asked => (Tone::Info, "Konnect has it and sends."),
        JobState::Settling => (
            Tone::Info,
            "Konnect has sent all; usher waits for late deliveries.",
        ),
        JobState::Closed => (
            Tone::Ok,
            "All that was stored of its time came again, so its time is covered.",
        ),
        JobState::Incomplete => (
            Tone::Warn,
            "Less came than was stored, or something went wrong meanwhile, so it closes nothing.",
        ),
        JobState::Failed => (Tone::Bad, "Konnect did not finish it."),
        JobState::Replaced => (Tone::Warn, "Another replay job took its place in Konnect."),
        JobState::Refused => (Tone::Bad, "Konnect did not take it."),
    };
    Word::new(state.as_str(), tone, meaning)
}

/// What a job is for.
pub(in crate::console) fn origin(job: &ReplayJobRow) -> String {
    match (job.origin, job.who.as_str()) {
        (JobOrigin::Gap, _) => "to close a gap, by usher itself".to_owned(),
        (JobOrigin::Audit, _) => "the daily proof, by usher itself".to_owned(),
        (JobOrigin::Person, "") => "somebody asked for it".to_owned(),
        (JobOrigin::Person, who) => format!("{who} asked for it"),
    }
}

#[cfg(test)]
mod tests {
    use super::{job, reason, state, webhook};
    use crate::backfill::StretchState;
    use crate::journal::{GapReason, JobState, SourceState};

    #[test]
    fn every_word_has_a_sentence_of_its_own() {
        let states = [
            StretchState::Covered,
            StretchState::Settling,
            StretchState::Replaying,
            StretchState::Missing,
            StretchState::Lost,
        ];
        let words = states.into_iter().map(state);
        let words = words.chain(SourceState::ALL.iter().copied().map(webhook));
        let words = words.chain(JobState::ALL.iter().copied().map(job));
        let mut sentences: Vec<&str> = words.map(|word| word.meaning).collect();
        let count = sentences.len();
        assert!(sentences.iter().all(|one| one.ends_with('.')));
        sentences.extend(GapReason::ALL.iter().copied().map(reason));
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), count + GapReason::ALL.len());
    }
}
