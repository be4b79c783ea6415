//! The YAML forms of deeds, and whether a deed fits the signal of its rule.

use uuid::Uuid;

use crate::rules::check::one_of;
use crate::rules::deed::{Deed, TargetKind, TeamRef};
use crate::rules::node::{Node, Yaml};
use crate::rules::reader::Reader;
use crate::rules::schema;

/// What this version can do.
const DEEDS: &[&str] = &[
    "approve_developer",
    "reject_developer",
    "revoke_developer",
    "approve_registration",
    "reject_registration",
    "revoke_registration",
    "add_to_team",
    "remove_from_team",
    "park",
];

/// What the design promises and this version cannot do.
const LATER: &[&str] = &["notify", "invite_developer"];

/// Reads the deeds of a rule that listens to `signal`, if that is known.
pub(crate) fn read(reader: &mut Reader<'_>, then: &Node, signal: Option<&str>) -> Vec<Deed> {
    let Some(items) = reader.list(then, "a list of deeds") else {
        return Vec::new();
    };
    if items.is_empty() {
        reader.report(then.place, "expected at least one deed");
    }
    let mut deeds: Vec<Deed> = Vec::new();
    for item in items {
        let Some(deed) = read_one(reader, item) else {
            continue;
        };
        if let Some(signal) = signal
            && deed.target() == TargetKind::Registration
            && !schema::has_root(signal, "registration")
        {
            let name = deed.name();
            reader.report(
                item.place,
                format!("{name} needs a registration, which {signal} does not have; expected registration.requested, registration.status_changed or custom.<type> in on"),
            );
        }
        if deeds.contains(&deed) {
            reader.report(item.place, format!("{deed} is given twice"));
        } else if let Some(opposite) = deeds
            .iter()
            .find(|other| deed.opposites().contains(&other.stance()))
        {
            reader.report(
                item.place,
                format!("{deed} contradicts {opposite} of the same rule"),
            );
        }
        deeds.push(deed);
    }
    deeds
}

fn read_one(reader: &mut Reader<'_>, item: &Node) -> Option<Deed> {
    match &item.value {
        Yaml::Text(name) => read_named(reader, item, name, None),
        Yaml::Map(entries) => {
            let [(key, value)] = entries.as_slice() else {
                reader.report(
                    item.place,
                    "expected one deed, this is a map with several keys or none",
                );
                return None;
            };
            let Some(name) = key.as_text() else {
                reader.unexpected(key, "the name of a deed");
                return None;
            };
            let value = Some(value).filter(|value| !matches!(value.value, Yaml::Null));
            read_named(reader, key, name, value)
        }
        _ => {
            reader.unexpected(item, "a deed");
            None
        }
    }
}

fn read_named(
    reader: &mut Reader<'_>,
    key: &Node,
    name: &str,
    value: Option<&Node>,
) -> Option<Deed> {
    let plain = match name {
        "approve_developer" => Deed::ApproveDeveloper,
        "reject_developer" => Deed::RejectDeveloper,
        "revoke_developer" => Deed::RevokeDeveloper,
        "approve_registration" => Deed::ApproveRegistration,
        "reject_registration" => Deed::RejectRegistration,
        "revoke_registration" => Deed::RevokeRegistration,
        "add_to_team" => {
            let (team, create) = read_team(reader, key, name, value, true)?;
            return Some(Deed::AddToTeam { team, create });
        }
        "remove_from_team" => {
            let (team, _) = read_team(reader, key, name, value, false)?;
            return Some(Deed::RemoveFromTeam { team });
        }
        "park" => {
            let Some(value) = value else {
                reader.report(
                    key.place,
                    "park needs a reason; expected {park: the reason}",
                );
                return None;
            };
            let reason = reader.text(value, "a reason")?.to_owned();
            return Some(Deed::Park { reason });
        }
        later if LATER.contains(&later) => {
            let can = one_of(DEEDS.iter().copied());
            reader.report(
                key.place,
                format!("this version cannot {later} yet; expected {can}"),
            );
            return None;
        }
        _ => {
            let can = one_of(DEEDS.iter().copied());
            reader.report(
                key.place,
                format!("there is no deed {name:?}; expected {can}"),
            );
            return None;
        }
    };
    if let Some(value) = value {
        reader.report(value.place, format!("{name} takes no value"));
        return None;
    }
    Some(plain)
}

fn read_team(
    reader: &mut Reader<'_>,
    key: &Node,
    deed: &str,
    value: Option<&Node>,
    may_create: bool,
) -> Option<(TeamRef, bool)> {
    let Some(value) = value else {
        reader.report(
            key.place,
            format!("{deed} needs a team; expected {{{deed}: the team's name}}"),
        );
        return None;
    };
    if !matches!(value.value, Yaml::Map(_)) {
        let name = reader.text(value, "the name of a team")?;
        return Some((TeamRef::Name(name.to_owned()), false));
    }
    let known: &[&str] = if may_create {
        &["name", "create", "id"]
    } else {
        &["name", "id"]
    };
    let fields = reader.fields(value, deed, known)?;
    let create = fields
        .get("create")
        .and_then(|node| reader.boolean(node))
        .unwrap_or_default();
    match (fields.get("name"), fields.get("id")) {
        (Some(name), None) => {
            let name = reader.text(name, "the name of a team")?.to_owned();
            Some((TeamRef::Name(name), create))
        }
        (None, Some(id)) => {
            if create {
                reader.report(
                    value.place,
                    "a team is made by its name; expected name instead of id",
                );
                return None;
            }
            Some((TeamRef::Id(read_id(reader, id)?), false))
        }
        _ => {
            reader.report(value.place, format!("{deed} needs either a name or an id"));
            None
        }
    }
}

/// An id of Konnect.
pub(crate) fn read_id(reader: &mut Reader<'_>, node: &Node) -> Option<Uuid> {
    let text = reader.text(node, "an id")?;
    let id = Uuid::try_parse(text).ok();
    if id.is_none() {
        reader.report(
            node.place,
            format!(
                "expected an id such as 7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10, this is {text:?}"
            ),
        );
    }
    id
}
