//! The media threads do not get the processor: new legs are refused, running ones stay, and it ends by itself.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::bridge::{House, NUMBER};

#[tokio::test(flavor = "multi_thread")]
async fn while_ticks_are_late_new_legs_are_refused_and_afterwards_taken_again() {
    let changes = [("max_late_milliseconds = 10000", "max_late_milliseconds = 100")];
    let (house, _doorbell) = House::new(&changes).await;
    let bridge = house.start().await;
    let early = house.join("+493023125001").await;
    house.until_seated(1).await;
    // A machine that takes the processor away for 200 ms, again and again.
    house
        .until("a call is refused because ticks are late", async || {
            bridge.signal(Signal::SIGSTOP);
            sleep(Duration::from_millis(200)).await;
            bridge.signal(Signal::SIGCONT);
            if house.log().contains("takes no new legs")
                && let Ok(call) = house.exchange.dial("+493023125003", "Somebody", NUMBER).await
            {
                call.hang_up().await.expect("an answer to BYE");
            }
            house.count("partyline_legs_refused_total{direction=\"in\",reason=\"lateness\"}").await > 0
        })
        .await;
    let text = house.log();
    assert!(text.contains("of the media threads' ticks are over 100 ms late"), "{text}");
    house.until("calls are taken again", async || house.log().contains("takes new legs again")).await;
    let late = house.join("+493023125002").await;
    house.until_seated(2).await;
    assert!(house.metric("partyline_load_ratio{shard=\"0\"}").await > 0.0);
    for call in [early, late] {
        call.hang_up().await.expect("an answer to BYE");
    }
}
