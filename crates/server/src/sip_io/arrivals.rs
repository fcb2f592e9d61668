//! The way from the sockets to control: one bounded queue.

use std::sync::atomic::{AtomicU64, Ordering};

use sip::Flow;
use tokio::sync::mpsc;

use super::Arrival;

/// The queue's end at the sockets.
pub(super) struct Arrivals {
    queue: mpsc::Sender<Arrival>,
    dropped: AtomicU64,
}

impl Arrivals {
    pub(super) fn new(queue: mpsc::Sender<Arrival>) -> Self {
        Self { queue, dropped: AtomicU64::new(0) }
    }

    /// Brings something now; where there is no room it is dropped and counted.
    pub(super) fn try_bring(&self, arrival: Arrival) {
        if self.queue.try_send(arrival).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Brings something as soon as there is room; `false` when control is gone.
    pub(super) async fn bring(&self, arrival: Arrival) -> bool {
        self.queue.send(arrival).await.is_ok()
    }

    /// Something could not be sent, or a connection has ended.
    pub(super) fn failed(&self, flow: Flow, why: &str) {
        self.try_bring(Arrival::Failed { flow, why: why.to_owned() });
    }

    /// Messages that were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
