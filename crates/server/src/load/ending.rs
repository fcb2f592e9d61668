//! SIGINT and SIGTERM in the middle of a run: the first ends it in good order, the second at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What the process was told so far.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    times: u32,
    /// The latest one.
    by: Option<Signal>,
}

/// Who ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Interrupt,
    Terminate,
}

impl Signal {
    /// As people call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The exit code by which a shell knows it: 128 and its number.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}

/// Listens for the rest of the process's life. Clones hear the same.
#[derive(Clone, Debug)]
pub(super) struct Ending(watch::Receiver<Told>);

impl Ending {
    /// From here on signals do not end the process by themselves.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (told, heard) = watch::channel(Told::default());
        tokio::spawn(async move {
            loop {
                let by = tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                };
                told.send_modify(|told| *told = Told { times: told.times + 1, by: Some(by) });
            }
        });
        Ok(Self(heard))
    }

    /// Comes back with the first signal.
    pub(super) async fn first(&mut self) -> Signal {
        self.until(1).await
    }

    /// Comes back when somebody has lost his patience.
    pub(super) async fn second(&mut self) -> Signal {
        self.until(2).await
    }

    async fn until(&mut self, times: u32) -> Signal {
        let told = self.0.wait_for(|told| told.times >= times).await.ok().and_then(|told| told.by);
        match told {
            Some(by) => by,
            None => std::future::pending().await, // the runtime is ending, and so is whoever waits
        }
    }
}
