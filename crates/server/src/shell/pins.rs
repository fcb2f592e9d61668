//! PINs are checked away from control's loop, and never many at once: each check takes some 20 ms and 19 MiB on purpose.

use std::sync::Arc;

use bridge::{LegId, Pin, PinHash};
use tokio::sync::{Semaphore, mpsc};

use crate::pin;

/// Checks at once. Others wait in turn; each caller has one at most.
const AT_ONCE: usize = 2;

/// What came of a check.
pub(super) struct Checked {
    pub(super) leg: LegId,
    pub(super) token: u64,
    pub(super) right: bool,
}

/// Where PINs are checked.
pub(super) struct PinChecks {
    turn: Arc<Semaphore>,
    done: mpsc::UnboundedSender<Checked>,
}

impl PinChecks {
    /// With the end where the outcomes come out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Checked>) {
        let (done, outcomes) = mpsc::unbounded_channel();
        (Self { turn: Arc::new(Semaphore::new(AT_ONCE)), done }, outcomes)
    }

    /// Begins a check.
    pub(super) fn begin(&self, leg: LegId, token: u64, hash: PinHash, keyed: Pin) {
        let (turn, done) = (Arc::clone(&self.turn), self.done.clone());
        tokio::spawn(async move {
            // Nobody closes the semaphore.
            let Ok(_turn) = turn.acquire_owned().await else { return };
            let check = tokio::task::spawn_blocking(move || pin::verify(hash.as_str(), keyed.as_str()));
            let right = check.await.unwrap_or(false);
            // Fails only when the bridge is stopping.
            let _ = done.send(Checked { leg, token, right });
        });
    }
}
