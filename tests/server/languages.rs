//! A number that greets in German and offers English.

use super::bridge::{CONFERENCE, House, root, run};
use super::ear::{likeness, read_wav};

const NUMBER: &str = "owner = \"operator:rhein-telecom\"\ntenant = \"contoso\"";
const PROMPTS: &str = "prompts = \"@PROMPTS@\"";

/// A prompt as it is committed.
pub(crate) fn recorded(language: &str, stem: &str) -> Vec<f32> {
    read_wav(&root().join(format!("config/prompts/{language}/{stem}.wav")))
}

/// Whether a prompt was played to its end, with nobody else talking. Measured on our own prompts: 0.9 and more, other sentences of
/// the same speaker up to 0.6.
pub(crate) fn was_played(prompt: &[f32], heard: &[f32]) -> bool {
    likeness(prompt, heard).iter().all(|look| *look > 0.75)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_greeted_in_german_chooses_english_and_is_in_the_meeting() {
    let languages = format!("{NUMBER}\nlanguages = [\"de-DE\", \"en-US\"]");
    let packs = format!("{PROMPTS}\nprompt_packs = {{ \"de-DE\" = \"@PROMPTS@/../de-DE\" }}");
    let (house, _doorbell) = House::new(&[(NUMBER, &languages), (PROMPTS, &packs)]).await;
    let bridge = house.start().await;
    let call = house.call("+493023125001").await;
    let hears = async |language: &str, stem: &str| {
        let recording = recorded(language, stem);
        house
            .until(&format!("{stem} is heard in {language}"), async || {
                let tape = call.media().tape();
                was_played(&recording, &tape.heard.track(tape.started))
            })
            .await;
    };
    hears("de-DE", "welcome").await;
    hears("en-US", "for-this-language").await;
    call.media().key("2").await;
    hears("en-US", "enter-conference-id").await;
    call.media().key(&format!("{CONFERENCE}#")).await;
    house.until_seated(1).await;
    let tape = call.hang_up().await.expect("the caller hangs up");
    let heard = tape.heard.track(tape.started);
    for (language, stem) in [("en-US", "welcome"), ("de-DE", "enter-conference-id"), ("fr-FR", "welcome")] {
        assert!(!was_played(&recorded(language, stem), &heard), "{stem} was heard in {language}");
    }
    drop(bridge);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_without_prompts_is_named_before_anything_starts() {
    let languages = format!("{NUMBER}\nlanguages = [\"de-DE\"]");
    let (house, _doorbell) = House::new(&[(NUMBER, &languages)]).await;
    let check = run(&["check", "partyline.toml"], &house.path("")).await;
    let why = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(2));
    assert!(why.contains("`number \"+496990009100\".languages`: `de-DE`"), "{why}");
    assert!(why.contains("media.prompt_packs"), "{why}");
    let packs = format!("{PROMPTS}\nprompt_packs = {{ \"de-DE\" = \"nowhere\" }}");
    let (house, _doorbell) = House::new(&[(NUMBER, &languages), (PROMPTS, &packs)]).await;
    let check = run(&["check", "partyline.toml"], &house.path("")).await;
    let why = String::from_utf8_lossy(&check.stderr).into_owned();
    assert_eq!(check.status.code(), Some(2));
    assert!(why.contains("nowhere: there is no such folder"), "{why}");
}
