//! What conditions may name: the facts, their members and the functions, with their types. Must
//! agree with `values`, which fills them; a test checks that.

/// The type of an expression, as far as it is known before anything happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything: known only when it is evaluated.
    Any,
    /// The entry of a list that has none.
    Nothing,
    Null,
    Bool,
    Number,
    Text,
    Time,
    Span,
    List(Box<Kind>),
    /// A map written in the condition.
    Map,
    Object(Object),
}

/// A fact with members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Signal,
    Portal,
    Developer,
    Team,
    OwnedApplication,
    Application,
    Owner,
    Registration,
    Api,
    Lists,
}

/// A function, or a member function where `of` is set.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) of: Option<&'static [Kind]>,
    pub(crate) arguments: &'static [&'static [Kind]],
    pub(crate) answer: Kind,
}

/// The facts that every condition may name.
pub(crate) const ROOTS: &[&str] = &[
    "event",
    "signal",
    "portal",
    "developer",
    "application",
    "registration",
    "lists",
    "now",
];

/// The values that Konnect's `DeveloperStatus` and `ApplicationRegistrationStatus` have.
pub(crate) const STATUSES: &[&str] = &["approved", "pending", "rejected", "revoked"];

const ANY: &[Kind] = &[Kind::Any];
const TEXT: &[Kind] = &[Kind::Text];
const TEXT_OR_BOOL: &[Kind] = &[Kind::Text, Kind::Bool];
const TIMES: &[Kind] = &[Kind::Time, Kind::Span];
const TIME: &[Kind] = &[Kind::Time];
const SCALARS: &[Kind] = &[Kind::Text, Kind::Number, Kind::Bool, Kind::Time, Kind::Span];
const DEVELOPER: &[Kind] = &[Kind::Object(Object::Developer)];

/// The functions that conditions may call: ours, and those of CEL that make sense in one.
pub(crate) const FUNCTIONS: &[Function] = &[
    function("domain", &[ANY], Kind::Text),
    function("is_freemail", &[ANY], Kind::Bool),
    function("in_team", &[DEVELOPER, TEXT], Kind::Bool),
    function("size", &[ANY], Kind::Number),
    method("size", ANY, &[], Kind::Number),
    function("string", &[SCALARS], Kind::Text),
    function("int", &[SCALARS], Kind::Number),
    function("double", &[SCALARS], Kind::Number),
    function("bool", &[TEXT_OR_BOOL], Kind::Bool),
    function("timestamp", &[TEXT], Kind::Time),
    function("duration", &[TEXT], Kind::Span),
    method("contains", TEXT, &[TEXT], Kind::Bool),
    method("startsWith", TEXT, &[TEXT], Kind::Bool),
    method("endsWith", TEXT, &[TEXT], Kind::Bool),
    method("matches", TEXT, &[TEXT], Kind::Bool),
    method("getFullYear", TIME, &[], Kind::Number),
    method("getMonth", TIME, &[], Kind::Number),
    method("getDate", TIME, &[], Kind::Number),
    method("getDayOfMonth", TIME, &[], Kind::Number),
    method("getDayOfWeek", TIME, &[], Kind::Number),
    method("getDayOfYear", TIME, &[], Kind::Number),
    method("getHours", TIMES, &[], Kind::Number),
    method("getMinutes", TIMES, &[], Kind::Number),
    method("getSeconds", TIMES, &[], Kind::Number),
];

const fn function(
    name: &'static str,
    arguments: &'static [&'static [Kind]],
    answer: Kind,
) -> Function {
    Function {
        name,
        of: None,
        arguments,
        answer,
    }
}

const fn method(
    name: &'static str,
    of: &'static [Kind],
    arguments: &'static [&'static [Kind]],
    answer: Kind,
) -> Function {
    Function {
        name,
        of: Some(of),
        arguments,
        answer,
    }
}

/// The type of a root, if there is one of that name.
pub(crate) fn root(name: &str) -> Option<Kind> {
    Some(match name {
        "event" => Kind::Any,
        "signal" => Kind::Object(Object::Signal),
        "portal" => Kind::Object(Object::Portal),
        "developer" => Kind::Object(Object::Developer),
        "application" => Kind::Object(Object::Application),
        "registration" => Kind::Object(Object::Registration),
        "lists" => Kind::Object(Object::Lists),
        "now" => Kind::Time,
        _ => return None,
    })
}

/// The roots that are never null for a kind of signal, or may be.
pub(crate) fn has_root(signal: &str, root: &str) -> bool {
    let about = signal.split('.').next().unwrap_or_default();
    match root {
        "developer" => !is_operation(signal),
        "application" => matches!(about, "application" | "registration" | "custom"),
        "registration" => matches!(about, "registration" | "custom"),
        _ => true,
    }
}

impl Object {
    /// The members, with their types. Those of `lists` are the file's own.
    pub(crate) fn members(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Signal => &[
                ("kind", Kind::Text),
                ("from_status", Kind::Text),
                ("at", Kind::Time),
                ("own", Kind::Bool),
            ],
            Self::Portal | Self::Team | Self::OwnedApplication => {
                &[("id", Kind::Text), ("name", Kind::Text)]
            }
            Self::Developer => &[
                ("id", Kind::Text),
                ("email", Kind::Text),
                ("full_name", Kind::Text),
                ("status", Kind::Text),
                ("created_at", Kind::Time),
                ("teams", Kind::Any),
                ("applications", Kind::Any),
            ],
            Self::Application => &[
                ("id", Kind::Text),
                ("name", Kind::Text),
                ("owner_type", Kind::Text),
                ("owner_id", Kind::Text),
                ("owner", Kind::Object(Self::Owner)),
            ],
            Self::Owner => &[
                ("id", Kind::Text),
                ("name", Kind::Text),
                ("email", Kind::Text),
            ],
            Self::Registration => &[
                ("id", Kind::Text),
                ("status", Kind::Text),
                ("created_at", Kind::Time),
                ("api", Kind::Object(Self::Api)),
            ],
            Self::Api => &[
                ("id", Kind::Text),
                ("name", Kind::Text),
                ("version", Kind::Text),
            ],
            Self::Lists => &[],
        }
    }

    /// The type of a member, if there is one of that name.
    pub(crate) fn member(self, name: &str) -> Option<Kind> {
        // A list type owns its entry type, which no constant can.
        match (self, name) {
            (Self::Developer, "teams") => Some(Kind::list(Kind::Object(Self::Team))),
            (Self::Developer, "applications") => {
                Some(Kind::list(Kind::Object(Self::OwnedApplication)))
            }
            _ => self
                .members()
                .iter()
                .find(|(member, _)| *member == name)
                .map(|(_, kind)| kind.clone()),
        }
    }
}

impl Kind {
    /// A list of entries of one type.
    pub(crate) fn list(entry: Self) -> Self {
        Self::List(Box::new(entry))
    }

    /// The type in the words of a message.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Any | Self::Nothing => "anything",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Time => "a time",
            Self::Span => "a duration",
            Self::List(_) => "a list",
            Self::Map => "a map",
            Self::Object(Object::Signal) => "the signal",
            Self::Object(Object::Portal) => "a portal",
            Self::Object(Object::Developer) => "a developer",
            Self::Object(Object::Team) => "a team",
            Self::Object(Object::OwnedApplication | Object::Application) => "an application",
            Self::Object(Object::Owner) => "an owner",
            Self::Object(Object::Registration) => "a registration",
            Self::Object(Object::Api) => "an API",
            Self::Object(Object::Lists) => "the lists",
        }
    }

    /// Whether a value of this type may be one of that type.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any | Self::Nothing, _) | (_, Self::Any | Self::Nothing) => true,
            (Self::List(a), Self::List(b)) => a.may_be(b),
            (a, b) => a == b,
        }
    }

    /// The type of a value that has either type.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, kind) | (kind, Self::Nothing) => kind,
            (Self::List(a), Self::List(b)) => Self::list(a.or(*b)),
            (a, b) if a == b => a,
            _ => Self::Any,
        }
    }
}

impl Function {
    /// How the function is called, for a message.
    pub(crate) fn signature(&self) -> String {
        let kinds = |kinds: &[Kind]| match kinds {
            [only] => only
                .name()
                .trim_start_matches("an ")
                .trim_start_matches("a ")
                .to_owned(),
            _ => "value".to_owned(),
        };
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .map(|argument| kinds(argument))
            .collect();
        let arguments = arguments.join(", ");
        match self.of {
            Some(of) => format!("{}.{}({arguments})", kinds(of), self.name),
            None => format!("{}({arguments})", self.name),
        }
    }
}

/// The kinds of signal, apart from `custom.<type>`.
pub(crate) const SIGNALS: &[&str] = &[
    "developer.signed_up",
    "developer.authenticated",
    "developer.login_failed",
    "application.created",
    "registration.requested",
    "developer.status_changed",
    "registration.status_changed",
    "membership.changed",
    "access.denied",
    "usher.webhook_inactive",
    "usher.gap_found",
    "usher.gap_expires",
    "usher.token_refused",
    "usher.signatures_failing",
    "usher.spool_filling",
    "usher.outbox_old",
    "usher.reader_abandoned",
    "usher.silence",
];

/// Whether a signal is about usher itself, and nobody: an operator is told, and nothing else.
pub(crate) fn is_operation(signal: &str) -> bool {
    signal.starts_with("usher.")
}

/// Whether there are signals of this kind. A custom one is named exactly, without wildcards.
pub(crate) fn is_signal(kind: &str) -> bool {
    SIGNALS.contains(&kind)
        || kind.strip_prefix("custom.").is_some_and(|custom| {
            !custom.is_empty() && custom.chars().all(|c| c.is_ascii_graphic() && c != '*')
        })
}

/// Whether the event itself is the only evidence of the signal, so that it can grow old; every
/// other signal is a state that was just read.
pub(crate) fn is_event_alone(signal: &str) -> bool {
    matches!(
        signal,
        "developer.authenticated" | "developer.login_failed" | "access.denied"
    ) || signal.starts_with("custom.")
        || is_operation(signal)
}
