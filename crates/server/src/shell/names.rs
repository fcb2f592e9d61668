//! Names are made of what callers said away from control's loop: it takes some milliseconds each.

use std::sync::Arc;

use bridge::{LegId, SpokenName};
use mixer::Tapped;
use rtrb::Consumer;
use tokio::sync::{Semaphore, mpsc};

use crate::names;

/// Names at once. Others wait in turn; each caller has one at most.
const AT_ONCE: usize = 2;

/// Names that are kept at once: each is some 150 KB a second. Who comes then has none.
const KEPT: usize = 500;

/// What came of it.
pub(super) struct Named {
    pub(super) leg: LegId,
    pub(super) name: Option<SpokenName>,
}

/// Where names are made.
pub(super) struct Names {
    turn: Arc<Semaphore>,
    places: Arc<Semaphore>,
    done: mpsc::UnboundedSender<Named>,
}

impl Names {
    /// With the end where the names come out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Named>) {
        let (done, named) = mpsc::unbounded_channel();
        let (turn, places) = (Semaphore::new(AT_ONCE), Semaphore::new(KEPT));
        (Self { turn: Arc::new(turn), places: Arc::new(places), done }, named)
    }

    /// Begins one.
    pub(super) fn begin(&self, leg: LegId, frames: Consumer<Tapped>) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::debug!(%leg, "too many names are kept: this one is not");
            return;
        };
        let (turn, done) = (Arc::clone(&self.turn), self.done.clone());
        tokio::spawn(async move {
            // Nobody closes the semaphore.
            let Ok(_turn) = turn.acquire_owned().await else { return };
            let name = tokio::task::spawn_blocking(move || names::spoken(frames, Some(place)));
            let name = name.await.unwrap_or_default();
            // Fails only when the bridge is stopping.
            let _ = done.send(Named { leg, name });
        });
    }
}
