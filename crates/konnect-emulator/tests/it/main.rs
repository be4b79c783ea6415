//! Drives the emulator over HTTP as its users do, with a receiver that checks what is delivered.
