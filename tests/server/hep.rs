//! What is exported is read by somebody else: Debian's sngrep as the collector.

use std::fs;
use std::net::UdpSocket;
use std::process::Stdio;
use tests::ports::free_port;
use tests::programs::have;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::bridge::House;
use super::raw::RawCall;

#[tokio::test(flavor = "multi_thread")]
async fn sngrep_receives_the_calls_of_a_bridge_that_exports_them() {
    if !have("sngrep", "sngrep") {
        return;
    }
    let port = free_port();
    let hep =
        format!("[hep]\nto = \"udp://127.0.0.1:{port}\"\ncapture_id = 2001\npassword = \"pw\"\n\n[usage]");
    let (house, _doorbell) = House::new(&[("[usage]", &hep)]).await;
    let listen = format!("udp:127.0.0.1:{port}");
    let mut sngrep = tokio::process::Command::new("sngrep")
        .args(["-F", "-N", "-q", "-L", &listen, "-O", "seen.pcap"])
        .current_dir(house.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("sngrep");
    house.until("sngrep listens", async || UdpSocket::bind(("127.0.0.1", port)).is_err()).await;
    let _bridge = house.start().await;
    let more = "Authorization: Digest username=\"bob\", response=\"0123456789abcdef\"\r\n";
    let call = RawCall::dial(house.sip, "exported", "+493023125001", more).await;
    assert_eq!(call.hang_up().await, 200);
    house.until("all is sent", async || house.count("partyline_hep_sent_total").await == 6).await;
    assert_eq!(house.count("partyline_hep_dropped_total").await, 0);
    let seen = || {
        let bytes = fs::read(house.path("seen.pcap")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    house.until("sngrep has written all", async || seen().matches("SIP/2.0 200").count() == 2).await;
    kill(Pid::from_raw(sngrep.id().expect("it runs").cast_signed()), Signal::SIGTERM).expect("a signal");
    let _ = sngrep.wait().await;
    let said = seen();
    for line in ["INVITE sip:", "SIP/2.0 100", "SIP/2.0 200", "ACK sip:", "BYE sip:", "Call-ID: exported"] {
        assert!(said.contains(line), "{line} is missing: {said}");
    }
    assert!(!said.contains("0123456789abcdef"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_nobody_is_at_costs_nothing() {
    let hep = "[hep]\nto = \"udp://127.0.0.1:9\"\n\n[usage]";
    let (house, _doorbell) = House::new(&[("[usage]", hep)]).await;
    let _bridge = house.start().await;
    for n in 0..3 {
        let call = RawCall::dial(house.sip, &format!("call{n}"), "+493023125001", "").await;
        assert_eq!(call.hang_up().await, 200);
    }
}
