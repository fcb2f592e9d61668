//! Messages, timeouts and commands in any order.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| sip::fuzzing_engine::transaction_ops(data));
