//! Objects made at once, with ids of the caller's choice. They pass the same rules as the API's own
//! operations, so that a seeded world cannot be one that Konnect would refuse.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    call::Call,
    clock::new_id,
    entry::Origin,
    fields::Unknown,
    problem::{Dialect, Problem},
    resource::Resource,
    resources::{
        api_publications, applications::APPLICATION, audit_log_webhooks, destinations::DESTINATION,
        developers::DEVELOPER, portals::PORTAL, registrations::REGISTRATION, teams::TEAM,
    },
    state::{Kind, World},
    validate,
};

/// What can be seeded, in the order it is made, with the member that names the parent.
const SECTIONS: [(&str, Option<&str>); 9] = [
    ("portals", None),
    ("apis", None),
    ("teams", Some("portal_id")),
    ("developers", Some("portal_id")),
    ("crowds", Some("portal_id")),
    ("applications", Some("portal_id")),
    ("registrations", Some("application_id")),
    ("destinations", None),
    ("webhooks", None),
];

/// The largest crowd: more would fill memory by a slip of the hand.
const MAX_CROWD: u64 = 1_000_000;

type Outcome = Result<Value, String>;

/// Makes every object of a seed and returns them as the API shows them, section by section. What
/// was made before a mistake stays.
pub(crate) fn plant(world: &mut World, seed: &Value, origin: &Origin) -> Outcome {
    let seed = seed.as_object().ok_or("a seed is an object")?;
    if let Some(name) = seed
        .keys()
        .find(|name| !SECTIONS.iter().any(|(known, _)| known == name))
    {
        return Err(format!("{name} cannot be seeded"));
    }
    let mut made = Map::new();
    for (section, parent) in SECTIONS {
        let items = seed
            .get(section)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let shown: Result<Vec<Value>, String> = items
            .enumerate()
            .map(|(index, item)| {
                let item = item.as_object().ok_or("an item is an object")?.clone();
                plant_one(world, section, parent, item, origin)
                    .map_err(|error| format!("{section}[{index}]: {error}"))
            })
            .collect();
        made.insert(section.to_owned(), json!(shown?));
    }
    Ok(Value::Object(made))
}

fn plant_one(
    world: &mut World,
    section: &str,
    parent: Option<&str>,
    mut item: Map<String, Value>,
    origin: &Origin,
) -> Outcome {
    let id = take_id(&mut item, "id")?.unwrap_or_else(new_id);
    if world.any(id).is_some() {
        return Err(format!("{id} is in use"));
    }
    let parent = match parent {
        Some(name) => Some(take_id(&mut item, name)?.ok_or_else(|| format!("{name} is missing"))?),
        None => None,
    };
    let resource: &'static Resource = match section {
        "portals" => &PORTAL,
        "teams" => &TEAM,
        "developers" => &DEVELOPER,
        "applications" => &APPLICATION,
        "registrations" => &REGISTRATION,
        "destinations" => &DESTINATION,
        "apis" => return plant_api(world, id, item, origin),
        "crowds" => return plant_crowd(world, parent, item, origin),
        _ => return plant_webhook(world, item, origin),
    };
    let password = item.remove("password");
    let teams = item.remove("teams");
    // Registrations are made pending or approved; the other statuses come later.
    let later = if section == "registrations" && !may_begin(&item) {
        item.remove("status")
    } else {
        None
    };
    let mut shown = create(world, resource, id, parent, &item, origin)?;
    if let Some(status) = later {
        shown = update(world, resource, id, &json!({"status": status}), origin)?;
    }
    if let Some(password) = password.as_ref().and_then(Value::as_str) {
        world.accounts.set_password(id, password);
    }
    for team in teams
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let team = find_team(world, parent, team.as_str().unwrap_or_default())?;
        world.join(team, id);
    }
    Ok(shown)
}

/// Makes one object by the rules of its creation, with an id of the caller's choice, and shows it.
pub(crate) fn create(
    world: &mut World,
    resource: &'static Resource,
    id: Uuid,
    parent: Option<Uuid>,
    item: &Map<String, Value>,
    origin: &Origin,
) -> Outcome {
    let body = validate::check(item, resource.create, Unknown::Refuse, Dialect::Portal)
        .map_err(|mistakes| in_words(&Problem::invalid(mistakes)))?;
    let ids = ancestry(world, parent)?;
    let mut call = Call::internal(world, ids, body, origin);
    (resource.before_create)(&mut call).map_err(|problem| in_words(&problem))?;
    let body = std::mem::take(&mut call.body);
    world.insert_with_id(id, resource.kind, parent, body, origin.at);
    let row = world.find(resource.kind, id).ok_or("the object vanished")?;
    Ok((resource.listing.view)(world, row))
}

fn may_begin(registration: &Map<String, Value>) -> bool {
    let status = registration.get("status");
    status.is_none_or(|status| status == "approved" || status == "pending")
}

/// Changes what was made, by the rules of a change, and shows it.
fn update(
    world: &mut World,
    resource: &'static Resource,
    id: Uuid,
    change: &Value,
    origin: &Origin,
) -> Outcome {
    let change = change.as_object().cloned().unwrap_or_default();
    let change = validate::check(&change, resource.update, Unknown::Refuse, Dialect::Portal)
        .map_err(|mistakes| in_words(&Problem::invalid(mistakes)))?;
    world.update(id, change, origin.at);
    let row = world.find(resource.kind, id).ok_or("the object vanished")?;
    Ok((resource.listing.view)(world, row))
}

fn in_words(problem: &Problem) -> String {
    problem.to_json(Dialect::Portal).to_string()
}

/// Lists a parent with those above it, as a path would.
fn ancestry(world: &World, parent: Option<Uuid>) -> Result<Vec<Uuid>, String> {
    let Some(parent) = parent else {
        return Ok(Vec::new());
    };
    let kinds = [Kind::Portal, Kind::Application];
    let row = kinds.iter().find_map(|kind| world.find(*kind, parent));
    let row = row.ok_or_else(|| format!("{parent} does not exist"))?;
    Ok(row.parent.into_iter().chain([parent]).collect())
}

fn take_id(item: &mut Map<String, Value>, name: &str) -> Result<Option<Uuid>, String> {
    match item.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let id = value.as_str().and_then(|text| Uuid::try_parse(text).ok());
            id.map(Some).ok_or_else(|| format!("{name} is no UUID"))
        }
    }
}

/// Finds a team of a portal by id or by name.
fn find_team(world: &World, portal: Option<Uuid>, wanted: &str) -> Result<Uuid, String> {
    world
        .children(Kind::Team, portal)
        .find(|team| team.text("name") == wanted || team.id.to_string() == wanted)
        .map(|team| team.id)
        .ok_or_else(|| format!("team {wanted} does not exist"))
}

/// Makes `count` developers alike: `{n}` in their members is the number of each, from 0 on. Shows
/// how many were made.
fn plant_crowd(
    world: &mut World,
    portal: Option<Uuid>,
    mut item: Map<String, Value>,
    origin: &Origin,
) -> Outcome {
    let count = item.remove("count").as_ref().and_then(Value::as_u64);
    let count = count.ok_or("count is missing or no number")?;
    if count > MAX_CROWD {
        return Err(format!("count is over {MAX_CROWD}"));
    }
    item.entry("email")
        .or_insert_with(|| json!("developer{n}@example.com"));
    item.entry("full_name")
        .or_insert_with(|| json!("Developer {n}"));
    for n in 0..count {
        let n = n.to_string();
        let numbered = |value: &Value| match value {
            Value::String(text) => Value::String(text.replace("{n}", &n)),
            other => other.clone(),
        };
        let members = item
            .iter()
            .map(|(name, value)| (name.clone(), numbered(value)));
        let one: Map<String, Value> = members.collect();
        create(world, &DEVELOPER, new_id(), portal, &one, origin)
            .map_err(|error| format!("developer {n}: {error}"))?;
    }
    Ok(json!({ "portal_id": portal, "count": count }))
}

/// Makes an API and publishes it: `portal_id` or `portals` says where, `visibility` and
/// `auto_approve_registrations` how. Nothing else of it is checked, so that a world can hold names
/// that Konnect would refuse today.
fn plant_api(
    world: &mut World,
    id: Uuid,
    mut item: Map<String, Value>,
    origin: &Origin,
) -> Outcome {
    let name = item
        .get("name")
        .and_then(Value::as_str)
        .ok_or("name is missing")?
        .to_owned();
    if let Some(portal) = take_id(&mut item, "portal_id")? {
        item.insert("portals".to_owned(), json!([portal]));
    }
    let slug = name
        .to_lowercase()
        .replace(|letter: char| !letter.is_alphanumeric(), "-");
    let defaults = [
        ("portals", json!([])),
        ("version", Value::Null),
        ("description", Value::Null),
        ("visibility", json!("private")),
        ("slug", json!(slug)),
        ("auto_approve_registrations", json!(false)),
    ];
    for (member, value) in defaults {
        item.entry(member.to_owned()).or_insert(value);
    }
    let mut shown = item.clone();
    shown.insert("id".to_owned(), json!(id));
    let portals = take_portals(world, &mut item)?;
    let settings: Map<String, Value> = ["visibility", "auto_approve_registrations"]
        .into_iter()
        .filter_map(|member| item.remove_entry(member))
        .collect();
    for member in ["labels", "attributes"] {
        item.entry(member.to_owned()).or_insert(json!({}));
    }
    world.insert_with_id(id, Kind::Api, None, item, origin.at);
    for portal in portals {
        let mut call = Call::internal(world, vec![id, portal], settings.clone(), origin);
        api_publications::publish(&mut call)
            .map_err(|problem| problem.to_json(Dialect::Portal).to_string())?;
    }
    Ok(Value::Object(shown))
}

/// Takes the portals that an API is to be published in.
fn take_portals(world: &World, item: &mut Map<String, Value>) -> Result<Vec<Uuid>, String> {
    let portals = item.remove("portals").unwrap_or_default();
    let portals = portals.as_array().ok_or("portals is no list")?;
    let find = |portal: &Value| {
        let id = portal.as_str().and_then(|text| Uuid::try_parse(text).ok());
        id.filter(|id| world.find(Kind::Portal, *id).is_some())
            .ok_or_else(|| format!("portal {portal} does not exist"))
    };
    portals.iter().map(find).collect()
}

/// Binds a destination: `portal_id` is absent for the organisation's webhook.
fn plant_webhook(world: &mut World, mut item: Map<String, Value>, origin: &Origin) -> Outcome {
    let portal = take_id(&mut item, "portal_id")?;
    let ids = ancestry(world, portal)?;
    let mut call = Call::internal(world, ids, item, origin);
    audit_log_webhooks::update(&mut call)
        .map_err(|problem| problem.to_json(Dialect::Plain).to_string())
}
