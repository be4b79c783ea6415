//! What usher is set up with: its configuration without secrets, keys, tokens, readers, leases and
//! versions.

mod configuration;

use std::sync::Arc;

use askama::Template;
use axum::response::Html;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::config::{Config, Role};
use crate::console::layout::{self, Layout};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{Console, filters};
use crate::http::Problem;
use crate::http::parameters::Parameters;
use crate::journal::{
    COUNTED, JournalError, LeaseHolder, ReaderStatus, SchemaState, ServedKey, Server, TokenSessions,
};

pub use configuration::{Section, Setting, sections};

/// What is configured, as the console needs it; no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    sections: Vec<Section>,
    /// The principal of usher's own calls, by which a back-test recognises them.
    pub(in crate::console) own_principal: Option<Uuid>,
    /// Whether there is a token, by which Konnect is asked how webhooks fare and for replay jobs.
    pub(in crate::console) asks_konnect: bool,
}

impl Settings {
    /// What `config` says.
    pub fn of(config: &Config) -> Self {
        Self {
            sections: sections(config),
            own_principal: config.konnect.principal_id,
            asks_konnect: config.konnect.token.is_some(),
        }
    }
}

/// Signing keys that are shown, those seen last.
const KEYS: i64 = 100;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    layout: Layout,
    csrf: String,
    settings: Arc<Settings>,
    tokens: Vec<TokenRow>,
    keys: Vec<KeyRow>,
    readers: Vec<ReaderRow>,
    leases: Vec<LeaseHolder>,
    server: Server,
    schema: SchemaState,
    now: DateTime<Utc>,
}

/// One console token.
#[derive(Debug, PartialEq, Eq)]
struct TokenRow {
    name: String,
    role: &'static str,
    /// The portals that it is for; none where it is for all.
    portals: Option<Vec<String>>,
    /// Whether it is the visitor's own.
    is_own: bool,
    sessions: i64,
    /// When one of its sessions was last used.
    seen_at: Option<DateTime<Utc>>,
    /// When it was last used for the API.
    used_at: Option<DateTime<Utc>>,
}

impl TokenRow {
    /// Every token of the configuration, in its order.
    fn all(console: &Console, visitor: &Visitor, sessions: &[TokenSessions]) -> Vec<Self> {
        let now = console.clock.now();
        let callers = console.tokens.callers();
        let row = callers.map(|(hash, caller)| {
            let own = sessions.iter().find(|one| one.token_hash == hash[..]);
            let ago = console.tokens.used_ago(hash);
            let ago = ago.and_then(|ago| TimeDelta::from_std(ago).ok());
            Self {
                name: caller.name().to_owned(),
                role: match caller.role() {
                    Role::Reader => "reader",
                    Role::Operator => "operator",
                },
                portals: caller.portals().texts(),
                is_own: *hash == visitor.token_hash,
                sessions: own.map_or(0, |own| own.sessions),
                seen_at: own.and_then(|own| own.seen_at),
                used_at: ago.and_then(|ago| now.checked_sub_signed(ago)),
            }
        });
        row.collect()
    }
}

/// One signing key.
struct KeyRow {
    /// The beginning of the public key.
    key: String,
    kid: String,
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
}

impl From<ServedKey> for KeyRow {
    fn from(served: ServedKey) -> Self {
        let first = served.key.iter().take(8);
        let first = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self {
            key: format!("{first:016x}"),
            kid: served.kid.unwrap_or_default(),
            first_seen: served.first_seen,
            last_seen: served.last_seen,
        }
    }
}

/// One reader of the outbox.
struct ReaderRow {
    status: ReaderStatus,
    /// Whether it owes more than is counted.
    is_more: bool,
}

impl From<ReaderStatus> for ReaderRow {
    fn from(status: ReaderStatus) -> Self {
        Self {
            is_more: status.batches >= COUNTED,
            status,
        }
    }
}

/// The page.
pub(super) async fn show(
    Seen(console): Seen,
    visitor: Visitor,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    parameters.finish()?;
    let page = page(&console, &visitor).await;
    layout::render(&page?)
}

async fn page(console: &Console, visitor: &Visitor) -> Result<SettingsPage, JournalError> {
    let journal = &console.reading;
    let sessions = journal.token_sessions().await?;
    let keys = journal.served_keys(KEYS).await?;
    let readers = journal.readers().await?;
    Ok(SettingsPage {
        layout: Layout::of("Settings", "/settings", visitor),
        csrf: visitor.csrf.clone(),
        settings: Arc::clone(&console.settings),
        tokens: TokenRow::all(console, visitor, &sessions),
        keys: keys.into_iter().map(Into::into).collect(),
        readers: readers.into_iter().map(Into::into).collect(),
        leases: journal.leases().await?,
        server: journal.server().await?,
        schema: journal.schema_state().await?,
        now: console.clock.now(),
    })
}
