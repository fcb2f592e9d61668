//! Packets and ticks in any order through the jitter buffer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| mixer::fuzzing::jitter_ops(data));
