//! The proof that the allocation guard barks: this binary runs itself again, and the child, whose tick allocates on purpose, must
//! abort and say why.

use std::process::Command;

use mixer::{Conference, ConferenceId, MixConfig, Sabotage, guard};

use crate::phone::epoch;

const CHILD: &str = "PARTYLINE_MIXER_CANARY";

#[test]
fn a_tick_that_allocates_aborts_the_process_and_names_the_offence() {
    assert!(guard::installed(), "this binary installs the guarded allocator");
    if std::env::var_os(CHILD).is_some() {
        let config = MixConfig { sabotage: Some(Sabotage::AllocateInTick), ..MixConfig::default() };
        Conference::<()>::new(ConferenceId(1), 1, config).tick(epoch());
        return; // the parent sees a success and fails
    }
    let this = std::env::current_exe().expect("the test binary has a path");
    let child = Command::new(this)
        .args([
            "--exact",
            "canary::a_tick_that_allocates_aborts_the_process_and_names_the_offence",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .expect("the test binary can be started");
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.success(), !guard::COMPILED_IN, "{said}");
    assert_eq!(said.contains("inside Conference::tick"), guard::COMPILED_IN, "{said}");
}

#[test]
fn a_tick_without_sabotage_passes_the_guard() {
    Conference::<()>::new(ConferenceId(1), 1, MixConfig::default()).tick(epoch());
}
