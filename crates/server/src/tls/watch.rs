//! Reading certificates again, on SIGHUP and when a file has changed, and saying when they expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::{IntCounter, IntGaugeVec};
use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Expiry, LoadError, Place, Tls};

/// How often the files are looked at. Certificate tools write the certificate and the key one after the other: what does not fit
/// together yet is read again when the other one has changed, too.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A certificate that expires sooner than this is warned of, once a day.
pub(crate) const SOON: Duration = Duration::from_hours(30 * 24);
const WARN_EVERY: Duration = Duration::from_hours(24);

/// What is shown of the certificates.
pub struct TlsMetrics {
    /// When each expires, in seconds since 1970.
    pub expiry: IntGaugeVec,
    /// Reloads after which the old ones stayed.
    pub failures: IntCounter,
}

/// Runs until the process ends.
pub async fn watch(tls: Arc<Tls>, metrics: TlsMetrics, mut hangup: Signal) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    show(&tls, &metrics);
    warn(&tls);
    let mut warned = Instant::now();
    loop {
        let asked = tokio::select! {
            Some(()) = hangup.recv() => true,
            _ = look.tick() => false,
        };
        let fresh = Arc::clone(&tls);
        // Files are read where nothing else waits.
        let read = move || (asked || fresh.is_stale()).then(|| fresh.reload());
        if let Ok(Some(outcome)) = tokio::task::spawn_blocking(read).await {
            report(&outcome, &metrics);
            show(&tls, &metrics);
            warn(&tls);
            warned = Instant::now();
        } else if warned.elapsed() >= WARN_EVERY {
            warn(&tls);
            warned = Instant::now();
        }
    }
}

fn report(outcome: &Result<(), Vec<LoadError>>, metrics: &TlsMetrics) {
    match outcome {
        Ok(()) => tracing::info!("certificates read again; connections that are up stay as they are"),
        Err(errors) => {
            metrics.failures.inc();
            for error in errors {
                tracing::error!(place = %error.place, key = error.key, why = %error, "certificates not read again: the old ones stay");
            }
        }
    }
}

fn show(tls: &Tls, metrics: &TlsMetrics) {
    for Expiry { place, at } in tls.expiries() {
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let certificate = match &place {
            Place::Sip => "sip.tls",
            Place::Trunk(trunk) => trunk.as_str(),
        };
        metrics.expiry.with_label_values(&[certificate]).set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}

fn warn(tls: &Tls) {
    for Expiry { place, at } in tls.expiries() {
        match at.duration_since(SystemTime::now()) {
            Ok(left) if left > SOON => {}
            Ok(left) => {
                tracing::warn!(%place, days = left.as_secs() / 86_400, "our certificate expires soon: renew it");
            }
            Err(_) => tracing::error!(%place, "our certificate has expired: peers refuse it; renew it"),
        }
    }
}
