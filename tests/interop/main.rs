//! The real binary against other people's SIP: SIPp, baresip and Kamailio, over loopback, judged by what each of them received.
//!
//! `./x setup` installs them. Where one is missing its tests say so and skip; with `CI` set they fail.

mod both_ways;
#[path = "../server/bridge.rs"]
#[expect(dead_code, reason = "the server's own tests use more of it")]
mod bridge;
mod codecs;
mod conference;
mod dial_out;
mod dialogs;
mod digest;
mod doctor;
mod ear;
mod microsoft;
mod peers;
mod program;
mod registrar;
#[path = "../server/secured.rs"]
mod secured;
mod stories;
mod tls;

use std::{fs, path::PathBuf};

/// An empty folder for one test's logs and recordings; they stay until the next run.
fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interop").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}
