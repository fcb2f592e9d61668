//! The endpoint under a virtual clock: pairs of endpoints over a lossy link, and hand-written peers.

mod auth;
mod called;
mod calling;
mod calls;
mod large;
mod lossy;
mod midcall;
mod pair;
mod peer;
mod prack;
mod refer;
mod refusals;
mod register;
mod replaces;
mod session_timer;
mod timers;
mod update;
