//! The front of the one port: tells control, management and self-service apart, checks credentials,
//! applies faults, keeps the journal, and leaves the organisation's audit entries. What an
//! operation means is the tables' business.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::header,
    response::Response,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    answer::Answer,
    call::Call,
    clock::{new_trace_id, timestamp},
    control,
    engine::Engine,
    entry::{Entry, Origin},
    faults::Fault,
    incoming::Incoming,
    listener::Peer,
    operation::{Operation, Reply},
    portal_api,
    problem::{Dialect, Problem},
    request_log::LoggedRequest,
    resources,
    routes::{self, Route},
    state::Kind,
    workers,
};

/// Answers any request.
pub(crate) async fn handle(
    State(engine): State<Arc<Engine>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request<Body>,
) -> Response {
    let incoming = match Incoming::read(peer, request).await {
        Ok(incoming) => incoming,
        Err(answer) => return answer.into_response(engine.clock.now()),
    };
    if let Some(path) = incoming.path.strip_prefix("/emulator/") {
        let answer = control::answer(&engine, &incoming, path);
        workers::start_work(&engine);
        return answer.into_response(engine.clock.now());
    }
    let now = engine.clock.now();
    let fault = engine.faults().take(&incoming.method, &incoming.path, now);
    if let Some(fault) = &fault {
        tokio::select! {
            () = engine.end.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(fault.latency_ms)) => {}
        }
    }
    let replaces = fault
        .as_ref()
        .is_some_and(|fault| fault.replaces_answer() && !fault.after);
    let mut answer = if replaces {
        Answer::empty(500)
    } else if engine.faults().hides(&incoming.path) {
        Answer::problem(&Problem::not_found(), Dialect::Portal)
    } else {
        answer_api(&engine, &incoming)
    };
    if let Some(fault) = fault {
        answer = spoil(&engine, &incoming, &fault, answer);
    }
    workers::start_work(&engine);
    keep(&engine, incoming, answer.status);
    answer.into_response(engine.clock.now())
}

/// Makes of an answer what its fault asks for.
fn spoil(engine: &Engine, incoming: &Incoming, fault: &Fault, answer: Answer) -> Answer {
    if let Some(id) = answer
        .id()
        .filter(|_| fault.hides() && answer.status == 201)
    {
        engine.faults().hide(fault, &id);
    }
    if !fault.replaces_answer() {
        return answer.spoilt(fault);
    }
    let mut answer = Answer::fault(fault);
    if fault.cut {
        incoming.peer.cut.cut();
        answer.status = 0;
    }
    answer
}

fn keep(engine: &Engine, incoming: Incoming, status: u16) {
    let user_agent = incoming.header(header::USER_AGENT).to_owned();
    let request = LoggedRequest {
        method: incoming.method,
        path: incoming.path,
        query: incoming.raw_query,
        status,
        body: Value::Null,
        user_agent,
        at: timestamp(engine.clock.now()),
    };
    engine.log().push(request, incoming.body);
}

fn answer_api(engine: &Arc<Engine>, incoming: &Incoming) -> Answer {
    match incoming
        .path
        .strip_prefix("/portal/")
        .and_then(|rest| rest.split_once('/'))
    {
        Some((portal, rest)) => answer_portal(engine, incoming, portal, &format!("/{rest}")),
        None => answer_management(engine, incoming),
    }
}

fn answer_management(engine: &Arc<Engine>, incoming: &Incoming) -> Answer {
    let route = routes::find(resources::operations(), &incoming.method, &incoming.path);
    let expected = format!("Bearer {}", engine.token);
    let has_token = incoming.header(header::AUTHORIZATION) == expected;
    let (operation, parameters) = match route {
        Route::Unknown => return Answer::no_route(),
        Route::Found(operation, _) | Route::WrongMethod(operation, _)
            if !has_token && !operation.is_open =>
        {
            return Answer::problem(&Problem::unauthorized(), operation.dialect());
        }
        Route::WrongMethod(operation, methods) => return wrong_method(operation, &methods),
        Route::Found(operation, parameters) => (operation, parameters),
    };
    let mut world = engine.world();
    let origin = origin(engine, incoming, world.org_id);
    let outcome = routes::resolve(&world, None, operation, &parameters)
        .ok_or_else(Problem::not_found)
        .and_then(|ids| {
            let body = read_body(operation, incoming)?;
            let mut call = Call {
                world: &mut world,
                now: origin.at,
                path: &incoming.path,
                host: incoming.header(header::HOST),
                ids,
                parameters: &parameters,
                query: &incoming.query,
                body,
                origin: &origin,
                developer: None,
                session: None,
                cookies: Vec::new(),
            };
            operation.act.run(&mut call)
        });
    let answer = finish(operation, outcome);
    if !operation.is_open {
        let principal = world.principal_id;
        let (name, action) = permission(&incoming.method, operation);
        world.audit.record(
            None,
            Entry::authorization(&origin, name, action, principal),
            origin.at,
        );
        if incoming.method != "GET" {
            let call = (
                incoming.method.as_str(),
                incoming.path.as_str(),
                answer.status,
            );
            let entry = Entry::access(&origin, call, &incoming.query.to_json(), principal);
            world.audit.record(None, entry, origin.at);
        }
    }
    answer
}

fn answer_portal(engine: &Arc<Engine>, incoming: &Incoming, portal: &str, path: &str) -> Answer {
    let route = routes::find(portal_api::OPERATIONS.iter(), &incoming.method, path);
    let (operation, parameters) = match route {
        Route::Unknown => return Answer::no_route(),
        Route::WrongMethod(operation, methods) => return wrong_method(operation, &methods),
        Route::Found(operation, parameters) => (operation, parameters),
    };
    let mut world = engine.world();
    let portal = Uuid::try_parse(portal)
        .ok()
        .filter(|id| world.find(Kind::Portal, *id).is_some());
    let Some(portal) = portal else {
        return Answer::problem(&Problem::not_found(), Dialect::Plain);
    };
    let session = incoming.cookie("portalaccesstoken").map(str::to_owned);
    let developer = session
        .as_deref()
        .and_then(|session| world.accounts.session(session))
        .filter(|id| {
            let row = world.find(Kind::Developer, *id);
            row.is_some_and(|row| row.parent == Some(portal) && row.text("status") == "approved")
        });
    if portal_api::needs_session(operation) && developer.is_none() {
        return Answer::problem(&Problem::unauthorized(), Dialect::Plain);
    }
    let origin = origin(engine, incoming, world.org_id);
    let resolved = routes::resolve(&world, Some(portal), operation, &parameters);
    let Some(ids) = resolved else {
        return Answer::problem(&Problem::not_found(), Dialect::Plain);
    };
    let body = match read_body(operation, incoming) {
        Ok(body) => body,
        Err(problem) => return Answer::problem(&problem, Dialect::Plain),
    };
    let mut call = Call {
        world: &mut world,
        now: origin.at,
        path: &incoming.path,
        host: incoming.header(header::HOST),
        ids,
        parameters: &parameters,
        query: &incoming.query,
        body,
        origin: &origin,
        developer,
        session,
        cookies: Vec::new(),
    };
    let outcome = operation.act.run(&mut call);
    let cookies = std::mem::take(&mut call.cookies);
    cookies
        .into_iter()
        .fold(finish(operation, outcome), |answer, cookie| {
            answer.with_header("set-cookie", cookie)
        })
}

fn wrong_method(operation: &Operation, methods: &[&str]) -> Answer {
    Answer::problem(&Problem::method_not_allowed(), operation.dialect())
        .with_header("allow", methods.join(", "))
}

fn origin(engine: &Engine, incoming: &Incoming, org_id: Uuid) -> Origin {
    Origin {
        at: engine.clock.now(),
        org_id,
        src: incoming.src(),
        user_agent: incoming.header(header::USER_AGENT).to_owned(),
        trace_id: new_trace_id(),
    }
}

fn read_body(operation: &Operation, incoming: &Incoming) -> Result<Map<String, Value>, Problem> {
    if operation.act.body().is_none() {
        return Ok(Map::new());
    }
    operation.check_body(incoming.object()?.as_ref())
}

fn finish(operation: &Operation, outcome: Result<Reply, Problem>) -> Answer {
    let answer = match outcome {
        Ok(Reply::Json(body)) => Answer::json(operation.success, &body),
        Ok(Reply::Created(body)) => Answer::json(201, &body),
        Ok(Reply::Found(place)) => Answer::empty(operation.success).with_header("location", place),
        Ok(Reply::Raw { media_type, body }) => Answer::raw(operation.success, &media_type, body),
        Err(problem) => Answer::problem(&problem, operation.dialect()),
    };
    debug_assert!(
        operation.may_answer(answer.status),
        "{operation:?} may not answer {}",
        answer.status
    );
    answer
}

/// The permission check that a call causes: the resource's first part, and a verb as Konnect's
/// samples show them.
fn permission(method: &str, operation: &Operation) -> (&'static str, &'static str) {
    let name = if operation.path.contains("/audit-log") {
        "Authz.audit-logs"
    } else {
        "Authz.portals"
    };
    let action = match method {
        "GET" if operation.path.ends_with('}') => "retrieve",
        "GET" => "list",
        "POST" => "create",
        "DELETE" => "delete",
        _ => "edit",
    };
    (name, action)
}
