//! The taps of the resampler's low-passes, and their order by phases.

/// Half of a symmetric filter, up to and with its middle, in units of 10^-7. All are equiripple designs (Parks-McClellan; the
/// stop band weighs ten times the pass band, in the longest twenty times) with 1 at 0 Hz.
type Half<const H: usize> = [i32; H];

/// 41 taps at 16 kHz: passes up to 3.4 kHz within 0.09 dB, stops from 4.6 kHz on by 66 dB.
pub(super) const TWO: Half<21> = [
    -11_874, -8_145, 26_544, 36_105, -23_860, -52_477, 40_079, 94_020, -48_498, -146_930, 60_982, 227_737,
    -70_971, -349_100, 80_470, 556_171, -87_463, -1_007_931, 92_048, 3_151_736, 4_882_710,
];

/// 73 taps at 48 kHz: passes up to 7 kHz within 0.10 dB, stops from 9 kHz on by 65 dB.
pub(super) const THREE: Half<37> = [
    -5_348, -3_462, 4_490, 16_233, 20_922, 9_850, -11_876, -25_081, -12_992, 18_624, 40_185, 24_096, -23_347,
    -58_692, -39_256, 28_762, 83_533, 61_146, -34_075, -116_470, -92_343, 39_162, 161_464, 138_046, -43_743,
    -226_708, -209_424, 47_598, 333_071, 336_836, -50_517, -552_249, -642_070, 52_325, 1_388_572, 2_711_297,
    3_262_880,
];

/// 121 taps at 48 kHz: passes up to 3.4 kHz within 0.14 dB, stops from 4.6 kHz on by 68 dB, so that all five images together are
/// 60 dB down.
pub(super) const SIX: Half<61> = [
    -2_465, -662, 495, 2_694, 5_758, 9_168, 12_108, 13_628, 12_886, 9_443, 3_497, -4_011, -11_484, -16_986,
    -18_720, -15_569, -7_553, 3_962, 16_392, 26_446, 30_931, 27_672, 16_291, -1_386, -21_480, -38_817,
    -48_181, -45_759, -30_413, -4_431, 26_629, 54_963, 72_372, 72_450, 52_625, 15_415, -31_519, -76_725,
    -107_527, -113_298, -88_633, -35_583, 35_781, 108_845, 163_856, 182_636, 153_587, 75_761, -39_096,
    -167_297, -276_864, -333_561, -308_146, -183_323, 41_200, 346_792, 697_752, 1_046_790, 1_343_136,
    1_541_730, 1_611_602,
];

/// The rows for `L` outputs per input: row `p` makes output `p`, its taps in the order of the inputs that they meet, the oldest
/// first. Scaled by `L`, for the zeros that are not there.
pub(super) const fn up<const L: usize, const T: usize>(half: &[i32]) -> [[f32; T]; L] {
    let mut rows = [[0.0; T]; L];
    let mut phase = 0;
    while phase < L {
        let mut n = 0;
        while n < T {
            rows[phase][T - 1 - n] = tap(half, n * L + phase) * L as f32;
            n += 1;
        }
        phase += 1;
    }
    rows
}

/// The rows for one output per `L` inputs: row `p` meets every `L`-th input from input `p` on.
pub(super) const fn down<const L: usize, const T: usize>(half: &[i32]) -> [[f32; T]; L] {
    let mut rows = [[0.0; T]; L];
    let mut phase = 0;
    while phase < L {
        let mut n = 0;
        while n < T {
            rows[phase][n] = tap(half, n * L + phase);
            n += 1;
        }
        phase += 1;
    }
    rows
}

/// A tap of the whole filter; 0 after its end.
const fn tap(half: &[i32], n: usize) -> f32 {
    let last = 2 * (half.len() - 1);
    if n > last { 0.0 } else { half[if n < half.len() { n } else { last - n }] as f32 * 1e-7 }
}
