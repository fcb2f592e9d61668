//! The report's own programs hold together: the floor answers every leg of every room, and the fleet that judges it finds
//! nobody who hears himself. Nothing here depends on speed; what things cost is `./x bench`.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::time::Duration;

use server::load::fleet::{Fleet, FleetConfig, FleetLeg, FleetRoom};

const PORT: u16 = 20_000;

#[test]
fn the_floor_answers_everyone_and_the_fleet_can_tell_whom_they_hear() {
    // A loopback address of this process's own: no port can be taken.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = |net| IpAddr::from(Ipv4Addr::new(127, net, high, low.max(1)));
    let (bridge, callers) = (address(31), address(32));
    let mut floor = Command::new(env!("CARGO_BIN_EXE_floor"))
        .args(["--rooms", "2", "--legs", "3"])
        .args(["--address", &bridge.to_string(), "--port", &PORT.to_string()])
        .args(["--peer-address", &callers.to_string(), "--peer-port", &PORT.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the floor starts");
    let mut said = BufReader::new(floor.stdout.take().expect("a pipe")).lines();
    assert_eq!(said.next().expect("a line").expect("text"), "ready");
    let leg = |number: u16| {
        let leg = FleetLeg::bind((callers, PORT + number).into()).expect("a port of our own");
        leg.toward((bridge, PORT + number).into()).expect("loopback")
    };
    let room = |first: u16| FleetRoom { legs: (first..first + 3).map(leg).collect(), probe: false };
    let config = FleetConfig {
        mixed: 0,
        warm_up: Duration::from_millis(500),
        seconds: Duration::from_millis(1500),
        ..FleetConfig::new(vec![room(0), room(3)])
    };
    let report = Fleet::new(config).expect("a fleet").run().expect("a report");
    drop(floor.stdin.take());
    let told = said.next().expect("a line at the end").expect("text");
    floor.wait().expect("the floor ends with its standard input");
    assert_eq!((report.legs, report.mix.deaf_legs), (6, 0), "{:?}", report.mix);
    assert!(report.mix.windows > 0);
    let himself = report.mix.faults.iter().filter(|fault| fault.why.contains("itself")).count();
    assert_eq!(himself, 0, "{:?}", report.mix.faults);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert!(told["ticks"].as_u64().is_some_and(|ticks| ticks > 0), "{told}");
}
