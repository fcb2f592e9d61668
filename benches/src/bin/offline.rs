//! Plays prepared RTP packets through a shard of the mixer on virtual time, and records what leaves: bridge and player in one,
//! without sockets and clocks, so that what is heard depends on nothing but the plan.
//!
//! `./x quality --offline` prepares the packets and judges the record. Plan and record look like those of `player`: a line of JSON
//! (see [`Plan`]), then the packets in the order of their times, each as microseconds (u32), leg (u16), length (u16), bytes; little
//! endian. A record is the same without the line, with microseconds as u64. Each `--legs` legs of the plan in a row are a room.
#![allow(missing_docs)]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use mixer::{
    Codec, Command, ConferenceId, Direction, Leg, LegConfig, LegId, MediaConfig, MixConfig, OpusFormat,
    PayloadType, Ptime, Rate, RtpTime, Seat, SeqNo, Shard, ShardConfig, Ssrc, TICK,
};
use serde::Deserialize;

#[derive(Parser)]
#[command(
    about = "Plays prepared RTP packets through the mixer on virtual time: a part of ./x quality --offline."
)]
struct Options {
    /// What to play.
    #[arg(long)]
    plan: PathBuf,
    /// Where the record goes.
    #[arg(long)]
    record: PathBuf,
    /// Legs of a room.
    #[arg(long)]
    legs: u16,
    /// What all legs speak: pcmu, pcma, g722, opus16 or opus48.
    #[arg(long)]
    codec: String,
    /// The codec's payload type.
    #[arg(long)]
    payload_type: u8,
}

/// The first line of a plan.
#[derive(Deserialize)]
struct Plan {
    legs: Vec<LegPlan>,
    /// How long to play.
    seconds: f64,
}

#[derive(Deserialize)]
struct LegPlan {
    /// Is it recorded?
    payload: bool,
}

/// A packet of the plan.
struct Due<'a> {
    at: Duration,
    leg: LegId,
    bytes: &'a [u8],
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let file = fs::read(&options.plan)?;
    let line = file.iter().position(|byte| *byte == b'\n').ok_or("a plan begins with a line of JSON")?;
    let plan: Plan = serde_json::from_slice(&file[..line])?;
    let packets = packets(&file[line + 1..]).ok_or("a plan ends with whole packets")?;
    fs::write(&options.record, play(&plan, &packets, &options)?)?;
    Ok(())
}

/// Plays all packets; the record.
fn play(plan: &Plan, packets: &[Due<'_>], options: &Options) -> Result<Vec<u8>, Box<dyn Error>> {
    // The only look at a clock: virtual time begins now, and nothing depends on when that is.
    let start = Instant::now();
    let (end, mut elapsed) = (Duration::from_secs_f64(plan.seconds), TICK);
    let mut shard = shard(start, plan.legs.len().try_into()?, options)?;
    let (mut packets, mut record) = (packets.iter().peekable(), Vec::new());
    while elapsed <= end {
        while let Some(due) = packets.next_if(|due| due.at < elapsed) {
            let seat = shard.seat_mut(due.leg).ok_or("a packet belongs to no leg")?;
            seat.leg.ingress_rtp(start + due.at, due.bytes);
        }
        shard.tick(start + elapsed);
        for (number, _) in (0_u16..).zip(&plan.legs).filter(|(_, leg)| leg.payload) {
            let seat = shard.seat_mut(LegId(number.into())).ok_or("a leg has gone")?;
            if let Some(packet) = seat.leg.egress() {
                record.extend_from_slice(&u64::try_from(elapsed.as_micros())?.to_le_bytes());
                record.extend_from_slice(&number.to_le_bytes());
                record.extend_from_slice(&u16::try_from(packet.len())?.to_le_bytes());
                record.extend_from_slice(packet);
            }
        }
        while shard.poll_report().is_some() {}
        elapsed += TICK;
    }
    Ok(record)
}

/// All packets of a plan; none when the last one is cut off.
fn packets(mut bytes: &[u8]) -> Option<Vec<Due<'_>>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let at = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let leg = u16::from_le_bytes([head[4], head[5]]);
        let (body, rest) = rest.split_at_checked(u16::from_le_bytes([head[6], head[7]]).into())?;
        all.push(Due { at: Duration::from_micros(at.into()), leg: LegId(leg.into()), bytes: body });
        bytes = rest;
    }
    Some(all)
}

/// All legs in their rooms.
fn shard(now: Instant, legs: u16, options: &Options) -> Result<Shard<()>, String> {
    if options.legs == 0 {
        return Err("a room needs legs: give --legs 1 or more".into());
    }
    let codec = codec(&options.codec)?;
    let mut shard = Shard::new(ShardConfig { seats: legs.into(), mix: MixConfig::default() });
    let media = MediaConfig {
        codec,
        audio_pt: PayloadType::new(options.payload_type),
        event_pt: None,
        event_clock_rate: codec.clock_rate(),
        ptime: Ptime::Ms20,
        audio_level: None,
    };
    for number in 0..legs {
        let conference = ConferenceId((number / options.legs).into());
        if number.is_multiple_of(options.legs) {
            shard.apply(now, Command::Open { conference, seats: options.legs.into() });
        }
        let config = LegConfig {
            id: LegId(number.into()),
            media,
            direction: Direction::SendRecv,
            ssrc: Ssrc::new(number.into()),
            first_sequence: SeqNo::new(0),
            first_timestamp: RtpTime::new(0),
            cname: "offline".into(),
            csrc: true,
            silent_after: Duration::from_hours(1),
        };
        let seat = Box::new(Seat { leg: Leg::new(config), io: () });
        shard.apply(now, Command::Seat { conference, seat });
    }
    Ok(shard)
}

/// A codec by name; Opus as the judge's own side encodes it (24 kbit/s, FEC for a tenth lost).
fn codec(name: &str) -> Result<Codec, String> {
    let opus = |rate| {
        let speech = OpusFormat::speech(rate);
        Codec::Opus(OpusFormat { bitrate: 24_000, complexity: 9, fec: true, loss_percent: 10, ..speech })
    };
    Ok(match name {
        "pcmu" => Codec::Pcmu,
        "pcma" => Codec::Pcma,
        "g722" => Codec::G722,
        "opus16" => opus(Rate::Wide),
        "opus48" => opus(Rate::Full),
        _ => return Err(format!("{name} is no codec: there are pcmu, pcma, g722, opus16 and opus48")),
    })
}
