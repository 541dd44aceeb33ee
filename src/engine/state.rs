//! All that an engine's training depends on, as numbers on the host.

use crate::engine::Keep;
use crate::error::{Error, Result};
use crate::ops::scaling::Scaling;
use crate::plan::Plan;
use crate::real::Real;

/// The arenas of an engine between two steps: what [`Engine::state`](crate::Engine::state) reads and
/// [`Engine::set_state`](crate::Engine::set_state) writes. An engine that gets the state of another goes
/// on as that would have.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineState {
    /// In the order of [`Arena::all`].
    pub(crate) arenas: Vec<Numbers>,
}

/// An arena in the precision of its engine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Which arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arena {
    Parameters,
    Moment(usize),
    Average,
    KeptParameters(Keep),
    KeptAverage(Keep),
    /// What the loss is scaled with, in mixed precision.
    Scaling,
}

impl Arena {
    /// Those of a plan, in order.
    pub(crate) fn all(plan: &Plan) -> Vec<Self> {
        let options = plan.options();
        let averages = options.ema.is_some();
        let mut arenas = vec![Self::Parameters];
        arenas.extend((0..options.optimizer.moments()).map(Self::Moment));
        arenas.extend(averages.then_some(Self::Average));
        let best = options.early_stopping.is_some().then_some(Keep::Best);
        for which in [Keep::LastGood].into_iter().chain(best) {
            arenas.push(Self::KeptParameters(which));
            arenas.extend(averages.then_some(Self::KeptAverage(which)));
        }
        arenas.extend(options.precision.is_mixed().then_some(Self::Scaling));
        arenas
    }

    /// Its name in a file.
    pub(crate) fn name(self) -> String {
        let of = |which| match which {
            Keep::LastGood => "last_good",
            Keep::Best => "best",
        };
        match self {
            Self::Parameters => "parameters".into(),
            Self::Moment(index) => format!("moment{}", index + 1),
            Self::Average => "average".into(),
            Self::KeptParameters(which) => format!("{}.parameters", of(which)),
            Self::KeptAverage(which) => format!("{}.average", of(which)),
            Self::Scaling => "scaling".into(),
        }
    }

    /// Its elements.
    pub(crate) fn len(self, plan: &Plan) -> usize {
        match self {
            Self::Moment(_) => plan.trained_len(),
            Self::Parameters | Self::KeptParameters(_) | Self::Average | Self::KeptAverage(_) => {
                plan.arena_len()
            }
            Self::Scaling => Scaling::LEN,
        }
    }
}

impl Numbers {
    /// In the precision of their type.
    pub(crate) fn of<T: Real>(numbers: &[T]) -> Self {
        if size_of::<T>() == size_of::<f32>() {
            Self::F32(numbers.iter().map(|x| x.to_f32()).collect())
        } else {
            Self::F64(numbers.iter().map(|x| x.to_f64()).collect())
        }
    }

    /// Copies them to numbers of another type, perhaps, but as many.
    pub(crate) fn copy_to<T: Real>(&self, into: &mut [T]) {
        match self {
            Self::F32(numbers) => {
                into.iter_mut().zip(numbers).for_each(|(x, &y)| *x = T::from_f32(y));
            }
            Self::F64(numbers) => {
                into.iter_mut().zip(numbers).for_each(|(x, &y)| *x = T::from_f64(y));
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::F64(numbers) => numbers.len(),
        }
    }
}

impl EngineState {
    /// Each arena with its place, if they are those of the plan.
    ///
    /// # Errors
    /// [`Error::Shape`] names what differs.
    pub(crate) fn of_plan(&self, plan: &Plan) -> Result<impl Iterator<Item = (Arena, &Numbers)>> {
        let all = Arena::all(plan);
        let wanted: Vec<usize> = all.iter().map(|arena| arena.len(plan)).collect();
        let lengths: Vec<usize> = self.arenas.iter().map(Numbers::len).collect();
        if wanted != lengths {
            return Err(Error::Shape {
                what: "state of an engine".into(),
                expected: format!("arenas of {wanted:?} elements, as the plan's"),
                got: format!("{lengths:?}"),
            });
        }
        Ok(all.into_iter().zip(&self.arenas))
    }
}
