//! The media side of the shell: sockets, ports, and one thread a shard.

pub mod arrival;
pub mod capture;
pub mod door;
pub mod gauges;
pub mod ports;
pub mod realtime;
pub mod sockets;
pub mod thread;

mod system_calls;
