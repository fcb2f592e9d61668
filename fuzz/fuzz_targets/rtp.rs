//! Any bytes as an RTP packet.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| mixer::fuzzing::rtp(data));
