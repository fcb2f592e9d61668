//! Letters: the 8x8 bitmaps of `font8x8`, rounded off by repeated Scale2x and then sampled down to any size with grey edges.

use font8x8::UnicodeFonts as _;

/// Side of a rounded-off letter: 8 doubled three times.
const FINE: usize = 64;
/// Columns of an 8x8 cell left between letters and taken by a blank.
const GAP: usize = 1;
const BLANK: usize = 4;
/// The font's stems are two cells wide and its bars one cell high: narrowed this much, both are equally strong.
const NARROW: f32 = 0.62;

/// One letter, cut to its inked columns.
pub(super) struct Glyph {
    ink: Vec<bool>,
    first: usize,
    columns: usize,
}

impl Glyph {
    /// The letter, or a question mark where the font has none.
    pub(super) fn new(letter: char) -> Self {
        let rows = font8x8::BASIC_FONTS
            .get(letter)
            .or_else(|| font8x8::LATIN_FONTS.get(letter))
            .or_else(|| font8x8::BASIC_FONTS.get('?'))
            .unwrap_or_default();
        let used = rows.iter().fold(0, |used, row| used | row);
        let first = (used.trailing_zeros() as usize).min(8);
        let columns = if used == 0 { BLANK } else { 8 - used.leading_zeros() as usize - first };
        let mut ink: Vec<bool> =
            rows.iter().flat_map(|row| (0..8).map(move |bit| row >> bit & 1 == 1)).collect();
        let mut side = 8;
        while side < FINE {
            ink = scale2x(&ink, side);
            side *= 2;
        }
        Self { ink, first: if used == 0 { 0 } else { first }, columns }
    }

    /// How far the next letter is, in units of the letter's height.
    pub(super) fn advance(&self) -> f32 {
        NARROW * (self.columns + GAP) as f32 / 8.0
    }

    /// The share of ink in the box between two corners, both in units of the letter's height from its own top left.
    pub(super) fn coverage(&self, left: f32, top: f32, right: f32, bottom: f32) -> f32 {
        let shift = self.first as f32 / 8.0;
        let index = |at: f32| ((at * FINE as f32).round().max(0.0) as usize).min(FINE);
        let (x0, x1) = (index(left / NARROW + shift), index(right / NARROW + shift));
        let (y0, y1) = (index(top), index(bottom));
        let box_area = ((right - left) / NARROW * (bottom - top) * (FINE * FINE) as f32).max(1.0);
        let inked =
            (y0..y1).map(|y| self.ink[y * FINE..][x0..x1].iter().filter(|ink| **ink).count()).sum::<usize>();
        (inked as f32 / box_area).min(1.0)
    }
}

/// Scale2x: doubles a bitmap and cuts the corners off its stairs.
fn scale2x(ink: &[bool], side: usize) -> Vec<bool> {
    let at = |x: isize, y: isize| {
        let inside = (0..side as isize).contains(&x) && (0..side as isize).contains(&y);
        inside && ink[y as usize * side + x as usize]
    };
    let mut fine = vec![false; 4 * side * side];
    for y in 0..side as isize {
        for x in 0..side as isize {
            let (up, right, left, down) = (at(x, y - 1), at(x + 1, y), at(x - 1, y), at(x, y + 1));
            let own = at(x, y);
            let corner = |a: bool, b: bool, other_a: bool, other_b: bool| {
                if a == b && a != other_a && b != other_b { a } else { own }
            };
            let row = 2 * y as usize * 2 * side + 2 * x as usize;
            fine[row] = corner(left, up, down, right);
            fine[row + 1] = corner(up, right, left, down);
            fine[row + 2 * side] = corner(down, left, right, up);
            fine[row + 2 * side + 1] = corner(right, down, up, left);
        }
    }
    fine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_as_wide_as_their_ink() {
        assert!(Glyph::new('i').advance() < Glyph::new('m').advance());
        assert!(Glyph::new(' ').advance() > 0.0);
    }

    #[test]
    fn a_letter_has_ink_and_a_blank_has_none() {
        assert!(Glyph::new('#').coverage(0.0, 0.0, 1.0, 1.0) > 0.2);
        assert!(Glyph::new(' ').coverage(0.0, 0.0, 1.0, 1.0) < f32::EPSILON);
        // Unknown letters show as a question mark instead of vanishing.
        assert_eq!(Glyph::new('\u{4e2d}').ink, Glyph::new('?').ink);
    }
}
