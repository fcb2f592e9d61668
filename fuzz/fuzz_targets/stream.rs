//! Any bytes in any pieces on a TCP connection.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sip::fuzzing::stream_framing(data));
