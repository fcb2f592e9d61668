//! The demo's conversation with other people's telephones in it.

use std::time::Duration;

use super::{
    bridge::{CONFERENCE, House, NUMBER, root},
    ear::{HEARD, read_wav, share_heard, share_heard_beside},
    peers::{Phone, Sipp},
};

/// One of the demo's voices.
pub(crate) fn voice(name: &str) -> Vec<f32> {
    read_wav(&root().join(format!("config/demo/voices/{name}.wav")))
}

/// As 16-bit samples.
pub(crate) fn pcm(voice: &[f32]) -> Vec<i16> {
    voice.iter().map(|sample| (sample * 32768.0) as i16).collect()
}

/// Fails unless exactly the voices that `hears` says are in the recording.
pub(crate) fn judge(listener: &str, recording: &[f32], voices: &[(&str, &[f32], bool)]) {
    let announcements = ["welcome", "enter-conference-id", "first-caller", "joining"]
        .map(|stem| read_wav(&root().join(format!("config/prompts/en-US/{stem}.wav"))))
        .concat();
    for (name, voice, hears) in voices {
        let share = if *hears {
            share_heard(voice, recording)
        } else {
            share_heard_beside(&announcements, voice, recording)
        };
        println!("{listener} heard {:3.0} % of {name}", share * 100.0);
        let right = if *hears { share >= HEARD } else { share <= 0.1 };
        assert!(
            right,
            "{listener} heard {share} of {name} and should hear {}",
            if *hears { "all" } else { "none" }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sipp_caller_and_a_baresip_caller_key_the_id_and_are_heard_by_all_but_themselves() {
    if !(Sipp::is_here() && Phone::is_here()) {
        return;
    }
    let folder = super::folder("conference");
    let (house, _) = House::new(&[]).await;
    let bridge = house.start().await;
    let (alice, bob, carrier) = (voice("alice"), voice("bob"), Sipp::voice());
    let keys = format!("{CONFERENCE}#");

    let call = house.call("+493023125001").await;
    assert!(call.media().hears(Duration::from_secs(1), Duration::from_secs(5)).await, "no greeting");
    call.media().key(&keys).await;
    house.until_seated(1).await;

    let mut phone = Phone::start(&folder.join("baresip"), "+493023125002", &bob).await;
    phone.dial(&format!("sip:{NUMBER}@{}", house.sip)).await;
    phone.key(&keys).await;
    house.until_seated(2).await;

    let sipp = Sipp::call(&folder.join("sipp"), house.sip, NUMBER, &keys, Duration::from_secs(2)).await;
    house.until_seated(3).await;
    call.media().say(pcm(&alice).repeat(2).into()).await;
    let heard_by_sipp = sipp.finished().await;

    let tape = call.hang_up().await.expect("Alice hangs up");
    let heard_by_alice = tape.heard.track(tape.started);
    phone.hang_up().await;
    phone.until_event("CALL_CLOSED").await;
    let heard_by_phone = phone.finished().await;
    house.until("each leg has one final usage record", async || house.records("final").len() == 3).await;
    drop(bridge);

    let all = |me: &str| {
        [
            ("Alice", &*alice, me != "Alice"),
            ("baresip", &*bob, me != "baresip"),
            ("SIPp", &*carrier, me != "SIPp"),
        ]
    };
    judge("Alice", &heard_by_alice, &all("Alice"));
    judge("baresip", &heard_by_phone, &all("baresip"));
    judge("SIPp", &heard_by_sipp, &all("SIPp"));
}
