//! Session timers (RFC 4028): how long a dialog lives without a refresh, and who refreshes it. Every INVITE and every
//! UPDATE in a dialog asks anew, and every 2xx to one settles it anew.

use std::time::Duration;

use crate::endpoint::{SessionTimers, Terms};
use crate::wire::{HeaderName, Headers, Message};

/// No interval is shorter (section 4).
const LEAST: u32 = 90;
/// An answer with less is kept as if it said this: refreshing sooner than the peer wants costs little, every second much.
const FLOOR: u32 = 10;
/// An interval longer than this keeps nobody from asking for it, and is not waited for.
const MOST: u32 = 7 * 24 * 3600;

/// What holds for a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// Seconds from one refresh to the moment at which the dialog is over.
    pub(crate) interval: u32,
    /// We refresh; otherwise the peer does.
    pub(crate) ours: bool,
}

/// A Session-Expires header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SessionExpires {
    seconds: u32,
    /// Whether the side that sent the request refreshes.
    uac: Option<bool>,
}

/// The peer asks for less than we grant: 422 with this Min-SE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSmall(pub(crate) u32);

impl SessionTimer {
    /// When we refresh: at half of the interval (section 7.2).
    pub(crate) fn refresh_after(self) -> Duration {
        Duration::from_millis(u64::from(self.interval) * 500)
    }

    /// When we end the dialog: the refresher at the end of the interval, the other side a little sooner, so that its BYE
    /// finds the refresher still there (section 10).
    pub(crate) fn over_after(self) -> Duration {
        let early = if self.ours { 0 } else { 32.min(self.interval / 3) };
        Duration::from_secs(u64::from(self.interval - early))
    }

    /// What we grant to an INVITE or UPDATE of the peer's (section 9). `was` is what held before.
    pub(crate) fn grant(
        terms: &Terms,
        request: &Message,
        was: Option<Self>,
    ) -> Result<Option<Self>, TooSmall> {
        if terms.session_timer == SessionTimers::Off {
            return Ok(None);
        }
        let knows = request.headers().has_token(HeaderName::Supported, "timer")
            || request.headers().has_token(HeaderName::Require, "timer");
        let least = terms.min_se.max(LEAST);
        let theirs = number(request.headers().get(HeaderName::MinSe)).unwrap_or(0).min(MOST);
        let Some(asked) = expires(request) else {
            let ask = terms.session_timer == SessionTimers::Ask && knows;
            // He did not ask, so we do the work, unless he does it already.
            let ours = was.is_none_or(|was| was.ours);
            return Ok(ask.then(|| Self { interval: terms.session_expires.max(least).max(theirs), ours }));
        };
        if asked.seconds < least && knows {
            return Err(TooSmall(least));
        }
        // A proxy may have asked on behalf of a peer that knows nothing of it: then nobody but us can refresh.
        let uac = asked.uac.or(was.map(|was| !was.ours)).unwrap_or(true);
        let wanted = terms.session_expires.max(least).max(theirs);
        let interval = asked.seconds.clamp(least, MOST).min(wanted);
        Ok(Some(Self { interval, ours: !(knows && uac) }))
    }

    /// Writes what was granted into our 2xx to `request`.
    pub(crate) fn write_grant(self, request: &Message, headers: &mut Headers) {
        let refresher = if self.ours { "uas" } else { "uac" };
        let knows = request.headers().has_token(HeaderName::Supported, "timer")
            || request.headers().has_token(HeaderName::Require, "timer");
        if knows {
            headers.push(HeaderName::Require, "timer");
        }
        headers.push(HeaderName::SessionExpires, format!("{};refresher={refresher}", self.interval));
    }

    /// Writes what we ask for into an INVITE or UPDATE of ours. `was` is what holds, `min_se` what a 422 has taught us.
    pub(crate) fn write_ask(terms: &Terms, was: Option<Self>, min_se: u32, headers: &mut Headers) {
        // A 422 means that somebody on the way insists on a timer.
        let asks = terms.session_timer == SessionTimers::Ask || was.is_some() || min_se > 0;
        if terms.session_timer == SessionTimers::Off || !asks {
            return;
        }
        let least = terms.min_se.max(min_se).max(LEAST);
        let wanted = was.map_or(terms.session_expires, |was| was.interval);
        let refresher = was.map_or("", |was| if was.ours { ";refresher=uac" } else { ";refresher=uas" });
        headers.push(HeaderName::SessionExpires, format!("{}{refresher}", wanted.max(least)));
        if least > LEAST {
            headers.push(HeaderName::MinSe, least);
        }
    }

    /// What a 2xx to an INVITE or UPDATE of ours settles (section 7.2); `None`: nothing expires.
    pub(crate) fn settled(terms: &Terms, response: &Message) -> Option<Self> {
        let found = expires(response).filter(|_| terms.session_timer != SessionTimers::Off)?;
        let ours = found.uac.unwrap_or(true);
        Some(Self { interval: found.seconds.clamp(FLOOR, MOST), ours })
    }
}

/// The Min-SE of a 422 that we can do with (section 7.3).
pub(crate) fn min_se_of(response: &Message) -> Option<u32> {
    number(response.headers().get(HeaderName::MinSe)).filter(|seconds| (1..=MOST).contains(seconds))
}

fn expires(message: &Message) -> Option<SessionExpires> {
    let value = message.headers().get(HeaderName::SessionExpires)?;
    let (seconds, params) = value.split_once(';').unwrap_or((value, ""));
    let refresher = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then(|| value.trim())
    });
    let uac = match refresher {
        Some(word) if word.eq_ignore_ascii_case("uac") => Some(true),
        Some(word) if word.eq_ignore_ascii_case("uas") => Some(false),
        _ => None,
    };
    Some(SessionExpires { seconds: number(Some(seconds))?, uac })
}

/// Delta-seconds, and what stands behind a semicolon passed over; a number too large for us is the largest.
fn number(value: Option<&str>) -> Option<u32> {
    let digits = value?.split(';').next().unwrap_or_default().trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Method, Uri};

    fn request(head: &[(&str, &str)]) -> Message {
        let mut message = Message::request(Method::INVITE, Uri::parse("sip:a@b").expect("a URI"));
        for (name, value) in head {
            message.headers_mut().push(*name, *value);
        }
        message
    }

    /// What holds here, what the request says, what held before, what is granted.
    type Row = (Terms, &'static [(&'static str, &'static str)], Option<SessionTimer>, Granted);
    type Granted = Result<Option<SessionTimer>, TooSmall>;

    const KNOWS: (&str, &str) = ("Supported", "timer");

    fn ask() -> Terms {
        Terms { session_timer: SessionTimers::Ask, ..Terms::default() }
    }

    #[test]
    fn what_is_granted_is_what_table_2_of_the_rfc_says() {
        let timer = |interval, ours| Ok(Some(SessionTimer { interval, ours }));
        let accept = Terms::default();
        let off = Terms { session_timer: SessionTimers::Off, ..accept };
        let (mine, theirs) =
            (SessionTimer { interval: 600, ours: true }, SessionTimer { interval: 600, ours: false });
        let table: &[Row] = &[
            (accept, &[KNOWS, ("Session-Expires", "1200;refresher=uac")], None, timer(1200, false)),
            (accept, &[KNOWS, ("Session-Expires", "1200 ; Refresher = UAS")], None, timer(1200, true)),
            (accept, &[KNOWS, ("x", "1200")], None, timer(1200, false)),
            (accept, &[KNOWS, ("x", "1200")], Some(mine), timer(1200, true)),
            (accept, &[KNOWS, ("x", "1200")], Some(theirs), timer(1200, false)),
            (accept, &[KNOWS, ("x", "7200;refresher=uac")], None, timer(1800, false)),
            (accept, &[KNOWS, ("x", "7200"), ("Min-SE", "3600")], None, timer(3600, false)),
            (accept, &[("x", "1200;refresher=uac")], None, timer(1200, true)),
            (accept, &[("x", "30")], None, timer(90, true)),
            (accept, &[KNOWS, ("x", "89")], None, Err(TooSmall(90))),
            (Terms { min_se: 300, ..accept }, &[KNOWS, ("x", "299")], None, Err(TooSmall(300))),
            (accept, &[("Require", "timer"), ("x", "90")], None, timer(90, false)),
            (accept, &[KNOWS], None, Ok(None)),
            (accept, &[KNOWS, ("x", "soon")], None, Ok(None)),
            (ask(), &[KNOWS], None, timer(1800, true)),
            (ask(), &[KNOWS], Some(theirs), timer(1800, false)),
            (ask(), &[KNOWS, ("Min-SE", "2400")], None, timer(2400, true)),
            (ask(), &[], None, Ok(None)),
            (off, &[KNOWS, ("x", "1200")], None, Ok(None)),
            (accept, &[KNOWS, ("x", "99999999999999999999")], None, timer(1800, false)),
        ];
        for (terms, head, was, granted) in table {
            assert_eq!(SessionTimer::grant(terms, &request(head), *was), *granted, "{head:?} {was:?}");
        }
    }

    #[test]
    fn a_refresh_asks_for_what_holds_and_never_for_less_than_it_was_told() {
        let written = |terms: &Terms, was, min_se| {
            let mut headers = Headers::default();
            SessionTimer::write_ask(terms, was, min_se, &mut headers);
            headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        let mine = Some(SessionTimer { interval: 600, ours: true });
        let theirs = Some(SessionTimer { interval: 600, ours: false });
        let (accept, off) =
            (Terms::default(), Terms { session_timer: SessionTimers::Off, ..Terms::default() });
        assert_eq!(written(&ask(), None, 0), ["Session-Expires: 1800"]);
        assert_eq!(written(&ask(), None, 2000), ["Session-Expires: 2000", "Min-SE: 2000"]);
        assert_eq!(written(&accept, mine, 0), ["Session-Expires: 600;refresher=uac"]);
        assert_eq!(written(&accept, theirs, 0), ["Session-Expires: 600;refresher=uas"]);
        assert_eq!(written(&accept, None, 0), [""; 0]);
        assert_eq!(written(&off, mine, 0), [""; 0]);
    }

    #[test]
    fn an_answer_settles_who_refreshes_and_silence_settles_that_nobody_does() {
        let settled = |value: &str| SessionTimer::settled(&ask(), &request(&[("Session-Expires", value)]));
        assert_eq!(settled("600;refresher=uas"), Some(SessionTimer { interval: 600, ours: false }));
        assert_eq!(settled("600;refresher=uac;x=y"), Some(SessionTimer { interval: 600, ours: true }));
        assert_eq!(settled("600"), Some(SessionTimer { interval: 600, ours: true }));
        assert_eq!(settled("0"), Some(SessionTimer { interval: FLOOR, ours: true }));
        assert_eq!(settled("-1"), None);
        assert_eq!(SessionTimer::settled(&ask(), &request(&[])), None);
    }

    #[test]
    fn who_waits_for_a_refresh_says_goodbye_a_little_before_the_end() {
        let over = |interval, ours| SessionTimer { interval, ours }.over_after().as_secs();
        assert_eq!((over(1800, false), over(90, false), over(60, false)), (1768, 60, 40));
        assert_eq!(over(1800, true), 1800);
        assert_eq!(SessionTimer { interval: 1800, ours: true }.refresh_after(), Duration::from_mins(15));
    }
}
