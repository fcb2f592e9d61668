//! The timeline of a conference: one lane for each person, with what he said above and what he heard below, the latter in
//! the colors of those who were heard.

use super::{
    Canvas, Color,
    canvas::{Align, text_width},
};

/// What to draw. Times are seconds from the beginning.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Headline.
    pub title: String,
    /// Second line.
    pub subtitle: String,
    /// First second shown.
    pub from: f32,
    /// Last second shown.
    pub to: f32,
    /// Time between two columns of `said` and `heard`.
    pub step: f32,
    /// The conferences: name and tint.
    pub rooms: Vec<(String, Color)>,
    /// Who was asked to talk when.
    pub slots: Vec<SlotBand>,
    /// The people, top to bottom.
    pub lanes: Vec<Lane>,
}

/// A stretch of time in which somebody talks.
#[derive(Clone, Debug)]
pub struct SlotBand {
    /// Begin.
    pub from: f32,
    /// End.
    pub to: f32,
    /// Index into [`Timeline::rooms`].
    pub room: usize,
    /// Who talks.
    pub label: String,
}

/// One person.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Name.
    pub name: String,
    /// How he came in, one or two short lines.
    pub notes: Vec<String>,
    /// His color, wherever he is heard.
    pub color: Color,
    /// Peak of what he said in every column, 0..=1.
    pub said: Vec<f32>,
    /// What he heard in every column.
    pub heard: Vec<Column>,
    /// When he was in which room: begin, end, room.
    pub stays: Vec<(f32, f32, usize)>,
    /// Things that happened to him: time and a word.
    pub marks: Vec<(f32, String)>,
    /// Whether he heard what he should.
    pub right: bool,
    /// What he heard, in words, a few short lines.
    pub verdict: Vec<String>,
}

/// What was heard in one column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Peak, 0..=1.
    pub peak: f32,
    /// For each lane: its share of the energy, 0..=1; what remains to one is nobody's voice (prompts, tones).
    pub shares: Vec<f32>,
}

const WIDTH: usize = 1900;
const LEFT: f32 = 290.0;
const RIGHT: f32 = 250.0;
const HEAD: f32 = 150.0;
const LANE: f32 = 172.0;
const SAID: f32 = 52.0;
const HEARD: f32 = 66.0;
const GROUND: Color = Color::hex(0x00fb_fbfd);
const PANEL: Color = Color::hex(0x00ff_ffff);
const INK: Color = Color::hex(0x001f_2933);
const QUIET: Color = Color::hex(0x0065_7280);
const RULE: Color = Color::hex(0x00d9_dee4);
const NOBODY: Color = Color::hex(0x009a_a5b1);
const GOOD: Color = Color::hex(0x001a_8f5a);
const BAD: Color = Color::hex(0x00c8_3232);

impl Timeline {
    /// The picture.
    pub fn draw(&self) -> Canvas {
        let height = HEAD + LANE * self.lanes.len() as f32 + 92.0;
        let mut canvas = Canvas::new(WIDTH, height as usize, GROUND);
        canvas.text((30.0, 18.0), 32.0, Align::Left, INK, &self.title);
        canvas.text((30.0, 60.0), 18.0, Align::Left, QUIET, &self.subtitle);
        let bottom = HEAD + LANE * self.lanes.len() as f32;
        for (index, lane) in self.lanes.iter().enumerate() {
            self.draw_lane(&mut canvas, lane, HEAD + LANE * index as f32);
        }
        self.draw_slots(&mut canvas, bottom);
        self.draw_axis(&mut canvas, bottom);
        self.draw_legend(&mut canvas, bottom + 52.0);
        canvas
    }

    fn x(&self, at: f32) -> f32 {
        let span = WIDTH as f32 - LEFT - RIGHT;
        LEFT + span * ((at - self.from) / (self.to - self.from).max(0.1)).clamp(0.0, 1.0)
    }

    fn draw_slots(&self, canvas: &mut Canvas, bottom: f32) {
        for slot in &self.slots {
            let tint = self.rooms.get(slot.room).map_or(QUIET, |room| room.1);
            let (left, right) = (self.x(slot.from), self.x(slot.to));
            // Two rooms may talk at the same time: each has a row of its own above the lanes.
            let y = HEAD - 26.0 * (self.rooms.len() - slot.room) as f32 - 4.0;
            canvas.round_rect(left, y, right - left, 22.0, 6.0, tint);
            let size = if text_width(&slot.label, 17.0) < right - left - 6.0 { 17.0 } else { 12.0 };
            let middle = f32::midpoint(left, right);
            canvas.text((middle, y + 11.0 - size / 2.0 + 1.0), size, Align::Center, PANEL, &slot.label);
            for edge in [left, right] {
                canvas.line((edge, y + 22.0), (edge, bottom), 1.0, tint.thin(0.35));
            }
        }
        for (room, (name, tint)) in self.rooms.iter().enumerate() {
            let y = HEAD - 26.0 * (self.rooms.len() - room) as f32 - 4.0;
            canvas.text((LEFT - 14.0, y + 3.0), 17.0, Align::Right, *tint, name);
        }
    }

    fn draw_lane(&self, canvas: &mut Canvas, lane: &Lane, top: f32) {
        let span = WIDTH as f32 - LEFT - RIGHT;
        canvas.round_rect(12.0, top + 6.0, WIDTH as f32 - 24.0, LANE - 10.0, 10.0, PANEL);
        canvas.round_rect(12.0, top + 6.0, 7.0, LANE - 10.0, 3.0, lane.color);
        canvas.text((34.0, top + 22.0), 28.0, Align::Left, INK, &lane.name);
        for (row, note) in lane.notes.iter().enumerate() {
            canvas.text((34.0, top + 58.0 + 22.0 * row as f32), 15.0, Align::Left, QUIET, note);
        }
        let said_middle = top + 14.0 + SAID / 2.0;
        let heard_middle = top + 24.0 + SAID + HEARD / 2.0;
        for (from, to, room) in &lane.stays {
            let tint = self.rooms.get(*room).map_or(QUIET, |room| room.1);
            let (left, right) = (self.x(*from), self.x(*to));
            canvas.rect(left, top + 10.0, right - left, LANE - 18.0, tint.thin(0.09));
        }
        canvas.rect(LEFT, said_middle - 0.5, span, 1.0, RULE);
        canvas.rect(LEFT, heard_middle - 0.5, span, 1.0, RULE);
        canvas.text((LEFT - 12.0, said_middle - 7.0), 15.0, Align::Right, QUIET, "said");
        canvas.text((LEFT - 12.0, heard_middle - 7.0), 15.0, Align::Right, QUIET, "heard");
        self.draw_waves(canvas, lane, said_middle, heard_middle);
        self.draw_marks(canvas, lane, top + LANE - 28.0);
        draw_verdict(canvas, lane, top);
    }

    fn draw_waves(&self, canvas: &mut Canvas, lane: &Lane, said_middle: f32, heard_middle: f32) {
        let column = |index: usize| {
            let left = self.x(index as f32 * self.step);
            (left, self.x((index + 1) as f32 * self.step) - left)
        };
        for (index, peak) in lane.said.iter().enumerate() {
            let (x, width) = column(index);
            let half = shown(*peak) * SAID / 2.0;
            canvas.rect(x, said_middle - half, width, 2.0 * half, lane.color);
        }
        for (index, heard) in lane.heard.iter().enumerate() {
            let (x, width) = column(index);
            let half = shown(heard.peak) * HEARD / 2.0;
            let mut y = heard_middle - half;
            let known: f32 = heard.shares.iter().sum::<f32>().clamp(0.0, 1.0);
            let parts = heard.shares.iter().zip(&self.lanes).map(|(share, lane)| (*share, lane.color));
            for (share, color) in parts.chain(std::iter::once((1.0 - known, NOBODY))) {
                let height = 2.0 * half * share.clamp(0.0, 1.0);
                canvas.rect(x, y, width, height, color);
                y += height;
            }
        }
    }

    fn draw_marks(&self, canvas: &mut Canvas, lane: &Lane, y: f32) {
        let mut free = [f32::MIN; 2];
        for (at, word) in &lane.marks {
            let x = self.x(*at);
            // The first row that has room for it, the lower one in a crowd.
            let row = (0..free.len()).find(|row| free[*row] <= x - 5.0).unwrap_or(free.len() - 1);
            let line = y - 1.0 + 14.0 * row as f32;
            canvas.disc(x, line, 3.5, lane.color);
            let width = canvas.text((x + 7.0, line - 7.0), 14.0, Align::Left, QUIET, word);
            free[row] = x + 7.0 + width;
        }
    }

    fn draw_axis(&self, canvas: &mut Canvas, y: f32) {
        canvas.rect(LEFT, y + 6.0, WIDTH as f32 - LEFT - RIGHT, 1.5, NOBODY);
        let every = if self.to - self.from > 40.0 { 5 } else { 2 };
        for second in self.from.ceil() as u32..=self.to as u32 {
            let x = self.x(second as f32);
            let long = second % every == 0;
            canvas.rect(x - 0.5, y + 6.0, 1.0, if long { 8.0 } else { 4.0 }, NOBODY);
            if long {
                let label = format!("{:02}:{:02}", second / 60, second % 60);
                canvas.text((x, y + 18.0), 15.0, Align::Center, QUIET, &label);
            }
        }
    }

    fn draw_legend(&self, canvas: &mut Canvas, y: f32) {
        let mut x = LEFT;
        let people = self.lanes.iter().map(|lane| (lane.color, lane.name.clone()));
        for (color, word) in people.chain(std::iter::once((NOBODY, "prompts and tones".into()))) {
            canvas.round_rect(x, y, 16.0, 16.0, 4.0, color);
            x += 24.0 + canvas.text((x + 24.0, y), 17.0, Align::Left, INK, &word) + 30.0;
        }
    }
}

fn draw_verdict(canvas: &mut Canvas, lane: &Lane, top: f32) {
    let x = WIDTH as f32 - RIGHT + 22.0;
    let color = if lane.right { GOOD } else { BAD };
    canvas.disc(x + 13.0, top + 36.0, 13.0, color);
    canvas.mark(x + 13.0, top + 36.0, 14.0, lane.right, PANEL);
    for (row, line) in lane.verdict.iter().enumerate() {
        let (y, size, color) =
            if row == 0 { (top + 27.0, 18.0, INK) } else { (top + 38.0 + 23.0 * row as f32, 15.0, QUIET) };
        canvas.text((if row == 0 { x + 36.0 } else { x }, y), size, Align::Left, color, line);
    }
}

/// Speech lives far below full scale: the root makes it visible.
fn shown(peak: f32) -> f32 {
    (2.0 * peak).clamp(0.0, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Color = Color::hex(0x00ff_0000);
    const BLUE: Color = Color::hex(0x0000_00ff);

    fn lane(name: &str, color: Color, heard: Vec<Column>) -> Lane {
        Lane {
            name: name.into(),
            notes: vec!["+49 69 1".into()],
            color,
            said: vec![0.0; 100],
            heard,
            stays: vec![(0.0, 10.0, 0)],
            marks: vec![(1.0, "joined".into())],
            right: true,
            verdict: vec!["heard bob".into()],
        }
    }

    fn timeline(heard: Vec<Column>) -> Timeline {
        Timeline {
            title: "A conference".into(),
            subtitle: "measured".into(),
            from: 0.0,
            to: 10.0,
            step: 0.1,
            rooms: vec![("meeting".into(), Color::hex(0x0033_66aa))],
            slots: vec![SlotBand { from: 2.0, to: 4.0, room: 0, label: "bob".into() }],
            lanes: vec![lane("alice", RED, heard), lane("bob", BLUE, Vec::new())],
        }
    }

    fn count(canvas: &Canvas, color: [u8; 3]) -> usize {
        let points = (0..canvas.height()).flat_map(|y| (0..canvas.width()).map(move |x| (x, y)));
        points.filter(|&(x, y)| canvas.pixel(x, y) == Some(color)).count()
    }

    #[test]
    fn what_was_heard_is_drawn_in_the_color_of_who_was_heard() {
        let bob = Column { peak: 0.5, shares: vec![0.0, 1.0] };
        let quiet = count(&timeline(vec![Column::default(); 100]).draw(), [0, 0, 255]);
        let heard = count(&timeline(vec![bob; 100]).draw(), [0, 0, 255]);
        assert!(heard > quiet + 20_000, "{heard} blue pixels, {quiet} without");
    }

    #[test]
    fn nobodys_part_is_grey() {
        let prompt = Column { peak: 0.5, shares: vec![0.0, 0.0] };
        let grey = [NOBODY.0, NOBODY.1, NOBODY.2];
        let without = count(&timeline(vec![Column::default(); 100]).draw(), grey);
        assert!(count(&timeline(vec![prompt; 100]).draw(), grey) > without + 20_000);
    }

    #[test]
    fn an_empty_timeline_is_still_a_picture() {
        let empty =
            Timeline { lanes: Vec::new(), slots: Vec::new(), rooms: Vec::new(), ..timeline(Vec::new()) };
        assert!(empty.draw().to_png().is_ok());
    }
}
