//! Signatures, and what they may cover.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| usher_fuzz::signature(data));
