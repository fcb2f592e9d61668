//! Any bytes as a file of rows for the directory, CSV and JSON.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| server::fuzzing::directory_import(data));
