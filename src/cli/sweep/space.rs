//! What trials are made of: the values of each key, their combinations, and draws from them.

use wgrad::rng::{Purpose, Stream};

use crate::cli::failure::Failure;
use crate::cli::talk::shortest;

/// More trials than this are sooner a typing error than a sweep.
pub(super) const MOST_TRIALS: usize = 10_000;
/// Draws for each trial that is to differ from all others, before a space counts as too small.
const DRAWS_EACH: usize = 1000;

/// A key with many values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub key: String,
    pub values: Values,
    /// Whether pictures show logarithms.
    pub log: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    List(Vec<Value>),
    Range(Range),
}

/// One value of a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    /// What would be typed for it.
    pub words: Vec<String>,
    /// The value alone.
    pub shown: String,
}

/// Numbers from `min` to `max`, both included.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    /// The flag, without its value.
    pub flag: String,
    pub min: f64,
    pub max: f64,
    /// Whether their logarithms are spread evenly.
    pub log: bool,
    /// Whether they are whole.
    pub whole: bool,
}

impl Range {
    /// The number at a share of the range, 0 to 1.
    fn between(&self, from: f64, to: f64, share: f64) -> f64 {
        if self.log { from * (to / from).powf(share) } else { from + share * (to - from) }
    }

    /// The number that a draw uniform in [0, 1) stands for. A whole one is the floor of a draw from `min` up to
    /// `max` + 1, so that `max` is as likely as its neighbours.
    fn drawn(&self, uniform: f64) -> f64 {
        let end = if self.whole { self.max + 1.0 } else { self.max };
        let number = self.between(self.min, end, uniform);
        self.rounded(if self.whole { number.floor() } else { number })
    }

    /// Six digits, which are short to read and to type; whole numbers as they are.
    fn rounded(&self, number: f64) -> f64 {
        let short = if self.whole {
            number.round()
        } else {
            format!("{number:.5e}").parse().unwrap_or(number)
        };
        short.clamp(self.min, self.max)
    }

    /// So many values from one end to the other; whole numbers may coincide, and are then fewer.
    #[expect(clippy::cast_precision_loss, reason = "at most ten thousand")]
    pub(super) fn steps(&self, steps: usize) -> Vec<Value> {
        let share = |step: usize| step as f64 / (steps - 1) as f64;
        let numbers = (0..steps).map(|step| self.between(self.min, self.max, share(step)));
        let mut numbers: Vec<f64> = numbers.map(|number| self.rounded(number)).collect();
        numbers.dedup();
        numbers.into_iter().map(|number| self.value(number)).collect()
    }

    fn value(&self, number: f64) -> Value {
        let shown = if self.whole { format!("{number}") } else { shortest(number) };
        Value { words: vec![format!("{}={shown}", self.flag)], shown }
    }
}

impl Axis {
    /// How many values there are; `None` for those of a range.
    fn count(&self) -> Option<usize> {
        match &self.values {
            Values::List(values) => Some(values.len()),
            Values::Range(range) if range.whole => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "casts saturate"
                )]
                let count = (range.max - range.min + 1.0) as usize;
                Some(count)
            }
            Values::Range(_) => None,
        }
    }

    /// The draws of a key under a seed, whatever other keys there are.
    fn stream(&self, seed: u64) -> Stream {
        // 32-bit FNV-1a (Fowler, Noll, Vo).
        let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        Stream::new(seed, Purpose::Sweep, self.key.bytes().fold(0x811c_9dc5, hash))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a floor below the length"
    )]
    #[expect(clippy::cast_precision_loss, reason = "lists are short")]
    fn drawn(&self, uniform: f64) -> Value {
        match &self.values {
            Values::List(values) => values[(uniform * values.len() as f64) as usize].clone(),
            Values::Range(range) => range.value(range.drawn(uniform)),
        }
    }
}

/// Combinations that there are; `None` for those with a range of numbers.
pub(super) fn combinations(axes: &[Axis]) -> Option<usize> {
    axes.iter().try_fold(1_usize, |product, axis| Some(product.saturating_mul(axis.count()?)))
}

/// Every combination, the values of the last key fastest.
pub(super) fn grid(axes: &[Axis]) -> Result<Vec<Vec<Value>>, Failure> {
    let lists = axes.iter().map(|axis| match &axis.values {
        Values::List(values) => Ok(values),
        Values::Range(_) => Err(Failure::input(format!(
            "{}: a grid needs steps in the range, as in steps = 4 (or take method = \"random\")",
            axis.key
        ))),
    });
    let lists = lists.collect::<Result<Vec<_>, _>>()?;
    let count = combinations(axes).unwrap_or(usize::MAX);
    if count > MOST_TRIALS {
        return Err(Failure::input(format!(
            "the grid has {count} trials, more than {MOST_TRIALS} (give fewer values, or take method = \
             \"random\")"
        )));
    }
    let with = |trials: Vec<Vec<Value>>, values: &Vec<Value>| {
        let longer = |trial: &Vec<Value>| -> Vec<Vec<Value>> {
            values.iter().map(|value| [&trial[..], std::slice::from_ref(value)].concat()).collect()
        };
        trials.iter().flat_map(longer).collect()
    };
    Ok(lists.into_iter().fold(vec![Vec::new()], with))
}

/// So many different combinations, drawn at random.
pub(super) fn draw(axes: &[Axis], trials: usize, seed: u64) -> Result<Vec<Vec<Value>>, Failure> {
    if trials > MOST_TRIALS {
        return Err(Failure::input(format!("trials = {trials}: give at most {MOST_TRIALS}")));
    }
    let mut streams: Vec<Stream> = axes.iter().map(|axis| axis.stream(seed)).collect();
    let mut drawn: Vec<Vec<Value>> = Vec::with_capacity(trials);
    let mut seen = std::collections::HashSet::new();
    let enough = combinations(axes).is_none_or(|count| count >= trials);
    for _ in 0..if enough { DRAWS_EACH * trials } else { 0 } {
        let draws = axes.iter().zip(&mut streams);
        let trial: Vec<Value> = draws.map(|(axis, stream)| axis.drawn(stream.uniform())).collect();
        if seen.insert(trial.iter().map(|value| value.shown.clone()).collect::<Vec<_>>()) {
            drawn.push(trial);
        }
        if drawn.len() == trials {
            return Ok(drawn);
        }
    }
    Err(Failure::input(match combinations(axes) {
        Some(count) => format!(
            "trials = {trials}, but the values have {count} combinations: give fewer trials, or take \
             method = \"grid\""
        ),
        None => {
            format!("trials = {trials}, but so many don't differ in six digits: widen the ranges")
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(key: &str, values: &[&str]) -> Axis {
        let value = |shown: &&str| Value {
            words: vec![format!("--{key}={shown}")],
            shown: (*shown).to_owned(),
        };
        let values = Values::List(values.iter().map(value).collect());
        Axis { key: key.into(), values, log: false }
    }

    fn range(key: &str, min: f64, max: f64, log: bool, whole: bool) -> Axis {
        let range = Range { flag: format!("--{key}"), min, max, log, whole };
        Axis { key: key.into(), values: Values::Range(range), log }
    }

    fn shown(trials: &[Vec<Value>]) -> Vec<Vec<&str>> {
        trials.iter().map(|trial| trial.iter().map(|value| &*value.shown).collect()).collect()
    }

    /// The numbers of a key that is alone.
    fn numbers(axis: Axis, trials: usize, seed: u64) -> Vec<f64> {
        let drawn = draw(&[axis], trials, seed).unwrap();
        drawn.iter().map(|trial| trial[0].shown.parse().unwrap()).collect()
    }

    #[test]
    fn a_grid_is_the_product() {
        let axes = [list("a", &["1", "2"]), list("b", &["x", "y", "z"])];
        let trials = grid(&axes).unwrap();
        assert_eq!(shown(&trials)[..4], [["1", "x"], ["1", "y"], ["1", "z"], ["2", "x"]]);
        assert_eq!(trials.len(), 6);
        assert_eq!(trials[5][1].words, ["--b=z"]);
        let many: Vec<_> = (0..14).map(|k| list(&format!("k{k}"), &["0", "1"])).collect();
        assert!(grid(&many).unwrap_err().message().unwrap().contains("16384 trials"));
        assert!(grid(&[range("lr", 0.1, 1.0, true, false)]).is_err());
    }

    #[test]
    fn steps_are_even_and_round() {
        let steps = |axis: Axis, n| match axis.values {
            Values::Range(range) => range.steps(n).into_iter().map(|v| v.shown).collect::<Vec<_>>(),
            Values::List(_) => Vec::new(),
        };
        let log = range("lr", 1e-5, 0.1, true, false);
        assert_eq!(steps(log, 5), ["1e-5", "0.0001", "0.001", "0.01", "0.1"]);
        assert_eq!(steps(range("x", 0.1, 0.3, false, false), 3), ["0.1", "0.2", "0.3"]);
        assert_eq!(steps(range("n", 8.0, 128.0, true, true), 5), ["8", "16", "32", "64", "128"]);
        assert_eq!(steps(range("n", 1.0, 3.0, false, true), 9), ["1", "2", "3"]);
    }

    /// An empirical distribution of n draws is everywhere within √(ln(2/α) / 2n) of the true one but for a
    /// chance of α (Dvoretzky, Kiefer and Wolfowitz 1956; Massart 1990), here 10⁻⁹.
    #[test]
    fn draws_are_even_over_the_range() {
        let n = 5000;
        let bound = ((2e9_f64).ln() / (2.0 * f64::from(n))).sqrt();
        for (log, place) in [(true, f64::ln as fn(f64) -> f64), (false, |x| x)] {
            let (min, max) = (2e-4, 0.3);
            let axis = range("lr", min, max, log, false);
            let mut drawn = numbers(axis, usize::try_from(n).unwrap(), 1);
            assert!(drawn.iter().all(|x| (min..=max).contains(x)));
            drawn.sort_by(f64::total_cmp);
            let share = |x: f64| (place(x) - place(min)) / (place(max) - place(min));
            for (k, &x) in (1..).zip(&drawn) {
                let off = (f64::from(k) / f64::from(n) - share(x)).abs();
                // The step of the empirical distribution and the rounding to six digits.
                assert!(off <= bound + 1.0 / f64::from(n) + 1e-5, "log {log}, {x}: {off} off");
            }
        }
    }

    /// Whole numbers have the share of the range that they are the floor of. Of n draws a share p is within
    /// √(ln(2/α) / 2n) but for a chance of α (Hoeffding 1963).
    #[test]
    fn whole_draws_include_both_ends() {
        let n = 4000;
        let bound = ((2e9_f64).ln() / (2.0 * f64::from(n))).sqrt();
        for log in [false, true] {
            let axis = range("batch-size", 2.0, 9.0, log, true);
            let mut stream = axis.stream(3);
            let mut counts = [0; 12];
            for _ in 0..n {
                let number: usize = axis.drawn(stream.uniform()).shown.parse().unwrap();
                counts[number] += 1;
            }
            for number in 2..=9 {
                let x = f64::from(number);
                let p = if log { ((x + 1.0) / x).ln() / 5_f64.ln() } else { 1.0 / 8.0 };
                let got = f64::from(counts[usize::try_from(number).unwrap()]) / f64::from(n);
                assert!((got - p).abs() <= bound, "log {log}, {number}: {got} instead of {p}");
            }
            assert_eq!(counts.iter().sum::<i32>(), n, "outside of the range");
            assert_eq!(counts[2..10].iter().sum::<i32>(), n, "outside of the range");
        }
    }

    #[test]
    fn other_keys_and_more_trials_change_no_draw() {
        let lr = || range("lr", 1e-4, 1.0, true, false);
        let alone = numbers(lr(), 8, 7);
        assert_eq!(numbers(lr(), 20, 7)[..8], alone);
        assert_ne!(numbers(lr(), 8, 8), alone);
        let axes = [range("dropout", 0.0, 0.5, false, false), lr()];
        let both = draw(&axes, 8, 7).unwrap();
        let second: Vec<f64> = both.iter().map(|trial| trial[1].shown.parse().unwrap()).collect();
        assert_eq!(second, alone);
        let first: Vec<f64> = both.iter().map(|trial| trial[0].shown.parse().unwrap()).collect();
        assert!(first.iter().zip(&alone).any(|(d, lr)| {
            let share = (lr / 1e-4).log10() / 4.0;
            (d / 0.5 - share).abs() > 0.01
        }));
    }

    #[test]
    fn trials_differ() {
        let axes = [list("a", &["1", "2", "3"]), range("b", 1.0, 2.0, false, true)];
        let mut drawn = shown(&draw(&axes, 6, 0).unwrap()).concat().len();
        assert_eq!(drawn, 12);
        let trials = draw(&axes, 6, 0).unwrap();
        let mut pairs = shown(&trials);
        pairs.sort_unstable();
        pairs.dedup();
        drawn = pairs.len();
        assert_eq!(drawn, 6);
        let refused = draw(&axes, 7, 0).unwrap_err();
        assert!(refused.message().unwrap().contains("6 combinations"));
    }
}
