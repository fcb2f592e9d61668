//! Any bytes as an RTCP packet.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| mixer::fuzzing::rtcp(data));
