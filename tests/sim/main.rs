//! The whole bridge in simulation. The tests are sentences of the specification; every one of them ends with
//! [`tests::World::close`], which checks that nothing is left over. A seed tells the same story again; when a scenario
//! fails, its seed and the last messages are printed. `PARTYLINE_STORMS=200 cargo test -p tests --test sim storm` looks
//! for trouble with two hundred further seeds of each kind.

#[global_allocator]
static ALLOCATOR: mixer::guard::GuardedAllocator = mixer::guard::GuardedAllocator;

mod attendant;
mod cast;
mod codecs;
mod dial_out;
mod dialogs;
mod drain;
mod early;
mod echo;
mod forgers;
mod gateway;
mod hand;
mod health;
mod hostile;
mod large;
mod limits;
mod lobby;
mod media;
mod meeting;
mod money;
mod names;
mod recorded;
mod registration;
mod road;
mod siege;
mod signalling;
mod srtp;
mod storm;
mod transfer;
