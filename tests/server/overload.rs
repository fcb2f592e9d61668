//! The media threads have too much to do, or do not get the processor: new legs are refused, running ones stay, and it ends by
//! itself.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use server::demo::caller::CallError;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::bridge::{House, NUMBER, binary};

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

/// One media thread, which is to be busy for 5 % of the time at most; it takes Opus from 127.0.0.2, and there are four more
/// meetings.
const NARROW: [(&str, &str); 3] = [
    ("max_late_milliseconds = 10000", "max_late_milliseconds = 10000\nshards = 1\nmax_load = 0.05"),
    (
        "sources = [\"127.0.0.1/32\"]",
        "sources = [\"127.0.0.1/32\", \"127.0.0.2/32\"]\ncodecs = [\"opus\", \"pcma\"]",
    ),
    (
        "[[meeting]]",
        r#"[[meeting]]
conference_id = "205117394"
organizer = "greta"
[[meeting]]
conference_id = "300000003"
organizer = "greta"
[[meeting]]
conference_id = "300000004"
organizer = "greta"
[[meeting]]
conference_id = "300000005"
organizer = "greta"
[[meeting]]"#,
    ),
];

/// Sixteen who all talk, each with an encoder of his own: far more than a twentieth of any processor's time. They call before the
/// first of them is measured, and hang up after eight seconds.
fn crowd(house: &House) -> Child {
    Command::new(binary())
        .args(["load", "--to", &format!("sip:{NUMBER}@{}", house.sip), "--bind", "127.0.0.2"])
        .args(["--legs", "16", "--rooms", "4"])
        .args(["--conference-ids", "205117394,300000003,300000004,300000005"])
        .args(["--codec", "opus", "--talk", "all", "--spurt", "0", "--rate", "1000", "--seconds", "8"])
        .args(["--key-after", "0.3"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("partyline load")
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_media_thread_is_busy_callers_are_told_when_to_come_back_and_running_calls_notice_nothing()
{
    let (house, _doorbell) = House::new(&NARROW).await;
    let _bridge = house.start().await;
    let alice = house.join("+493023125101").await;
    let bob = house.join("+493023125102").await;
    house.until_seated(2).await;
    let mut crowd = crowd(&house);
    let refused = "partyline_legs_refused_total{direction=\"in\",reason=\"load\"}";
    house.until("no new legs are taken", async || house.log().contains("takes no new legs")).await;
    house
        .until("a call is refused because the thread is busy", async || {
            match house.exchange.dial("+493023125103", "Somebody", NUMBER).await {
                Ok(call) => {
                    call.hang_up().await.expect("an answer to BYE");
                    return false;
                }
                Err(CallError::Failed(failure)) => {
                    assert_eq!(failure.status, 503, "{failure:?}");
                    assert!(
                        failure.retry_after.is_some_and(|seconds| (5..=10).contains(&seconds)),
                        "{failure:?}"
                    );
                }
                Err(other) => panic!("{other}"),
            }
            house.count(refused).await > 0
        })
        .await;
    let text = house.log();
    assert!(text.contains("call turned away") && text.contains("are busy for more than 5 % of"), "{text}");
    assert!(house.metric("partyline_load_ratio{shard=\"0\"}").await > 0.04);
    let before = bob.media().meter().sounding;
    // Three times as long as must be heard: what else this machine does may not decide.
    alice.media().say((0..24_000).map(|n| if n / 10 % 2 == 0 { 9_000 } else { -9_000 }).collect()).await;
    assert!(bob.media().hears(before + Duration::from_millis(900), Duration::from_secs(5)).await);
    let ended = crowd.wait().await.expect("the crowd goes home");
    assert_ne!(ended.code(), Some(2), "it was there");
    house.until("calls are taken again", async || house.log().contains("takes new legs again")).await;
    let late = house.join("+493023125104").await;
    house.until_seated(3).await;
    for call in [alice, bob, late] {
        let tape = call.hang_up().await.expect("an answer to BYE");
        assert_eq!(tape.heard.tally().lost, 0);
    }
}
