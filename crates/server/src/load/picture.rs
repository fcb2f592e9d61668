//! A report as a picture: how regular the packets are, how long an impulse takes, and what it costs.

use super::report::Report;
use crate::plot::{Canvas, Color, canvas::Align};

const WIDTH: f32 = 1500.0;
const PANEL: f32 = 300.0;
const MARGIN: f32 = 90.0;
const GROUND: Color = Color::hex(0x00fb_fbfd);
const INK: Color = Color::hex(0x001f_2933);
const QUIET: Color = Color::hex(0x0065_7280);
const RULE: Color = Color::hex(0x00d9_dee4);
const BLUE: Color = Color::hex(0x0025_63a8);
const GREEN: Color = Color::hex(0x001a_8f5a);
const RED: Color = Color::hex(0x00c8_3232);

/// Bars, each from one value to the next.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    /// Left edge, right edge and height of every bar.
    bars: Vec<(f64, f64, f64)>,
    color: Color,
    /// A line that should not be crossed.
    limit: Option<f64>,
    /// Heights are shown by their logarithm: a single late packet among millions must be seen.
    logarithmic: bool,
}

/// The picture.
pub(super) fn draw(report: &Report) -> Canvas {
    let mut panels = vec![Panel {
        title: "Pause between two packets: distance from 20 ms",
        unit: "ms",
        bars: histogram(&report.histograms.deviation),
        color: BLUE,
        limit: Some(20.0),
        logarithmic: true,
    }];
    if report.delay_ms.count > 0 {
        panels.push(Panel {
            title: "Delay of an impulse through the bridge",
            unit: "ms",
            bars: histogram(&report.histograms.delay),
            color: GREEN,
            limit: None,
            logarithmic: false,
        });
    }
    if let Some(server) = &report.server {
        let bar = |(second, &percent): (usize, &f64)| (second as f64, second as f64 + 1.0, percent);
        panels.push(Panel {
            title: "CPU of the bridge, percent of a core",
            unit: "s",
            bars: server.cpu_percent.iter().enumerate().map(bar).collect(),
            color: RED,
            limit: None,
            logarithmic: false,
        });
    }
    let height = 110.0 + PANEL * panels.len() as f32;
    let mut canvas = Canvas::new(WIDTH as usize, height as usize, GROUND);
    let title =
        format!("{} legs in {} rooms, {}, {:.0} s", report.legs, report.rooms, report.codec, report.seconds);
    canvas.text((30.0, 18.0), 28.0, Align::Left, INK, &title);
    let (word, color) = if report.passes() { ("the mix is right", GREEN) } else { ("the mix is WRONG", RED) };
    canvas.text((30.0, 58.0), 18.0, Align::Left, color, word);
    for (row, panel) in panels.iter().enumerate() {
        panel.draw(&mut canvas, 100.0 + PANEL * row as f32);
    }
    canvas
}

/// Bars between the edges of the buckets; what lies beyond the 99.99th percentile still has its bar.
fn histogram(buckets: &[(f64, u32)]) -> Vec<(f64, f64, f64)> {
    let mut left = 0.0;
    let bar = |&(edge, count): &(f64, u32)| {
        let begin = f64::max(left, edge / 1.07);
        left = edge;
        (begin, edge.max(begin + 1e-3), f64::from(count))
    };
    buckets.iter().map(bar).collect()
}

impl Panel<'_> {
    fn draw(&self, canvas: &mut Canvas, top: f32) {
        let (left, right, bottom) = (MARGIN, WIDTH - 40.0, top + PANEL - 60.0);
        canvas.text((left, top), 18.0, Align::Left, INK, self.title);
        let end = self.bars.iter().map(|bar| bar.1).fold(self.limit.unwrap_or(0.0), f64::max).max(1e-3);
        let scale = |value: f64| if self.logarithmic { (1.0 + value).log10() } else { value };
        let highest = self.bars.iter().map(|bar| scale(bar.2)).fold(0.0, f64::max).max(1e-3);
        let x = |value: f64| left + (right - left) * (value / end) as f32;
        let y = |value: f64| bottom - (bottom - top - 34.0) * (scale(value) / highest) as f32;
        for &(from, to, height) in &self.bars {
            let width = (x(to) - x(from)).max(1.5);
            canvas.rect(x(from), y(height), width, bottom - y(height), self.color);
        }
        canvas.line((left, bottom), (right, bottom), 1.0, RULE);
        for step in 0..=10 {
            let value = end * f64::from(step) / 10.0;
            let label = if end < 20.0 { format!("{value:.1}") } else { format!("{value:.0}") };
            canvas.text((x(value), bottom + 8.0), 13.0, Align::Center, QUIET, &label);
        }
        canvas.text((right, bottom + 26.0), 13.0, Align::Right, QUIET, self.unit);
        let most = self.bars.iter().map(|bar| bar.2).fold(0.0, f64::max);
        canvas.text((left - 8.0, y(most)), 13.0, Align::Right, QUIET, &format!("{most:.0}"));
        if let Some(limit) = self.limit.filter(|limit| *limit <= end) {
            canvas.line((x(limit), top + 30.0), (x(limit), bottom), 1.5, RED.thin(0.6));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_touch_where_their_buckets_do_and_keep_apart_where_something_lies_between() {
        let bars = histogram(&[(0.01, 5), (0.0105, 7), (30.0, 1)]);
        assert!((bars[1].0 - bars[0].1).abs() < 1e-3);
        assert!(bars[2].0 > 27.0);
        assert!(bars.iter().all(|(from, to, _)| from < to));
    }
}
