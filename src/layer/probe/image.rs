//! Image summaries.

use super::numbers::{Numbers, input};
use super::{Probe, ProbeFeature, Rows};
use crate::engine::{Answer, Request};

/// Brightness, contrast, sharpness and saturation of each image of an input, in the units of its pixels.
///
/// Takes `[n, channels, height, width]`, `[n, height, width, channels]`, or either without `n`, with 1, 3 or 4
/// channels; the order is inferred from the shape unless [`Image::layout`] gives it. An alpha channel is left out. Of a
/// large image at most 1,024 pixels on a regular grid are read.
///
/// | feature | what |
/// |---|---|
/// | `brightness` | mean of the luma, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) |
/// | `contrast` | standard deviation of the luma |
/// | `sharpness` | standard deviation of the luma's Laplacian (4 neighbours) |
/// | `saturation` | mean of the distance between the largest and the smallest channel; 0 for one channel |
///
/// ```
/// use selvedge::layer::probe::{Image, Probe};
/// assert_eq!(Image::of("data").features().len(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    input: String,
    layout: Option<Layout>,
}

/// The order of an image's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// Channels, height, width.
    Chw,
    /// Height, width, channels.
    Hwc,
}

/// Enough to know the mean to 1/32 of the deviation, and few enough to take some tens of microseconds.
const MAX_PIXELS: usize = 1 << 10;

impl Image {
    /// The images of this input; an empty name stands for the first one.
    pub fn of(input: impl Into<String>) -> Self {
        Self { input: input.into(), layout: None }
    }

    /// Sets the order of the dimensions.
    #[must_use]
    pub fn layout(self, layout: Layout) -> Self {
        Self { layout: Some(layout), ..self }
    }

    /// Number of images, and the geometry of one.
    fn geometry(&self, shape: &[usize]) -> Option<(usize, Geometry)> {
        let (n, dims) = match *shape {
            [n, a, b, c] => (n, [a, b, c]),
            [a, b, c] => (1, [a, b, c]),
            _ => return None,
        };
        let channels = |c: usize| matches!(c, 1 | 3 | 4);
        let layout = self.layout.or_else(|| match dims {
            [c, ..] if channels(c) => Some(Layout::Chw),
            [.., c] if channels(c) => Some(Layout::Hwc),
            _ => None,
        })?;
        let geometry = match (layout, dims) {
            (Layout::Chw, [c, h, w]) => Geometry { h, w, c, down: w, right: 1, deep: h * w },
            (Layout::Hwc, [h, w, c]) => Geometry { h, w, c, down: w * c, right: c, deep: 1 },
        };
        (geometry.h > 0 && geometry.w > 0 && channels(geometry.c)).then_some((n, geometry))
    }
}

/// Sizes, and the steps between neighbours.
#[derive(Clone, Copy)]
struct Geometry {
    h: usize,
    w: usize,
    c: usize,
    down: usize,
    right: usize,
    deep: usize,
}

impl Probe for Image {
    fn features(&self) -> Vec<ProbeFeature> {
        ["brightness", "contrast", "sharpness", "saturation"].map(ProbeFeature::number).into()
    }

    fn request(&self, request: &Request, rows: &mut Rows<'_>) {
        let Some(tensor) = input(request, &self.input) else { return };
        let Some((n, geometry)) = self.geometry(tensor.shape()) else { return };
        let Some(numbers) = Numbers::of(tensor) else { return };
        let size = geometry.h * geometry.w * geometry.c;
        for image in 0..n {
            let Some(values) = rows.row(image) else { return };
            let summary = match numbers {
                Numbers::Floats(floats) => match floats.get(image * size..(image + 1) * size) {
                    Some(pixels) => summarize(geometry, |i| pixels[i]),
                    None => return,
                },
                _ => summarize(geometry, |i| numbers.get(image * size + i)),
            };
            values.iter_mut().zip(summary).for_each(|(value, number)| *value = number);
        }
    }

    fn answer(&self, _: &Answer, _: &mut Rows<'_>) {}
}

fn summarize(g: Geometry, pixel: impl Fn(usize) -> f32) -> [f32; 4] {
    let luma = |at: usize| match g.c {
        1 => pixel(at),
        _ => 0.299 * pixel(at) + 0.587 * pixel(at + g.deep) + 0.114 * pixel(at + 2 * g.deep),
    };
    let chroma = |at: usize| match g.c {
        1 => 0.0,
        _ => {
            let [r, g, b] = [pixel(at), pixel(at + g.deep), pixel(at + 2 * g.deep)];
            r.max(g).max(b) - r.min(g).min(b)
        }
    };
    let stride = ((g.h * g.w) as f64 / MAX_PIXELS as f64).sqrt().ceil().max(1.0) as usize;
    let (mut lumas, mut laplacians, mut saturation) = (Spread::default(), Spread::default(), Spread::default());
    for y in (0..g.h).step_by(stride) {
        for x in (0..g.w).step_by(stride) {
            let at = y * g.down + x * g.right;
            let here = luma(at);
            lumas.add(here);
            saturation.add(chroma(at));
            if (1..g.h - 1).contains(&y) && (1..g.w - 1).contains(&x) {
                let around = luma(at - g.down) + luma(at + g.down) + luma(at - g.right) + luma(at + g.right);
                laplacians.add(around - 4.0 * here);
            }
        }
    }
    [lumas.mean(), lumas.deviation(), laplacians.deviation(), saturation.mean()]
}

/// Mean and standard deviation, by sums about the first value.
#[derive(Default)]
struct Spread {
    n: f64,
    origin: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f32) {
        if self.n == 0.0 {
            self.origin = f64::from(value);
        }
        let d = f64::from(value) - self.origin;
        (self.n, self.sum, self.squares) = (self.n + 1.0, self.sum + d, self.squares + d * d);
    }

    /// NaN of nothing.
    fn mean(&self) -> f32 {
        (self.origin + self.sum / self.n) as f32
    }

    fn deviation(&self) -> f32 {
        let variance = self.squares / self.n - (self.sum / self.n).powi(2);
        // Below zero by rounding only; a NaN stays one.
        if variance < 0.0 { 0.0 } else { variance.sqrt() as f32 }
    }
}
