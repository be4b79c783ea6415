//! The kinds of rows: below which others each hangs, and with whose end it ends besides.

/// Declares the kinds: `Name: below [parents], ends with [(kind, pointer)];`.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: below [$($parent:ident),*],
        ends with [$(($other:ident, $pointer:literal)),*];)*) => {
        /// The kinds of rows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the kinds that can be the parent of this one, which ends with its parent.
            pub(crate) const fn parents(self) -> &'static [Self] {
                match self {
                    $(Self::$name => &[$(Self::$parent),*],)*
                }
            }

            /// Returns the kinds to which a row of this one refers and with which it ends, with the
            /// JSON pointer of the member that holds the id.
            pub(crate) const fn ends_with(self) -> &'static [(Self, &'static str)] {
                match self {
                    $(Self::$name => &[$((Self::$other, $pointer)),*],)*
                }
            }
        }
    };
}

kinds! {
    Portal: below [], ends with [];
    Developer: below [Portal], ends with [];
    Team: below [Portal], ends with [];
    Role: below [Team], ends with [];
    Application: below [Portal], ends with [(Developer, "/owner/id"), (Team, "/owner/id")];
    Registration: below [Application], ends with [];
    Credential: below [Application], ends with [];
    Destination: below [], ends with [];
    CustomDomain: below [Portal], ends with [];
    Customization: below [Portal], ends with [];
    Integrations: below [Portal], ends with [];
    Asset: below [Portal], ends with [];
    Page: below [Portal], ends with [(Page, "/parent_page_id")];
    Snippet: below [Portal], ends with [];
    AuthSettings: below [Portal], ends with [];
    IdentityProvider: below [Portal], ends with [];
    TeamGroupMapping: below [IdentityProvider], ends with [(Team, "/team_id")];
    /// Of the organisation, found by its name.
    EmailDomain: below [], ends with [];
    EmailDelivery: below [Portal], ends with [];
    EmailConfig: below [Portal], ends with [];
    /// What a portal changed of a template.
    EmailTemplate: below [Portal], ends with [];
    IpAllowList: below [Portal], ends with [];
    Api: below [], ends with [];
    ApiPublication: below [Api], ends with [(Portal, "/portal_id")];
    /// A version of an API with its specification.
    ApiVersion: below [Api], ends with [];
    ApiDocument: below [Api], ends with [(ApiDocument, "/parent_document_id")];
    ApiImplementation: below [Api], ends with [];
    ApiImage: below [Api], ends with [];
    AuthStrategy: below [], ends with [];
}
