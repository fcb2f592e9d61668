//! SIP by hand, for what no decent peer would send.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use server::demo::{
    g711::Law,
    media::{Media, MediaPorts},
    speaker::Stream,
};
use tokio::{net::UdpSocket, time::timeout};

use super::bridge::{NUMBER, PATIENCE};

/// How long to wait for an answer before a request is sent again.
const AGAIN: Duration = Duration::from_millis(500);

/// A UDP socket that speaks SIP by hand.
pub(crate) struct Raw {
    socket: UdpSocket,
    bridge: SocketAddr,
}

/// What a request says.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) call_id: &'a str,
    /// User part of From.
    pub(crate) from: &'a str,
    /// User part of To and of the request URI.
    pub(crate) to: &'a str,
    /// More header lines, each with its line break.
    pub(crate) more: &'a str,
    pub(crate) body: &'a str,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self { method: "OPTIONS", call_id: "raw", from: "+493023125001", to: NUMBER, more: "", body: "" }
    }
}

impl Request<'_> {
    /// The message, as sent from `own` to `bridge`.
    pub(crate) fn text(&self, transport: &str, own: SocketAddr, bridge: SocketAddr) -> String {
        let Self { method, call_id, from, to, more, body } = self;
        let mut text = format!("{method} sip:{to}@{bridge} SIP/2.0\r\n");
        let branch: String = call_id.chars().filter(char::is_ascii_alphanumeric).collect();
        let _ = write!(text, "Via: SIP/2.0/{transport} {own};branch=z9hG4bK{branch}{method};rport\r\n");
        let _ =
            write!(text, "Max-Forwards: 70\r\nFrom: <sip:{from}@{own}>;tag=1\r\nTo: <sip:{to}@{bridge}>\r\n");
        let _ = write!(text, "Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:{from}@{own}>\r\n");
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let _ = write!(text, "{more}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
        text
    }
}

impl Raw {
    /// A socket on 127.0.0.1.
    pub(crate) async fn open(bridge: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.expect("a socket"), bridge }
    }

    /// Its own address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("the socket's address")
    }

    /// Sends bytes.
    pub(crate) async fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.bridge).await.expect("a datagram is sent");
    }

    /// Sends a request, again if need be, and gives its final answer.
    pub(crate) async fn ask(&self, request: &Request<'_>) -> String {
        let text = request.text("UDP", self.address(), self.bridge);
        let mut buffer = vec![0; 65_536];
        let began = std::time::Instant::now();
        loop {
            // The bridge may not be there yet, which shows as an error here.
            let _ = self.socket.send_to(text.as_bytes(), self.bridge).await;
            while let Ok(Ok(length)) = timeout(AGAIN, self.socket.recv(&mut buffer)).await {
                let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let call_id = format!("Call-ID: {}", request.call_id);
                let is_ours = answer.starts_with("SIP/2.0") && answer.contains(&call_id);
                if is_ours && !answer.starts_with("SIP/2.0 1") {
                    return answer;
                }
            }
            assert!(began.elapsed() < PATIENCE, "no answer to {text}");
        }
    }

    /// Every message that comes until there is silence.
    pub(crate) async fn everything(&self) -> Vec<String> {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
        while let Ok(Ok(length)) = timeout(AGAIN, self.socket.recv(&mut buffer)).await {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all
    }

    /// The next message that begins so.
    pub(crate) async fn until(&self, begin: &str) -> String {
        let mut buffer = vec![0; 65_536];
        loop {
            let length =
                timeout(PATIENCE, self.socket.recv(&mut buffer)).await.expect(begin).expect("a datagram");
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with(begin) {
                return message;
            }
        }
    }

    /// The status of the final answer.
    pub(crate) async fn status(&self, request: &Request<'_>) -> u16 {
        status(&self.ask(request).await)
    }
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line")
}

/// A response to a request of the bridge's with `tag` in To if there is none; `more` are further header lines.
pub(crate) fn answer(request: &str, status: &str, tag: &str, more: &str) -> String {
    answer_with(request, status, tag, more, "")
}

/// The same with a description.
pub(crate) fn answer_with(request: &str, status: &str, tag: &str, more: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
            let tag =
                if name == "To" && !line.contains(";tag=") { format!(";tag={tag}") } else { String::new() };
            let _ = write!(text, "{line}{tag}\r\n");
        }
    }
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let _ = write!(text, "{more}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    text
}

/// An offer of A-law with telephone-event.
pub(crate) fn offer(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
    )
}

/// The dialog that a 200 made.
pub(crate) struct Dialog {
    call_id: String,
    from: String,
    /// To with the bridge's tag.
    to: String,
    /// The bridge's Contact.
    target: String,
    /// Where the bridge receives RTP.
    pub(crate) media: SocketAddr,
}

impl Dialog {
    /// From a 200 to an INVITE.
    pub(crate) fn of(answer: &str) -> Self {
        let header = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().to_owned()
        };
        let port =
            answer.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("audio in the answer");
        let port: u16 = port.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        let contact = header("Contact:");
        let target = contact.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
        Self {
            call_id: header("Call-ID:"),
            from: header("From:"),
            to: header("To:"),
            target,
            media: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// A request within it.
    pub(crate) fn request(&self, method: &str, sequence: u32, transport: &str, own: SocketAddr) -> String {
        let Self { call_id, from, to, target, .. } = self;
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{transport} {own};branch=z9hG4bK{method}{sequence};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {sequence} {method}\r\n\
             Content-Length: 0\r\n\r\n"
        )
    }
}

/// A call made by hand, with media.
pub(crate) struct RawCall {
    raw: Raw,
    dialog: Dialog,
    pub(crate) media: Media,
}

impl RawCall {
    /// Calls the bridge; `from` and `more` as in [`Request`].
    pub(crate) async fn dial(bridge: SocketAddr, call_id: &str, from: &str, more: &str) -> Self {
        let raw = Raw::open(bridge).await;
        let ports = MediaPorts::bind(raw.address().ip()).await.expect("media ports");
        let body = offer(ports.address().port());
        let request = Request { method: "INVITE", call_id, from, more, body: &body, ..Request::default() };
        let answer = raw.ask(&request).await;
        assert_eq!(status(&answer), 200, "{answer}");
        let dialog = Dialog::of(&answer);
        raw.send(dialog.request("ACK", 1, "UDP", raw.address()).as_bytes()).await;
        let stream = Stream { law: Law::A, audio: 8, events: Some(101), ssrc: 7, sequence: 1, timestamp: 1 };
        let media = ports.start(stream, dialog.media);
        Self { raw, dialog, media }
    }

    /// BYE, and its answer.
    pub(crate) async fn hang_up(self) -> u16 {
        let bye = self.dialog.request("BYE", 2, "UDP", self.raw.address());
        self.raw.send(bye.as_bytes()).await;
        let mut buffer = vec![0; 65_536];
        loop {
            let length =
                timeout(PATIENCE, self.raw.socket.recv(&mut buffer)).await.expect("an answer to BYE");
            let answer = String::from_utf8_lossy(&buffer[..length.expect("a datagram")]).into_owned();
            if answer.starts_with("SIP/2.0") && answer.contains("CSeq: 2 BYE") {
                return status(&answer);
            }
        }
    }
}
