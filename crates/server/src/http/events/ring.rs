//! The memory of what happened: one sequence for the node, bounded, read by everyone at his own pace.
//!
//! Whoever reads keeps his own place in it. Control only ever adds, and never waits for a reader: it holds the lock for as
//! long as it takes to put one line in, a reader for as long as it takes to count a page of them out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bridge::Stamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::control::{Happening, masked};

/// Events that are kept at most.
const MOST: usize = 10_000;
/// Bytes that they may take.
const MOST_BYTES: usize = 8 << 20;

/// See the module.
pub struct Ring {
    run: String,
    kept: Mutex<Kept>,
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    events: VecDeque<Event>,
    bytes: usize,
}

/// One event, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) seq: u64,
    pub(super) kind: &'static str,
    tenant: Option<Arc<str>>,
    /// Of which meeting.
    conference: Option<Arc<str>>,
    /// Who is outside was to see no numbers in it when it happened.
    masks: bool,
    pub(super) json: Arc<str>,
}

/// What a reader gets.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) events: Vec<Event>,
    /// His place from now on.
    pub(super) place: u64,
    /// Something between his place and these is gone.
    pub(super) gap: bool,
}

/// How a reader names his place: `SEQ`, or `RUN:SEQ` as the bridge told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Since {
    run: Option<String>,
    seq: u64,
}

impl Since {
    /// `None` for what is no place.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (run, seq) = match text.rsplit_once(':') {
            Some((run, seq)) => (Some(run.to_owned()), seq),
            None => (None, text),
        };
        let plain = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| seq.parse().ok()).flatten().map(|seq| Self { run, seq })
    }
}

impl Ring {
    /// Empty; `run` is what this run of the bridge is called.
    pub fn new(run: String) -> Self {
        Self { run, kept: Mutex::default(), news: watch::Sender::new(0) }
    }

    /// What this run of the bridge is called.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// Adds what happened; what is too much is forgotten, the oldest first.
    pub fn push(&self, happened: Happening) {
        let tenant: Option<Arc<str>> = happened.tenant.as_ref().map(|tenant| tenant.as_str().into());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let seq = kept.last + 1;
        let mut event = json!({
            "seq": seq,
            "run": self.run,
            "type": happened.kind,
            "at": Stamp(happened.at),
            "tenant": tenant.as_deref(),
            "conference_id": null,
            "leg": null,
            "trunk": null,
        });
        for (name, value) in happened.members {
            event[name] = value;
        }
        let conference = event["conference_id"].as_str().map(Arc::from);
        let json: Arc<str> = event.to_string().into();
        kept.last = seq;
        kept.bytes += json.len();
        let (kind, masks) = (happened.kind, happened.masks);
        kept.events.push_back(Event { seq, kind, tenant, conference, masks, json });
        while kept.events.len() > MOST || kept.bytes > MOST_BYTES {
            let Some(oldest) = kept.events.pop_front() else { break };
            kept.bytes -= oldest.json.len();
        }
        drop(kept);
        self.news.send_replace(seq);
    }

    /// Told of every push.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The place after all that has happened.
    pub(super) fn end(&self) -> u64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// The place of a reader who names one; with `true`, what is between it and what is kept is lost to him.
    pub(super) fn place(&self, since: &Since) -> (u64, bool) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before_oldest = kept.events.front().map_or(kept.last, |oldest| oldest.seq - 1);
        // Of another run, or beyond the end: then it was another run's as well.
        if since.run.as_ref().is_some_and(|run| *run != self.run) || since.seq > kept.last {
            return (before_oldest, true);
        }
        (since.seq.max(before_oldest), since.seq < before_oldest)
    }

    /// At most `most` events after `place` that `sees` lets through, by their tenant.
    pub(super) fn read(&self, place: u64, most: usize, sees: impl Fn(Option<&str>) -> bool) -> Page {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before_oldest = kept.events.front().map_or(kept.last, |oldest| oldest.seq - 1);
        let mut page =
            Page { place: place.max(before_oldest), gap: place < before_oldest, ..Page::default() };
        let skipped = (page.place - before_oldest) as usize;
        for event in kept.events.iter().skip(skipped) {
            if sees(event.tenant.as_deref()) {
                if page.events.len() == most {
                    break;
                }
                page.events.push(event.clone());
            }
            page.place = event.seq;
        }
        page
    }
}

impl Event {
    /// As somebody sees it who is inside, or outside. Numbers are masked when they were to be then, or are to be now, which
    /// `masks_now` says of a conference ID: an event is read long after it was told.
    pub(super) fn seen(self, outside: bool, masks_now: impl Fn(&str) -> bool) -> Self {
        let masks = outside && (self.masks || self.conference.as_deref().is_some_and(masks_now));
        let json = if masks { masked(&self.json) } else { self.json };
        Self { json, ..self }
    }

    /// As a value.
    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use routing::TenantId;
    use serde_json::Map;
    use std::time::SystemTime;

    fn ring(tenants: &[Option<&str>]) -> Ring {
        let ring = Ring::new("r1".to_owned());
        for tenant in tenants {
            let tenant = tenant.map(TenantId::from);
            let members = Map::new();
            let (kind, at, masks) = ("limit.reached", SystemTime::UNIX_EPOCH, false);
            ring.push(Happening { kind, at, tenant, masks, members });
        }
        ring
    }

    fn numbers(page: &Page) -> Vec<u64> {
        page.events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn a_reader_goes_on_where_he_was_and_sees_his_tenant_only() {
        let ring = ring(&[Some("a"), Some("b"), None, Some("a")]);
        let all = ring.read(0, 2, |_| true);
        assert_eq!((numbers(&all), all.place, all.gap), (vec![1, 2], 2, false));
        let rest = ring.read(all.place, 9, |_| true);
        assert_eq!((numbers(&rest), rest.place), (vec![3, 4], 4));
        assert_eq!((ring.read(4, 9, |_| true).events.len(), ring.end()), (0, 4));
        let own = ring.read(0, 9, |tenant| tenant == Some("a"));
        assert_eq!((numbers(&own), own.place), (vec![1, 4], 4));
        assert_eq!(own.events[0].value()["tenant"], "a");
    }

    #[test]
    fn an_outsider_sees_no_number_that_is_masked_then_or_now() {
        let ring = Ring::new("r1".to_owned());
        for (masks, id) in [(false, json!("1")), (true, json!("1")), (false, Value::Null)] {
            let members = json!({ "conference_id": id, "details": { "number": "+493023125001" } });
            let Value::Object(members) = members else { unreachable!() };
            let (kind, at, tenant) = ("participant.joined", SystemTime::UNIX_EPOCH, None);
            ring.push(Happening { kind, at, tenant, masks, members });
        }
        for (outside, now, shown) in [
            (false, true, [true, true, true]),
            (true, false, [true, false, true]),
            (true, true, [false, false, true]),
        ] {
            let seen = ring.read(0, 9, |_| true).events.into_iter().map(|event| event.seen(outside, |_| now));
            let found: Vec<bool> = seen.map(|event| event.json.contains("+493023125001")).collect();
            assert_eq!(found, shown, "outside {outside}, now {now}");
        }
    }

    #[test]
    fn the_memory_is_bounded_and_who_is_too_late_is_told_of_the_gap() {
        let ring = ring(&vec![None; MOST + 5]);
        let page = ring.read(3, 1, |_| true);
        assert_eq!((numbers(&page), page.gap), (vec![6], true));
        assert!(!ring.read(5, 1, |_| true).gap);
        let place = |text: &str| ring.place(&Since::read(text).unwrap());
        assert_eq!((place("4"), place("5"), place("r1:7")), ((5, true), (5, false), (7, false)));
        assert_eq!((place("r0:7"), place("99999999")), ((5, true), (5, true)));
    }

    #[test]
    fn a_place_is_a_number_with_or_without_the_run() {
        assert_eq!(Since::read("7"), Some(Since { run: None, seq: 7 }));
        assert_eq!(Since::read("r:7"), Some(Since { run: Some("r".to_owned()), seq: 7 }));
        for wrong in ["", "r:", "-1", "+1", "7 ", "99999999999999999999"] {
            assert_eq!(Since::read(wrong), None, "{wrong}");
        }
    }
}
