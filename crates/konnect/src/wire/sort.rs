//! The order of lists: by which member, and which way.

use std::fmt;

use crate::wire::open_enum::open_enum;

open_enum! {
    /// A member that a list can be sorted by. Each list has some of them, which its options name,
    /// and answers 400 to the others.
    SortBy {
        /// Its id.
        Id = "id",
        /// When it was made.
        CreatedAt = "created_at",
        /// When it was last changed.
        UpdatedAt = "updated_at",
        /// Its name; of developers the full name.
        Name = "name",
        /// The name that is shown.
        DisplayName = "display_name",
        /// What it is.
        Description = "description",
        /// Its heading.
        Title = "title",
        /// Its name in paths.
        Slug = "slug",
        /// Its version.
        Version = "version",
        /// Its status.
        Status = "status",
        /// Who sees it.
        Visibility = "visibility",
        /// Its e-mail address.
        Email = "email",
        /// The domain itself.
        Domain = "domain",
        /// The domain that Konnect gave.
        DefaultDomain = "default_domain",
        /// The domain in use.
        CanonicalDomain = "canonical_domain",
        /// The id of the developer.
        DeveloperId = "developer_id",
        /// The id of the portal.
        PortalId = "portal_id",
        /// The name of the portal.
        PortalName = "portal_name",
        /// The id of the API.
        ApiId = "api_id",
        /// The name of the API.
        ApiName = "api_name",
        /// The kind of the strategy.
        StrategyType = "strategy_type",
    }
}

/// The order of a list. `SortBy::Email.into()` is ascending.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The member.
    pub by: SortBy,
    /// Whether the largest comes first.
    pub descending: bool,
}

impl Sort {
    /// Sorts with the smallest first.
    pub fn ascending(by: impl Into<SortBy>) -> Self {
        Self {
            by: by.into(),
            descending: false,
        }
    }

    /// Sorts with the largest first.
    pub fn descending(by: impl Into<SortBy>) -> Self {
        Self {
            by: by.into(),
            descending: true,
        }
    }
}

impl From<SortBy> for Sort {
    fn from(by: SortBy) -> Self {
        Self::ascending(by)
    }
}

/// As the API takes it: `email`, `email desc`.
impl fmt::Display for Sort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.descending { " desc" } else { "" };
        write!(formatter, "{}{direction}", self.by)
    }
}

/// What lists are sorted by unless their options say otherwise: what is added while a list is read
/// then comes last.
pub(crate) static BY_CREATION: Sort = Sort {
    by: SortBy::CreatedAt,
    descending: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_the_api_takes() {
        for (sort, text) in [
            (Sort::from(SortBy::Email), "email"),
            (Sort::descending(SortBy::CreatedAt), "created_at desc"),
            (Sort::ascending("shoe_size"), "shoe_size"),
            (Sort::descending("shoe_size"), "shoe_size desc"),
            (BY_CREATION.clone(), "created_at"),
        ] {
            assert_eq!(sort.to_string(), text);
        }
    }
}
