//! A bridge of our own to load: `partyline serve` as a child on loopback, with a configuration made for the run.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bridge::PromptId;
use uuid::Uuid;

use super::speech::Codec;
use crate::demo::child::{Bridge, Ports};

/// Its number.
pub(super) const NUMBER: &str = "+496990009100";
/// Where its callers are: another loopback address, so that both sides have all ports.
pub(super) const CALLERS: [u8; 4] = [127, 0, 0, 2];
/// Most legs of one conference.
pub(super) const MOST_IN_ONE: usize = 1000;
const FIRST_ID: u64 = 100_000_001;

/// What is asked of it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Where its callers are.
    pub(super) callers: IpAddr,
    pub(super) conferences: usize,
    pub(super) legs: usize,
    pub(super) codec: Codec,
    pub(super) srtp: bool,
    pub(super) sabotage: Option<String>,
}

/// The child and its folder, both gone when this is dropped.
pub(super) struct OwnBridge {
    pub(super) bridge: Bridge,
    _folder: Folder,
}

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The IDs of its conferences.
pub(super) fn ids(conferences: usize) -> Vec<String> {
    (0..conferences as u64).map(|n| (FIRST_ID + n).to_string()).collect()
}

impl OwnBridge {
    /// Starts it; it is ready when this returns.
    pub(super) async fn start(wanted: &Wanted) -> anyhow::Result<Self> {
        let folder = Folder(std::env::temp_dir().join(format!("partyline-load-{}", Uuid::now_v7().simple())));
        let path = &folder.0;
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        write_prompts(&path.join("prompts"))?;
        // A pair for each leg, and some to spare: a port rests a while after its call.
        let ports =
            Ports::find_with(media_ports(wanted.legs)).context("cannot find free ports on 127.0.0.1")?;
        let config = path.join("partyline.toml");
        fs::write(path.join("token"), format!("{}\n", Uuid::now_v7().simple()))?;
        fs::write(&config, configuration(wanted, ports))
            .context("cannot write the bridge's configuration")?;
        let bridge = Bridge::launch(&config, ports).await?;
        Ok(Self { bridge, _folder: folder })
    }
}

fn media_ports(legs: usize) -> u16 {
    // Ports are found between 16,000 and 58,000.
    (2 * legs + 64).min(40_000) as u16
}

/// Everybody may call, and nothing but the machine limits how many.
fn configuration(wanted: &Wanted, ports: Ports) -> String {
    let Ports { sip, http, media } = ports;
    let last = media + media_ports(wanted.legs) - 1;
    let callers = wanted.callers;
    let codec = wanted.codec.name().to_ascii_lowercase();
    let srtp = if wanted.srtp { "mandatory" } else { "off" };
    let sabotage = wanted.sabotage.as_ref().map(|how| format!("sabotage = \"{how}\"\n")).unwrap_or_default();
    let mut text = format!(
        r#"[node]
name = "load"
[log]
filter = "warn"
[sip]
listen = ["udp://127.0.0.1:{sip}"]
[media]
address = "127.0.0.1"
ports = "{media}-{last}"
prompts = "prompts"
seats_per_conference = {MOST_IN_ONE}
{sabotage}[http]
listen = "127.0.0.1:{http}"
token_file = "token"
[usage]
spool = "usage"
[[trunk]]
id = "load"
kind = "operator"
provider = "operator:load"
peers = [{{ address = "{callers}", transport = "udp" }}]
sources = ["{callers}"]
codecs = ["{codec}"]
srtp = "{srtp}"
send_sip_options = false
[[bridge]]
tenant = "load"
name = "load"
default_service_number = "+14255550100"
[[number]]
number = "+14255550100"
owner = "microsoft"
tenant = "load"
[[number]]
number = "{NUMBER}"
owner = "operator:load"
tenant = "load"
[[organizer]]
id = "load"
tenant = "load"
license = "operator-connect-conferencing"
allow_pstn_users_to_bypass_lobby = true
allow_anonymous_users_to_start_meeting = true
"#
    );
    for id in ids(wanted.conferences) {
        let _ = write!(
            text,
            "[[meeting]]\nconference_id = \"{id}\"\norganizer = \"load\"\ncapacity = {MOST_IN_ONE}\n"
        );
    }
    text
}

/// A tenth of a second of silence for every prompt: callers are let in at once.
fn write_prompts(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for prompt in PromptId::ALL {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(folder.join(format!("{}.wav", prompt.stem())), spec)?;
        for _ in 0..800 {
            wav.write_sample(0_i16)?;
        }
        wav.finalize()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_is_good_for_any_number_of_conferences() {
        let folder = Folder(std::env::temp_dir().join(format!("partyline-load-{}", Uuid::now_v7().simple())));
        write_prompts(&folder.0.join("prompts")).unwrap();
        fs::write(folder.0.join("token"), "0123456789abcdef\n").unwrap();
        let ports = Ports { sip: 5060, http: 8080, media: 20_000 };
        for (conferences, srtp, sabotage) in [(1, true, None), (500, false, Some("add-self-back".to_owned()))]
        {
            let wanted = Wanted {
                callers: CALLERS.into(),
                conferences,
                legs: 3000,
                codec: Codec::Opus,
                srtp,
                sabotage,
            };
            let config = Config::parse(&folder.0.join("partyline.toml"), &configuration(&wanted, ports));
            let config = config.unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(config.directory.len(), conferences);
            assert_eq!(config.media.mix.sabotage.is_some(), wanted.sabotage.is_some());
        }
        assert!(crate::prompts::Prompts::load(&folder.0.join("prompts"), None).is_ok());
    }
}
