//! The mixer from outside, on virtual time: shards, phones made of packets, and the allocation guard armed throughout.

mod apart;
mod canary;
mod codecs;
mod concealment;
mod echo;
mod guarded;
mod jitter;
mod loudness;
mod media;
mod mix;
mod moving;
mod onset;
mod phone;
mod rates;
mod scenarios;
mod silence;
mod speech;
mod srtp;
mod tap;
mod telephone_events;

#[global_allocator]
static ALLOCATOR: mixer::guard::GuardedAllocator = mixer::guard::GuardedAllocator;
