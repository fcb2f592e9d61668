//! The whole bridge in simulation. The tests are sentences of the specification; every one of them ends with
//! [`tests::World::close`], which checks that nothing is left over.

#[global_allocator]
static ALLOCATOR: mixer::guard::GuardedAllocator = mixer::guard::GuardedAllocator;

mod attendant;
mod cast;
mod dial_out;
mod drain;
mod forgers;
mod health;
mod hostile;
mod limits;
mod media;
mod meeting;
mod road;
mod signalling;
mod storm;
