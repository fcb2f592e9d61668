//! Any bytes as a message that two parsers read: what both accept means the same to both.
#![no_main]

#[path = "../../crates/sip/tests/differential/judge.rs"]
#[allow(dead_code, reason = "the ordinary tests count with it")]
mod judge;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let found = judge::differences(data);
    assert!(found.is_empty(), "{found:#?}");
});
