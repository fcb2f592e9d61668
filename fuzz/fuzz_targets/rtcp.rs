//! Any bytes as an RTCP packet.
#![no_main]
/// Aborts on an allocation where the body promises none.
#[global_allocator]
static ALLOCATOR: mixer::guard::GuardedAllocator = mixer::guard::GuardedAllocator;
libfuzzer_sys::fuzz_target!(|data: &[u8]| mixer::fuzzing::rtcp(data));
