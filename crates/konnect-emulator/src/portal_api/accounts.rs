//! What a portal knows of its developers beyond their row: passwords, sessions and the mails it
//! sent them. Everything is in memory and ends with the emulator; `Debug` shows no secret.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::{new_id, timestamp};

/// How long a mailed token is good for.
const TOKEN_LIFE: TimeDelta = TimeDelta::hours(24);

/// Who gets the tests of templates: at Konnect it is the user whose token was sent.
const TESTER: &str = "user@konnect.example";

/// What a mail asks its reader to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MailKind {
    VerifyEmail,
    ResetPassword,
    /// A test of a template, with its texts instead of a token.
    Test,
}

/// A mail in the emulator's mailbox.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mail {
    pub(crate) portal_id: Uuid,
    pub(crate) email: String,
    pub(crate) kind: MailKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Uuid>,
    /// The template and the texts that a test was sent with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<Value>,
    pub(crate) at: String,
}

/// A token that was mailed and not used yet.
#[derive(Debug, Clone)]
struct Token {
    portal: Uuid,
    email: String,
    kind: MailKind,
    expires: DateTime<Utc>,
}

/// Why a token is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    Unknown,
    Expired,
}

/// Passwords, sessions, mails.
#[derive(Clone, Default)]
pub(crate) struct Accounts {
    passwords: HashMap<Uuid, String>,
    sessions: HashMap<String, Uuid>,
    tokens: HashMap<Uuid, Token>,
    /// The tokens by portal and address in lower case.
    mailed: HashMap<(Uuid, String), Vec<Uuid>>,
    mails: Vec<Mail>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Accounts")
            .field("mails", &self.mails.len())
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// Puts a mail with a fresh token into the mailbox and returns the token.
    pub(crate) fn send_mail(
        &mut self,
        portal: Uuid,
        email: &str,
        kind: MailKind,
        now: DateTime<Utc>,
    ) -> Uuid {
        let token = self.make_token(portal, email, kind, now);
        let at = timestamp(now);
        self.mails.push(Mail {
            portal_id: portal,
            email: email.to_owned(),
            kind,
            token: Some(token),
            template: None,
            content: None,
            at,
        });
        token
    }

    /// Puts a test of a template into the mailbox.
    pub(crate) fn send_test(
        &mut self,
        portal: Uuid,
        template: &'static str,
        content: Value,
        now: DateTime<Utc>,
    ) {
        self.mails.push(Mail {
            portal_id: portal,
            email: TESTER.to_owned(),
            kind: MailKind::Test,
            token: None,
            template: Some(template),
            content: Some(content),
            at: timestamp(now),
        });
    }

    /// Makes a token that is handed over in an answer instead of a mail.
    pub(crate) fn make_token(
        &mut self,
        portal: Uuid,
        email: &str,
        kind: MailKind,
        now: DateTime<Utc>,
    ) -> Uuid {
        let token = new_id();
        let expires = now + TOKEN_LIFE;
        let key = (portal, email.to_lowercase());
        self.mailed.entry(key).or_default().push(token);
        self.tokens.insert(
            token,
            Token {
                portal,
                email: email.to_owned(),
                kind,
                expires,
            },
        );
        token
    }

    /// Uses a token up and returns the address it was mailed to.
    pub(crate) fn redeem(
        &mut self,
        portal: Uuid,
        token: Uuid,
        kind: MailKind,
        now: DateTime<Utc>,
    ) -> Result<String, TokenFault> {
        let found = self
            .tokens
            .get(&token)
            .filter(|found| found.portal == portal && found.kind == kind);
        match found {
            None => Err(TokenFault::Unknown),
            Some(found) if found.expires < now => Err(TokenFault::Expired),
            Some(found) => {
                let email = found.email.clone();
                self.tokens.remove(&token);
                Ok(email)
            }
        }
    }

    /// Ends the tokens that were mailed to an address of a portal, in lower case.
    pub(crate) fn void_tokens(&mut self, address: &(Uuid, String)) {
        for token in self.mailed.remove(address).into_iter().flatten() {
            self.tokens.remove(&token);
        }
    }

    /// Lists the mails to an address, or all, oldest first.
    pub(crate) fn mails(&self, email: Option<&str>) -> Vec<Mail> {
        let wanted =
            |mail: &&Mail| email.is_none_or(|email| email.eq_ignore_ascii_case(&mail.email));
        self.mails.iter().filter(wanted).cloned().collect()
    }

    /// Sets a developer's password and ends their sessions.
    pub(crate) fn set_password(&mut self, developer: Uuid, password: &str) {
        self.passwords.insert(developer, password.to_owned());
        self.sessions.retain(|_, of| *of != developer);
    }

    /// Returns whether a password is the developer's; without one set, none is.
    pub(crate) fn check_password(&self, developer: Uuid, password: &str) -> bool {
        self.passwords
            .get(&developer)
            .is_some_and(|known| known == password)
    }

    /// Opens a session and returns its token.
    pub(crate) fn open_session(&mut self, developer: Uuid) -> String {
        let token = new_id().simple().to_string();
        self.sessions.insert(token.clone(), developer);
        token
    }

    /// Returns whose session a token is.
    pub(crate) fn session(&self, token: &str) -> Option<Uuid> {
        self.sessions.get(token).copied()
    }

    /// Ends a session.
    pub(crate) fn close_session(&mut self, token: &str) {
        self.sessions.remove(token);
    }

    /// Forgets the developers who were deleted.
    pub(crate) fn forget(&mut self, ended: &HashSet<Uuid>) {
        self.passwords.retain(|of, _| !ended.contains(of));
        self.sessions.retain(|_, of| !ended.contains(of));
    }
}
