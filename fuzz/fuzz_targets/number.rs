//! Any bytes as a dialed number.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| routing::fuzzing::number(data));
