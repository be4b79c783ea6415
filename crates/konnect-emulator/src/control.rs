//! The emulator's own interface below `/emulator`: everything a test or a demonstration needs to
//! set up and look at. It needs no token and is no part of Konnect.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    answer::Answer,
    clock::timestamp,
    delivery_faults::DeliveryFault,
    engine::Engine,
    faults::Fault,
    incoming::Incoming,
    named_seeds::Seed,
    replay_faults::{ForeignJob, ReplayFault},
    request_log::{RequestFilter, read_status},
    rule::{Rule, Rules, Scope},
    sso::SsoSignIn,
    state::World,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockBody {
    /// What it shows.
    now: Option<DateTime<Utc>>,
    /// How far from the system's clock.
    offset_seconds: Option<i64>,
    /// How far from where the clock is.
    advance_seconds: Option<i64>,
    /// Whether it stands still.
    frozen: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnapshotBody {
    name: String,
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
pub(crate) fn answer(engine: &Arc<Engine>, incoming: &Incoming, path: &str) -> Answer {
    let reply = match path.split_once('/') {
        Some(("delivery", "faults")) => {
            rules::<DeliveryFault>(engine, incoming, |world| &mut world.audit.delivery_faults)
        }
        Some(("replay", "faults")) => {
            rules::<ReplayFault>(engine, incoming, |world| &mut world.audit.replay_faults)
        }
        Some(("snapshots", rest)) => snapshot(engine, incoming, rest),
        _ => change(engine, incoming, path).unwrap_or_else(|| show(engine, incoming, path)),
    };
    reply.unwrap_or_else(|message| Answer::json(400, &json!({"message": message})))
}

/// Does what a control changes; `None` where it changes nothing.
fn change(engine: &Arc<Engine>, incoming: &Incoming, path: &str) -> Option<Reply> {
    let done = Ok(Answer::empty(204));
    Some(match (incoming.method.as_str(), path) {
        ("POST", "seed") => seed(engine, incoming),
        ("POST", "faults") => add_faults(engine, incoming),
        ("DELETE", "faults") => {
            engine.faults().clear();
            done
        }
        ("DELETE", "requests") => {
            engine.log().clear();
            done
        }
        ("PUT", "delivery") => set_delivery(engine, incoming),
        ("PUT", "pull") => set_pull(engine, incoming),
        ("DELETE", "deliveries") => {
            engine.world().audit.clear_attempts();
            done
        }
        ("POST", "clock") => set_clock(engine, incoming),
        ("POST", "entries") => inject(engine, incoming),
        ("POST", "replay/foreign") => {
            read::<ForeignJob>(incoming).and_then(|job| start_foreign_job(engine, &job))
        }
        ("POST", "sso-sign-ins") => read::<SsoSignIn>(incoming)
            .and_then(|asked| engine.sso_sign_in(&asked))
            .map(|signed_in| Answer::json(200, &signed_in)),
        ("POST", "keys/rotate") => rotate(engine, incoming),
        ("POST", "snapshots") => read::<SnapshotBody>(incoming)
            .and_then(|body| engine.take_snapshot(&body.name))
            .map(|taken| Answer::json(201, &taken)),
        ("DELETE", "snapshots") => {
            engine.snapshots().clear();
            done
        }
        ("POST", path) => seed_by_name(engine, path.strip_prefix("seed/")?),
        _ => return None,
    })
}

fn show(engine: &Engine, incoming: &Incoming, path: &str) -> Reply {
    if incoming.method != "GET" {
        return Ok(no_such_control());
    }
    Ok(match path {
        "faults" => Answer::json(200, &engine.faults().all()),
        "requests" => list_requests(engine, incoming)?,
        "delivery" => Answer::json(200, &engine.world().audit.settings),
        "pull" => Answer::json(200, &engine.world().audit.pull),
        "deliveries" => Answer::json(200, &engine.world().audit.attempts()),
        "identity" => {
            let world = engine.world();
            let identity = json!({"org_id": world.org_id, "principal_id": world.principal_id});
            Answer::json(200, &identity)
        }
        "clock" => show_clock(engine),
        "entries" => list_entries(engine, incoming)?,
        "snapshots" => Answer::json(200, &engine.snapshots().list()),
        "mailbox" => {
            let address = incoming.query.get("email");
            Answer::json(200, &engine.world().accounts.mails(address))
        }
        _ => no_such_control(),
    })
}

fn read<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, String> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| format!("could not read the body: {error}"))
}

fn seed(engine: &Engine, incoming: &Incoming) -> Reply {
    Ok(Answer::json(200, &engine.seed(&read::<Value>(incoming)?)?))
}

fn seed_by_name(engine: &Engine, name: &str) -> Reply {
    let seed = Seed::named(name).ok_or_else(|| {
        let names: Vec<&str> = Seed::names().collect();
        format!("there is no seed {name}: there are {}", names.join(", "))
    })?;
    Ok(Answer::json(200, &engine.seed(seed.as_json())?))
}

/// Restores or drops a snapshot; `rest` is `NAME` or `NAME/restore`.
fn snapshot(engine: &Engine, incoming: &Incoming, rest: &str) -> Reply {
    Ok(match (incoming.method.as_str(), rest.split_once('/')) {
        ("POST", Some((name, "restore"))) => {
            engine.restore(name)?;
            Answer::empty(204)
        }
        ("DELETE", None) if engine.snapshots().drop_one(rest) => Answer::empty(204),
        _ => no_such_control(),
    })
}

/// Lists the journal: of a `method`, a `path` and a `status`.
fn list_requests(engine: &Engine, incoming: &Incoming) -> Reply {
    let query = &incoming.query;
    known_parameters(incoming, &["method", "path", "status"])?;
    let filter = RequestFilter {
        method: query.get("method").map(str::to_owned),
        path: query.get("path").map(str::to_owned),
        status: query.get("status").map(read_status).transpose()?,
    };
    Ok(Answer::json(200, &engine.log().find(&filter)))
}

fn known_parameters(incoming: &Incoming, known: &[&str]) -> Result<(), String> {
    match incoming.query.names().find(|name| !known.contains(name)) {
        Some(name) => Err(format!(
            "`{name}` is no parameter: {} are",
            known.join(", ")
        )),
        None => Ok(()),
    }
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

fn add_faults(engine: &Engine, incoming: &Incoming) -> Reply {
    let faults: Vec<Fault> = read_list(incoming)?;
    faults.iter().try_for_each(Fault::check)?;
    let mut all = engine.faults();
    all.add(faults);
    Ok(Answer::json(200, &all.all()))
}

/// Lists, adds or takes back rules of one kind.
fn rules<R: Rule + Serialize + DeserializeOwned>(
    engine: &Engine,
    incoming: &Incoming,
    of: fn(&mut World) -> &mut Rules<R>,
) -> Reply {
    match incoming.method.as_str() {
        "GET" => Ok(Answer::json(200, &of(&mut engine.world()).all())),
        "POST" => {
            let all = engine.add_rules(of, false, read_list(incoming)?)?;
            Ok(Answer::json(200, &all))
        }
        "DELETE" => {
            of(&mut engine.world()).clear();
            Ok(Answer::empty(204))
        }
        _ => Ok(no_such_control()),
    }
}

fn start_foreign_job(engine: &Engine, job: &ForeignJob) -> Reply {
    Ok(Answer::json(200, &engine.start_foreign_job(job)?))
}

fn no_such_control() -> Answer {
    Answer::json(404, &json!({"message": "no such control"}))
}

fn set_delivery(engine: &Engine, incoming: &Incoming) -> Reply {
    let change: Map<String, Value> = read(incoming)?;
    let mut world = engine.world();
    world.audit.settings = world.audit.settings.merged(&change)?;
    Ok(Answer::json(200, &world.audit.settings))
}

fn set_pull(engine: &Engine, incoming: &Incoming) -> Reply {
    let change: Map<String, Value> = read(incoming)?;
    let mut world = engine.world();
    world.audit.pull = world.audit.pull.merged(&change)?;
    Ok(Answer::json(200, &world.audit.pull))
}

fn set_clock(engine: &Engine, incoming: &Incoming) -> Reply {
    let body: ClockBody = read(incoming)?;
    let clock = &engine.clock;
    if body.frozen == Some(true) {
        clock.freeze();
    }
    match (body.now, body.offset_seconds, body.advance_seconds) {
        (Some(at), None, None) => clock.set(at),
        (None, Some(offset), None) => clock.set_offset(offset),
        (None, None, Some(seconds)) => clock.advance(seconds),
        (None, None, None) if body.frozen.is_some() => {}
        _ => {
            let message = "give one of now, offset_seconds and advance_seconds, or frozen, or both";
            return Err(message.to_owned());
        }
    }
    if body.frozen == Some(false) {
        clock.run();
    }
    Ok(show_clock(engine))
}

fn show_clock(engine: &Engine) -> Answer {
    let now = timestamp(engine.clock.now());
    let frozen = engine.clock.is_frozen();
    Answer::json(200, &json!({"now": now, "frozen": frozen}))
}

/// Lists what was made: of the source `portal`, after the number `after`.
fn list_entries(engine: &Engine, incoming: &Incoming) -> Reply {
    known_parameters(incoming, &["portal", "after"])?;
    let portal: Option<Scope> = incoming.query.get("portal").map(str::parse).transpose()?;
    let after = incoming.query.get("after").map_or(Ok(0), str::parse);
    let after: u64 = after.map_err(|_| "after is the number of an entry".to_owned())?;
    let world = engine.world();
    let history = &world.audit.history;
    Ok(Answer::json(
        200,
        &json!({
            "entries": history.made(portal.map(Scope::portal_id), after),
            "forgotten": history.forgotten(),
        }),
    ))
}

fn inject(engine: &Engine, incoming: &Incoming) -> Reply {
    let body: EntriesBody = read(incoming)?;
    engine.inject(body.portal_id, &body.entries)?;
    Ok(Answer::json(200, &json!({"entries": body.entries.len()})))
}

fn rotate(engine: &Engine, incoming: &Incoming) -> Reply {
    let body: RotateBody = if incoming.body.is_empty() {
        RotateBody::default()
    } else {
        read(incoming)?
    };
    let kid = engine.rotate_keys(body.drop_old);
    Ok(Answer::json(200, &json!({"kid": kid})))
}
