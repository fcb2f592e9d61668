//! The test call: it is placed, whatever can be asked in a call is asked, and it is hung up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::RngExt as _;
use routing::{E164, Owner, Provider};
use sip::sdp::{
    Capabilities, Codec, Direction, LocalMedia, MasterKey, Negotiated, Srtp, accept_answer, offer,
};
use sip::{Body, End, Event, InviteId, Message, OutgoingInvite};
use trunk::Peer;

use super::exam::Exam;
use super::report::Judged;
use super::{answer, audio, midcall, pace};
use crate::config::sip_transport;
use crate::control::srtp_keys;
use crate::demo::g711::Law;
use crate::demo::media::{Media, MediaPorts};
use crate::demo::speaker::Stream;

/// A call that is up.
pub(super) struct TestCall {
    pub(super) dialed: Dialed,
    /// Our offer, and what it says of us.
    pub(super) offered: Bytes,
    pub(super) local: LocalMedia,
    pub(super) capabilities: Capabilities,
    pub(super) agreed: Negotiated,
    /// Where we receive RTP.
    pub(super) own: SocketAddr,
    pub(super) media: Media,
    /// How it ended, if it has.
    pub(super) over: Option<String>,
}

/// Calls the number over this peer and reports every step.
pub(super) async fn place(exam: &mut Exam<'_>, peer: &Peer, number: &E164) {
    let check = "test call";
    let mut capabilities = exam.profile.capabilities();
    capabilities.codecs.retain(|codec| matches!(codec, Codec::Pcma | Codec::Pcmu));
    if capabilities.codecs.is_empty() {
        return exam
            .report
            .skip(check, "the trunk has neither PCMA nor PCMU, and the test call speaks nothing else");
    }
    let Some(caller) = exam.options.caller.clone().or_else(|| own_number(exam)) else {
        let change = "--caller NUMBER: one that the peer lets us show";
        return exam.report.fail(check, "no number of this trunk's provider to call from", change);
    };
    let media = &exam.config.media;
    let ports = match MediaPorts::bind(media.address).await {
        Ok(ports) => ports,
        Err(error) => {
            return exam.report.fail(
                check,
                format!("no RTP port on {}: {error}", media.address),
                "media.address",
            );
        }
    };
    let local = LocalMedia {
        address: media.advertise,
        port: ports.address().port(),
        rtcp_port: ports.address().port() + 1,
        session_id: rand::random::<u32>().into(),
        session_version: 1,
        direction: Direction::SendRecv,
        keys: fresh_keys(exam),
    };
    let offered = offer(&local, &capabilities);
    let Some(dialed) = dial(exam, peer, number, caller, &offered).await else { return };
    let id = dialed.id;
    match negotiated(exam, &offered, dialed.body.as_deref(), &capabilities) {
        Ok(agreed) => {
            let own = ports.address();
            let media = start(ports, &agreed);
            let over = None;
            let mut call = TestCall { dialed, offered, local, capabilities, agreed, own, media, over };
            audio::examine(exam, &mut call).await;
            pace::examine(exam, &call);
            midcall::examine(exam, &mut call).await;
        }
        Err(why) => exam.report.fail(
            "audio",
            format!("their answer cannot be used: {why}"),
            "their SBC: the answer's SDP",
        ),
    }
    let now = Instant::now();
    // Gone where they have hung up meanwhile.
    let _ = exam.line.endpoint().hangup(now, id, None);
    let until = now + Duration::from_secs(2);
    while exam.line.next(until).await.is_some() {}
}

/// A key for each suite of the trunk, where it encrypts.
fn fresh_keys(exam: &Exam<'_>) -> Vec<MasterKey> {
    if exam.profile.srtp == Srtp::Off {
        return Vec::new();
    }
    // The thread's generator is a cryptographic one, seeded by the operating system.
    let suites = exam.profile.srtp_suites.iter();
    suites.map(|&suite| MasterKey::generate(suite, |bytes| rand::rng().fill(bytes))).collect()
}

fn negotiated(
    exam: &mut Exam<'_>,
    offered: &[u8],
    body: Option<&[u8]>,
    capabilities: &Capabilities,
) -> Result<Negotiated, String> {
    let body = body.ok_or("the 200 has no SDP")?;
    if let Some(judged) = answer::media(body, exam.profile) {
        exam.report.judge("codecs of the test call", judged);
    }
    let agreed = accept_answer(offered, body, capabilities).map_err(|why| why.to_string())?;
    if let Some(judged) = judge_encryption(&agreed, exam.profile.srtp) {
        exam.report.note("encryption", judged);
    }
    Ok(agreed)
}

/// What became of the encryption that we offered; nothing where we offered none.
fn judge_encryption(agreed: &Negotiated, offered: Srtp) -> Option<Judged> {
    match (&agreed.crypto, offered) {
        (Some(crypto), _) => Some(Judged::pass(format!("{} by their line {}", crypto.suite(), crypto.tag))),
        (None, Srtp::Off) => None,
        (None, _) => Some(Judged::skip("offered, and they chose plain RTP: srtp = \"optional\"")),
    }
}

fn start(ports: MediaPorts, agreed: &Negotiated) -> Media {
    let stream = Stream {
        law: if agreed.codec == Codec::Pcmu { Law::Mu } else { Law::A },
        audio: agreed.audio_pt,
        events: agreed.event_pt,
        ssrc: rand::random(),
        sequence: rand::random::<u16>() >> 1,
        timestamp: rand::random(),
    };
    let keys = agreed.crypto.as_ref().map(|crypto| (srtp_keys(&crypto.ours), srtp_keys(&crypto.theirs)));
    ports.start_with(stream, agreed.remote_rtp, keys)
}

impl TestCall {
    /// Serves the dialog until then, or until an event is what is waited for. Their own re-INVITEs are refused meanwhile.
    pub(super) async fn serve<T>(
        &mut self,
        exam: &mut Exam<'_>,
        until: Instant,
        wanted: impl Fn(&Event) -> Option<T>,
    ) -> Option<T> {
        while let Some(event) = exam.line.next(until).await {
            match &event {
                Event::ReinviteReceived { id, .. } => {
                    let _ = exam.line.endpoint().reject_reinvite(Instant::now(), *id, 488, &[]);
                }
                Event::Ended { id, end } if *id == self.dialed.id => {
                    self.over = Some(match end {
                        End::Bye { reason: Some(reason) } => format!("they hung up: {reason}"),
                        End::Bye { reason: None } => "they hung up".to_owned(),
                        other => format!("the call is over: {other:?}"),
                    });
                }
                _ => {}
            }
            let found = wanted(&event);
            if found.is_some() || self.over.is_some() {
                return found;
            }
        }
        None
    }

    /// Serves the dialog for so long.
    pub(super) async fn wait(&mut self, exam: &mut Exam<'_>, time: Duration) {
        self.serve(exam, Instant::now() + time, |_| None::<()>).await;
    }
}

/// An INVITE that was answered.
pub(super) struct Dialed {
    pub(super) id: InviteId,
    pub(super) call_id: String,
    /// When the INVITE was sent.
    pub(super) began: Instant,
    /// The SDP of their 200.
    body: Option<Bytes>,
    /// Their 200.
    pub(super) answer: Arc<Message>,
}

/// The first number of the configuration that this trunk's provider owns.
fn own_number(exam: &Exam<'_>) -> Option<E164> {
    let owned = |owner: &Owner| match (owner, &exam.profile.provider) {
        (Owner::Microsoft, Provider::Microsoft) => true,
        (Owner::Operator(owner), Provider::Operator(provider)) => owner == provider,
        _ => false,
    };
    let numbers = exam.config.table.numbers();
    numbers.iter().find(|number| owned(&number.owner)).map(|number| number.number.clone())
}

/// INVITE, until it is answered or is not.
async fn dial(
    exam: &mut Exam<'_>,
    peer: &Peer,
    number: &E164,
    caller: E164,
    offered: &Bytes,
) -> Option<Dialed> {
    let check = "test call";
    let flow = exam.line.flow_to(sip_transport(peer.transport), peer.address).ok()?;
    let wanted = trunk::DialOut {
        dialed: number.clone(),
        caller_id: caller,
        display: None,
        withheld: false,
        local: exam.line.contact(&flow),
    };
    let shaped = trunk::shape_invite(exam.profile, peer, &wanted);
    let began = Instant::now();
    let ring_for = exam.profile.ring_for;
    let id = exam.line.endpoint().invite(
        began,
        OutgoingInvite {
            flow,
            request_uri: shaped.request_uri,
            from: shaped.from,
            to: shaped.to,
            contact: shaped.contact,
            extra: shaped.headers,
            body: Some(Body::sdp(offered.clone())),
            credentials: exam.profile.credentials.clone(),
            first_response_within: exam.profile.first_response_within,
            provisional_within: exam.profile.failover_time,
            ring_for,
            terms: exam.profile.terms,
        },
    );
    let call_id = exam.line.call_id(id);
    let until = began + exam.profile.failover_time + ring_for + Duration::from_secs(5);
    loop {
        match exam.line.next(until).await {
            Some(Event::Answered { id: answered, body, response, .. }) if answered == id => {
                let why = format!(
                    "{number} answered after {:.1} s, Call-ID {call_id}",
                    began.elapsed().as_secs_f64()
                );
                exam.report.pass(check, why);
                return Some(Dialed { id, call_id, began, body, answer: response });
            }
            Some(Event::Failed { id: failed, failure }) if failed == id => {
                let change = match failure.status {
                    401 | 407 => "credentials of this trunk",
                    403 => "their SBC: may we call this number, with this caller ID?",
                    404 | 484 => "the number, and number_format of this trunk",
                    488 => "codecs and srtp of this trunk, against theirs",
                    _ => "their SBC's log, by the Call-ID",
                };
                exam.report.fail(check, format!("{failure}, Call-ID {call_id}"), change);
                return None;
            }
            Some(_) => {}
            None => {
                let _ = exam.line.endpoint().hangup(Instant::now(), id, None);
                exam.line.next(Instant::now() + Duration::from_secs(1)).await;
                exam.report.fail(check, format!("not answered, Call-ID {call_id}"), "another number");
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sip::sdp::{self, Suite};

    use super::*;

    #[test]
    fn who_takes_plain_rtp_although_encryption_was_offered_is_told_from_who_encrypts() {
        let suite = Suite::AesCm128HmacSha1_80;
        let side = |srtp, key: u8| {
            let capabilities = Capabilities {
                codecs: vec![Codec::Pcma],
                srtp,
                suites: vec![suite],
                ..Capabilities::default()
            };
            let encrypts = srtp != Srtp::Off;
            let local = LocalMedia {
                address: [192, 0, 2, key].into(),
                port: 4000,
                rtcp_port: 4001,
                session_id: 1,
                session_version: 1,
                direction: Direction::SendRecv,
                keys: encrypts
                    .then(|| MasterKey::generate(suite, |octets| octets.fill(key)))
                    .into_iter()
                    .collect(),
            };
            (local, capabilities)
        };
        let (off, optional) = (Srtp::Off, Srtp::Optional);
        // (what we offer, what they take, how it came out, and why)
        for (ours, theirs, expected) in [
            (optional, optional, Some(Judged::pass("AES_CM_128_HMAC_SHA1_80 by their line 1"))),
            (optional, off, Some(Judged::skip("offered, and they chose plain RTP: srtp = \"optional\""))),
            (off, off, None),
        ] {
            let ((local, capabilities), (their_local, their_capabilities)) = (side(ours, 1), side(theirs, 2));
            let offered = offer(&local, &capabilities);
            let (body, _) = sdp::answer(&offered, &their_local, &their_capabilities).expect("an answer");
            let agreed = accept_answer(&offered, &body, &capabilities).expect("an agreement");
            assert_eq!(judge_encryption(&agreed, ours), expected);
        }
    }
}
