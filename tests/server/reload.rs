//! The trunks are read again while calls are up.

use nix::sys::signal::Signal;
use server::demo::caller::Call;

use super::bridge::{Bridge, House};
use super::raw::{Raw, Request, offer};

/// Changes the file, asks the bridge to read it, and waits for what it says.
pub(crate) async fn reload(house: &House, bridge: &Bridge, from: &str, to: &str, says: &str) {
    let text = std::fs::read_to_string(house.path("partyline.toml")).expect("the configuration");
    assert!(text.contains(from), "{from} is not in the configuration");
    house.write("partyline.toml", &text.replacen(from, to, 1));
    let said = house.log().matches(says).count();
    bridge.signal(Signal::SIGHUP);
    house.until("it says what came of it", async || house.log().matches(says).count() > said).await;
}

/// The status of a new call.
pub(crate) async fn call(house: &House, call_id: &str) -> u16 {
    let body = offer(40_000);
    let raw = Raw::open(house.sip).await;
    raw.status(&Request { method: "INVITE", call_id, body: &body, ..Request::default() }).await
}

/// What it says when it is done.
pub(crate) const DONE: &str = "the trunks are as the file says";
const REFUSED: &str = "the trunks stay as they were";

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_with_enabled_false_is_drained_by_sighup_its_calls_go_on_and_it_comes_back() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    let up: Call = house.join("+493023125001").await;
    house.until_seated(1).await;
    reload(&house, &bridge, "kind = \"operator\"", "kind = \"operator\"\nenabled = false", DONE).await;
    assert_eq!(call(&house, "drained").await, 503);
    assert_eq!(house.seated().await, 1, "who is in stays");
    let (status, said) = house.dial_out("+4930901820").await;
    assert!(
        status == 403 && said["detail"].as_str().is_some_and(|why| why.contains("rhein-telecom is down")),
        "{said}"
    );
    reload(&house, &bridge, "enabled = false", "enabled = true\nmax_concurrent_sessions = 1", DONE).await;
    assert_eq!(house.count("partyline_trunk_channels_max{trunk=\"rhein-telecom\"}").await, 1);
    assert_eq!(call(&house, "full").await, 503, "the call that is up counts");
    up.hang_up().await.expect("an answer to BYE");
    house.until_empty().await;
    assert_eq!(call(&house, "welcome").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_or_needs_a_restart_changes_nothing_and_says_why() {
    let (house, _doorbell) = House::new(&[]).await;
    let bridge = house.start().await;
    reload(&house, &bridge, "send_sip_options = false", "send_sip_options = 5", REFUSED).await;
    assert!(house.log().contains("send_sip_options"), "{}", house.log());
    reload(&house, &bridge, "send_sip_options = 5", "send_sip_options = false", DONE).await;
    reload(&house, &bridge, "id = \"rhein-telecom\"", "id = \"another\"", REFUSED).await;
    assert!(house.log().contains("that needs a restart"), "{}", house.log());
    assert_eq!(call(&house, "still-here").await, 200);
}
