//! What a dialog can do, with SIPp on the other side: its scenarios in `peers` check every header that matters.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tests::ports::Ports;
use tokio::net::UdpSocket;

use super::{
    bridge::{House, NUMBER, root},
    peers::Sipp,
    program::Program,
};

/// The number that the meeting dials.
const CALLEE: &str = "+493023125043";
/// What the scenarios add to SIPp's media port.
const MEDIA_OFFSET: u16 = 8;

/// SIPp with one scenario, and what arrives at its second media port.
struct Carrier {
    program: Program,
    heard: Arc<AtomicUsize>,
    sip: u16,
    _ports: Ports,
}

impl Carrier {
    /// Starts SIPp; with `bridge` it calls, otherwise it waits to be called.
    async fn start(folder: &Path, scenario: &str, bridge: Option<SocketAddr>) -> Self {
        let mut ports = Ports::take(20);
        let (sip, media) = (ports.one(), ports.media(16));
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let rtp = UdpSocket::bind(at(media + MEDIA_OFFSET)).await.expect("the RTP port");
        let heard = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&heard);
        tokio::spawn(async move {
            while rtp.recv(&mut [0; 2048]).await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let file = root().join("tests/interop/peers").join(scenario).display().to_string();
        let (own, media, target) = (sip.to_string(), media.to_string(), bridge.map(|to| to.to_string()));
        let mut command = vec!["sipp", "-sf", &file, "-i", "127.0.0.1", "-p", &own, "-mp", &media, "-m", "1"];
        command.extend(["-timeout", "60", "-nostdin", "-trace_err", "-error_file", "errors.log"]);
        command.extend(["-trace_msg", "-message_file", "messages.log", "-s", NUMBER]);
        command.extend(target.as_deref());
        let program = Program::start(&command, folder, "sipp.log");
        if bridge.is_none() {
            // It has its port when nobody else gets it.
            while UdpSocket::bind(at(sip)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Self { program, heard, sip, _ports: ports }
    }

    /// Waits until the scenario is over; everything must have gone as it says.
    async fn finished(mut self, house: &House) -> usize {
        let status = self.program.ended(Duration::from_mins(1)).await;
        let log = self.program.log();
        assert!(
            status.is_some_and(|status| status.success()),
            "SIPp ended with {status:?}:\n{log}\n{}",
            house.log()
        );
        self.heard.load(Ordering::Relaxed)
    }
}

/// A bridge whose operator is this carrier, with a meeting that has dialed out to it.
async fn dialed(carrier: &Carrier) -> (House, super::bridge::Bridge, server::demo::caller::Call) {
    let peer = format!("peers = [{{ address = \"127.0.0.1:{}\", transport = \"udp\" }}] # [", carrier.sip);
    let (house, _) = House::new(&[("peers = [", &peer)]).await;
    let bridge = house.start().await;
    let call = house.join("+493023125001").await;
    house.until_seated(1).await;
    let (status, answer) = house.dial_out(CALLEE).await;
    assert_eq!(status, 202, "{answer}\n{}", house.log());
    (house, bridge, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_is_called_with_422_reliable_183_early_update_bare_200_refreshes_and_hold() {
    if !Sipp::is_here() {
        return;
    }
    let carrier = Carrier::start(&super::folder("callee"), "callee.xml", None).await;
    let (house, _bridge, call) = dialed(&carrier).await;
    let heard = carrier.finished(&house).await;
    assert!(heard > 400, "{heard} packets at the address of the early UPDATE in 10 s");
    house.until_seated(1).await;
    let _ = call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_that_promises_to_refresh_and_forgets_gets_a_bye_that_says_why() {
    if !Sipp::is_here() {
        return;
    }
    let carrier = Carrier::start(&super::folder("forgetful"), "forgetful.xml", None).await;
    let (house, _bridge, call) = dialed(&carrier).await;
    carrier.finished(&house).await;
    house
        .until("the record says why", async || {
            house.records("final").iter().any(|record| record["end"]["q850"] == 102)
        })
        .await;
    let _ = call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_that_knows_no_call_any_more_when_the_bridge_refreshes_it_is_believed_and_the_meeting_goes_on() {
    if !Sipp::is_here() {
        return;
    }
    let carrier = Carrier::start(&super::folder("restarted"), "restarted.xml", None).await;
    let (house, _bridge, call) = dialed(&carrier).await;
    carrier.finished(&house).await;
    house
        .until("the record says why", async || {
            house.records("final").iter().any(|record| {
                let end = &record["end"];
                (end["cause"].as_str(), end["sip_status"].as_u64()) == (Some("dialog gone"), Some(481))
            })
        })
        .await;
    house.until_seated(1).await;
    let _ = call.hang_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_calls_with_422_prack_refresh_hold_in_each_form_and_a_late_offer() {
    if !Sipp::is_here() {
        return;
    }
    let (house, _) = House::new(&[]).await;
    let _bridge = house.start().await;
    let carrier = Carrier::start(&super::folder("caller"), "caller.xml", Some(house.sip)).await;
    let heard = carrier.finished(&house).await;
    assert!(heard > 60, "{heard} packets at the address of the late answer in 2 s");
    house.until_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_refers_its_call_to_another_telephone_which_hears_the_bridge_then() {
    if !Sipp::is_here() {
        return;
    }
    let flag = ("send_sip_options = false", "send_sip_options = false\naccept_refer = true");
    let (house, mut doorbell) = House::new(&[flag]).await;
    let _bridge = house.start().await;
    let carrier = Carrier::start(&super::folder("referring"), "referring.xml", Some(house.sip)).await;
    let ringing = doorbell.ring().await.expect("the bridge follows the REFER");
    assert_eq!(ringing.called(), "+493023125099");
    let by = ringing.request().headers().get("Referred-By").unwrap_or_default().to_owned();
    assert!(by.ends_with(";x-m=1>"), "{by}");
    let call = ringing.answer().await.expect("the new telephone answers");
    assert!(
        call.media().hears(Duration::from_secs(1), Duration::from_secs(10)).await,
        "the attendant goes on"
    );
    carrier.finished(&house).await;
    let _ = call.hang_up().await;
    house.until("one leg, one record", async || house.records("final").len() == 1).await;
}
