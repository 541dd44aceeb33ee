//! A training between two steps, on disk.

mod resume;

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::divergence::Recovery;
use crate::early_stopping::Best;
use crate::engine::state::{Arena, EngineState, Numbers};
use crate::engine::{Metrics, Tuning};
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::options::TrainOptions;
use crate::plan::Plan;
use crate::schedule::PlateauState;
use crate::trainer::Place;
use crate::whole_file::write_whole;

/// Key of the one metadata entry, which holds the description.
pub(crate) const METADATA_KEY: &str = "wgrad_checkpoint";
/// Version of that description.
const VERSION: u32 = 1;

/// All that a training depends on, between two steps: [`Trainer::checkpoint`](crate::Trainer::checkpoint)
/// takes it, and a trainer with the same net, options and rows that
/// [`resume`](crate::Trainer::resume)s it goes on with the same bits as if it
/// hadn't been stopped, on the same kind of engine and device; a GPU engine made with the checkpoint's
/// [`tuning`](Checkpoint::tuning) and the same choice of [`fusion`](crate::GpuOptions::fusion). A
/// [`Module`](crate::Module) has checkpoints likewise.
///
/// The file is safetensors: the arenas of parameters, moments and averages, the last good ones and the
/// best, and under the metadata key `wgrad_checkpoint` a JSON with the net, the options and how far the
/// training has come. All randomness follows from the seed and the step, so there is no more to keep.
///
/// ```
/// use wgrad::data::{Dataset, Targets};
/// use wgrad::{Checkpoint, CpuEngine, Loss, Mlp, Optimizer, Plan, TrainOptions, Trainer};
/// # use std::ops::ControlFlow;
/// let data = Dataset::new(vec![-1.0, 0.0, 1.0], 1, Targets::Values { values: vec![-2.0, 0.0, 2.0], width: 1 })?;
/// let plan = Plan::new(&Mlp::new(1).linear(1), &TrainOptions::new(Loss::Mse, Optimizer::adam(0.1)))?;
/// let trainer = || Trainer::new(CpuEngine::<f32>::new(plan.clone()), &data, None);
///
/// let mut first = trainer()?;
/// first.train_steps(3, |_| ControlFlow::Continue(()))?;
/// # let folder = tempfile::tempdir().map_err(|e| wgrad::Error::Io { path: "".into(), source: e })?;
/// # let path = folder.path().join("checkpoint.safetensors");
/// first.checkpoint()?.save(&path)?;
///
/// let mut second = trainer()?;
/// second.resume(&Checkpoint::load(&path)?)?;
/// assert_eq!(second.train()?.train, first.train()?.train);
/// assert_eq!(second.parameters()?, first.parameters()?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    description: Description,
    state: EngineState,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Description {
    version: u32,
    mlp: Mlp,
    options: TrainOptions,
    /// Training rows; 0 for a module, whose rows are its host's.
    rows: u32,
    progress: Progress,
    /// Of the engine that it was taken of.
    #[serde(default)]
    tuning: Tuning,
}

/// How far a training has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Progress {
    Trainer(Box<TrainerState>),
    Module(ModuleState),
}

/// What a module itself remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModuleState {
    pub updates: u64,
    pub forwards: u64,
}

impl ModuleState {
    /// Whether a module can have come there.
    fn is_possible(self) -> bool {
        // Far from where another one would overflow.
        self.updates <= self.forwards && self.forwards < u64::MAX / 2
    }
}

/// What the trainer itself remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainerState {
    pub at: Place,
    pub begin: Place,
    pub good: Place,
    /// Reports of the epoch under way.
    pub sum: Metrics,
    pub seconds: f64,
    pub plateau: PlateauState,
    pub best: Best,
    #[serde(default)]
    pub recovery: Recovery,
}

impl TrainerState {
    /// Whether a training with epochs of `in_epoch` steps can have come there.
    fn is_possible(&self, in_epoch: u64) -> bool {
        let Self { at, begin, good, .. } = self;
        let done = at.step.checked_sub(begin.step);
        let sound = |place: &Place| place.position < in_epoch && place.position <= place.step;
        // Far from where a sum of steps would overflow.
        let most = u64::MAX / 2;
        [at, begin, good]
            .iter()
            .all(|place| place.step < most && place.epoch < most && sound(place))
            && done.is_some_and(|done| done <= in_epoch)
            && (begin.epoch..=begin.epoch + 1).contains(&at.epoch)
            && (begin.position, good.position) == (0, 0)
            && self.sum.rows < most
            && self.recovery.is_possible(at.step)
            && self.plateau.is_possible(at.epoch)
            && self.best.epoch().is_none_or(|best| best <= at.epoch)
    }
}

impl Checkpoint {
    /// Steps done; a module's updates.
    #[must_use]
    pub fn steps(&self) -> u64 {
        match &self.description.progress {
            Progress::Trainer(state) => state.at.step,
            Progress::Module(state) => state.updates,
        }
    }

    /// Epochs done; 0 for a module, which doesn't know of any.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        match &self.description.progress {
            Progress::Trainer(state) => state.at.epoch,
            Progress::Module(_) => 0,
        }
    }

    /// The net.
    #[must_use]
    pub fn mlp(&self) -> &Mlp {
        &self.description.mlp
    }

    /// Which variants of the kernels were chosen by measurement: what an engine has to be made with
    /// ([`GpuOptions::tuning`](crate::GpuOptions::tuning)) that goes on with the same bits.
    #[must_use]
    pub fn tuning(&self) -> &Tuning {
        &self.description.tuning
    }

    /// How it is trained.
    #[must_use]
    pub fn options(&self) -> &TrainOptions {
        &self.description.options
    }

    /// Writes the file in one piece: to a temporary file beside it, synced, then renamed, and the folder
    /// synced. Whatever happens, `path` holds either the old file or the new one.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder can't be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.to_bytes(path)?)
    }

    fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let failed = |problem: String| Error::ModelFile { path: path.into(), problem };
        let plan = Plan::new(self.mlp(), self.options())?;
        let tensors: Vec<_> = self
            .state
            .of_plan(&plan)?
            .map(|(arena, numbers)| (arena.name(), numbers, numbers.to_bytes()))
            .collect();
        let views = tensors
            .iter()
            .map(|(name, numbers, bytes)| {
                let view = TensorView::new(dtype(numbers), vec![numbers.len()], bytes);
                view.map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| failed(e.to_string()))?;
        let json = serde_json::to_string(&self.description).map_err(|e| failed(e.to_string()))?;
        // JSON has no infinity; what couldn't be read again isn't to replace what can.
        serde_json::from_str::<Description>(&json).map_err(|e| {
            failed(format!("not written, for some of its numbers aren't finite ({e})"))
        })?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), json)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| failed(e.to_string()))
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::Io`] if the file can't be read, [`Error::ModelFile`] if it isn't a whole checkpoint.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_bytes(&std::fs::read(path).map_err(Error::io(path))?, path)
    }

    fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        let failed = |problem: String| Error::ModelFile { path: path.into(), problem };
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| {
            failed(format!(
                "not a whole safetensors file ({e}); it is of another format, or was cut short"
            ))
        })?;
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| failed(e.to_string()))?;
        let json = metadata.metadata().as_ref().and_then(|entries| entries.get(METADATA_KEY));
        let json = json.ok_or_else(|| failed("not a checkpoint of wgrad".into()))?;
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let version: Version = serde_json::from_str(json).map_err(|e| failed(e.to_string()))?;
        if version.version != VERSION {
            return Err(failed(format!(
                "written in format {}, but this wgrad reads format {VERSION}",
                version.version
            )));
        }
        let description: Description =
            serde_json::from_str(json).map_err(|e| failed(format!("its description: {e}")))?;
        let plan = Plan::new(&description.mlp, &description.options)
            .map_err(|e| failed(format!("its description: {e}")))?;
        let arenas = Arena::all(&plan)
            .into_iter()
            .map(|arena| {
                let name = arena.name();
                let missing = || failed(format!("{name} is missing"));
                let view = tensors.tensor(&name).map_err(|_| missing())?;
                // Checked before memory is taken for it.
                if view.shape() != [arena.len(&plan)] {
                    let (has, needs) = (view.shape(), arena.len(&plan));
                    return Err(failed(format!("{name} has {has:?} elements, not {needs}")));
                }
                Numbers::from_bytes(view.dtype(), view.data())
                    .ok_or_else(|| failed(format!("{name} is {:?}, not F32 or F64", view.dtype())))
            })
            .collect::<Result<_>>()?;
        Ok(Self { description, state: EngineState { arenas } })
    }
}

const fn dtype(numbers: &Numbers) -> Dtype {
    match numbers {
        Numbers::F32(_) => Dtype::F32,
        Numbers::F64(_) => Dtype::F64,
    }
}

impl Numbers {
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(numbers) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F64(numbers) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Option<Self> {
        let single = |b: &[u8]| f32::from_bits(u32::from_le(bytemuck::pod_read_unaligned(b)));
        let double = |b: &[u8]| f64::from_bits(u64::from_le(bytemuck::pod_read_unaligned(b)));
        match dtype {
            Dtype::F32 => Some(Self::F32(bytes.chunks_exact(4).map(single).collect())),
            Dtype::F64 => Some(Self::F64(bytes.chunks_exact(8).map(double).collect())),
            _ => None,
        }
    }
}
