//! Drives the emulator over HTTP as its users do, with a receiver that checks what is delivered.

mod control;
mod delivery;
mod management;
mod replay;
mod self_service;
mod support;
