//! Registration at somebody else's registrar: Kamailio's, which sends calls where we say that we are.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::bridge::{CONFERENCE, House, NUMBER};
use super::conference::voice;
use super::peers::{Phone, Sbc};

#[tokio::test(flavor = "multi_thread")]
async fn kamailio_sends_calls_where_the_bridge_is_registered_and_nowhere_once_it_drains() {
    if !(Phone::is_here() && Sbc::is_here()) {
        return;
    }
    let folder = super::folder("kamailio-registrar");
    let options = ["--registrar", "yes"];
    let sbc = Sbc::start_with(&folder.join("kamailio"), "sip:127.0.0.1:9", NUMBER, &options).await;
    let peer = format!(
        "peers = [{{ address = \"127.0.0.1:{}\", transport = \"udp\" }}]\n\
         credentials = {{ username = \"partyline\", password = \"secret\" }}\n\
         register = {{ domain = \"operator.example\", expires_seconds = 60 }} # [",
        sbc.bridge_side
    );
    let (house, _doorbell) = House::new(&[("peers = [", &peer)]).await;
    let mut bridge = house.start().await;
    let registered = "partyline_trunk_registered{trunk=\"rhein-telecom\"}";
    house.until("it is registered", async || house.count(registered).await == 1).await;
    let (own, how_often) = (house.sip.port(), |log: &str| log.matches("REGISTER udp of ").count());
    assert!(
        sbc.log().contains(&format!("by partyline as <sip:partyline@127.0.0.1:{own}> for 60")),
        "{}",
        sbc.log()
    );
    // Kamailio has granted 10 s: it is refreshed before they are over.
    let before = how_often(&sbc.log());
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(how_often(&sbc.log()) > before, "{}", sbc.log());

    let mut caller = Phone::start(&folder.join("caller"), "+493023125001", &voice("alice")).await;
    caller.dial(&format!("sip:{NUMBER}@127.0.0.1:{}", sbc.carrier_side)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    caller.key(&format!("{CONFERENCE}#")).await;
    house.until_seated(1).await;

    bridge.signal(Signal::SIGTERM);
    house.until("it is taken back", async || sbc.log().contains(&format!("127.0.0.1:{own}> for 0"))).await;
    assert_eq!(house.count(registered).await, 0);
    assert_eq!(house.seated().await, 1, "the call goes on");
    caller.hang_up().await;
    caller.until_event("CALL_CLOSED").await;
    assert!(bridge.ended().await.success(), "{}", house.log());
}
