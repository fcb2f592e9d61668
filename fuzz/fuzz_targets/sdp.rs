//! Any bytes as an SDP offer and as an answer.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sip::fuzzing::sdp(data));
