//! Any bytes as an operator's own records.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| server::fuzzing::operator_csv(data));
