//! Any bytes as a trunk's profile.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| trunk::fuzzing::read_profile(data));
