//! Any bytes as a routing table, and decisions over it.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| routing::fuzzing::routing_table(data));
