//! A number that speaks more than one language.

use super::{BILINGUAL_NUMBER, OPERATOR_NUMBER, World};
use crate::command::Command;
use crate::id::LegId;
use crate::prompt::PromptId::{
    self, Digit1, Digit2, EnterConferenceId, FirstCaller, ForThisLanguage, IdNotRecognized, Welcome,
};
use std::time::Duration;

/// The last sentence that was said to the leg, and in which language.
fn said(world: &mut World, leg: LegId) -> (Option<String>, Vec<PromptId>) {
    let last = world.take().into_iter().rev().find_map(|command| match command {
        Command::Play { leg: to, prompts, language, .. } if to == leg => {
            Some((language.map(|language| language.to_string()), prompts))
        }
        _ => None,
    });
    last.expect("something was said")
}

fn in_german(prompts: &[PromptId]) -> (Option<String>, Vec<PromptId>) {
    (Some("de-DE".to_owned()), prompts.to_vec())
}

fn in_english(prompts: &[PromptId]) -> (Option<String>, Vec<PromptId>) {
    (Some("en-US".to_owned()), prompts.to_vec())
}

#[test]
fn a_caller_chooses_a_language_and_is_spoken_to_in_it_from_then_on() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", BILINGUAL_NUMBER);
    assert_eq!(said(&mut world, leg), in_german(&[Welcome, ForThisLanguage, Digit1]));
    world.prompt_ends(leg);
    assert_eq!(said(&mut world, leg), in_english(&[ForThisLanguage, Digit2]));
    world.press(leg, "2");
    world.pass(Duration::from_secs(2));
    assert_eq!(said(&mut world, leg), in_english(&[EnterConferenceId]));
    world.press(leg, "999999999");
    assert_eq!(said(&mut world, leg), in_english(&[IdNotRecognized, EnterConferenceId]));
    world.press(leg, "111111111");
    assert_eq!(said(&mut world, leg), in_english(&[FirstCaller]));
    world.bye(leg);
    world.assert_empty();
}

#[test]
fn a_stored_number_that_keys_the_conference_id_at_once_needs_no_choice() {
    for pause in [Duration::ZERO, Duration::from_millis(300)] {
        let mut world = World::new();
        let leg = world.greeted("acme-1", BILINGUAL_NUMBER);
        for digit in ["1"; 9] {
            world.press(leg, digit);
            world.pass(pause);
        }
        world.press(leg, "#");
        assert!(world.is_in_conference(leg), "{pause:?}");
        assert_eq!(said(&mut world, leg), in_german(&[FirstCaller]));
        world.bye(leg);
        world.assert_empty();
    }
}

#[test]
fn who_chooses_nothing_goes_on_in_the_primary_language() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", BILINGUAL_NUMBER);
    world.prompt_ends(leg);
    world.prompt_ends(leg);
    world.take();
    world.pass(Duration::from_secs(9));
    assert!(world.take().is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(said(&mut world, leg), in_german(&[EnterConferenceId]));
    world.bye(leg);
    world.assert_empty();
}

#[test]
fn a_caller_who_hangs_up_in_the_menu_leaves_nothing_behind() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", BILINGUAL_NUMBER);
    world.press(leg, "2");
    world.bye(leg);
    world.assert_empty();
}

#[test]
fn a_number_without_languages_speaks_the_bridge_s_own() {
    let mut world = World::new();
    let leg = world.greeted("acme-1", OPERATOR_NUMBER);
    assert_eq!(said(&mut world, leg), (None, vec![Welcome, EnterConferenceId]));
    world.bye(leg);
}
