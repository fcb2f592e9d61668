//! The SIP ladder as SVG: one block per call, one arrow per message, in the order in which they passed.

use std::{fmt::Write as _, time::Duration};

use super::Color;

/// What to draw.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    /// Headline.
    pub title: String,
    /// Second line: what was seen, and where.
    pub subtitle: String,
    /// The parties, left to right.
    pub lifelines: Vec<Lifeline>,
    /// The calls, top to bottom.
    pub calls: Vec<LadderCall>,
}

/// One party: a vertical line.
#[derive(Clone, Debug)]
pub struct Lifeline {
    /// What it is.
    pub name: String,
    /// Its address.
    pub address: String,
}

/// One call's block.
#[derive(Clone, Debug)]
pub struct LadderCall {
    /// Who calls whom.
    pub title: String,
    /// Color of its arrows.
    pub color: Color,
    /// Its messages in order.
    pub arrows: Vec<Arrow>,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Arrow {
    /// When it passed, since the beginning.
    pub at: Duration,
    /// Index of the lifeline it left.
    pub from: usize,
    /// Index of the lifeline it reached.
    pub to: usize,
    /// Method or status line.
    pub label: String,
    /// What else is worth a look (a media description, a reason), small.
    pub detail: String,
    /// Something that is not a message of its own (media, digits): drawn dashed.
    pub dashed: bool,
}

const LEFT: usize = 170;
const APART: usize = 430;
const ROW: usize = 36;
const HEAD: usize = 128;
const FONT: &str = "font-family=\"Inter, 'Segoe UI', Helvetica, Arial, sans-serif\"";

impl Ladder {
    /// The picture.
    pub fn to_svg(&self) -> String {
        let width = LEFT + APART * self.lifelines.len().saturating_sub(1) + LEFT;
        let rows: usize = self.calls.iter().map(|call| call.arrows.len() + 2).sum();
        let height = HEAD + ROW * rows + 40;
        let mut svg = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut svg, width, height);
        svg
    }

    fn write(&self, svg: &mut String, width: usize, height: usize) -> std::fmt::Result {
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" {FONT}>"
        )?;
        writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" fill=\"#fbfbfd\"/>")?;
        text(svg, (30, 38), TITLE, &self.title)?;
        text(svg, (30, 60), SUBTITLE, &self.subtitle)?;
        self.write_lifelines(svg, height)?;
        let mut y = HEAD + ROW / 2;
        for call in &self.calls {
            write_call(svg, call, y, width)?;
            y += ROW * (call.arrows.len() + 2);
        }
        writeln!(svg, "</svg>")
    }

    fn write_lifelines(&self, svg: &mut String, height: usize) -> std::fmt::Result {
        for (index, line) in self.lifelines.iter().enumerate() {
            let x = column(index);
            writeln!(
                svg,
                "<line x1=\"{x}\" y1=\"{HEAD}\" x2=\"{x}\" y2=\"{}\" stroke=\"#cbd2d9\" stroke-width=\"1.5\"/>",
                height - 24
            )?;
            let left = x - 110;
            writeln!(
                svg,
                "<rect x=\"{left}\" y=\"80\" width=\"220\" height=\"44\" rx=\"8\" fill=\"#ffffff\" \
                 stroke=\"#cbd2d9\"/>"
            )?;
            text(svg, (x, 100), PARTY, &line.name)?;
            text(svg, (x, 117), ADDRESS, &line.address)?;
        }
        Ok(())
    }
}

fn write_call(svg: &mut String, call: &LadderCall, top: usize, width: usize) -> std::fmt::Result {
    let color = call.color.css();
    writeln!(
        svg,
        "<rect x=\"24\" y=\"{top}\" width=\"{}\" height=\"24\" rx=\"6\" fill=\"{color}\" fill-opacity=\"0.14\"/>",
        width - 48
    )?;
    writeln!(svg, "<rect x=\"24\" y=\"{top}\" width=\"5\" height=\"24\" rx=\"2\" fill=\"{color}\"/>")?;
    text(svg, (40, top + 17), CALL, &call.title)?;
    for (row, arrow) in call.arrows.iter().enumerate() {
        let y = top + ROW * (row + 1) + 22;
        text(svg, (40, y + 4), CLOCK, &clock(arrow.at))?;
        write_arrow(svg, arrow, y, &color)?;
    }
    Ok(())
}

fn write_arrow(svg: &mut String, arrow: &Arrow, y: usize, color: &str) -> std::fmt::Result {
    let (from, to) = (column(arrow.from), column(arrow.to));
    let dash = if arrow.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
    let (tip, barb) = if to > from { (to - 3, to - 11) } else { (to + 3, to + 11) };
    writeln!(
        svg,
        "<line x1=\"{from}\" y1=\"{y}\" x2=\"{tip}\" y2=\"{y}\" stroke=\"{color}\" stroke-width=\"1.8\"{dash}/>"
    )?;
    writeln!(
        svg,
        "<path d=\"M{tip} {y} L{barb} {} L{barb} {} Z\" fill=\"{color}\"/>",
        y.saturating_sub(4),
        y + 4
    )?;
    let middle = usize::midpoint(from, to);
    text(svg, (middle, y - 6), LABEL, &arrow.label)?;
    if !arrow.detail.is_empty() {
        text(svg, (middle, y + 12), DETAIL, &arrow.detail)?;
    }
    Ok(())
}

/// A text's place relative to its x, its size, weight and color, as SVG attributes.
type Style = &'static str;

const TITLE: Style = "font-size=\"22\" fill=\"#1f2933\" font-weight=\"600\"";
const SUBTITLE: Style = "font-size=\"13\" fill=\"#7b8794\"";
const PARTY: Style = "text-anchor=\"middle\" font-size=\"14\" fill=\"#1f2933\" font-weight=\"600\"";
const ADDRESS: Style = "text-anchor=\"middle\" font-size=\"11\" fill=\"#7b8794\"";
const CALL: Style = "font-size=\"13\" fill=\"#1f2933\" font-weight=\"600\"";
const CLOCK: Style = "font-size=\"11\" fill=\"#7b8794\"";
const LABEL: Style = "text-anchor=\"middle\" font-size=\"12\" fill=\"#1f2933\" font-weight=\"500\"";
const DETAIL: Style = "text-anchor=\"middle\" font-size=\"10\" fill=\"#7b8794\"";

fn text(svg: &mut String, (x, y): (usize, usize), style: Style, text: &str) -> std::fmt::Result {
    writeln!(svg, "<text x=\"{x}\" y=\"{y}\" {style}>{}</text>", escape(text))
}

fn column(index: usize) -> usize {
    LEFT + APART * index
}

fn clock(at: Duration) -> String {
    format!("{:02}:{:06.3}", at.as_secs() / 60, at.as_secs_f64() % 60.0)
}

/// XML 1.0 text: the five special characters escaped, control characters (which it forbids) replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            control if control.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        let arrow = |at, from, to, label: &str| Arrow {
            at: Duration::from_millis(at),
            from,
            to,
            label: label.into(),
            detail: String::new(),
            dashed: false,
        };
        Ladder {
            title: "Calls".into(),
            subtitle: String::new(),
            lifelines: ["sbc", "bridge"]
                .map(|name| Lifeline { name: name.into(), address: String::new() })
                .into(),
            calls: vec![LadderCall {
                title: "\"Eve\" <sip:eve@host> & co\u{7}".into(),
                color: Color::hex(0x0012_3456),
                arrows: vec![arrow(1500, 0, 1, "INVITE"), arrow(61_020, 1, 0, "200 OK")],
            }],
        }
    }

    #[test]
    fn what_peers_wrote_is_escaped() {
        let svg = ladder().to_svg();
        assert!(svg.contains("&quot;Eve&quot; &lt;sip:eve@host&gt; &amp; co\u{fffd}"));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    }

    #[test]
    fn every_message_is_an_arrow_with_its_time_and_direction() {
        let svg = ladder().to_svg();
        assert_eq!(svg.matches("<path").count(), 2);
        assert!(svg.contains("00:01.500") && svg.contains("01:01.020"));
        assert!(svg.contains("M597 ") && svg.contains("M173 "), "one points right, one left");
    }

    #[test]
    fn an_empty_ladder_is_still_a_picture() {
        assert!(Ladder::default().to_svg().starts_with("<svg"));
    }
}
