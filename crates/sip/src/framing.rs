//! Messages out of a TCP or TLS stream (RFC 3261 section 18.3, RFC 5626 section 4.4.1).
//!
//! **Resynchronization.** The framer asks one thing of a head: a Content-Length that can be trusted. Where it can, the
//! message is cut out however wrong the rest may be, [`Message::parse`](crate::Message::parse) answers it, and the next
//! message is read: a bad message costs one message, not the trunk. Where it cannot (absent, differing, not a number,
//! beyond the limit, line ends that two readers could see differently), nobody knows where the next message starts:
//! the error carries the head, so that it can be answered with 400, and the connection must be closed.

use crate::endpoint::Transport;
use crate::wire::{Framing, Message, limits, stream_length};
use bytes::{Buf, Bytes, BytesMut};

/// What came out of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FramerEvent {
    /// One message, for [`Message::parse`](crate::Message::parse) with [`Framing::Stream`](crate::Framing::Stream).
    Message(Bytes),
    /// A keep-alive ping (two CRLFs, however many at once): answer with one CRLF.
    KeepAlive,
}

/// The stream is lost. Answer `head` if it can be answered, then close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}; answer {status} and close the connection")]
pub struct FramingError {
    /// 400, or 513 for a message that is too large.
    pub status: u16,
    /// What is wrong, for the log.
    pub why: &'static str,
    /// The head, if its end was seen; `Message::parse` with `Framing::Stream` refuses it and says whether it can be answered.
    pub head: Option<Bytes>,
}

/// Cuts one connection's bytes into messages. Push what was read, then call [`StreamFramer::next`] until it is `None`.
/// It holds at most one unfinished message (64 KiB) besides the last push.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no end of head: a slow sender must not make us search it again and again.
    searched: usize,
    /// Where the current message ends, once its head is understood.
    length: Option<usize>,
    /// CRLFs seen since the last message.
    blank_lines: u8,
    lost: bool,
}

impl StreamFramer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes from the connection. After an error they are dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.lost {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Bytes of an unfinished message. While this is not 0 the connection is in the middle of a message and the
    /// caller's timeout for slow senders applies.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next message or keep-alive; `None` until more is pushed. After an error: `None` for good.
    #[allow(clippy::should_implement_trait)] // an Iterator that is fed between calls would mislead
    pub fn next(&mut self) -> Option<Result<FramerEvent, FramingError>> {
        if self.lost {
            return None;
        }
        if self.length.is_none() {
            if self.skip_blank_lines() {
                return Some(Ok(FramerEvent::KeepAlive));
            }
            match self.find_length() {
                Ok(length) => self.length = Some(length?),
                Err(error) => {
                    self.lost = true;
                    self.buffer = BytesMut::new();
                    return Some(Err(error));
                }
            }
        }
        let length = self.length.filter(|&l| l <= self.buffer.len())?;
        self.length = None;
        self.searched = 0;
        self.blank_lines = 0;
        Some(Ok(FramerEvent::Message(self.buffer.split_to(length).freeze())))
    }

    /// Drops CRLFs before a message; whether a ping was among them.
    fn skip_blank_lines(&mut self) -> bool {
        let mut ping = false;
        while self.searched == 0 && self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
            self.blank_lines += 1;
            if self.blank_lines == 2 {
                self.blank_lines = 0;
                ping = true;
            }
        }
        ping
    }

    /// The length of the message at the start of the buffer, once its head is complete.
    fn find_length(&mut self) -> Result<Option<usize>, FramingError> {
        let from = self.searched.saturating_sub(3);
        let tail = self.buffer.get(from..).unwrap_or_default();
        let Some(end) = memchr::memmem::find(tail, b"\r\n\r\n").map(|at| from + at + 4) else {
            if self.buffer.len() > limits::MESSAGE {
                return Err(FramingError {
                    status: 513,
                    why: "a message head larger than 64 KiB",
                    head: None,
                });
            }
            // A lone CR may be the first half of a blank line.
            self.searched = if self.buffer.len() < 2 { 0 } else { self.buffer.len() };
            return Ok(None);
        };
        let fail = |status, why, head: &mut BytesMut| FramingError {
            status,
            why,
            head: Some(head.split_to(end).freeze()),
        };
        if end > limits::MESSAGE {
            return Err(fail(513, "a message head larger than 64 KiB", &mut self.buffer));
        }
        let body = match stream_length(self.buffer.get(..end).unwrap_or_default()) {
            Ok(body) => body,
            Err(why) => return Err(fail(400, why, &mut self.buffer)),
        };
        match end.checked_add(body).filter(|&total| total <= limits::MESSAGE) {
            Some(total) => Ok(Some(total)),
            None => Err(fail(513, "a message larger than 64 KiB", &mut self.buffer)),
        }
    }
}

/// The port of its sender's address to which requests may be sent over the connection that this message came on: it is a
/// request whose Via says `alias` (RFC 5923 section 5), for this transport.
pub fn alias_port(message: &Bytes, transport: Transport) -> Option<u16> {
    let request = Message::parse(message.clone(), Framing::Stream).ok().filter(Message::is_request)?;
    let via = request.via_top()?;
    let fits = via.transport().eq_ignore_ascii_case(transport.via_token());
    via.params().get("alias").filter(|_| fits)?;
    Some(via.sent_by().port.unwrap_or(transport.default_port())).filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:d@c>;tag=1\r\n\
        To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nl: 4\r\n\r\nabcd";

    fn all(framer: &mut StreamFramer) -> Vec<Result<FramerEvent, FramingError>> {
        std::iter::from_fn(|| framer.next()).collect()
    }

    fn message(text: &str) -> FramerEvent {
        FramerEvent::Message(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut() {
        let stream = format!("{BODY}\r\n\r\n{BODY}\r\n{BODY}");
        for size in 1..stream.len() {
            let mut framer = StreamFramer::new();
            let mut found = Vec::new();
            for part in stream.as_bytes().chunks(size) {
                framer.push(part);
                found.extend(all(&mut framer));
            }
            let expected = [message(BODY), FramerEvent::KeepAlive, message(BODY), message(BODY)].map(Ok);
            assert_eq!(found, expected, "in pieces of {size}");
            assert_eq!(framer.pending(), 0);
        }
    }

    #[test]
    fn a_malformed_message_costs_one_message_when_its_length_is_sure() {
        let bad = BODY.replace("sip:a@b SIP", "<sip:a@b> SIP");
        let mut framer = StreamFramer::new();
        framer.push(format!("{bad}{BODY}").as_bytes());
        let found = all(&mut framer);
        assert_eq!(found, [message(&bad), message(BODY)].map(Ok));
        let refused =
            Message::parse(Bytes::from(bad), Framing::Stream).expect_err("brackets around the Request-URI");
        assert_eq!(refused.status, 400);
    }

    #[test]
    fn a_body_beyond_the_limit_is_refused_with_its_head_and_nothing_of_it_is_kept() {
        let head = BODY.replace("l: 4\r\n\r\nabcd", "l: 500000\r\n\r\n");
        let mut framer = StreamFramer::new();
        framer.push(head.as_bytes());
        let why = "a message larger than 64 KiB";
        let refused = FramingError { status: 513, why, head: Some(Bytes::from(head)) };
        assert_eq!(all(&mut framer), [Err(refused)]);
        for _ in 0..500 {
            framer.push(&[b'v'; 1000]);
            assert_eq!((framer.next(), framer.pending()), (None, 0));
        }
    }

    #[test]
    fn without_a_sure_length_the_stream_is_lost_and_the_head_can_still_be_answered() {
        for head in [
            BODY.replace("l: 4\r\n", ""),
            BODY.replace("l: 4", "l: 4\r\nContent-Length: 5"),
            BODY.replace("l: 4", "l: 4, 4"),
            BODY.replace("l: 4", "l: -4"),
            BODY.replace("l: 4", "l: 18446744073709551615"),
            BODY.replace("l: 4", "l:"),
            BODY.replace("l: 4", "X: y\nl: 4\r\nZ: l"),
            BODY.replace("l: 4", "X: y\rl: 4"),
        ] {
            let mut framer = StreamFramer::new();
            framer.push(head.as_bytes());
            let error = framer.next().expect("an event").expect_err("no sure length");
            let refused =
                Message::parse(error.head.expect("a head"), Framing::Stream).expect_err("refused too");
            assert_eq!((error.status, refused.status), (400, 400), "{head}");
            framer.push(BODY.as_bytes());
            assert_eq!(framer.next(), None);
        }
    }

    #[test]
    fn folds_blanks_and_compact_forms_do_not_hide_the_length_from_the_framer() {
        for length in [
            "Content-Length  :  4",
            "content-length:\r\n  4",
            "L : 4",
            "X: y\r\n l: 9\r\nl: 4",
            "l: 4\r\nl: 4",
        ] {
            let text = BODY.replace("l: 4", length);
            let mut framer = StreamFramer::new();
            framer.push(text.as_bytes());
            assert_eq!(framer.next(), Some(Ok(message(&text))), "{length}");
            assert!(Message::parse(Bytes::from(text), Framing::Stream).is_ok(), "{length}");
        }
    }

    #[test]
    fn an_endless_head_ends_at_the_limit_and_is_searched_once() {
        let mut framer = StreamFramer::new();
        let mut pushed = 0;
        let error = loop {
            framer.push(b"X: y\r\n");
            pushed += 6;
            assert!(pushed < limits::MESSAGE + 100, "the limit does not hold");
            if let Some(event) = framer.next() {
                break event.expect_err("too large");
            }
        };
        assert_eq!((error.status, error.head), (513, None));
    }

    #[test]
    fn a_via_with_alias_names_the_port_whose_requests_may_come_back_on_the_connection() {
        let tls = |via: &str| {
            let text = BODY.replace("SIP/2.0/TCP c;branch=z9hG4bK1", via);
            alias_port(&Bytes::from(text), Transport::Tls)
        };
        assert_eq!(tls("SIP/2.0/TLS c:5062;alias;branch=z9hG4bK1"), Some(5062));
        assert_eq!(tls("SIP/2.0/TLS c;branch=z9hG4bK1;ALIAS"), Some(5061));
        assert_eq!(tls("SIP/2.0/TLS c:5062;branch=z9hG4bK1"), None, "it was not offered");
        assert_eq!(tls("SIP/2.0/TCP c:5062;alias;branch=z9hG4bK1"), None, "another transport");
        assert_eq!(tls("SIP/2.0/TLS c:0;alias;branch=z9hG4bK1"), None);
        assert_eq!(alias_port(&Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n"), Transport::Tls), None);
    }
}
