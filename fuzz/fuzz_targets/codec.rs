//! Any bytes as payloads of every codec.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| mixer::fuzzing::codec(data));
