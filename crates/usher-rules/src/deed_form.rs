//! The YAML forms of deeds, and whether a deed fits the signal of its rule.

use url::Url;
use uuid::Uuid;

use crate::deed::{Deed, NoticeFormat, TargetKind, TeamRef};
use crate::mistake::one_of;
use crate::node::{Node, SourcePosition, Yaml};
use crate::reader::Reader;
use crate::schema;

/// What this version can do.
const DEEDS: &[&str] = &[
    "approve_developer",
    "reject_developer",
    "revoke_developer",
    "invite_developer",
    "approve_registration",
    "reject_registration",
    "revoke_registration",
    "add_to_team",
    "remove_from_team",
    "notify",
    "park",
];
/// The prefix of a value that is in a file.
const FILE: &str = "file:";
/// What fits in an index of the queue, with space to spare.
const MAX_URL: usize = 1_000;

/// Reads the deeds of a rule on `signal`, if that is known.
pub(crate) fn read(reader: &mut Reader<'_>, then: &Node, signal: Option<&str>) -> Vec<Deed> {
    let Some(items) = reader.list(then, "a list of deeds") else {
        return Vec::new();
    };
    if items.is_empty() {
        reader.report(then.place, "expected at least one deed");
    }
    let mut deeds: Vec<Deed> = Vec::new();
    let mut placed: Vec<(SourcePosition, Deed)> = Vec::new();
    for item in items {
        let Some(deed) = read_one(reader, item) else {
            continue;
        };
        if let Some(signal) = signal
            && deed.target() == TargetKind::Registration
            && !schema::has_root(signal, "registration")
            && !schema::is_operation(signal)
        {
            let name = deed.name();
            reader.report(
                item.place,
                format!("{name} needs a registration, which {signal} does not have; expected registration.requested, registration.status_changed or custom.<type> in on"),
            );
        }
        if let Some(signal) = signal
            && deed.target() == TargetKind::Invitee
            && !signal.starts_with("custom.")
            && !schema::is_operation(signal)
        {
            let name = deed.name();
            reader.report(
                item.place,
                format!("{name} needs event.data.email, which {signal} does not have; expected custom.<type> in on"),
            );
        }
        if let Some(signal) = signal
            && schema::is_operation(signal)
            && !matches!(deed, Deed::Notify { .. })
        {
            let name = deed.name();
            reader.report(
                item.place,
                format!("{name} has nobody to be done to: {signal} is about usher itself; expected notify"),
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
        placed.push((item.place, deed.clone()));
        deeds.push(deed);
    }
    report_beside_invitation(reader, &placed);
    deeds
}

/// Reports deeds for developers beside an invitation: the rule would never apply to those whom it
/// is to invite, who are no developers yet.
fn report_beside_invitation(reader: &mut Reader<'_>, deeds: &[(SourcePosition, Deed)]) {
    let invites = |(_, deed): &(SourcePosition, Deed)| deed.target() == TargetKind::Invitee;
    if !deeds.iter().any(invites) {
        return;
    }
    for (place, deed) in deeds {
        if matches!(deed.target(), TargetKind::Developer | TargetKind::Subject) {
            let name = deed.name();
            reader.report(
                *place,
                format!("{name} has nobody to be done to beside invite_developer: whom that invites is no developer before they accept; expected a rule of its own on developer.signed_up"),
            );
        }
    }
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
        "invite_developer" => return read_invitation(reader, value),
        "notify" => {
            let Some(value) = value else {
                reader.report(
                    key.place,
                    "notify needs a receiver; expected {notify: {url: https://…}}",
                );
                return None;
            };
            return read_notice(reader, value);
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

fn read_invitation(reader: &mut Reader<'_>, value: Option<&Node>) -> Option<Deed> {
    let Some(value) = value else {
        return Some(Deed::InviteDeveloper { pending: false });
    };
    let fields = reader.fields(value, "invite_developer", &["status"])?;
    let pending = match fields.get("status") {
        Some(status) => reader.word(status, &[("approved", false), ("pending", true)])?,
        None => false,
    };
    Some(Deed::InviteDeveloper { pending })
}

fn read_notice(reader: &mut Reader<'_>, value: &Node) -> Option<Deed> {
    let fields = reader.fields(value, "notify", &["url", "format", "secret"])?;
    let Some(url) = fields.get("url") else {
        reader.report(value.place, "notify needs a url");
        return None;
    };
    let url = read_url(reader, url)?;
    let format = match fields.get("format") {
        Some(format) => reader.word(
            format,
            &[
                ("standard", NoticeFormat::Standard),
                ("slack", NoticeFormat::Slack),
            ],
        )?,
        None => NoticeFormat::Standard,
    };
    let secret = match fields.get("secret") {
        Some(_) if format == NoticeFormat::Slack => {
            reader.report(value.place, "slack checks no signature; expected no secret");
            return None;
        }
        Some(node) => Some(read_secret(reader, node)?),
        None => None,
    };
    Some(Deed::Notify {
        url,
        format,
        secret,
    })
}

/// Where a secret is. Mistakes do not repeat the value: it may be the secret itself.
fn read_secret(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node, "file:PATH")?;
    if is_file(text) {
        return Some(text.to_owned());
    }
    reader.report(
        node.place,
        "a secret does not belong into a rules file; expected file:PATH",
    );
    None
}

/// A URL that may be posted to, or the file that contains one. Mistakes do not repeat it: its path
/// may be a password.
fn read_url(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node, "a url or file:PATH")?;
    let is_plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    };
    if text.len() <= MAX_URL && (is_file(text) || Url::parse(text).is_ok_and(|url| is_plain(&url)))
    {
        return Some(text.to_owned());
    }
    reader.report(
        node.place,
        "expected an http or https url of at most 1000 characters without credentials, or file:PATH",
    );
    None
}

fn is_file(text: &str) -> bool {
    text.strip_prefix(FILE).is_some_and(|path| !path.is_empty())
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
