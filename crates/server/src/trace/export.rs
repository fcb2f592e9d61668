//! Hands what passed to a collector. Signalling never waits for it: what finds the queue full is dropped and counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use prometheus::IntCounter;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Passage;
use super::hep::{Sender, packet};

/// Messages that may wait.
const QUEUE: usize = 1024;

/// Where to, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Its address, over UDP.
    pub to: SocketAddr,
    /// How we sign.
    pub sender: Sender,
}

/// What is counted.
#[derive(Clone, Debug)]
pub struct ExportMetrics {
    /// Messages handed to the network.
    pub sent: IntCounter,
    /// Messages that never left: the queue was full, or the network refused, or they were too long.
    pub dropped: IntCounter,
}

/// The way to the collector.
pub struct Export {
    queue: mpsc::Sender<Passage>,
    dropped: IntCounter,
    task: JoinHandle<()>,
}

impl Export {
    /// Opens a socket of its own and sends from then on.
    pub async fn start(collector: Collector, metrics: ExportMetrics) -> std::io::Result<Self> {
        let any: IpAddr =
            if collector.to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let dropped = metrics.dropped.clone();
        let task = tokio::spawn(send(socket, collector, metrics, waiting));
        Ok(Self { queue, dropped, task })
    }

    /// Hands one message over, without a wait.
    pub fn note(&self, message: Passage) {
        if self.queue.try_send(message).is_err() {
            self.dropped.inc();
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(
    socket: UdpSocket,
    collector: Collector,
    metrics: ExportMetrics,
    mut waiting: mpsc::Receiver<Passage>,
) {
    while let Some(message) = waiting.recv().await {
        let sent = match packet(&message, &collector.sender) {
            Some(packet) => socket.send_to(&packet, collector.to).await.is_ok(),
            None => false,
        };
        if sent { metrics.sent.inc() } else { metrics.dropped.inc() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use sip::{Flow, Transport};

    use super::*;

    #[tokio::test]
    async fn a_collector_that_is_too_slow_costs_messages_and_no_wait() {
        let counter = |name: &str| IntCounter::new(name, "x").unwrap();
        let metrics = ExportMetrics { sent: counter("sent"), dropped: counter("dropped") };
        let to = "127.0.0.1:9".parse().unwrap();
        let collector = Collector { to, sender: Sender { capture_id: 1, password: None } };
        let export = Export::start(collector, metrics.clone()).await.unwrap();
        let flow = Flow { transport: Transport::Udp, local: to, remote: to, connection: 0 };
        let message = Passage { at: SystemTime::UNIX_EPOCH, ingress: true, flow, bytes: "x".into() };
        // One thread: the task does not run before the first await, so the queue fills.
        for _ in 0..QUEUE + 7 {
            export.note(message.clone());
        }
        assert_eq!(metrics.dropped.get(), 7);
        while metrics.sent.get() < QUEUE as u64 {
            tokio::task::yield_now().await;
        }
        assert_eq!(metrics.dropped.get(), 7);
    }
}
