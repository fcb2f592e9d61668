//! The real binary from outside: what operators, peers and billing see of it, also when it is killed, drained, starved
//! of disk or configured wrongly.

mod abuse;
mod api;
mod bridge;
mod capture;
mod crash;
mod ctl;
mod disk;
mod doctor;
mod drain;
mod echo;
mod files;
mod hep;
mod large;
mod load;
mod media_address;
mod metrics;
mod microsoft;
mod money;
mod names;
mod overload;
mod pipes;
mod pstn_gateway;
mod raw;
mod recording;
mod registration;
mod reload;
mod secrecy;
mod secured;
mod siege;
mod strangers;
mod tcp;
mod tls;
mod tls_line;
mod usage;
