//! Any operations on both ends of an SRTP stream.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| mixer::fuzzing::srtp(data));
