//! The emulator's own interface below `/emulator`: everything a test or a demonstration needs to
//! set up and look at. It needs no token and is no part of Konnect.

use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    Shared,
    answer::Answer,
    delivery_faults::DeliveryFault,
    faults::Fault,
    incoming::Incoming,
    replay_faults::{ForeignJob, ReplayFault},
    rule::{Rule, Rules, Scope},
    state::World,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    /// How far from the system's clock.
    offset_seconds: Option<i64>,
    /// How far from where the clock is.
    advance_seconds: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntriesBody {
    portal_id: Option<Uuid>,
    entries: Vec<Map<String, Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RotateBody {
    /// Takes the older keys out of the published set.
    drop_old: bool,
}

type Reply = Result<Answer, String>;

/// Answers a control request; `path` is what follows `/emulator/`.
pub(crate) fn answer(shared: &Arc<Shared>, incoming: &Incoming, path: &str) -> Answer {
    let reply = match (incoming.method.as_str(), path) {
        ("POST", "seed") => seed(shared, incoming),
        ("POST", "faults") => add_faults(shared, incoming),
        ("GET", "faults") => Ok(Answer::json(200, &shared.faults().all())),
        ("DELETE", "faults") => {
            shared.faults().clear();
            Ok(Answer::empty(204))
        }
        ("GET", "requests") => {
            let found = shared
                .log()
                .find(incoming.query.get("method"), incoming.query.get("path"));
            Ok(Answer::json(200, &found))
        }
        ("DELETE", "requests") => {
            shared.log().clear();
            Ok(Answer::empty(204))
        }
        ("GET", "delivery") => Ok(Answer::json(200, &shared.world().audit.settings)),
        ("PUT", "delivery") => set_delivery(shared, incoming),
        ("GET", "pull") => Ok(Answer::json(200, &shared.world().audit.pull)),
        ("PUT", "pull") => set_pull(shared, incoming),
        ("GET", "deliveries") => Ok(Answer::json(200, &shared.world().audit.attempts())),
        ("DELETE", "deliveries") => {
            shared.world().audit.clear_attempts();
            Ok(Answer::empty(204))
        }
        ("GET", "identity") => {
            let world = shared.world();
            let identity = json!({"org_id": world.org_id, "principal_id": world.principal_id});
            Ok(Answer::json(200, &identity))
        }
        ("GET", "clock") => Ok(show_clock(shared)),
        ("POST", "clock") => set_clock(shared, incoming),
        ("GET", "entries") => list_entries(shared, incoming),
        ("POST", "entries") => inject(shared, incoming),
        ("POST", "replay/foreign") => {
            read::<ForeignJob>(incoming).and_then(|job| start_foreign_job(shared, &job))
        }
        (_, "delivery/faults") => {
            rules::<DeliveryFault>(shared, incoming, |world| &mut world.audit.delivery_faults)
        }
        (_, "replay/faults") => {
            rules::<ReplayFault>(shared, incoming, |world| &mut world.audit.replay_faults)
        }
        ("POST", "keys/rotate") => rotate(shared, incoming),
        ("GET", "mailbox") => Ok(Answer::json(
            200,
            &shared.world().accounts.mails(incoming.query.get("email")),
        )),
        _ => Ok(no_such_control()),
    };
    reply.unwrap_or_else(|message| Answer::json(400, &json!({"message": message})))
}

fn read<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, String> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| format!("could not read the body: {error}"))
}

fn seed(shared: &Shared, incoming: &Incoming) -> Reply {
    Ok(Answer::json(200, &shared.seed(&read::<Value>(incoming)?)?))
}

/// Reads a list, or the one item that stands alone.
fn read_list<T: DeserializeOwned>(incoming: &Incoming) -> Result<Vec<T>, String> {
    let body: Value = read(incoming)?;
    // An untagged enum would hide which member is unknown.
    let list = if body.is_array() {
        serde_json::from_value(body)
    } else {
        serde_json::from_value(body).map(|item| vec![item])
    };
    list.map_err(|error| error.to_string())
}

fn add_faults(shared: &Shared, incoming: &Incoming) -> Reply {
    let faults: Vec<Fault> = read_list(incoming)?;
    let mut all = shared.faults();
    all.add(faults);
    Ok(Answer::json(200, &all.all()))
}

/// Lists, adds or takes back rules of one kind.
fn rules<R: Rule + Serialize + DeserializeOwned>(
    shared: &Shared,
    incoming: &Incoming,
    of: fn(&mut World) -> &mut Rules<R>,
) -> Reply {
    match incoming.method.as_str() {
        "GET" => Ok(Answer::json(200, &of(&mut shared.world()).all())),
        "POST" => {
            let all = shared.add_rules(of, false, read_list(incoming)?)?;
            Ok(Answer::json(200, &all))
        }
        "DELETE" => {
            of(&mut shared.world()).clear();
            Ok(Answer::empty(204))
        }
        _ => Ok(no_such_control()),
    }
}

fn start_foreign_job(shared: &Shared, job: &ForeignJob) -> Reply {
    Ok(Answer::json(200, &shared.start_foreign_job(job)?))
}

fn no_such_control() -> Answer {
    Answer::json(404, &json!({"message": "no such control"}))
}

fn set_delivery(shared: &Shared, incoming: &Incoming) -> Reply {
    let change: Map<String, Value> = read(incoming)?;
    let mut world = shared.world();
    world.audit.settings = world.audit.settings.merged(&change)?;
    Ok(Answer::json(200, &world.audit.settings))
}

fn set_pull(shared: &Shared, incoming: &Incoming) -> Reply {
    let change: Map<String, Value> = read(incoming)?;
    let mut world = shared.world();
    world.audit.pull = world.audit.pull.merged(&change)?;
    Ok(Answer::json(200, &world.audit.pull))
}

fn set_clock(shared: &Shared, incoming: &Incoming) -> Reply {
    let body: ClockBody = read(incoming)?;
    match (body.offset_seconds, body.advance_seconds) {
        (Some(offset), None) => shared.clock.set_offset(offset),
        (None, Some(seconds)) => shared.clock.advance(seconds),
        _ => return Err("give one of offset_seconds and advance_seconds".to_owned()),
    }
    Ok(show_clock(shared))
}

fn show_clock(shared: &Shared) -> Answer {
    let now = crate::clock::timestamp(shared.clock.now());
    Answer::json(200, &json!({ "now": now }))
}

/// Lists what was made: of the source `portal`, after the number `after`.
fn list_entries(shared: &Shared, incoming: &Incoming) -> Reply {
    let unknown = incoming
        .query
        .names()
        .find(|name| !["portal", "after"].contains(name));
    if let Some(name) = unknown {
        return Err(format!("`{name}` is no parameter: portal and after are"));
    }
    let portal: Option<Scope> = incoming.query.get("portal").map(str::parse).transpose()?;
    let after = incoming.query.get("after").map_or(Ok(0), str::parse);
    let after: u64 = after.map_err(|_| "after is the number of an entry".to_owned())?;
    let world = shared.world();
    let history = &world.audit.history;
    Ok(Answer::json(
        200,
        &json!({
            "entries": history.made(portal.map(Scope::portal_id), after),
            "forgotten": history.forgotten(),
        }),
    ))
}

fn inject(shared: &Shared, incoming: &Incoming) -> Reply {
    let body: EntriesBody = read(incoming)?;
    shared.inject(body.portal_id, &body.entries)?;
    Ok(Answer::json(200, &json!({"entries": body.entries.len()})))
}

fn rotate(shared: &Shared, incoming: &Incoming) -> Reply {
    let body: RotateBody = if incoming.body.is_empty() {
        RotateBody::default()
    } else {
        read(incoming)?
    };
    let kid = shared.rotate_keys(body.drop_old);
    Ok(Answer::json(200, &json!({"kid": kid})))
}
