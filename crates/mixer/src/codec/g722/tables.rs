//! The tables of ITU-T G.722, each under the name that it has there; two pairs that are always looked up one after the other
//! are one table here.

/// The 24 coefficients of both quadrature mirror filters (table 11).
pub(super) static QMF: [i16; 24] = [
    3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876, 3876, 951, -805, -210, 362, 32, -156, 12, 53,
    -11, -11, 3,
];

/// The decision levels 1 to 29 of the lower band (Q6, table 14), times 16: the upper half of the product with the scale factor
/// is then what QUANTL compares with. The three after them are passed only by what passes all others.
pub(super) static THRESHOLDS: [u16; 32] = {
    let levels = [
        35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121,
        1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
    ];
    let mut table = [u16::MAX; 32];
    let mut n = 0;
    while n < levels.len() {
        table[n] = levels[n] * 16;
        n += 1;
    }
    table
};

/// Decision levels of [`THRESHOLDS`] that are real.
pub(super) const LEVELS: u16 = 29;

/// The code of a negative difference in the lower band, by decision levels passed (ILN, table 14).
pub(super) static ILN: [u8; 32] = [
    63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,
    6, 5, 4, 4, 4,
];

/// The code of a positive difference in the lower band, by decision levels passed (ILP, table 14).
pub(super) static ILP: [u8; 32] = [
    61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
    35, 34, 33, 32, 32, 32,
];

/// The code of a negative difference in the higher band, by decision levels passed (IHN, table 15).
pub(super) static IHN: [u8; 2] = [1, 0];

/// The code of a positive difference in the higher band, by decision levels passed (IHP, table 15).
pub(super) static IHP: [u8; 2] = [3, 2];

/// Output of the lower band's quantizer with six bits (QM6).
pub(super) static QM6: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];

/// Output of the lower band's quantizer with the upper four bits only (QM4).
pub(super) static QM4: [i16; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];

/// Output of the higher band's quantizer (QM2).
pub(super) static QM2: [i16; 4] = [-7408, -1616, 7408, 1616];

/// How far a code moves the logarithm of the lower band's scale (WL of RL42), by the upper four bits.
pub(super) static WL: [i16; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// How far a code moves the logarithm of the higher band's scale (WH of RH2).
pub(super) static WH: [i16; 4] = [798, -214, 798, -214];

/// The antilogarithm: 2^(11 + n/32) (ILB).
pub(super) static ILB: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
