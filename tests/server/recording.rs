//! A meeting is recorded: the file says what was said, when it was said; and on a full disk the meeting goes on without it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tests::ear::goertzel;
use tests::programs::have;

use super::bridge::{CONFERENCE, House};
use super::ctl::{SOCKET, good};

/// A tone at 8 kHz.
pub(crate) fn tone(hertz: u32, seconds: usize) -> Vec<i16> {
    let turn = f64::from(hertz) * std::f64::consts::TAU / 8000.0;
    let sample = |n: usize| ((n as f64 * turn).sin() * 6000.0) as i16;
    (0..8000 * seconds).map(sample).collect()
}

impl House {
    async fn record(&self, method: &str) -> (u16, serde_json::Value) {
        self.api(method, &format!("/v1/conferences/{CONFERENCE}/recording"), None).await
    }

    fn recording(&self, answer: &serde_json::Value) -> PathBuf {
        self.path("recordings").join(answer["file"].as_str().expect("the name of a file"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_holds_what_all_of_them_say_in_its_time() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start().await;
    assert_eq!(house.record("POST").await.0, 404, "nobody is there");
    let alice = house.join("+493023125001").await;
    let bob = house.join("+493023125002").await;
    house.until_seated(2).await;
    assert_eq!(house.record("DELETE").await.0, 409);
    let began = std::time::Instant::now();
    let (status, begun) = house.record("POST").await;
    assert_eq!(status, 201, "{begun}");
    assert_eq!(house.record("POST").await.0, 409, "once is enough");
    let path = format!("/v1/conferences/{CONFERENCE}");
    house
        .until("the roster shows it", async || {
            house.api("GET", &path, None).await.1["recording"] == begun["file"]
        })
        .await;
    house.until("it is counted", async || house.count("partyline_recordings").await == 1).await;
    alice.media().say(tone(700, 2).into()).await;
    bob.media().say(tone(1900, 2).into()).await;
    assert!(
        !house.recording(&begun).display().to_string().contains(CONFERENCE),
        "no digits that callers key"
    );
    let mode = std::fs::metadata(house.recording(&begun)).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for nobody else on the machine");
    let (status, ended) = house.record("DELETE").await;
    assert_eq!((status, &ended), (200, &begun));
    let lasted = began.elapsed();
    house.until("it is finished", async || house.count("partyline_recordings").await == 0).await;
    let mut wav = hound::WavReader::open(house.recording(&begun)).expect("a WAV file");
    assert_eq!((wav.spec().sample_rate, wav.spec().channels), (16_000, 1));
    let pcm: Vec<i16> = wav.samples().map(|sample| sample.expect("a sample")).collect();
    let recorded = Duration::from_secs_f64(pcm.len() as f64 / 16_000.0);
    // A tick at each end may lie half outside.
    let longest = lasted + Duration::from_millis(40);
    assert!(recorded <= longest && recorded >= Duration::from_secs(3), "{recorded:?} of {lasted:?}");
    let loudest =
        |hertz: u32| pcm.chunks_exact(1600).map(|tenth| goertzel(tenth, hertz, 16_000)).fold(0.0, f64::max);
    for hertz in [700, 1900] {
        assert!(loudest(hertz) > 1500.0, "{hertz} Hz is not in the recording: {}", loudest(hertz));
    }
    assert!(loudest(1250) < 500.0, "nobody said that: {}", loudest(1250));
    assert_eq!(house.count("partyline_recordings_failed_total").await, 0);

    // The meeting's end is the recording's, too.
    let (_, second) = house.record("POST").await;
    house.until("it is counted", async || house.count("partyline_recordings").await == 1).await;
    for call in [alice, bob] {
        call.hang_up().await.expect("an answer to BYE");
    }
    house.until("it is finished", async || house.count("partyline_recordings").await == 0).await;
    assert!(hound::WavReader::open(house.recording(&second)).is_ok());
}

/// Reads an Opus file as somebody else's player does: its sound at 16 kHz, and what is said about it.
fn play(file: &Path) -> (Vec<i16>, String) {
    let out = file.with_extension("decoded.wav");
    let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(program).args(arguments).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{program}: {said}");
        said
    };
    let rate = ["--rate".as_ref(), "16000".as_ref()];
    run("opusdec", &[rate[0], rate[1], file.as_os_str(), out.as_os_str()]);
    let said = run("opusinfo", &[file.as_os_str()]);
    (samples(&out), said)
}

fn samples(file: &Path) -> Vec<i16> {
    let mut wav = hound::WavReader::open(file).expect("a WAV file");
    assert_eq!(wav.spec().sample_rate, 16_000);
    wav.samples().map(|sample| sample.expect("a sample")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_leaves_out_what_is_said_in_a_pause_and_says_where_it_was() {
    if !have("opusdec", "opus-tools") {
        return;
    }
    let (house, _doorbell) = House::new(&[SOCKET]).await;
    let _bridge = house.start().await;
    let alice = house.join("+493023125001").await;
    let bob = house.join("+493023125002").await;
    house.until_seated(2).await;
    let path = format!("/v1/conferences/{CONFERENCE}/recording");
    assert_eq!(house.api("PUT", &format!("{path}/pause"), None).await.0, 409, "nothing is recorded");
    assert_eq!(house.api("POST", &format!("{path}?format=mp3"), None).await.0, 400);
    for format in ["wav", "opus"] {
        let began = std::time::Instant::now();
        let (status, begun) = house.api("POST", &format!("{path}?format={format}"), None).await;
        assert_eq!(status, 201, "{begun}");
        alice.media().say(tone(700, 2).into()).await;
        let paused = good(&house, &format!("conf record {CONFERENCE} --pause")).await;
        let pause = std::time::Instant::now();
        assert!(paused.contains("changed"), "{paused}");
        assert_eq!(
            house.api("PUT", &format!("{path}/pause"), None).await.1["changed"],
            0,
            "it is so already"
        );
        bob.media().say(tone(1900, 3).into()).await;
        // His last frames are on their way yet.
        alice.media().falls_quiet(Duration::from_millis(300), Duration::from_secs(10)).await;
        assert_eq!(house.api("DELETE", &format!("{path}/pause"), None).await.1["changed"], 1);
        let left_out = pause.elapsed();
        alice.media().say(tone(1100, 2).into()).await;
        assert_eq!(house.record("DELETE").await.0, 200);
        let lasted = began.elapsed().saturating_sub(left_out);
        house.until("it is finished", async || house.count("partyline_recordings").await == 0).await;
        let file = house.recording(&begun);
        let (pcm, said) = match format {
            "opus" => play(&file),
            _ => (samples(&file), String::from_utf8_lossy(&std::fs::read(&file).expect("it")).into_owned()),
        };
        assert!(said.contains("pause; goes on at 20"), "{format}");
        if format == "opus" {
            assert_eq!(said.matches("New logical stream").count(), 2, "{said}");
            assert!(!said.to_lowercase().contains("warning"), "{said}");
        }
        let recorded = Duration::from_secs_f64(pcm.len() as f64 / 16_000.0);
        let most = lasted + Duration::from_millis(100);
        assert!(
            recorded <= most && recorded >= Duration::from_secs(3),
            "{format}: {recorded:?} of {lasted:?}"
        );
        let loudest = |hertz: u32| {
            pcm.chunks_exact(1600).map(|tenth| goertzel(tenth, hertz, 16_000)).fold(0.0, f64::max)
        };
        let heard = [700, 1100, 1900].map(loudest);
        assert!(heard[0] > 1500.0 && heard[1] > 1500.0, "{format}: {heard:?}");
        assert!(heard[2] < 700.0, "{format}: said in the pause: {heard:?}");
    }
    for call in [alice, bob] {
        call.hang_up().await.expect("an answer to BYE");
    }
}

/// No file may grow beyond 64 KiB: two seconds of a recording.
const NARROW: [&str; 3] = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 128; exec \"$0\" \"$@\""];

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_the_recording_stops_and_the_meeting_goes_on() {
    let (house, _doorbell) = House::new(&[]).await;
    let _bridge = house.start_by(&NARROW).await;
    let alice = house.join("+493023125001").await;
    let bob = house.join("+493023125002").await;
    house.until_seated(2).await;
    let (status, begun) = house.record("POST").await;
    assert_eq!(status, 201, "{begun}");
    house
        .until("the recording has stopped", async || {
            house.count("partyline_recordings_failed_total").await == 1
        })
        .await;
    assert!(house.log().contains("the recording has stopped"), "{}", house.log());
    assert_eq!(house.count("partyline_recordings").await, 0);
    // Whoever asks learns that none is running, and those who talk notice nothing.
    house.until("it can be asked for again", async || house.record("DELETE").await.0 == 409).await;
    bob.media().falls_quiet(Duration::from_millis(300), Duration::from_secs(10)).await;
    let before = bob.media().meter().sounding;
    alice.media().say(tone(700, 1).into()).await;
    assert!(bob.media().hears(before + Duration::from_millis(400), Duration::from_secs(10)).await);
    let written = hound::WavReader::open(house.recording(&begun)).expect("what was written can be played");
    assert_eq!(written.spec().sample_rate, 16_000);
    for call in [alice, bob] {
        call.hang_up().await.expect("an answer to BYE");
    }
}
