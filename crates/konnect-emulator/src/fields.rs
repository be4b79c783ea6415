//! What a request body may hold, as data: fields and the rules of their values. `validate` checks.

/// The form of a member's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// Text of between `min` and `max` characters.
    Text { min: usize, max: usize },
    /// An address of at most `max` characters with a local part, `@` and a domain.
    Email { max: usize },
    /// A UUID as text.
    Uuid,
    /// `true` or `false`, no text.
    Boolean,
    /// One of a list of texts.
    Choice(&'static [&'static str]),
    /// An absolute `http` or `https` URL.
    Url,
    /// An RFC 3339 date and time.
    DateTime,
    /// A list of texts.
    Texts,
    /// An object with members of its own and no others.
    Object(&'static [Field]),
    /// An object with members of its own; others are dropped.
    Open(&'static [Field]),
    /// An object with members of its own; others are kept as they are.
    Keeping(&'static [Field]),
    /// A value that may be null.
    OrNull(&'static Rule),
    /// An object of which nothing is said.
    AnyObject,
    /// A whole number.
    Integer { min: i32, max: i32 },
    /// Text of between `min` and `max` characters that passes a test; `words` follow the member's
    /// name in the reason: `"must be …"`.
    Pattern {
        min: usize,
        max: usize,
        is: fn(&str) -> bool,
        words: &'static str,
    },
    /// An absolute URI of any scheme.
    Uri,
    /// An IP address or a block of them.
    IpOrBlock,
    /// A host name.
    Hostname,
    /// A PNG, JPEG, GIF, ICO or SVG image as a data URL.
    Image,
    /// A list.
    List {
        item: &'static Rule,
        min: usize,
        max: usize,
        unique: bool,
    },
    /// An object with keys of the caller's choice.
    Map {
        max: usize,
        is_key: fn(&str) -> bool,
        value: &'static Rule,
    },
    /// An object whose member `by` says which of the forms it has; each form declares that member
    /// too.
    OneOf {
        by: &'static str,
        forms: &'static [Form],
    },
    /// An object whose form the member `by` beside it says. Without that one, any form will do: a
    /// change need not repeat it.
    Beside {
        by: &'static str,
        forms: &'static [Form],
    },
    /// Konnect's labels: at most 50 short keys with values of limited form, null to remove one.
    Labels,
}

/// A form of an object, by the value of the member that tells it.
pub(crate) type Form = (&'static str, &'static [Field]);

/// Whether a member must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// Accepted and dropped: declared read-only in a schema that forbids other members.
    ReadOnly,
}

/// What null means as the value of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    /// A mistake.
    Refused,
    /// A value of its own.
    Kept,
    /// That the member is not there.
    Dropped,
}

/// A member of a request body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    pub(crate) need: Need,
    pub(crate) null: Null,
}

impl Field {
    /// Declares a member that must be there.
    pub(crate) const fn required(name: &'static str, rule: Rule) -> Self {
        Self {
            name,
            rule,
            need: Need::Required,
            null: Null::Refused,
        }
    }

    /// Declares a member that may be absent.
    pub(crate) const fn optional(name: &'static str, rule: Rule) -> Self {
        Self {
            name,
            rule,
            need: Need::Optional,
            null: Null::Refused,
        }
    }

    /// Declares a member that is accepted and dropped.
    pub(crate) const fn read_only(name: &'static str) -> Self {
        Self {
            name,
            rule: Rule::Texts,
            need: Need::ReadOnly,
            null: Null::Kept,
        }
    }

    /// Lets the member be null.
    pub(crate) const fn or_null(mut self) -> Self {
        self.null = Null::Kept;
        self
    }

    /// Takes null for a member that is left out. Kong's own Terraform provider sends it for what a
    /// configuration does not say; the documents do not allow it.
    pub(crate) const fn or_left_out(mut self) -> Self {
        self.null = Null::Dropped;
        self
    }
}

/// What becomes of members outside the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    Refuse,
    Drop,
    Keep,
}
