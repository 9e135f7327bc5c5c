//! Power spectrum: a small Fourier transform, for one number, the centre of a sound's spectrum.

use std::f32::consts::PI;

/// Samples per frame; a power of two.
pub(super) const FRAME: usize = 512;

/// Adds the power spectrum of one frame (Hann window) to `power`, which has one entry per frequency from 0 to half the
/// sample rate.
pub(super) fn add_power(frame: impl Fn(usize) -> f32, power: &mut [f32; FRAME / 2 + 1]) {
    let (mut re, mut im) = ([0.0f32; FRAME], [0.0f32; FRAME]);
    for i in 0..FRAME {
        let hann = 0.5 - 0.5 * (2.0 * PI * i as f32 / FRAME as f32).cos();
        // Bit-reversed order, as the transform in place wants it.
        re[i.reverse_bits() >> (usize::BITS - FRAME.trailing_zeros())] = frame(i) * hann;
    }
    transform(&mut re, &mut im);
    power.iter_mut().enumerate().for_each(|(k, p)| *p += re[k] * re[k] + im[k] * im[k]);
}

/// Cooley and Tukey's transform, radix 2, decimation in time.
fn transform(re: &mut [f32; FRAME], im: &mut [f32; FRAME]) {
    let mut half = 1;
    while half < FRAME {
        let (step_im, step_re) = (-PI / half as f32).sin_cos();
        for begin in (0..FRAME).step_by(2 * half) {
            let (mut w_re, mut w_im) = (1.0, 0.0);
            for i in begin..begin + half {
                let j = i + half;
                let (t_re, t_im) = (re[j] * w_re - im[j] * w_im, re[j] * w_im + im[j] * w_re);
                (re[j], im[j]) = (re[i] - t_re, im[i] - t_im);
                (re[i], im[i]) = (re[i] + t_re, im[i] + t_im);
                (w_re, w_im) = (w_re * step_re - w_im * step_im, w_re * step_im + w_im * step_re);
            }
        }
        half *= 2;
    }
}
