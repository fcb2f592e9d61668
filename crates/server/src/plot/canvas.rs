//! A raster canvas with soft edges: boxes, discs, lines, letters, and a PNG at the end.
//!
//! Coordinates are pixels, `x` to the right and `y` down, fractions allowed; what lies outside is cut off.

use std::{io, path::Path};

use super::glyph::Glyph;

/// Red, green, blue, and how much of it covers what was there (1.0 hides it).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color(pub u8, pub u8, pub u8, pub f32);

impl Color {
    /// An opaque color from `0xRRGGBB`.
    pub const fn hex(rgb: u32) -> Self {
        Self((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8, 1.0)
    }

    /// The same color, covering less.
    #[must_use]
    pub const fn thin(self, cover: f32) -> Self {
        Self(self.0, self.1, self.2, cover)
    }

    /// As CSS writes it, without the cover.
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Where a text lies relative to its x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Starts at x.
    Left,
    /// Has x in its middle.
    Center,
    /// Ends at x.
    Right,
}

/// The pixels.
#[derive(Debug)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A canvas of this size in pixels, filled with one color.
    pub fn new(width: usize, height: usize, ground: Color) -> Self {
        let pixels = [ground.0, ground.1, ground.2].repeat(width * height);
        Self { width, height, pixels }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Red, green and blue of one pixel; `None` outside.
    pub fn pixel(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        let inside = x < self.width && y < self.height;
        let at = 3 * (y * self.width + x);
        inside.then(|| [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]])
    }

    /// A filled box from its top left corner.
    pub fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, color: Color) {
        let (right, bottom) = (x + width, y + height);
        self.cover(x, y, right, bottom, color, |px, py| overlap(px, x, right) * overlap(py, y, bottom));
    }

    /// A filled box with round corners of this radius.
    pub fn round_rect(&mut self, x: f32, y: f32, width: f32, height: f32, radius: f32, color: Color) {
        let (middle_x, middle_y) = (x + width / 2.0, y + height / 2.0);
        let (inner_x, inner_y) = (width / 2.0 - radius, height / 2.0 - radius);
        self.cover(x, y, x + width, y + height, color, |px, py| {
            let dx = ((px + 0.5 - middle_x).abs() - inner_x).max(0.0);
            let dy = ((py + 0.5 - middle_y).abs() - inner_y).max(0.0);
            (radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0)
        });
    }

    /// A filled disc.
    pub fn disc(&mut self, x: f32, y: f32, radius: f32, color: Color) {
        self.round_rect(x - radius, y - radius, 2.0 * radius, 2.0 * radius, radius, color);
    }

    /// A straight line of this thickness, round at its ends.
    pub fn line(&mut self, from: (f32, f32), to: (f32, f32), thickness: f32, color: Color) {
        let half = thickness / 2.0;
        let along = (to.0 - from.0, to.1 - from.1);
        let squared = (along.0 * along.0 + along.1 * along.1).max(1e-6);
        let (left, right) = (from.0.min(to.0) - half, from.0.max(to.0) + half);
        let (top, bottom) = (from.1.min(to.1) - half, from.1.max(to.1) + half);
        self.cover(left, top, right, bottom, color, |px, py| {
            let (dx, dy) = (px + 0.5 - from.0, py + 0.5 - from.1);
            let share = ((dx * along.0 + dy * along.1) / squared).clamp(0.0, 1.0);
            let distance = (dx - share * along.0).hypot(dy - share * along.1);
            (half - distance + 0.5).clamp(0.0, 1.0)
        });
    }

    /// A tick mark (right) or a cross (wrong) in a box of this size around a point.
    pub fn mark(&mut self, x: f32, y: f32, size: f32, right: bool, color: Color) {
        let half = size / 2.0;
        let thickness = size / 5.0;
        if right {
            let low = (x - half * 0.25, y + half * 0.6);
            self.line((x - half * 0.85, y), low, thickness, color);
            self.line(low, (x + half * 0.9, y - half * 0.7), thickness, color);
        } else {
            self.line((x - half * 0.7, y - half * 0.7), (x + half * 0.7, y + half * 0.7), thickness, color);
            self.line((x - half * 0.7, y + half * 0.7), (x + half * 0.7, y - half * 0.7), thickness, color);
        }
    }

    /// A line of text whose letters are `size` pixels high, its top at `y`. Returns its width.
    pub fn text(&mut self, (x, y): (f32, f32), size: f32, align: Align, color: Color, text: &str) -> f32 {
        let width = text_width(text, size);
        let mut left = match align {
            Align::Left => x,
            Align::Center => x - width / 2.0,
            Align::Right => x - width,
        };
        // Letters stand on whole pixels, or their stems blur.
        let top = y.round();
        for letter in text.chars() {
            let glyph = Glyph::new(letter);
            let at = left.round();
            let unit = 1.0 / size;
            self.cover(at, top, at + size, top + size, color, |px, py| {
                let (u, v) = ((px - at) * unit, (py - top) * unit);
                glyph.coverage(u, v, u + unit, v + unit)
            });
            left += glyph.advance() * size;
        }
        width
    }

    /// The picture as PNG.
    pub fn to_png(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(io::Error::other)?;
        writer.write_image_data(&self.pixels).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)?;
        Ok(bytes)
    }

    /// Writes the picture as a PNG file.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.to_png()?)
    }

    /// Lays `color` over every pixel between the corners, as thickly as `share` says (0..=1) for the pixel's corner.
    fn cover(
        &mut self,
        left: f32,
        top: f32,
        right: f32,
        bottom: f32,
        color: Color,
        share: impl Fn(f32, f32) -> f32,
    ) {
        let clip = |at: f32, end: usize| (at.max(0.0) as usize).min(end);
        let (x0, x1) = (clip(left.floor(), self.width), clip(right.ceil(), self.width));
        let (y0, y1) = (clip(top.floor(), self.height), clip(bottom.ceil(), self.height));
        for y in y0..y1 {
            for x in x0..x1 {
                let cover = share(x as f32, y as f32) * color.3;
                if cover > 0.0 {
                    let at = 3 * (y * self.width + x);
                    for (byte, ink) in self.pixels[at..at + 3].iter_mut().zip([color.0, color.1, color.2]) {
                        let mixed = f32::from(*byte) + (f32::from(ink) - f32::from(*byte)) * cover;
                        *byte = mixed.round() as u8;
                    }
                }
            }
        }
    }
}

/// Width in pixels of a line of text at this letter height.
pub fn text_width(text: &str, size: f32) -> f32 {
    text.chars().map(|letter| Glyph::new(letter).advance() * size).sum()
}

/// How much of the pixel from `at` to `at + 1` lies between two bounds.
fn overlap(at: f32, low: f32, high: f32) -> f32 {
    (high.min(at + 1.0) - low.max(at)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Color = Color::hex(0x00ff_ffff);
    const BLACK: Color = Color::hex(0);

    #[test]
    fn a_box_covers_whole_pixels_fully_and_half_pixels_half() {
        let mut canvas = Canvas::new(8, 8, WHITE);
        canvas.rect(2.0, 2.0, 2.5, 2.0, BLACK);
        assert_eq!(canvas.pixel(2, 2), Some([0; 3]));
        assert_eq!(canvas.pixel(3, 3), Some([0; 3]));
        assert_eq!(canvas.pixel(4, 3), Some([128; 3]));
        assert_eq!(canvas.pixel(5, 3), Some([255; 3]));
        assert_eq!(canvas.pixel(8, 0), None);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let mut canvas = Canvas::new(4, 4, WHITE);
        canvas.rect(-10.0, -10.0, 100.0, 100.0, BLACK);
        canvas.disc(400.0, -300.0, 20.0, BLACK);
        canvas.line((-5.0, 2.0), (900.0, 2.0), 2.0, BLACK);
        canvas.text((-20.0, -3.0), 16.0, Align::Left, BLACK, "outside");
        assert_eq!(canvas.pixel(3, 3), Some([0; 3]));
    }

    #[test]
    fn text_leaves_ink_within_the_width_it_reports() {
        let mut canvas = Canvas::new(200, 20, WHITE);
        let width = canvas.text((0.0, 2.0), 16.0, Align::Left, BLACK, "Partyline");
        let inked: Vec<usize> =
            (0..200).filter(|&x| (0..20).any(|y| canvas.pixel(x, y).is_some_and(|p| p[0] < 128))).collect();
        assert!(inked.len() > 40);
        assert!(*inked.last().unwrap() as f32 <= width);
        assert!((width - text_width("Partyline", 16.0)).abs() < 0.01);
    }

    #[test]
    fn the_png_has_the_size_it_was_given() {
        let png = Canvas::new(31, 17, WHITE).to_png().unwrap();
        let info = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        assert_eq!((info.info().width, info.info().height), (31, 17));
    }
}
