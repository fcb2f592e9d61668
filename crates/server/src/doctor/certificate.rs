//! Certificates, ours and theirs, as the other side will judge them.

use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::time::timeout;
use trunk::{Kind, Peer, TlsTarget, Transport};

use super::exam::Exam;
use crate::tls::Described;

/// A connection must be up within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A certificate that expires sooner is a failure today.
const SOON: Duration = Duration::from_hours(14 * 24);

type Judged = Result<String, (String, String)>;

/// Our own certificate towards this trunk.
pub(super) fn ours(exam: &mut Exam<'_>) {
    let check = "our certificate";
    let Some(peer) = exam.profile.peers.iter().find(|peer| peer.transport == Transport::Tls) else {
        return exam.report.skip(check, "no peer of this trunk is reached over TLS");
    };
    let Some(tls) = &exam.config.tls else {
        return exam.report.fail(check, "there is none", "tls in [sip], and a tls:// entry in sip.listen");
    };
    let target = exam.profile.tls_target(peer);
    let chain = match tls.own_chain(&target) {
        Ok(chain) => chain,
        Err(why) => return exam.report.fail(check, why, "certificate in [sip] tls, or in tls of this trunk"),
    };
    let own = &chain[0];
    let name = exam.profile.fqdn.as_ref().or(exam.config.advertise.as_ref()).map(ToString::to_string);
    let named = name.as_ref().filter(|name| !own.has_name(name));
    let both = exam.profile.kind == Kind::Microsoft && !(own.for_servers && own.for_clients);
    let judged = match (valid(own, SystemTime::now()), named) {
        (Err(judged), _) => Err(judged),
        (_, Some(name)) => Err((
            format!("{own}: it does not name {name}, which our Contact says"),
            format!("a certificate for {name}, or fqdn: a name that it has"),
        )),
        _ if both => Err((
            format!("{own}: not for servers and clients both"),
            "a certificate whose extended key usage has serverAuth and clientAuth".to_owned(),
        )),
        (Ok(valid), _) => Ok(format!("{own}, {valid}; {} in the chain that we send", chain.len())),
    };
    exam.report.judge(check, judged);
}

/// What a peer shows, and whether we believe it.
pub(super) async fn theirs(exam: &mut Exam<'_>, peer: &Peer) {
    let check = format!("TLS to {}", peer.address);
    let Some(tls) = exam.config.tls.clone() else {
        return exam.report.skip(&check, "we have no certificate to show");
    };
    let target = exam.profile.tls_target(peer);
    let seen = match connect(peer).await {
        Ok(stream) => tls.examine(stream, peer.address, &target).await,
        Err(why) => return exam.report.fail(&check, why, "the peer's address and port, and a firewall"),
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => {
            let change = "TLS 1.2 or 1.3 with a common suite at the peer; that its port speaks TLS at all";
            return exam.report.fail(&check, why, change);
        }
    };
    for (place, one) in seen.chain.iter().enumerate() {
        let which = if place == 0 { "certificate".to_owned() } else { format!("issuer {place}") };
        let name = format!("{which} of {}", peer.address.ip());
        let judged = if place == 0 {
            judge(one, &target, SystemTime::now())
        } else {
            valid(one, SystemTime::now()).map(|valid| format!("{one}, {valid}"))
        };
        exam.report.judge(&name, judged);
    }
    let believed = match connect(peer).await {
        Ok(stream) => tls.connect(stream, peer.address, &target, &exam.config.trunks).await.map(|_| ()),
        Err(why) => Err(why),
    };
    match believed {
        Ok(()) => exam.report.pass(&check, format!("{} with {}, the chain leads to our roots", seen.version, seen.suite)),
        Err(why) => exam.report.fail(
            &check,
            format!("{} with {}: {why}", seen.version, seen.suite),
            "roots in tls: who issued their certificate; the peer: its whole chain; server_name: a name that it has",
        ),
    }
}

async fn connect(peer: &Peer) -> Result<TcpStream, String> {
    match timeout(CONNECT_WITHIN, TcpStream::connect(peer.address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(format!("connect: {error}")),
        Err(_) => Err(format!("connect: no answer within {} s", CONNECT_WITHIN.as_secs())),
    }
}

fn judge(one: &Described, target: &TlsTarget, now: SystemTime) -> Judged {
    let valid = valid(one, now)?;
    if !target.names.iter().any(|name| one.has_name(name)) {
        let why = format!("{one}: none of {} is in it", target.names.join(", "));
        return Err((
            why,
            "host in peers, tls_names or server_name: a name that the certificate has".to_owned(),
        ));
    }
    if !one.for_servers {
        let why = format!("{one}: not for servers");
        return Err((why, "the peer: a certificate with serverAuth in its extended key usage".to_owned()));
    }
    let both = if one.for_clients { "" } else { "; not for clients, should it connect to us" };
    Ok(format!("{one}, {valid}{both}"))
}

fn valid(one: &Described, now: SystemTime) -> Judged {
    if now < one.not_before {
        let why = format!("{one}: not valid before {}", bridge::Stamp(one.not_before));
        return Err((why, "the clocks".to_owned()));
    }
    let Ok(left) = one.not_after.duration_since(now) else {
        return Err((
            format!("{one}: expired at {}", bridge::Stamp(one.not_after)),
            "a new certificate".to_owned(),
        ));
    };
    let days = left.as_secs() / 86_400;
    if left < SOON {
        return Err((
            format!("{one}: expires in {days} days"),
            "a new certificate, before calls end".to_owned(),
        ));
    }
    Ok(format!("valid for {days} days"))
}
