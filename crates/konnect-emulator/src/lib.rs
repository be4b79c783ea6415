//! A local Konnect in one crate. Its types are its own: a wrong model in a client must not find
//! itself confirmed here. Everything lives in memory and on one port.
//!
#![doc = include_str!("../README.md")]

mod answer;
mod audit;
mod call;
mod clock;
mod control;
mod delivery;
mod delivery_faults;
mod emulator;
mod engine;
mod entry;
mod error;
mod faults;
mod fields;
mod forms;
mod gateway;
mod history;
mod id_hasher;
mod in_process;
mod incoming;
mod kind;
mod listener;
mod named_seeds;
mod operation;
mod order;
mod portal_api;
mod problem;
mod query;
mod read;
mod replay_faults;
mod request_log;
mod resource;
mod resources;
mod routes;
mod row;
mod rule;
mod seed;
mod senders;
mod settings;
mod signing;
mod singleton;
mod snapshot;
mod sorting;
mod sso;
mod state;
#[cfg(feature = "tls")]
mod tls;
mod validate;
mod workers;

pub use crate::{
    audit::DeliveryAttempt,
    delivery_faults::DeliveryFault,
    emulator::{Emulator, EmulatorBuilder},
    error::EmulatorError,
    faults::{Fault, RateLimit},
    history::MadeEntry,
    named_seeds::Seed,
    replay_faults::{FailAt, ForeignJob, ReplayFault},
    request_log::{LoggedRequest, RequestFilter},
    rule::Scope,
    settings::{CursorForm, DeliverySettings, PullSettings},
    snapshot::SnapshotInfo,
    sso::{SsoSignIn, SsoSignedIn},
};
