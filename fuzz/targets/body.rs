//! Bodies: inflated, and split into lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| usher_fuzz::body(data));
