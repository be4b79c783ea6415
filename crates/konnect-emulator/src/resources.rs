//! The resources of Konnect's management API as data: what may be sent, filtered, sorted and shown.
//! What depends on more than one field is in `special`; the operations on them are in `operations`.

use serde_json::{Value, json};

use crate::{
    call::{Call, Resource},
    clock::timestamp,
    problem::Problem,
    query::{Filter, Listing, Operators, Paging, Sort},
    special::{application, destination, developer, portal, registration, role, team},
    state::{Kind, Row, World},
    validate::{Field, Rule},
};

/// Declares a filter or a sort by a member of the row itself.
macro_rules! member {
    ($name:literal) => {
        |_: &World, row: &Row| row.get($name).clone()
    };
}

const STATUSES: Rule = Rule::Choice(&["approved", "pending", "revoked", "rejected"]);
const VISIBILITY: Rule = Rule::Choice(&["public", "private"]);
const NAME: Rule = Rule::Text { min: 1, max: 255 };
const TEAM_TEXT: Rule = Rule::Text { min: 1, max: 250 };
pub(crate) const ANY_TEXT: Rule = Rule::Text { min: 1, max: 4096 };

pub(crate) const CREATED_AT: Sort = Sort {
    name: "created_at",
    read: |_, row| json!(timestamp(row.created_at)),
};
const UPDATED_AT: Sort = Sort {
    name: "updated_at",
    read: |_, row| json!(timestamp(row.updated_at)),
};

const fn text_filter(name: &'static str, read: fn(&World, &Row) -> Value) -> Filter {
    Filter {
        name,
        operators: Operators::Text,
        read,
    }
}

const fn uuid_filter(name: &'static str, read: fn(&World, &Row) -> Value) -> Filter {
    Filter {
        name,
        operators: Operators::Uuid,
        read,
    }
}

const fn boolean_filter(name: &'static str, read: fn(&World, &Row) -> Value) -> Filter {
    Filter {
        name,
        operators: Operators::Boolean,
        read,
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where other resources have a rule"
)]
fn nothing(_: &mut Call<'_>) -> Result<(), Problem> {
    Ok(())
}

const PORTAL_OPTIONS: [Field; 15] = [
    Field::optional("display_name", NAME),
    Field::optional("description", Rule::Text { min: 0, max: 512 }).or_null(),
    Field::optional("authentication_enabled", Rule::Boolean),
    Field::optional("rbac_enabled", Rule::Boolean),
    Field::optional("sipr_enabled", Rule::Boolean),
    Field::optional("default_api_visibility", VISIBILITY),
    Field::optional("default_page_visibility", VISIBILITY),
    Field::optional("default_application_auth_strategy_id", Rule::Uuid).or_null(),
    Field::optional("auto_approve_developers", Rule::Boolean),
    Field::optional("auto_approve_applications", Rule::Boolean),
    Field::optional("labels", Rule::Labels).or_null(),
    Field::optional(
        "notifications_developer_pii_visibility_enabled",
        Rule::Boolean,
    ),
    Field::read_only("id"),
    Field::read_only("created_at"),
    Field::read_only("updated_at"),
];

/// The members of a portal after `name`, which only a creation must hold.
const fn portal_fields(name: Field) -> [Field; 18] {
    let mut fields = [name; 18];
    let mut index = 0;
    while index < PORTAL_OPTIONS.len() {
        fields[index + 1] = PORTAL_OPTIONS[index];
        index += 1;
    }
    fields[16] = Field::read_only("default_domain");
    fields[17] = Field::read_only("canonical_domain");
    fields
}

pub(crate) static PORTAL: Resource = Resource {
    kind: Kind::Portal,
    create: &portal_fields(Field::required("name", NAME)),
    update: &portal_fields(Field::optional("name", NAME)),
    listing: Listing {
        filters: &[
            uuid_filter("id", |_, row| json!(row.id)),
            text_filter("name", member!("name")),
            text_filter("description", member!("description")),
            boolean_filter("authentication_enabled", member!("authentication_enabled")),
            boolean_filter("rbac_enabled", member!("rbac_enabled")),
            text_filter("default_api_visibility", member!("default_api_visibility")),
            text_filter(
                "default_page_visibility",
                member!("default_page_visibility"),
            ),
            uuid_filter(
                "default_application_auth_strategy_id",
                member!("default_application_auth_strategy_id"),
            ),
            boolean_filter(
                "auto_approve_developers",
                member!("auto_approve_developers"),
            ),
            boolean_filter(
                "auto_approve_applications",
                member!("auto_approve_applications"),
            ),
            text_filter("default_domain", member!("default_domain")),
            text_filter("canonical_domain", member!("canonical_domain")),
        ],
        sorts: &[
            Sort {
                name: "name",
                read: member!("name"),
            },
            Sort {
                name: "description",
                read: member!("description"),
            },
            Sort {
                name: "authentication_enabled",
                read: member!("authentication_enabled"),
            },
            Sort {
                name: "rbac_enabled",
                read: member!("rbac_enabled"),
            },
            Sort {
                name: "auto_approve_applications",
                read: member!("auto_approve_applications"),
            },
            Sort {
                name: "auto_approve_developers",
                read: member!("auto_approve_developers"),
            },
            Sort {
                name: "default_domain",
                read: member!("default_domain"),
            },
            Sort {
                name: "canonical_domain",
                read: member!("canonical_domain"),
            },
            CREATED_AT,
            UPDATED_AT,
        ],
        paging: Paging::Number,
        view: portal::view,
    },
    before_create: portal::before_create,
    before_update: portal::before_update,
    before_delete: portal::before_delete,
};

pub(crate) static DEVELOPER: Resource = Resource {
    kind: Kind::Developer,
    create: &[
        Field::required("email", Rule::Email { max: 255 }),
        Field::required("full_name", Rule::Text { min: 0, max: 255 }),
        Field::optional("status", STATUSES),
        Field::optional("send_invitation_email", Rule::Boolean),
    ],
    update: &[Field::optional("status", STATUSES)],
    listing: Listing {
        filters: &[
            text_filter("name", member!("full_name")),
            text_filter("status", member!("status")),
            text_filter("email", member!("email")),
        ],
        sorts: &[
            CREATED_AT,
            UPDATED_AT,
            Sort {
                name: "email",
                read: member!("email"),
            },
            Sort {
                name: "name",
                read: member!("full_name"),
            },
            Sort {
                name: "status",
                read: member!("status"),
            },
        ],
        paging: Paging::Number,
        view: developer::view,
    },
    before_create: developer::before_create,
    before_update: nothing,
    before_delete: developer::before_delete,
};

pub(crate) static TEAM: Resource = Resource {
    kind: Kind::Team,
    create: &[
        Field::required("name", TEAM_TEXT),
        Field::optional("description", TEAM_TEXT),
        Field::optional("can_own_applications", Rule::Boolean),
    ],
    update: &[
        Field::optional("name", TEAM_TEXT),
        Field::optional("description", TEAM_TEXT),
        Field::optional("can_own_applications", Rule::Boolean),
    ],
    listing: Listing {
        filters: &[
            text_filter("name", member!("name")),
            boolean_filter("can_own_applications", member!("can_own_applications")),
        ],
        sorts: &[],
        paging: Paging::Number,
        view: team::view,
    },
    before_create: team::before_create,
    before_update: team::before_update,
    before_delete: team::before_delete,
};

pub(crate) static ROLE: Resource = Resource {
    kind: Kind::Role,
    create: &[
        Field::required("role_name", Rule::Choice(&["API Viewer", "API Consumer"])),
        Field::required("entity_id", Rule::Uuid),
        Field::required("entity_type_name", Rule::Choice(&["Services"])),
        Field::required(
            "entity_region",
            Rule::Choice(&["us", "eu", "au", "me", "in", "sg", "*"]),
        ),
    ],
    update: &[],
    listing: Listing {
        filters: &[],
        sorts: &[],
        paging: Paging::Number,
        view: role::view,
    },
    before_create: role::before_create,
    before_update: nothing,
    before_delete: nothing,
};

const OWNER: &[Field] = &[
    Field::required("type", Rule::Choice(&["developer", "team"])),
    Field::required("id", Rule::Uuid),
];

pub(crate) static APPLICATION: Resource = Resource {
    kind: Kind::Application,
    create: &[
        Field::required("name", Rule::Text { min: 1, max: 255 }),
        Field::optional("description", Rule::Text { min: 0, max: 255 }),
        Field::optional("labels", Rule::Labels).or_null(),
        Field::optional("dcr_client_id", Rule::Text { min: 0, max: 255 }),
        Field::optional("client_id", Rule::Text { min: 0, max: 255 }),
        Field::optional("auth_strategy_id", Rule::Uuid),
        Field::required("owner", Rule::Object(OWNER)),
    ],
    update: &[Field::optional("owner", Rule::Object(OWNER))],
    listing: Listing {
        filters: &[
            uuid_filter("developer_id", |_, row| {
                application::owner_of(row, "developer")
            }),
            text_filter("name", member!("name")),
            uuid_filter("team_id", |_, row| application::owner_of(row, "team")),
        ],
        sorts: &[
            CREATED_AT,
            Sort {
                name: "developer_id",
                read: |_, row| application::owner_of(row, "developer"),
            },
            Sort {
                name: "name",
                read: member!("name"),
            },
        ],
        paging: Paging::Number,
        view: application::view,
    },
    before_create: application::before_create,
    before_update: application::before_update,
    before_delete: nothing,
};

pub(crate) static REGISTRATION: Resource = Resource {
    kind: Kind::Registration,
    create: &[
        Field::required("api_id", Rule::Uuid),
        Field::optional("status", Rule::Choice(&["approved", "pending"])),
    ],
    update: &[Field::optional("status", STATUSES)],
    listing: Listing {
        filters: &[text_filter("status", member!("status"))],
        sorts: &[
            CREATED_AT,
            UPDATED_AT,
            Sort {
                name: "status",
                read: member!("status"),
            },
        ],
        paging: Paging::Number,
        view: registration::view,
    },
    before_create: registration::before_create,
    before_update: nothing,
    before_delete: nothing,
};

/// The registrations of a whole portal have filters of their own.
pub(crate) static PORTAL_REGISTRATIONS: Listing = Listing {
    filters: &[
        uuid_filter("developer_id", registration::developer_of),
        text_filter("application_name", registration::application_name),
        text_filter("status", member!("status")),
    ],
    sorts: &[
        CREATED_AT,
        UPDATED_AT,
        Sort {
            name: "developer_id",
            read: registration::developer_of,
        },
        Sort {
            name: "status",
            read: member!("status"),
        },
    ],
    paging: Paging::Number,
    view: registration::view,
};

/// The members of a team are shown with `active` instead of their status.
pub(crate) static TEAM_MEMBERS: Listing = Listing {
    filters: &[
        text_filter("email", member!("email")),
        text_filter("full_name", member!("full_name")),
        text_filter("attributes", member!("attributes")),
        boolean_filter("active", |_, row| json!(row.text("status") == "approved")),
    ],
    sorts: &[],
    paging: Paging::Number,
    view: developer::basic_view,
};

/// The teams of a developer.
pub(crate) static DEVELOPER_TEAMS: Listing = Listing {
    filters: &[boolean_filter(
        "can_own_applications",
        member!("can_own_applications"),
    )],
    sorts: &[],
    paging: Paging::Number,
    view: team::view,
};

/// The developers who may use an application.
pub(crate) static APPLICATION_DEVELOPERS: Listing = Listing {
    filters: &[text_filter("id", |_, row| json!(row.id))],
    sorts: &[Sort {
        name: "id",
        read: |_, row| json!(row.id),
    }],
    paging: Paging::Number,
    view: developer::application_view,
};

pub(crate) static DESTINATION: Resource = Resource {
    kind: Kind::Destination,
    create: &[
        Field::required("name", ANY_TEXT),
        Field::required("endpoint", Rule::Url),
        Field::required("authorization", ANY_TEXT),
        // The specification requires it and gives it a default; Kong's own provider leaves it out.
        Field::optional("log_format", Rule::Choice(&["cef", "json", "cps"])),
        Field::optional("skip_ssl_verification", Rule::Boolean),
    ],
    update: &[
        Field::optional("name", ANY_TEXT),
        Field::optional("endpoint", Rule::Url),
        Field::optional("authorization", ANY_TEXT),
        Field::optional("log_format", Rule::Choice(&["cef", "json", "cps"])),
        Field::optional("skip_ssl_verification", Rule::Boolean),
    ],
    listing: Listing {
        filters: &[Filter {
            name: "name",
            operators: Operators::Legacy,
            read: member!("name"),
        }],
        sorts: &[],
        paging: Paging::Cursor,
        view: destination::view,
    },
    before_create: destination::before_create,
    before_update: nothing,
    before_delete: destination::before_delete,
};
