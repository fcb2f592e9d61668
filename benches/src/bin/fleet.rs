//! Drives a fleet of RTP legs (`server::load::fleet`) whose addresses `./x bench` has agreed on with the bridge under
//! measurement, so that partyline, the floor and the peer get the same packets and the same judge.
//!
//! The order comes as JSON on standard input (see [`Order`]), the report leaves as JSON on standard output. When the first
//! packet has been sent, "playing" is said on standard error.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use server::load::fleet::{Fleet, FleetConfig, FleetLeg, FleetRoom};
use server::load::plan::{Talk, Who};
use server::load::speech::Codec;

/// What to do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Where all legs are bound, one port after another.
    local: IpAddr,
    port: u16,
    /// The bridge's addresses, room by room.
    rooms: Vec<Vec<SocketAddr>>,
    /// So many of the last rooms time the bridge, and nobody talks there.
    probes: usize,
    /// So many talk in each room; all, when it is not said.
    talkers: Option<usize>,
    /// How many talkers the bridge mixes at a time, 0 for all.
    mixed: usize,
    codec: String,
    /// What was agreed for it.
    payload_type: u8,
    warm_up: f64,
    seconds: f64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let order: Order = serde_json::from_reader(io::stdin())?;
    let codec = codec(&order.codec)?;
    let probes_from = order.rooms.len().saturating_sub(order.probes);
    let (mut rooms, mut port) = (Vec::new(), order.port);
    for (room, remotes) in order.rooms.iter().enumerate() {
        let mut legs = Vec::new();
        for remote in remotes {
            let leg = FleetLeg::bind((order.local, port).into())?.toward(*remote)?;
            legs.push(leg.with_payload_type(order.payload_type));
            port += 1;
        }
        rooms.push(FleetRoom { legs, probe: room >= probes_from });
    }
    let fleet = Fleet::new(FleetConfig {
        talk: Talk { who: order.talkers.map_or(Who::All, Who::Talkers), spurt: None },
        codec,
        mixed: order.mixed,
        warm_up: Duration::from_secs_f64(order.warm_up),
        seconds: Duration::from_secs_f64(order.seconds),
        ..FleetConfig::new(rooms)
    })?;
    eprintln!("playing");
    let mut report = serde_json::to_value(fleet.run()?)?;
    // Thousands of legs, one by one, are more than anybody reads.
    report.as_object_mut().and_then(|report| report.remove("each"));
    serde_json::to_writer(io::stdout(), &report)?;
    Ok(())
}

fn codec(name: &str) -> Result<Codec, String> {
    match name {
        "pcmu" => Ok(Codec::Pcmu),
        "pcma" => Ok(Codec::Pcma),
        "g722" => Ok(Codec::G722),
        "opus16" => Ok(Codec::Opus),
        _ => Err(format!("the fleet does not speak {name}")),
    }
}
