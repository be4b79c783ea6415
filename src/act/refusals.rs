//! What Konnect refuses, and what waits for that: all actions where it is the token, one kind of
//! deed where only a role is missing. No I/O, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// Deeds that need the same role: the word for the deed, and the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Such as `add_to_team`.
    pub deed: &'static str,
    /// The portal where it is to be done.
    pub portal_id: Uuid,
}

/// A change to report to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RefusalChange {
    /// The token is refused: everything waits.
    TokenRefused,
    /// The token is accepted again.
    TokenAccepted,
    /// The token is accepted, and Konnect forbids this kind of deed; with the call.
    Forbidden(Kind, String),
    /// This kind of deed is allowed again.
    Allowed(Kind),
}

/// What a probe, which only reads, found out about the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// It may read.
    Reads,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// The answer was inconclusive, or there was none.
    Unclear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Token {
    #[default]
    Accepted,
    /// A deed was forbidden, and no probe has checked yet whether the token may do anything at all.
    Doubted {
        others_go_on: bool,
    },
    Refused,
}

#[derive(Debug)]
struct Block {
    call: String,
    /// When one of them is tried, to see whether it is allowed by now.
    next_try: Instant,
    /// The deed that is being tried, or was tried last.
    tried: Option<Uuid>,
    /// Whether it was reported, which needs the probe.
    is_told: bool,
}

/// The state of the token and of each kind of deed.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    token: Token,
    /// Whether the refused token was reported, and nothing was written since. A token that may read
    /// but not write would else be reported with every probe.
    is_told: bool,
    holds: BTreeMap<Kind, Block>,
}

impl Refusals {
    /// A call was answered 401.
    pub(super) fn unauthorized(&mut self) -> Option<RefusalChange> {
        // What was forbidden while the token was in doubt says nothing about roles.
        self.holds.retain(|_, hold| hold.is_told);
        let before = std::mem::replace(&mut self.token, Token::Refused);
        let is_new = before != Token::Refused && !self.is_told;
        self.is_told |= is_new;
        is_new.then_some(RefusalChange::TokenRefused)
    }

    /// `call` of a deed was answered 403: its kind waits, and `true` asks for a probe at once.
    pub(super) fn forbidden(&mut self, kind: Kind, call: &str, next_try: Instant) -> bool {
        if self.token == Token::Refused || self.holds.contains_key(&kind) {
            return false;
        }
        let hold = Block {
            call: call.to_owned(),
            next_try,
            tried: None,
            is_told: false,
        };
        self.holds.insert(kind, hold);
        if self.token == Token::Accepted {
            self.token = Token::Doubted {
                others_go_on: false,
            };
        }
        true
    }

    /// A deed ended; `wrote` where Konnect accepted a write for it.
    pub(super) fn ended(
        &mut self,
        kind: Kind,
        action: Uuid,
        wrote: bool,
        now: Instant,
    ) -> Option<RefusalChange> {
        self.is_told &= !wrote;
        let Some(hold) = self.holds.get_mut(&kind) else {
            if let Token::Doubted { others_go_on } = &mut self.token {
                *others_go_on |= wrote;
            }
            return None;
        };
        // One that was sent before the first was forbidden proves nothing.
        if hold.tried != Some(action) {
            return None;
        }
        if !wrote && !hold.call.starts_with("GET ") {
            // It had nothing left to do: the next one may show more.
            hold.next_try = now;
            return None;
        }
        let is_told = hold.is_told;
        self.holds.remove(&kind);
        is_told.then_some(RefusalChange::Allowed(kind))
    }

    /// The result of a probe.
    pub(super) fn probed(&mut self, probe: Probe, now: Instant) -> Vec<RefusalChange> {
        match (self.token, probe) {
            (_, Probe::Unauthorized)
            | (
                Token::Doubted {
                    others_go_on: false,
                },
                Probe::Forbidden,
            ) => self.unauthorized().into_iter().collect(),
            (Token::Refused, Probe::Reads) => {
                self.token = Token::Accepted;
                // It may be another token, with other roles.
                for hold in self.holds.values_mut() {
                    hold.next_try = now;
                }
                vec![RefusalChange::TokenAccepted]
            }
            (Token::Doubted { .. }, _) => {
                self.token = Token::Accepted;
                let untold = self.holds.iter_mut().filter(|(_, hold)| !hold.is_told);
                let told = untold.map(|(kind, hold)| {
                    hold.is_told = true;
                    RefusalChange::Forbidden(*kind, hold.call.clone())
                });
                told.collect()
            }
            (Token::Accepted | Token::Refused, _) => Vec::new(),
        }
    }

    /// Whether everything waits.
    pub(super) fn is_token_refused(&self) -> bool {
        self.token == Token::Refused
    }

    /// The kinds of deeds that wait.
    pub(super) fn blocked_kinds(&self) -> Vec<Kind> {
        self.holds.keys().copied().collect()
    }

    /// The kinds that wait and were reported, each with the call that is forbidden.
    pub(super) fn told(&self) -> Vec<(Kind, String)> {
        let told = self.holds.iter().filter(|(_, hold)| hold.is_told);
        told.map(|(kind, hold)| (*kind, hold.call.clone()))
            .collect()
    }

    /// The kinds of which one is to be tried now.
    pub(super) fn due(&self, now: Instant) -> Vec<Kind> {
        let due = self.holds.iter().filter(|(_, hold)| hold.next_try <= now);
        due.map(|(kind, _)| *kind).collect()
    }

    /// `action` is tried; the next one `every` later.
    pub(super) fn tries(&mut self, kind: Kind, action: Uuid, now: Instant, every: Duration) {
        if let Some(hold) = self.holds.get_mut(&kind) {
            hold.tried = Some(action);
            hold.next_try = now + every;
        }
    }

    /// Nothing of a kind waits any more.
    pub(super) fn forget(&mut self, kind: Kind) {
        self.holds.remove(&kind);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;
    use uuid::Uuid;

    use super::{Kind, Probe, RefusalChange, Refusals};

    const EVERY: Duration = Duration::from_secs(30);
    const CALL: &str = "POST /v3/portals/{portalId}/teams/{teamId}/developers";
    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn kind(deed: &'static str) -> Kind {
        Kind {
            deed,
            portal_id: Uuid::nil(),
        }
    }

    #[test]
    fn a_forbidden_kind_waits_alone_and_is_told_once() {
        let (join, now) = (kind("add_to_team"), Instant::now());
        let mut refusals = Refusals::default();
        assert!(refusals.forbidden(join, CALL, now + EVERY));
        assert_eq!(
            (refusals.blocked_kinds(), refusals.told()),
            (vec![join], Vec::new())
        );
        assert_eq!(
            refusals.probed(Probe::Reads, now),
            [RefusalChange::Forbidden(join, CALL.to_owned())]
        );
        assert_eq!(refusals.told(), [(join, CALL.to_owned())]);
        assert!(!refusals.is_token_refused());
        // Others that were on their way, and the ones that are tried later, are not reported again.
        for _ in 0..3 {
            assert!(!refusals.forbidden(join, CALL, now + EVERY));
            assert_eq!(refusals.probed(Probe::Reads, now), []);
        }
        // Another success says nothing about this kind.
        assert_eq!(refusals.ended(kind("park"), ONE, true, now), None);
        assert_eq!(refusals.ended(join, ONE, true, now), None);
        assert_eq!(refusals.blocked_kinds(), [join]);
    }

    #[test]
    fn one_of_a_kind_is_tried_at_a_time_and_frees_the_others() {
        let (join, now) = (kind("add_to_team"), Instant::now());
        let mut refusals = Refusals::default();
        refusals.forbidden(join, CALL, now + EVERY);
        refusals.probed(Probe::Reads, now);
        assert_eq!(refusals.due(now), []);
        let later = now + EVERY;
        assert_eq!(refusals.due(later), [join]);
        refusals.tries(join, ONE, later, EVERY);
        assert_eq!(refusals.due(later), []);
        // It had nothing to do: the next one is tried right away.
        assert_eq!(refusals.ended(join, ONE, false, later), None);
        assert_eq!(refusals.due(later), [join]);
        refusals.tries(join, TWO, later, EVERY);
        assert_eq!(
            refusals.ended(join, TWO, true, later),
            Some(RefusalChange::Allowed(join))
        );
        assert_eq!(refusals.blocked_kinds(), []);
    }

    #[test]
    fn where_nothing_is_allowed_it_is_the_token() {
        for probe in [Probe::Forbidden, Probe::Unauthorized] {
            let (join, now) = (kind("add_to_team"), Instant::now());
            let mut refusals = Refusals::default();
            refusals.forbidden(join, CALL, now + EVERY);
            assert_eq!(refusals.probed(probe, now), [RefusalChange::TokenRefused]);
            assert!(refusals.is_token_refused());
            assert_eq!(refusals.blocked_kinds(), [], "{probe:?}");
            // What was on its way is neither reported nor blocked by itself.
            assert!(!refusals.forbidden(kind("approve_developer"), CALL, now + EVERY));
            assert_eq!(refusals.unauthorized(), None);
            for probe in [Probe::Forbidden, Probe::Unauthorized, Probe::Unclear] {
                assert_eq!(refusals.probed(probe, now), []);
                assert!(refusals.is_token_refused());
            }
            assert_eq!(
                refusals.probed(Probe::Reads, now),
                [RefusalChange::TokenAccepted]
            );
            assert!(!refusals.is_token_refused());
        }
    }

    #[test]
    fn a_token_that_may_read_and_not_write_is_told_once() {
        let (join, now) = (kind("add_to_team"), Instant::now());
        let mut refusals = Refusals::default();
        assert_eq!(refusals.unauthorized(), Some(RefusalChange::TokenRefused));
        for _ in 0..3 {
            assert_eq!(
                refusals.probed(Probe::Reads, now),
                [RefusalChange::TokenAccepted]
            );
            assert_eq!(refusals.unauthorized(), None);
            assert!(refusals.is_token_refused());
        }
        refusals.probed(Probe::Reads, now);
        refusals.ended(join, ONE, true, now);
        assert_eq!(refusals.unauthorized(), Some(RefusalChange::TokenRefused));
    }

    #[test]
    fn another_deed_that_is_accepted_speaks_for_a_token_that_may_not_read() {
        let (join, now) = (kind("add_to_team"), Instant::now());
        let mut refusals = Refusals::default();
        refusals.forbidden(join, CALL, now + EVERY);
        assert_eq!(
            refusals.ended(kind("approve_developer"), ONE, true, now),
            None
        );
        assert_eq!(
            refusals.probed(Probe::Forbidden, now),
            [RefusalChange::Forbidden(join, CALL.to_owned())]
        );
        assert!(!refusals.is_token_refused());
    }

    #[test]
    fn an_unclear_probe_condemns_no_token() {
        let (join, now) = (kind("add_to_team"), Instant::now());
        let mut refusals = Refusals::default();
        refusals.forbidden(join, CALL, now + EVERY);
        assert_eq!(
            refusals.probed(Probe::Unclear, now),
            [RefusalChange::Forbidden(join, CALL.to_owned())]
        );
    }

    #[test]
    fn another_token_has_what_was_forbidden_tried_at_once() {
        let (join, now) = (kind("add_to_team"), Instant::now());
        let mut refusals = Refusals::default();
        refusals.forbidden(join, CALL, now + EVERY);
        refusals.probed(Probe::Reads, now);
        assert_eq!(refusals.unauthorized(), Some(RefusalChange::TokenRefused));
        assert_eq!(
            refusals.probed(Probe::Reads, now),
            [RefusalChange::TokenAccepted]
        );
        assert_eq!(refusals.due(now), [join]);
        refusals.forget(join);
        assert_eq!(refusals.blocked_kinds(), []);
    }
}
