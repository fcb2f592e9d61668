//! What an answer of theirs says of them: Contact, Allow, the media they know, the time they have.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use sip::Message;
use sip::sdp::Srtp;
use trunk::Profile;

use super::places::is_private;

type Judged = Result<String, (String, String)>;

/// Without these there is no call.
const NEEDED: [&str; 4] = ["INVITE", "ACK", "CANCEL", "BYE"];
/// What is good to know.
const OPTIONAL: [&str; 5] = ["PRACK", "UPDATE", "REFER", "NOTIFY", "INFO"];
/// How far two clocks may be apart.
const APART: Duration = Duration::from_secs(30);

/// Allow (RFC 3261 section 11.2); `None` where they say nothing.
pub(super) fn allow(message: &Message) -> Option<Judged> {
    let said: Vec<&str> = message.headers().all("Allow").collect();
    if said.is_empty() {
        return None;
    }
    let has = |method: &&str| said.iter().any(|one| one.eq_ignore_ascii_case(method));
    let missing: Vec<&str> = NEEDED.into_iter().filter(|method| !has(method)).collect();
    if !missing.is_empty() {
        let why = format!("{} is not in their Allow: {}", missing.join(", "), said.join(", "));
        return Some(Err((
            why,
            "their SBC: the trunk's methods; who believes Allow places no call".to_owned(),
        )));
    }
    let list = |wanted: bool| {
        let words: Vec<&str> = OPTIONAL.into_iter().filter(|method| has(method) == wanted).collect();
        if words.is_empty() { "none of the optional ones".to_owned() } else { words.join(", ") }
    };
    Some(Ok(format!("calls; also {}; not {}", list(true), list(false))))
}

/// Contact: where requests in a dialog would go.
pub(super) fn contact(message: &Message, peer: IpAddr) -> Option<Judged> {
    let contact = message.contacts().ok()?.into_iter().next()?;
    let uri = contact.uri();
    let host = uri.host()?;
    match host.ip() {
        Some(ip) if is_private(ip) && !is_private(peer) && !peer.is_loopback() => {
            let why =
                format!("{uri}: private, while the peer {peer} is public: our ACK and BYE would go nowhere");
            Some(Err((why, "their SBC: its public address or name in Contact".to_owned())))
        }
        _ => Some(Ok(uri.to_string())),
    }
}

/// The media that a description offers, against what the trunk is configured for; `None` without a description.
pub(super) fn media(body: &[u8], profile: &Profile) -> Option<Judged> {
    let text = String::from_utf8_lossy(body);
    let line = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let audio: Vec<&str> = line("m=audio ")?.split_whitespace().collect();
    let encrypted = audio.get(1).is_some_and(|protocol| protocol.contains("SAVP"));
    let name = |format: &str| {
        let mapped = line(&format!("a=rtpmap:{format} ")).and_then(|name| name.split('/').next());
        let known = match format {
            "0" => "PCMU",
            "8" => "PCMA",
            "9" => "G722",
            "13" => "CN",
            "18" => "G729",
            other => other,
        };
        mapped.unwrap_or(known).to_owned()
    };
    let formats: Vec<String> = audio.iter().skip(2).map(|format| name(format)).collect();
    let suites: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("a=crypto:")?.split_whitespace().nth(1)).collect();
    let ours: Vec<&str> = profile.codecs.iter().map(|codec| codec.name()).collect();
    let common = formats.iter().any(|theirs| ours.iter().any(|own| own.eq_ignore_ascii_case(theirs)));
    let shown = format!(
        "{} over {}{}",
        formats.join(", "),
        audio.get(1).unwrap_or(&"?"),
        if suites.is_empty() { String::new() } else { format!(" with {}", suites.join(", ")) }
    );
    Some(match profile.srtp {
        _ if !common => {
            let change = format!("codecs of this trunk (now {}), or those of their SBC", ours.join(", "));
            Err((format!("{shown}: no codec that this trunk has"), change))
        }
        Srtp::Mandatory if !encrypted => Err((
            format!("{shown}: not encrypted"),
            "their SBC: RTP/SAVP with a=crypto; or srtp = \"optional\"".to_owned(),
        )),
        Srtp::Off if encrypted => {
            Err((format!("{shown}: encrypted"), "srtp = \"mandatory\" for this trunk, over TLS".to_owned()))
        }
        _ => Ok(shown),
    })
}

/// Whether our clocks agree, by the Date of their answer (RFC 3261 section 20.17); `None` without one that can be read.
pub(super) fn clock(message: &Message, now: SystemTime) -> Option<Judged> {
    let said = message.headers().get("Date")?;
    let theirs = date(said)?;
    let apart = now.duration_since(theirs).or_else(|_| theirs.duration_since(now)).unwrap_or_default();
    Some(if apart <= APART {
        Ok(format!("within {} s of theirs", apart.as_secs()))
    } else {
        let why = format!("{} s from theirs ({said})", apart.as_secs());
        Err((why, "run NTP on both sides: certificates and records depend on the time".to_owned()))
    })
}

/// `Sat, 13 Nov 2010 23:29:00 GMT`
fn date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? as i64 + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let mut clock = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fits =
        (1970..10_000).contains(&year) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !fits {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use sip::Framing;

    use super::*;

    fn ok(headers: &str) -> Message {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        Message::parse(text.into(), Framing::Datagram).unwrap()
    }

    fn profile(lines: &str) -> Profile {
        let text = format!(
            "[[trunk]]\nid = \"acme\"\nkind = \"operator\"\npeers = [{{ address = \"127.0.0.2\" }}]\n{lines}\n\
             [sip]\nlisten = [\"udp://127.0.0.1:5060\"]\n"
        );
        let config = crate::config::Config::parse(std::path::Path::new("p.toml"), &text);
        config.unwrap_or_else(|why| panic!("{why}")).trunks.profiles()[0].clone()
    }

    #[test]
    fn an_allow_without_a_method_that_a_call_needs_fails() {
        assert_eq!(allow(&ok("")), None);
        let good = allow(&ok("Allow: INVITE, ACK, bye\r\nAllow: CANCEL, UPDATE\r\n")).unwrap();
        assert_eq!(good, Ok("calls; also UPDATE; not PRACK, REFER, NOTIFY, INFO".to_owned()));
        let (why, _) = allow(&ok("Allow: INVITE, ACK, CANCEL\r\n")).unwrap().unwrap_err();
        assert!(why.starts_with("BYE is not in their Allow"), "{why}");
    }

    #[test]
    fn a_private_contact_of_a_public_peer_fails() {
        let (public, home) = ([203, 0, 113, 1].into(), [10, 0, 0, 1].into());
        let message = ok("Contact: <sip:10.1.1.1:5060>\r\n");
        assert!(contact(&message, public).unwrap().is_err());
        assert_eq!(contact(&message, home), Some(Ok("sip:10.1.1.1:5060".to_owned())));
        assert_eq!(contact(&ok(""), public), None);
    }

    #[test]
    fn media_is_judged_by_codecs_and_keys() {
        let sdp = |protocol: &str, formats: &str| {
            format!(
                "v=0\r\nm=audio 4000 {protocol} {formats}\r\na=rtpmap:97 iLBC/8000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n"
            )
        };
        let plain = profile("");
        assert_eq!(media(b"v=0\r\n", &plain), None);
        assert!(media(sdp("RTP/AVP", "8 97").as_bytes(), &plain).unwrap().is_ok());
        let (why, change) = media(sdp("RTP/AVP", "97").as_bytes(), &plain).unwrap().unwrap_err();
        assert!(why.contains("iLBC") && change.contains("PCMA"), "{why} {change}");
        assert!(media(sdp("RTP/SAVP", "8").as_bytes(), &plain).unwrap().is_err());
        let strict = profile("srtp = \"mandatory\"");
        assert!(media(sdp("RTP/SAVP", "8").as_bytes(), &strict).unwrap().is_ok());
        assert!(media(sdp("RTP/AVP", "8").as_bytes(), &strict).unwrap().is_err());
    }

    #[test]
    fn clocks_are_compared_by_the_date_of_the_answer() {
        let message = ok("Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n");
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_mins(21_494_849);
        assert_eq!(clock(&message, theirs), Some(Ok("within 0 s of theirs".to_owned())));
        assert!(clock(&message, theirs - Duration::from_secs(31)).unwrap().is_err());
        assert_eq!(clock(&ok("Date: yesterday\r\n"), theirs), None);
        assert_eq!(
            date("Thu, 29 Feb 2024 00:00:01 GMT"),
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_164_801))
        );
    }
}
