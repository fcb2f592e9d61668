//! The real binary from outside: what operators, peers and billing see of it, also when it is killed, drained, starved
//! of disk or configured wrongly.

mod abuse;
mod api;
mod api_access;
mod bridge;
mod capture;
mod crash;
mod ctl;
mod database;
mod delivered;
mod described;
mod dial_in_page;
mod directory;
mod disk;
mod doctor;
mod drain;
#[path = "../interop/ear.rs"]
#[expect(dead_code, reason = "the tests with other telephones use more of it")]
mod ear;
mod echo;
mod events;
mod files;
mod guessing;
mod hep;
mod languages;
mod large;
mod load;
mod lobby;
mod masked;
mod media_address;
mod metrics;
mod microsoft;
mod money;
mod names;
mod overload;
mod pipes;
mod postgres;
mod pstn_gateway;
mod raw;
mod recording;
mod registration;
mod reload;
mod secrecy;
mod secured;
mod siege;
mod stories;
mod strangers;
mod tcp;
mod tls;
mod tls_line;
mod usage;
mod versions;
mod what_if;
