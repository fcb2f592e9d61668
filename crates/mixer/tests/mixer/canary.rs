//! The proof that the allocation guard barks: this binary runs itself again, and the child, whose tick allocates or whose command
//! frees on purpose, must abort and say why.

use std::process::Command;

use mixer::{Conference, ConferenceId, Desk, G711, MixConfig, Sabotage, ShardConfig, guard};

use crate::phone::{Phone, World, epoch};

const CHILD: &str = "PARTYLINE_MIXER_CANARY";

#[test]
fn a_tick_that_allocates_aborts_the_process_and_names_the_offence() {
    assert!(guard::installed(), "this binary installs the guarded allocator");
    if std::env::var_os(CHILD).is_some() {
        let config = MixConfig { sabotage: Some(Sabotage::AllocateInTick), ..MixConfig::default() };
        Conference::<()>::new(ConferenceId(1), 1, config).tick(epoch(), &mut Desk::new());
        return; // the parent sees a success and fails
    }
    let said = end_of("a_tick_that_allocates_aborts_the_process_and_names_the_offence");
    assert_eq!(said.contains("inside Conference::tick"), guard::COMPILED_IN, "{said}");
}

/// What a test of this file said when it ended in a process of its own, as it should.
fn end_of(test: &str) -> String {
    let this = std::env::current_exe().expect("the test binary has a path");
    let child = Command::new(this)
        .args(["--exact", &format!("canary::{test}"), "--nocapture"])
        .env(CHILD, "1")
        .output()
        .expect("the test binary can be started");
    let said = String::from_utf8_lossy(&child.stderr).into_owned();
    assert_eq!(child.status.success(), !guard::COMPILED_IN, "{said}");
    said
}

#[test]
fn a_command_that_frees_aborts_the_process_and_names_the_offence() {
    if std::env::var_os(CHILD).is_some() {
        let sabotage = Some(Sabotage::FreeInCommand);
        let config =
            ShardConfig { mix: MixConfig { sabotage, ..MixConfig::default() }, ..ShardConfig::default() };
        World::new(config).join(Phone::new(1, G711::Pcmu));
        return; // the parent sees a success and fails
    }
    let said = end_of("a_command_that_frees_aborts_the_process_and_names_the_offence");
    assert_eq!(said.contains("a media thread, between ticks"), guard::COMPILED_IN, "{said}");
}

#[test]
fn a_tick_without_sabotage_passes_the_guard() {
    Conference::<()>::new(ConferenceId(1), 1, MixConfig::default()).tick(epoch(), &mut Desk::new());
}
