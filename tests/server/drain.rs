//! SIGTERM: nothing new, what runs ends well; a second one, or the deadline, ends it now.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use server::demo::caller::Call;
use sip::End;

use super::bridge::{House, NUMBER};
use super::raw::{Raw, Request, offer, status};

async fn reason_of(call: &mut Call) -> String {
    match call.ended().await.expect("the bridge hangs up") {
        End::Bye { reason } => reason.expect("a Reason header"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_refuses_what_is_new_lets_what_runs_go_on_and_the_last_leg_closes_the_door() {
    let (house, _doorbell) = House::new(&[]).await;
    let mut bridge = house.start().await;
    let alice = house.join("+493023125001").await;
    let bob = house.join("+493023125002").await;
    house.until_seated(2).await;
    let carol = house.call("+493023125003").await;
    bridge.signal(Signal::SIGTERM);
    house
        .until("/readyz says 503", async || {
            house.get("/readyz").await.is_some_and(|answer| answer.status == 503)
        })
        .await;
    assert_eq!(house.get("/livez").await.map(|answer| answer.status), Some(200));
    let raw = Raw::open(house.sip).await;
    assert_eq!(raw.status(&Request::default()).await, 503);
    let body = offer(40_000);
    let refused =
        raw.ask(&Request { method: "INVITE", call_id: "late", body: &body, ..Request::default() }).await;
    assert_eq!(status(&refused), 503);
    assert!(refused.contains("\r\nRetry-After: "), "{refused}");
    let (status, problem) = house.dial_out("+4930901820").await;
    assert_eq!((status, &problem["status"]), (503, &503.into()), "{problem}");
    assert_eq!(house.count("partyline_draining").await, 1);
    assert_eq!(house.count("partyline_ready").await, 0);

    // Who was answered before may still join, and those in the meeting still hear each other.
    carol.media().key("912308576#").await;
    house.until_seated(3).await;
    bob.media().falls_quiet(Duration::from_millis(300), Duration::from_secs(10)).await;
    let before = bob.media().meter().sounding;
    let tone: Vec<i16> = (0..8000).map(|n| if n / 10 % 2 == 0 { 9000 } else { -9000 }).collect();
    alice.media().say(tone.into()).await;
    let heard = bob.media().hears(before + Duration::from_millis(500), Duration::from_secs(10)).await;
    assert!(heard, "{:?} after {before:?}", bob.media().meter());

    for call in [alice, bob] {
        call.hang_up().await.expect("an answer to BYE");
    }
    assert!(bridge.runs(), "carol is still there");
    carol.hang_up().await.expect("an answer to BYE");
    assert!(bridge.ended().await.success());
    let finals = house.records("final");
    assert_eq!((house.records("start").len(), finals.len()), (3, 3));
    for record in finals {
        assert_eq!(
            (&record["end"]["result"], &record["end"]["ended_by"]),
            (&"answered".into(), &"far-end".into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_ends_every_leg_with_a_reason_and_a_final_record() {
    let (house, mut doorbell) = House::new(&[]).await;
    let mut bridge = house.start().await;
    let mut seated = house.join("+493023125001").await;
    house.until_seated(1).await;
    let mut attended = house.call("+493023125002").await;
    assert_eq!(house.dial_out("+4930901820").await.0, 202);
    let ringing = doorbell.ring().await.expect("the bridge calls");
    ringing.alert();
    bridge.signal(Signal::SIGTERM);
    house
        .until("it drains", async || house.get("/readyz").await.is_some_and(|answer| answer.status == 503))
        .await;
    let began = Instant::now();
    bridge.signal(Signal::SIGTERM);
    for call in [&mut seated, &mut attended] {
        let reason = reason_of(call).await;
        assert!(reason.contains("Q.850") && reason.contains("cause="), "{reason}");
    }
    assert!(bridge.ended().await.success());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let finals = house.records("final");
    assert_eq!((house.records("start").len(), finals.len()), (3, 3));
    assert!(finals.iter().all(|record| record["end"]["ended_by"] == "bridge"), "{finals:?}");
    let canceled = house.exchange.passed().iter().any(|passed| passed.bytes.starts_with(b"CANCEL "));
    assert!(canceled, "the telephone that rings is silenced");
    drop(ringing);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_what_does_not_end_itself() {
    let (house, _doorbell) = House::new(&[("deadline_seconds = 0", "deadline_seconds = 1")]).await;
    let mut bridge = house.start().await;
    let mut call = house.call("+493023125001").await;
    let began = Instant::now();
    bridge.signal(Signal::SIGINT);
    let reason = reason_of(&mut call).await;
    assert!(reason.contains("Q.850"), "{reason}");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(bridge.ended().await.success());
    let finals = house.records("final");
    assert_eq!(finals.len(), 1);
    assert_eq!(finals[0]["end"]["ended_by"], "bridge");
    assert_eq!(finals[0]["service_number"], NUMBER);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_bridge_ends_at_once_and_not_for_sighup() {
    let (house, _doorbell) = House::new(&[]).await;
    let mut bridge = house.start().await;
    bridge.signal(Signal::SIGHUP);
    house
        .until("it says what SIGHUP does not do", async || house.log().contains("read at the start only"))
        .await;
    assert!(bridge.runs());
    let began = Instant::now();
    bridge.signal(Signal::SIGTERM);
    assert!(bridge.ended().await.success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(house.get("/readyz").await.is_none());
}
