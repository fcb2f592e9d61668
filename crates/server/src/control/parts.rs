//! What control is made of.

use std::sync::Arc;
use std::time::Duration;

use sip::EndpointConfig;
use trunk::Trunks;

use super::{LoadLimits, Locals, Strangers};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::prompts::Prompts;

/// Everything control is made of.
pub struct Parts<D> {
    /// Who our peers are.
    pub trunks: Arc<Trunks>,
    /// Which trunk may carry which leg.
    pub table: Arc<routing::Table>,
    /// The meetings.
    pub directory: Arc<dyn bridge::Directory>,
    /// What legs cost, and may cost.
    pub tariffs: Arc<bridge::Tariffs>,
    /// What an earlier run has spent.
    pub spent: bridge::Spending,
    /// The bridge's own numbers.
    pub bridge: bridge::BridgeConfig,
    /// The signalling engine's.
    pub endpoint: EndpointConfig,
    /// Our SIP addresses.
    pub locals: Locals,
    /// What callers hear.
    pub prompts: Arc<Prompts>,
    /// What is counted.
    pub metrics: Metrics,
    /// How media is reached.
    pub door: D,
    /// Media threads.
    pub shards: usize,
    /// How busy they may be.
    pub limits: LoadLimits,
    /// What strangers get.
    pub strangers: Strangers,
    /// The media of all legs is kept for an engineer: the usage records say so.
    pub captured: bool,
    /// The hash of the configuration, for the usage records.
    pub configuration: Arc<str>,
    /// A leg that sends nothing for so long is hung up.
    pub silent_after: Duration,
    /// Dialed-out people must press 1 to join.
    pub confirm_dial_out: bool,
    /// All randomness comes from here.
    pub seed: [u8; 32],
}

impl<D> Parts<D> {
    /// As a configuration says, with what is made of it at run time.
    pub fn new(
        config: &Config,
        trunks: Arc<Trunks>,
        prompts: Arc<Prompts>,
        metrics: Metrics,
        door: D,
        shards: usize,
        seed: [u8; 32],
    ) -> Self {
        Self {
            trunks,
            table: Arc::clone(&config.table),
            directory: Arc::clone(&config.directory) as Arc<dyn bridge::Directory>,
            tariffs: Arc::clone(&config.tariffs),
            spent: bridge::Spending::default(),
            bridge: config.bridge,
            endpoint: EndpointConfig {
                user_agent: config.user_agent.clone(),
                advertised_host: config.advertise.as_ref().map(ToString::to_string),
                advertised: config.advertised.clone(),
                tcp_listeners: config.tcp_listeners(),
                ..EndpointConfig::default()
            },
            locals: Locals {
                listeners: config.listeners.clone(),
                advertise: config.advertise.clone(),
                advertised: config.advertised.clone(),
            },
            prompts,
            metrics,
            door,
            shards,
            limits: config.media.limits,
            strangers: config.strangers,
            captured: config.capture.is_some(),
            configuration: crate::versions::hash(config.sources.text()).into(),
            silent_after: config.media.silence_timeout,
            confirm_dial_out: config.confirm_dial_out,
            seed,
        }
    }
}
