//! A call into the meeting and one out of it, both through Kamailio, and what the two telephones heard of each other.

use std::time::Duration;

use super::bridge::{CONFERENCE, House, NUMBER};
use super::conference::judge;
use super::peers::{Phone, Sbc};

/// The number that the meeting dials; the SBC leads it to the callee.
pub(crate) const CALLEE: &str = "+493023125042";

/// The caller comes in through the SBC, the meeting calls the callee through it, and they talk until each has heard the other.
/// Then both hang up, and each call has its usage record.
pub(crate) async fn call_both_ways(house: &House, sbc: &Sbc, mut caller: Phone, mut callee: Phone) {
    caller.dial(&format!("sip:{NUMBER}@127.0.0.1:{}", sbc.carrier_side)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    caller.key(&format!("{CONFERENCE}#")).await;
    house.until_seated(1).await;
    let (status, answer) = house.dial_out(CALLEE).await;
    assert_eq!(status, 202, "{answer}");
    callee.until_event("CALL_ESTABLISHED").await;
    house.until_seated(2).await;
    callee.until_it_hears(&caller.says).await;
    caller.until_it_hears(&callee.says).await;
    callee.hang_up().await;
    callee.until_event("CALL_CLOSED").await;
    house.until_seated(1).await;
    caller.hang_up().await;
    caller.until_event("CALL_CLOSED").await;
    house.until("each leg has one final usage record", async || house.records("final").len() == 2).await;

    let voices = [caller.says.clone(), callee.says.clone()];
    let all =
        |hears: [bool; 2]| [("the caller", &*voices[0], hears[0]), ("the callee", &*voices[1], hears[1])];
    judge("the caller", &caller.finished().await, &all([false, true]));
    judge("the callee", &callee.finished().await, &all([true, false]));
}
