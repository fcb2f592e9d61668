//! Pictures of what happened: a small raster canvas, the timeline of a conference (PNG) and the SIP ladder (SVG).
//!
//! Nothing here knows about calls or media; the demo (and whoever else has something to show) fills the plain structures.

pub mod canvas;
mod glyph;
pub mod ladder;
pub mod timeline;

pub use canvas::{Canvas, Color};
pub use ladder::Ladder;
pub use timeline::Timeline;
