//! Ids of the resources, one type each, so that one cannot be taken for another.
//!
//! Ids of what comes by a cargo feature are declared beside it.

/// Declares id types; each is a UUID.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(
            /// The id as the API writes it.
            pub uuid::Uuid,
        );

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for uuid::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

pub(crate) use ids;

self::ids! {
    /// Id of a Dev Portal.
    PortalId,
    /// Id of a developer of a portal.
    DeveloperId,
    /// Id of a team of a portal.
    TeamId,
    /// Id of an application of a portal.
    ApplicationId,
    /// Id of an application's registration for an API.
    RegistrationId,
    /// Id of an API, or of an API package, that applications register for.
    ApiId,
    /// Id of a role that was assigned to a team.
    RoleId,
    /// Id of an audit-log destination.
    DestinationId,
    /// Id of a strategy by which applications authenticate.
    AuthStrategyId,
}
