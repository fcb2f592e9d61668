//! The memory: what passed, by Call-ID, within limits in calls, messages and bytes.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use sip::Transport;

use super::{Passage, call_id};

/// Messages of one call: its first half is kept, and of the rest the last ones.
const PER_CALL: usize = 200;
/// How much of the calls and of the bytes is there for keep-alives, and how much for strangers, each on top.
const ASIDE: usize = 8;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls; 0 keeps nothing.
    pub calls: usize,
    /// Bytes of messages of all calls together.
    pub bytes: usize,
}

/// Whom a message came from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// A trunk lists the address.
    Listed,
    /// No trunk does.
    Stranger,
}

/// What is known of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its messages, in the order in which they passed.
    pub messages: Vec<Passage>,
    /// How many of its messages were dropped, behind the first hundred.
    pub dropped: u64,
}

/// One line of the list of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its Call-ID.
    pub call_id: Bytes,
    /// Its first message.
    pub first: Passage,
    /// Its last message.
    pub last: Passage,
    /// How many messages passed.
    pub messages: u64,
}

/// Where a call is kept, so that neither strangers nor keep-alives push the calls out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shelf {
    Calls,
    KeepAlives,
    Strangers,
}

#[derive(Debug, Default)]
struct Room {
    limits: (usize, usize),
    /// By the turn of their last message: the first is the one to go.
    turns: BTreeMap<u64, Bytes>,
    bytes: usize,
}

#[derive(Debug)]
struct Call {
    shelf: Shelf,
    turn: u64,
    bytes: usize,
    messages: VecDeque<Passage>,
    dropped: u64,
}

/// The last calls. One owner; nothing here waits or fails.
#[derive(Debug)]
pub struct Ladders {
    calls: HashMap<Bytes, Call>,
    rooms: [Room; 3],
    turn: u64,
}

impl Ladders {
    /// An empty memory.
    pub fn new(limits: Limits) -> Self {
        let Limits { calls, bytes } = limits;
        let aside = (calls.div_ceil(ASIDE), bytes / ASIDE);
        let room = |limits| Room { limits, ..Room::default() };
        Self { calls: HashMap::new(), rooms: [room((calls, bytes)), room(aside), room(aside)], turn: 0 }
    }

    /// Notes a message. One without a Call-ID belongs to no call and is not kept. `known` is asked for the first of a call.
    pub fn note(&mut self, mut passage: Passage, known: impl FnOnce() -> Known) {
        if self.rooms[0].limits.0 == 0 {
            return;
        }
        // What came over a stream is a slice of what was read at once: kept as it is, a small message could hold 64 KiB.
        if passage.ingress && passage.flow.transport != Transport::Udp {
            passage.bytes = Bytes::copy_from_slice(&passage.bytes);
        }
        let Some(id) = call_id(&passage.bytes) else { return };
        self.turn += 1;
        let (turn, size) = (self.turn, passage.bytes.len());
        let call = self.calls.entry(id.clone()).or_insert_with(|| Call {
            shelf: Shelf::of(&passage, known()),
            turn,
            bytes: 0,
            messages: VecDeque::new(),
            dropped: 0,
        });
        let room = &mut self.rooms[call.shelf as usize];
        room.turns.remove(&call.turn);
        room.turns.insert(turn, id);
        call.turn = turn;
        call.messages.push_back(passage);
        let gone = (call.messages.len() > PER_CALL).then(|| call.messages.remove(PER_CALL / 2)).flatten();
        let gone = gone.map_or(0, |gone| {
            call.dropped += 1;
            gone.bytes.len()
        });
        call.bytes = call.bytes + size - gone;
        room.bytes = room.bytes + size - gone;
        let shelf = call.shelf;
        self.make_room(shelf);
    }

    /// The messages of one call.
    pub fn get(&self, call_id: &[u8]) -> Option<Kept> {
        let call = self.calls.get(call_id)?;
        Some(Kept { messages: call.messages.iter().cloned().collect(), dropped: call.dropped })
    }

    /// The calls that are kept, the one with the latest message first; keep-alives and what strangers sent are not among
    /// them unless `all` is wanted.
    pub fn list(&self, all: bool) -> Vec<Summary> {
        let mut calls: Vec<_> =
            self.calls.iter().filter(|(_, call)| all || call.shelf == Shelf::Calls).collect();
        calls.sort_by_key(|(_, call)| std::cmp::Reverse(call.turn));
        let summary = |(id, call): (&Bytes, &Call)| {
            Some(Summary {
                call_id: id.clone(),
                first: call.messages.front()?.clone(),
                last: call.messages.back()?.clone(),
                messages: call.messages.len() as u64 + call.dropped,
            })
        };
        calls.into_iter().filter_map(summary).collect()
    }

    fn make_room(&mut self, shelf: Shelf) {
        let room = &mut self.rooms[shelf as usize];
        let (calls, bytes) = room.limits;
        while room.turns.len() > calls || room.bytes > bytes {
            let Some((_, id)) = room.turns.pop_first() else { return };
            if let Some(call) = self.calls.remove(&id) {
                room.bytes -= call.bytes;
            }
        }
    }
}

impl Shelf {
    /// Where a call belongs whose first message this is.
    fn of(first: &Passage, known: Known) -> Self {
        match known {
            Known::Stranger => Self::Strangers,
            Known::Listed if first.bytes.starts_with(b"OPTIONS ") => Self::KeepAlives,
            Known::Listed => Self::Calls,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use sip::Flow;

    use super::*;

    fn passage(method: &str, call_id: &str, filling: usize) -> Passage {
        let (local, remote) = (([127, 0, 0, 1], 5060).into(), ([127, 0, 0, 2], 5060).into());
        let text = format!("{method} sip:x SIP/2.0\r\nCall-ID: {call_id}\r\n\r\n{}", "f".repeat(filling));
        Passage {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            ingress: true,
            flow: Flow { transport: Transport::Udp, local, remote, connection: 0 },
            bytes: text.into(),
        }
    }

    fn ids(ladders: &Ladders) -> Vec<String> {
        let text = |one: Summary| String::from_utf8_lossy(&one.call_id).into_owned();
        ladders.list(true).into_iter().map(text).collect()
    }

    #[test]
    fn the_call_that_was_silent_longest_goes_first() {
        let mut ladders = Ladders::new(Limits { calls: 2, bytes: 100_000 });
        for call in ["a", "b", "a", "c"] {
            ladders.note(passage("INVITE", call, 0), || Known::Listed);
        }
        assert_eq!(ids(&ladders), ["c", "a"]);
        assert_eq!(ladders.get(b"a").map(|kept| kept.messages.len()), Some(2));
        assert_eq!(ladders.get(b"b"), None);
    }

    #[test]
    fn bytes_are_bounded_whatever_the_messages_and_counted_right() {
        let mut ladders = Ladders::new(Limits { calls: 1000, bytes: 50_000 });
        for call in 0..300 {
            for _ in 0..call % 5 {
                ladders.note(passage("INVITE", &call.to_string(), call * 37 % 4000), || Known::Listed);
            }
            let sum = |calls: &HashMap<Bytes, Call>| -> usize {
                calls.values().flat_map(|call| &call.messages).map(|one| one.bytes.len()).sum()
            };
            assert_eq!(ladders.rooms[0].bytes, sum(&ladders.calls));
            assert!(ladders.rooms[0].bytes <= 50_000);
            assert_eq!(ladders.rooms[0].turns.len(), ladders.calls.len());
        }
        ladders.note(passage("INVITE", "giant", 60_000), || Known::Listed);
        assert_eq!(ladders.get(b"giant"), None, "what is larger than everything is not kept");
        assert_eq!((ladders.calls.len(), ladders.rooms[0].bytes), (0, 0));
    }

    #[test]
    fn a_long_call_keeps_its_beginning_and_its_end() {
        let mut ladders = Ladders::new(Limits { calls: 2, bytes: 1_000_000 });
        for n in 0..500_usize {
            ladders.note(passage("INFO", "long", n), || Known::Listed);
        }
        let kept = ladders.get(b"long").unwrap();
        assert_eq!((kept.messages.len(), kept.dropped), (PER_CALL, 300));
        let shortest = kept.messages[0].bytes.len();
        let sizes: Vec<usize> = kept.messages.iter().map(|one| one.bytes.len() - shortest).collect();
        assert!(sizes.iter().copied().eq((0..100).chain(400..500)), "{sizes:?}");
    }

    #[test]
    fn neither_strangers_nor_keep_alives_push_a_call_out() {
        let mut ladders = Ladders::new(Limits { calls: 8, bytes: 100_000 });
        ladders.note(passage("INVITE", "call", 0), || Known::Listed);
        for n in 0..1000 {
            ladders.note(passage("INVITE", &format!("stranger{n}"), 0), || Known::Stranger);
            ladders.note(passage("OPTIONS", &format!("ping{n}"), 0), || Known::Listed);
        }
        assert!(ladders.get(b"call").is_some());
        assert_eq!(ids(&ladders).len(), 3, "one of each kind");
        assert_eq!(ladders.list(false).len(), 1);
    }

    #[test]
    fn a_small_message_out_of_a_large_read_keeps_no_more_than_itself() {
        let read = Bytes::from(format!("INVITE sip:x SIP/2.0\r\nCall-ID: a\r\n\r\n{}", " ".repeat(60_000)));
        let mut ladders = Ladders::new(Limits { calls: 8, bytes: 100_000 });
        let mut one = passage("INVITE", "a", 0);
        one.flow.transport = Transport::Tcp;
        one.bytes = read.slice(..40);
        ladders.note(one, || Known::Listed);
        assert!(read.is_unique(), "nothing refers to what was read");
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_to_be_kept() {
        let mut ladders = Ladders::new(Limits { calls: 0, bytes: 100_000 });
        ladders.note(passage("INVITE", "a", 0), || Known::Listed);
        assert!(ladders.calls.is_empty());
    }
}
