//! Shared pieces of the simulation and of the tests against real peers.
