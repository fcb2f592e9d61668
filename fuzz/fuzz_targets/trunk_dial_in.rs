//! What an incoming INVITE says about the called number and the caller.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| trunk::fuzzing::read_dial_in(data));
