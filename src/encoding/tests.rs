use super::*;

/// Unit roundoff of f32.
const U: f64 = f32::EPSILON as f64 / 2.0;

const ALL: [Encoding; 6] = [
    Encoding::frequency(4),
    Encoding::frequency(Encoding::MAX_OCTAVES),
    Encoding::one_blob(1),
    Encoding::one_blob(16),
    Encoding::triangle_wave(5),
    Encoding::triangle_wave(Encoding::MAX_OCTAVES),
];

/// Of f64, against formulas written down in numpy:
///
/// ```python
/// import numpy as np
/// def frequency(x, n):
///     return np.array([f(2**k*np.pi*x) for k in range(n) for f in (np.sin, np.cos)])
/// def one_blob(x, b):
///     return np.exp(-0.5*((np.arange(b) + 0.5)/b - x)**2/(1/b)**2)
/// def triangle_wave(x, n):
///     t = 2.0**(np.arange(n) - 1)*x + np.arange(n)/4
///     return abs(t - np.floor(t) - 0.5)*4 - 1
/// for f, n in (frequency, 3), (one_blob, 4), (triangle_wave, 6):
///     for x in 0.3, -1.7, 12.34: print(f.__name__, x, f(x, n).tolist())
/// ```
#[test]
fn values_are_numpys() {
    type Case<'a> = (Encoding, f64, &'a [f64]);
    const CASES: [Case<'_>; 8] = [
        (
            Encoding::frequency(3),
            0.3,
            &[
                0.8090169943749475,
                0.5877852522924731,
                0.9510565162951536,
                -0.30901699437494734,
                -0.587785252292473,
                -0.8090169943749476,
            ],
        ),
        (
            Encoding::frequency(3),
            -1.7,
            &[
                0.8090169943749476,
                0.5877852522924729,
                0.9510565162951534,
                -0.30901699437494784,
                -0.5877852522924738,
                -0.8090169943749469,
            ],
        ),
        (
            Encoding::frequency(3),
            12.34,
            &[
                0.8763066800438617,
                0.48175367410171877,
                0.8443279255020194,
                -0.5358267949789899,
                -0.9048270524660127,
                -0.4257792915650871,
            ],
        ),
        (
            Encoding::one_blob(4),
            0.3,
            &[0.7827045382418681, 0.9559974818330998, 0.4295573582107391, 0.07100535373963701],
        ),
        (
            Encoding::one_blob(4),
            -1.7,
            &[
                2.680547637312607e-12,
                1.0983141298285893e-15,
                1.6555226620987626e-19,
                9.180137950959148e-24,
            ],
        ),
        (Encoding::triangle_wave(6), 0.3, &[0.4, -0.8, 0.6, 0.8, -0.6, 0.8]),
        (Encoding::triangle_wave(6), -1.7, &[0.4, -0.8, 0.6, 0.8, -0.6, 0.8]),
        (Encoding::triangle_wave(6), 12.34, &[0.32, -0.64, 0.28, 0.56, -0.12, -0.24]),
    ];
    for (encoding, x, want) in CASES {
        assert_eq!(encoding.values(), want.len());
        for (value, &want) in (0..).zip(want) {
            let got = encoding.apply(x, value);
            // numpy's angles, and x itself, are rounded at their own size: 400 at most.
            let error = (got - want).abs();
            assert!(error <= 400.0 * f64::EPSILON, "{encoding}({x})[{value}] = {got}");
        }
    }
}

#[test]
fn derivatives_agree_with_central_differences() {
    for encoding in ALL {
        for x in [-1.372, -0.61, 0.013, 0.21, 0.437, 0.77, 1.9] {
            for value in 0..u32::try_from(encoding.values()).unwrap() {
                // Of a wave, in its periods: 2ᵏh.
                let scale = match encoding {
                    Encoding::Frequency { .. } => f64::powf(2.0, f64::from(value / 2)),
                    Encoding::OneBlob { bins } => f64::from(bins),
                    Encoding::TriangleWave { .. } => f64::powf(2.0, f64::from(value)),
                };
                let h = 1e-5 / scale;
                let (above, below) = (encoding.apply(x + h, value), encoding.apply(x - h, value));
                let difference = (above - below) / (2.0 * h);
                // Truncation h²/6·|a‴|, at most (π·scale)³; rounding of a few ε of the value and
                // of x, which the slope π·scale passes on, over h.
                let rounding = (4.0 + 8.0 * scale * x.abs()) * f64::EPSILON / h;
                let bound = 31.1 * scale.powi(3) * h * h / 6.0 + rounding;
                let got = encoding.derivative(x, value);
                let error = (got - difference).abs();
                assert!(error <= bound, "{encoding}′({x})[{value}]: {got}, not {difference}");
                // Slopes are of the order of the scale.
                assert!(bound <= 4e-3 * scale, "a bound of {bound:e} says nothing");
            }
        }
    }
}

/// Against sines of angles that f64 holds exactly, up to the last octave and for large inputs.
#[test]
fn waves_are_exact_at_every_octave() {
    let waves = Encoding::frequency(Encoding::MAX_OCTAVES);
    let triangles = Encoding::triangle_wave(Encoding::MAX_OCTAVES);
    for x in [0.1_f32, 0.7, 0.999_999_94, -0.3, 12_345.678, -1e30, f32::MAX, 1e-30] {
        for octave in 0..Encoding::MAX_OCTAVES {
            // 2ᵏx mod 2 by another way: the remainder is exact, and so is doubling.
            let r = (f64::from(x) % 2.0) * f64::powf(2.0, f64::from(octave)) % 2.0;
            let (sin, cos) = (std::f64::consts::PI * r).sin_cos();
            for (value, want) in [(2 * octave, sin), (2 * octave + 1, cos)] {
                let error = f64::from(waves.apply(x, value)) - want;
                // The sine's 3.5 ULP, half a one of the angle, and f64's rounding of πr.
                let bound = 8.0 * U * want.abs() + 1e-15;
                assert!(error.abs() <= bound, "sine {value} of {x} is {error:e} off");
            }
            let t = r / 2.0 + f64::from(octave) / 4.0;
            let want = 4.0 * (t - t.floor() - 0.5).abs() - 1.0;
            let error = f64::from(triangles.apply(x, octave)) - want;
            assert!(error.abs() <= U, "triangle {octave} of {x} is {error:e} off");
        }
    }
}

#[test]
fn kinks_have_the_slope_to_their_right() {
    let triangles = Encoding::triangle_wave(2);
    // Crests and troughs: the first wave has its crest at 0, the second its zero on the way down.
    for (x, value, slope) in [
        (0.0, 0, -2.0),
        (1.0, 0, 2.0),
        (-1.0, 0, 2.0),
        (2.0, 0, -2.0),
        (3.0, 0, 2.0),
        (0.0, 1, -4.0),
        (0.25, 1, 4.0),
        (-0.25, 1, -4.0),
        (0.75, 1, -4.0),
    ] {
        let (right, left) = (x + 0.01, x);
        let difference = (triangles.apply(right, value) - triangles.apply(left, value)) / 0.01;
        assert!((difference - slope).abs() < 1e-9, "{x}[{value}] rises by {difference}");
        assert_eq!(triangles.derivative(x, value), slope, "{x}[{value}]");
        #[expect(clippy::cast_possible_truncation, reason = "exact")]
        let single = triangles.derivative(x as f32, value);
        assert_eq!(f64::from(single), slope, "{x}[{value}]");
    }
}

#[test]
fn text_forms_round_trip() {
    for encoding in ALL {
        assert_eq!(encoding.to_string().parse::<Encoding>().unwrap(), encoding);
    }
    for bad in ["", "freq", "8", "freq0", "freq25", "tri-1", "blob4097", "blob1e3", "sine8"] {
        let refused = bad.parse::<Encoding>().unwrap_err().to_string();
        assert!(refused.starts_with(&format!("encoding is \"{bad}\"")), "{refused}");
    }
}
