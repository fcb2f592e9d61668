//! A fleet against a perfect bridge, in this process: nothing here depends on who is scheduled when, because that bridge mixes
//! by the packet and not by the clock.

use std::collections::VecDeque;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::fleet::{Fleet, FleetConfig, FleetError, FleetLeg, FleetRoom};
use super::report::Report;
use crate::demo::g711::Law;

/// What the bridge does to a room.
#[derive(Clone, Copy, PartialEq)]
enum Sin {
    None,
    /// Everyone hears himself as well.
    AddSelf,
    /// Everyone hears the first leg only.
    OneTalker,
    /// Every tenth packet is swallowed, and its number with it.
    Lose,
}

/// Every packet of a leg is answered with the sum of the others' next frames.
fn bridge(sockets: Vec<UdpSocket>, sin: Sin, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let legs = sockets.len();
        let mut waiting = vec![vec![VecDeque::<[i16; 160]>::new(); legs]; legs];
        let mut buffer = [0; 2048];
        let mut sequence = vec![0_u16; legs];
        while !stop.load(Ordering::Relaxed) {
            let mut idle = true;
            for me in 0..legs {
                let Ok((length, from)) = sockets[me].recv_from(&mut buffer) else { continue };
                idle = false;
                let frame: [i16; 160] = std::array::from_fn(|n| Law::Mu.decode(buffer[12 + n]));
                assert_eq!(length, 172);
                (0..legs).for_each(|other| waiting[other][me].push_back(frame));
                let mut sum = [0_i32; 160];
                for (other, queue) in waiting[me].iter_mut().enumerate() {
                    let Some(frame) = queue.pop_front() else { continue };
                    let heard = match sin {
                        Sin::AddSelf => true,
                        Sin::OneTalker => other == 0 && me != 0,
                        Sin::None | Sin::Lose => other != me,
                    };
                    if heard {
                        sum.iter_mut().zip(frame).for_each(|(sum, sample)| *sum += i32::from(sample));
                    }
                }
                sequence[me] = sequence[me].wrapping_add(1);
                if sin == Sin::Lose && sequence[me].is_multiple_of(10) {
                    continue;
                }
                let mut packet = vec![0x80, 0];
                packet.extend(sequence[me].to_be_bytes());
                packet.extend((u32::from(sequence[me]) * 160).to_be_bytes());
                packet.extend((me as u32).to_be_bytes());
                packet.extend(sum.map(|sample| Law::Mu.encode(sample.clamp(-32_768, 32_767) as i16)));
                let _ = sockets[me].send_to(&packet, from);
            }
            if idle {
                thread::yield_now();
            }
        }
    })
}

/// Rooms of so many legs through that bridge; the last room is a probe where asked for.
fn run(rooms: &[usize], probe: bool, sin: Sin) -> Report {
    let stop = Arc::new(AtomicBool::new(false));
    let mut bridges = Vec::new();
    let mut fleet = Vec::new();
    for (number, &legs) in rooms.iter().enumerate() {
        let bind = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let sockets: Vec<UdpSocket> = (0..legs).map(bind).collect();
        let leg = |socket: &UdpSocket| {
            let leg = FleetLeg::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            leg.toward(socket.local_addr().unwrap()).unwrap()
        };
        let legs = sockets.iter().map(leg).collect();
        fleet.push(FleetRoom { legs, probe: probe && number + 1 == rooms.len() });
        bridges.push(bridge(sockets, sin, Arc::clone(&stop)));
    }
    let config = FleetConfig {
        warm_up: Duration::from_millis(900),
        seconds: Duration::from_millis(1600),
        mixed: 0,
        server_pid: Some(std::process::id()),
        ..FleetConfig::new(fleet)
    };
    let report = Fleet::new(config).unwrap().run().unwrap();
    stop.store(true, Ordering::Relaxed);
    for bridge in bridges {
        bridge.join().unwrap();
    }
    report
}

#[test]
fn a_right_mix_is_right_for_every_leg_and_impulses_are_timed() {
    let report = run(&[3, 4, 3], true, Sin::None);
    assert!(report.mix.right, "{:?}", report.mix);
    assert_eq!((report.legs, report.rooms), (10, 3));
    assert_eq!((report.mix.fewest, report.mix.most), (2, 3));
    assert!(report.mix.windows >= 7, "{:?}", report.mix);
    assert!(report.packets.received > 0 && report.packets.lost == 0, "{:?}", report.packets);
    assert!(report.delay_ms.count > 0 && report.delay_ms.p50 > 0.0, "{:?}", report.delay_ms);
    assert!(report.deviation_ms.count > 0 && !report.histograms.deviation.is_empty());
    assert!(report.server.is_some_and(|server| server.rss_kib_after > 0 && !server.cpu_percent.is_empty()));
    assert!(report.each.iter().all(|leg| leg.packets.sent > 0 && leg.packets.received > 0));
}

#[test]
fn whoever_hears_himself_is_noticed() {
    let report = run(&[3], false, Sin::AddSelf);
    assert!(!report.mix.right);
    assert_eq!(report.mix.wrong_legs, 3);
    assert!(report.mix.faults.iter().all(|fault| fault.why.contains("hears itself")), "{:?}", report.mix);
}

#[test]
fn whoever_is_not_heard_is_noticed() {
    let report = run(&[4], false, Sin::OneTalker);
    assert!(!report.mix.right && report.mix.fewest <= 1, "{:?}", report.mix);
}

#[test]
fn lost_packets_are_counted() {
    let report = run(&[3], false, Sin::Lose);
    let (lost, all) = (report.packets.lost, report.packets.received + report.packets.lost);
    // One in ten, give or take the first and the last.
    assert!(lost > 0 && lost.abs_diff(all / 10) <= 6, "{lost} of {all}");
}

#[test]
fn rooms_without_legs_and_strangers_processes_are_refused() {
    let empty = FleetConfig::new(vec![FleetRoom { legs: Vec::new(), probe: false }]);
    assert!(matches!(Fleet::new(empty), Err(FleetError::Empty(0))));
    let leg = FleetLeg::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let leg = leg.toward("127.0.0.1:9".parse().unwrap()).unwrap();
    let rooms = vec![FleetRoom { legs: vec![leg], probe: false }];
    let config =
        FleetConfig { server_pid: Some(u32::MAX), warm_up: Duration::ZERO, ..FleetConfig::new(rooms) };
    let refused = Fleet::new(config).unwrap().run().unwrap_err();
    assert!(refused.to_string().contains("does it still run"), "{refused}");
}
