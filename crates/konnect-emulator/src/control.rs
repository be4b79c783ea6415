//! The emulator's own interface below `/emulator`: everything a test or a demonstration needs to
//! set up and look at. It needs no token and is no part of Konnect.

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{Shared, answer::Answer, faults::Fault, gateway::Incoming};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    offset_seconds: i64,
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
        ("POST", "clock") => set_clock(shared, incoming),
        ("POST", "entries") => inject(shared, incoming),
        ("POST", "keys/rotate") => rotate(shared, incoming),
        ("GET", "mailbox") => Ok(Answer::json(
            200,
            &shared.world().accounts.mails(incoming.query.get("email")),
        )),
        _ => Ok(Answer::json(404, &json!({"message": "no such control"}))),
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

fn add_faults(shared: &Shared, incoming: &Incoming) -> Reply {
    let body: Value = read(incoming)?;
    // One fault may stand alone; an untagged enum would hide which member is unknown.
    let faults: Vec<Fault> = if body.is_array() {
        serde_json::from_value(body).map_err(|error| error.to_string())?
    } else {
        vec![serde_json::from_value(body).map_err(|error| error.to_string())?]
    };
    let mut all = shared.faults();
    all.add(faults);
    Ok(Answer::json(200, &all.all()))
}

fn set_delivery(shared: &Shared, incoming: &Incoming) -> Reply {
    let change: Map<String, Value> = read(incoming)?;
    let mut world = shared.world();
    world.audit.settings = world.audit.settings.merged(&change)?;
    Ok(Answer::json(200, &world.audit.settings))
}

fn set_clock(shared: &Shared, incoming: &Incoming) -> Reply {
    let body: ClockBody = read(incoming)?;
    shared.clock.set_offset(body.offset_seconds);
    Ok(Answer::json(
        200,
        &json!({"now": crate::clock::timestamp(shared.clock.now())}),
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
