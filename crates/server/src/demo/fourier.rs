//! A radix-2 Fourier transform of one fixed size: just enough to search a voice in a recording for every delay at once.

/// Twiddle factors and the bit-reversed order for one size.
#[derive(Debug)]
pub struct Fourier {
    order: Vec<usize>,
    twiddle: Vec<Complex>,
}

/// One complex number, real part first.
pub type Complex = (f32, f32);

impl Fourier {
    /// Tables for transforms of `size` points; `size` must be a power of two, at least 2.
    pub fn new(size: usize) -> Self {
        assert!(size.is_power_of_two() && size >= 2, "a radix-2 transform needs a power of two, got {size}");
        let bits = size.trailing_zeros();
        let order = (0..size).map(|index| index.reverse_bits() >> (usize::BITS - bits)).collect();
        let twiddle = (0..size / 2)
            .map(|index| {
                let angle = -2.0 * std::f64::consts::PI * index as f64 / size as f64;
                (angle.cos() as f32, angle.sin() as f32)
            })
            .collect();
        Self { order, twiddle }
    }

    /// Number of points.
    pub fn size(&self) -> usize {
        self.order.len()
    }

    /// The spectrum of `samples`, padded with zeros (or cut) to the size of the transform.
    pub fn spectrum(&self, samples: &[f32]) -> Vec<Complex> {
        let mut points: Vec<Complex> =
            samples.iter().take(self.size()).map(|&sample| (sample, 0.0)).collect();
        points.resize(self.size(), (0.0, 0.0));
        self.transform(&mut points);
        points
    }

    /// The real signal with this spectrum.
    pub fn signal(&self, mut spectrum: Vec<Complex>) -> Vec<f32> {
        // The inverse by the forward transform: conjugate before; the result is real, so no second conjugation.
        for point in &mut spectrum {
            point.1 = -point.1;
        }
        self.transform(&mut spectrum);
        let scale = 1.0 / self.size() as f32;
        spectrum.into_iter().map(|(real, _)| real * scale).collect()
    }

    fn transform(&self, points: &mut [Complex]) {
        let size = points.len();
        for (index, &other) in self.order.iter().enumerate() {
            if index < other {
                points.swap(index, other);
            }
        }
        let mut half = 1;
        while half < size {
            let stride = size / (2 * half);
            for block in points.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for (index, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let (cos, sin) = self.twiddle[index * stride];
                    let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                    *b = (a.0 - turned.0, a.1 - turned.1);
                    *a = (a.0 + turned.0, a.1 + turned.1);
                }
            }
            half *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_survives_the_way_there_and_back() {
        let fourier = Fourier::new(64);
        let samples: Vec<f32> = (0..64).map(|n| ((n * n * 7) % 31) as f32 - 15.0).collect();
        let back = fourier.signal(fourier.spectrum(&samples));
        for (a, b) in samples.iter().zip(&back) {
            assert!((a - b).abs() < 1e-3, "{a} came back as {b}");
        }
    }

    #[test]
    fn a_cosine_is_one_line_of_the_spectrum() {
        let fourier = Fourier::new(128);
        let samples: Vec<f32> =
            (0..128).map(|n| (2.0 * std::f32::consts::PI * 5.0 * n as f32 / 128.0).cos()).collect();
        let spectrum = fourier.spectrum(&samples);
        assert!((spectrum[5].0 - 64.0).abs() < 1e-2);
        assert!((spectrum[123].0 - 64.0).abs() < 1e-2);
        let rest: f32 = spectrum
            .iter()
            .enumerate()
            .filter(|(n, _)| ![5, 123].contains(n))
            .map(|(_, p)| p.0.hypot(p.1))
            .sum();
        assert!(rest < 1e-1, "leaked {rest}");
    }
}
