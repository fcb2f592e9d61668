//! `partyline check`: is this configuration good?

use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use super::counted;
use crate::config::{Config, Problem};
use crate::prompts::Prompts;
use crate::tls::SOON;

/// Exit 0 when the file is good, 2 when it is not. With `lint`, suspicious things are said too; they are no errors.
pub(super) fn run(file: &Path, lint: bool) -> ExitCode {
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(problems) => {
            remark!("{problems}");
            remark!("{}; nothing was started", counted(problems.0.len(), "problem"));
            return ExitCode::from(2);
        }
    };
    // Not a matter of the file alone, and yet `serve` would not start.
    if let Err(error) = Prompts::of(&config.media) {
        remark!("{}: `media.prompts`: {error}", file.display());
        remark!("1 problem; nothing was started");
        return ExitCode::from(2);
    }
    say!(
        "{}: good: {}, {}, {}",
        file.display(),
        counted(config.trunks.profiles().len(), "trunk"),
        counted(config.table.numbers().len(), "number"),
        counted(config.directory.len(), "meeting"),
    );
    if lint {
        // Only for the line numbers: without the text a remark is still worth saying.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = routing::lint(&config.table);
        for one in &found {
            let place = Some(one.span.clone()).filter(|_| !text.is_empty());
            say!("{}", Problem::at_span(file, &text, place, "", one.to_string(), ""));
        }
        let open: Vec<_> = config
            .trunks
            .profiles()
            .iter()
            .flat_map(|profile| [unlimited(profile), unreachable(&config, profile)])
            .flatten()
            .collect();
        let (kept, expiring, uncounted) = (overheard(&config), expiring(&config), uncounted(&config));
        let remarks = || open.iter().chain(&kept).chain(&expiring).chain(&uncounted);
        for remark in remarks() {
            say!("{}: {remark}", file.display());
        }
        say!("lint: {}", counted(found.len() + remarks().count(), "remark"));
    }
    ExitCode::SUCCESS
}

/// A trunk without any limit lets whoever forges its address take every RTP port there is.
fn unlimited(profile: &trunk::Profile) -> Option<String> {
    let limited = profile.max_concurrent_sessions.is_some() || profile.calls_per_second.is_some();
    (!limited).then(|| {
        format!(
            "`trunk.{}`: neither max_concurrent_sessions nor calls_per_second: a flood from its address can take all RTP ports",
            profile.id
        )
    })
}

/// Who listens on loopback only cannot call a peer elsewhere: the kernel says "Invalid argument".
fn unreachable(config: &Config, profile: &trunk::Profile) -> Option<String> {
    // Where a name leads is not known here; that it leads to this machine is for tests.
    let elsewhere = profile.listed.iter().find(|listed| match listed {
        trunk::Listed::Address(peer) => !peer.address.ip().is_loopback(),
        trunk::Listed::Name { .. } => true,
    })?;
    let key = if config.listeners.iter().all(|own| own.address.ip().is_loopback()) {
        "sip.listen"
    } else if config.media.address.is_loopback() {
        "media.address"
    } else {
        return None;
    };
    Some(format!(
        "`{key}`: loopback only, while the peer {} of trunk.{} is elsewhere: no call can reach it or come from it",
        elsewhere, profile.id
    ))
}

/// Media that is kept in the clear is for finding a fault, not for every day.
fn overheard(config: &Config) -> Option<String> {
    let megabytes = config.capture? / 1_000_000;
    Some(format!(
        "`trace.capture_media`: what callers of all meetings say is kept in memory, decrypted, up to {megabytes} MB of it, and who may \
         open ctl.socket can listen: set it to false and restart the bridge when the fault is found"
    ))
}

/// Certificates of ours that expire within 30 days.
fn expiring(config: &Config) -> Vec<String> {
    let all = config.tls.iter().flat_map(|tls| tls.expiries());
    let days = |at: SystemTime| at.duration_since(SystemTime::now()).unwrap_or_default().as_secs() / 86_400;
    all.filter(|expiry| expiry.at < SystemTime::now() + SOON)
        .map(|expiry| {
            format!("`{}.certificate`: it expires in {} days: renew it", expiry.place, days(expiry.at))
        })
        .collect()
}

/// Dial-outs that limits on money refuse, because they have no price.
fn uncounted(config: &Config) -> Vec<String> {
    let billers =
        config.trunks.profiles().iter().map(|profile| routing::Biller::from(profile.provider.clone()));
    config.tariffs.uncounted(&billers.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::{overheard, unlimited, unreachable};
    use crate::config::Config;

    #[test]
    fn a_trunk_without_limits_is_remarked_and_one_with_a_limit_is_not() {
        let remarks = |limit: &str| {
            let text = format!(
                "[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = [{{ address = \"127.0.0.2\" }}]\n{limit}\n"
            );
            let config =
                Config::parse(std::path::Path::new("p.toml"), &text).unwrap_or_else(|why| panic!("{why}"));
            config.trunks.profiles().iter().filter_map(unlimited).count()
        };
        assert_eq!(remarks(""), 1);
        assert_eq!(remarks("calls_per_second = 10"), 0);
        assert_eq!(remarks("max_concurrent_sessions = 100"), 0);
    }

    #[test]
    fn media_that_is_kept_in_memory_is_remarked() {
        let remark = |text: &str| {
            let config =
                Config::parse(std::path::Path::new("p.toml"), text).unwrap_or_else(|why| panic!("{why}"));
            overheard(&config)
        };
        let said = remark("[trace]\ncapture_media = true\nmedia_megabytes = 32\n").expect("a remark");
        for word in ["`trace.capture_media`", "decrypted, up to 32 MB", "set it to false"] {
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(remark("[trace]\ncapture_media = false\nmedia_megabytes = 32\n"), None);
        assert_eq!(remark(""), None);
    }

    #[test]
    fn a_bridge_on_loopback_cannot_reach_a_peer_elsewhere() {
        let remark = |listen: &str, media: &str, peer: &str| {
            let text = format!(
                "[sip]\nlisten = [\"udp://{listen}:5060\"]\n[media]\naddress = \"{media}\"\n\
                 [[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = [{{ address = \"{peer}\" }}]\n"
            );
            let config =
                Config::parse(std::path::Path::new("p.toml"), &text).unwrap_or_else(|why| panic!("{why}"));
            config.trunks.profiles().iter().find_map(|profile| unreachable(&config, profile))
        };
        assert!(
            remark("127.0.0.1", "127.0.0.1", "192.0.2.9").is_some_and(|said| said.contains("sip.listen"))
        );
        let named = remark("127.0.0.1", "127.0.0.1", "sbc.example.net").expect("a name leads elsewhere");
        assert!(named.contains("the peer sbc.example.net"), "{named}");
        assert!(
            remark("192.0.2.1", "127.0.0.1", "192.0.2.9").is_some_and(|said| said.contains("media.address"))
        );
        assert_eq!(remark("127.0.0.1", "127.0.0.1", "127.0.0.2"), None);
        assert_eq!(remark("192.0.2.1", "192.0.2.1", "192.0.2.9"), None);
    }
}
