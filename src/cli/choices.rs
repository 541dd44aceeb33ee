//! The words that options take, as they stand on the command line and in `config.toml`.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::{Deserialize, Serialize};
use wgrad::data::{DecimalMark, Missing, Scaling, TargetKind};
use wgrad::{Activation, Decay, Init, Loss, OnDivergence, Precision, Rule, Sampling};

/// A choice among words: what clap offers and what `config.toml` holds are the same.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$entry_doc:meta])* $entry:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
        pub(crate) enum $name {
            $($(#[$entry_doc])* #[value(name = $word)] #[serde(rename = $word)] $entry,)+
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$entry => $word,)+ })
            }
        }
    };
}

choice! {
    /// What the target is.
    Task {
        /// Text and small sets of whole numbers are classes, other numbers are values
        Auto = "auto",
        /// Every different text or number is a class
        Classification = "classification",
        /// The target is a number
        Regression = "regression",
    }
}

choice! {
    /// What is done where a loss or a gradient isn't finite.
    DivergenceChoice {
        /// Go back to the end of the last good epoch, save that, and fail
        Stop = "stop",
        /// Leave out the step, up to 10 in a row
        Skip = "skip",
        /// Go back to the end of the last good epoch and halve the learning rate, up to 10 times
        RollBack = "roll-back",
    }
}

choice! {
    /// In which numbers a GPU stores what it trains with.
    PrecisionChoice {
        /// 32 bits
        F32 = "f32",
        /// 16 bits for activations, their gradients and the products' weights; only GPUs with f16
        Mixed = "mixed",
    }
}

choice! {
    /// Where the variants of a GPU's kernels come from.
    TuneChoice {
        /// A rule chooses by the kind of device and the shape
        Off = "off",
        /// What was measured before on this device for this net; measured now, if it wasn't
        Cached = "cached",
        /// Measured now
        Full = "full",
    }
}

choice! {
    /// What is done about missing input cells.
    MissingCells {
        /// An error, so that nobody trains on invented values unawares
        Reject = "reject",
        /// The mean or most frequent value takes their place
        Fill = "fill",
    }
}

choice! {
    /// What is done to numbers.
    ScalingChoice {
        /// Pixels to the range 0 to 1, other numbers to mean 0 and standard deviation 1
        Auto = "auto",
        /// To mean 0 and standard deviation 1
        Standardize = "standardize",
        /// To the range 0 to 1
        MinMax = "min-max",
        /// Nothing
        None = "none",
    }
}

choice! {
    /// Whether the first line names the columns.
    Header {
        /// Find out by itself
        Auto = "auto",
        /// The first line names the columns
        Yes = "yes",
        /// The first line is data; columns are named 1, 2, …
        No = "no",
    }
}

choice! {
    /// What stands before the decimals of a number.
    DecimalChoice {
        /// As in 1,299.99
        Point = "point",
        /// As in 1.299,99
        Comma = "comma",
    }
}

impl From<Header> for Option<bool> {
    fn from(header: Header) -> Self {
        match header {
            Header::Auto => None,
            Header::Yes => Some(true),
            Header::No => Some(false),
        }
    }
}

impl From<DecimalChoice> for DecimalMark {
    fn from(choice: DecimalChoice) -> Self {
        match choice {
            DecimalChoice::Point => Self::Point,
            DecimalChoice::Comma => Self::Comma,
        }
    }
}

choice! {
    /// What a trained net is written as.
    ExportFormat {
        /// A model that takes raw rows, for ONNX Runtime and others
        Onnx = "onnx",
        /// A function for shaders
        Wgsl = "wgsl",
        /// Layers, columns and weights, for anything else
        Json = "json",
    }
}

choice! {
    /// Where weights start.
    InitChoice {
        /// PyTorch's nn.Linear: uniform, by the number of inputs
        Default = "default",
        /// He et al. 2015, uniform
        KaimingUniform = "kaiming_uniform",
        /// He et al. 2015, normal
        KaimingNormal = "kaiming_normal",
        /// Glorot and Bengio 2010, uniform
        XavierUniform = "xavier_uniform",
        /// Glorot and Bengio 2010, normal
        XavierNormal = "xavier_normal",
        /// LeCun et al. 1998, uniform
        LecunUniform = "lecun_uniform",
        /// LeCun et al. 1998, normal
        LecunNormal = "lecun_normal",
        /// Sitzmann et al. 2020, for the sine activation
        Siren = "siren",
    }
}

choice! {
    /// What is minimised.
    LossChoice {
        /// Mean squared error
        Mse = "mse",
        /// Mean absolute error
        Mae = "mae",
        /// Squared up to an error of 1, absolute beyond
        Huber = "huber",
        /// Binary cross-entropy on one logit, for two classes
        BceWithLogits = "bce_with_logits",
        /// Cross-entropy of the softmax, one logit per class
        CrossEntropy = "cross_entropy",
    }
}

choice! {
    /// How a gradient becomes a step.
    OptimizerChoice {
        /// Plain stochastic gradient descent
        Sgd = "sgd",
        /// SGD with momentum
        Momentum = "momentum",
        /// SGD with Nesterov's momentum
        Nesterov = "nesterov",
        /// Duchi, Hazan and Singer 2011
        Adagrad = "adagrad",
        /// Hinton 2012
        Rmsprop = "rmsprop",
        /// Kingma and Ba 2015
        Adam = "adam",
        /// Adam with the largest variance so far (Reddi, Kale and Kumar 2018)
        Amsgrad = "amsgrad",
        /// Adam with decoupled weight decay (Loshchilov and Hutter 2019)
        Adamw = "adamw",
        /// Adam with Nesterov's momentum (Dozat 2016)
        Nadam = "nadam",
        /// Steps by sign (Chen et al. 2023)
        Lion = "lion",
    }
}

choice! {
    /// Where weight decay enters.
    DecayChoice {
        /// Part of the gradient: a penalty in the loss
        L2 = "l2",
        /// Apart from it
        Decoupled = "decoupled",
    }
}

choice! {
    /// What normalises behind each hidden linear layer.
    NormChoice {
        /// Nothing
        None = "none",
        /// Each column over the batch (Ioffe and Szegedy 2015)
        Batch = "batch",
        /// Each row (Ba, Kiros and Hinton 2016)
        Layer = "layer",
    }
}

choice! {
    /// Which trials a sweep makes, and how far they go.
    SweepMethod {
        /// Every combination of the values
        Grid = "grid",
        /// Combinations drawn at random
        Random = "random",
        /// Drawn at random too; of each rung the best go on
        Halving = "halving",
    }
}

choice! {
    /// What early stopping watches on the validation rows.
    StopOn {
        /// The loss
        Loss = "loss",
        /// Accuracy, or R² for values
        Score = "score",
    }
}

choice! {
    /// How batches are drawn.
    SamplingChoice {
        /// Every row once an epoch, in a new random order
        Shuffled = "shuffled",
        /// Every row drawn independently
        Replacement = "replacement",
        /// Every row once an epoch, in the order of the data
        Sequential = "sequential",
    }
}

impl From<Task> for TargetKind {
    fn from(task: Task) -> Self {
        match task {
            Task::Auto => Self::Auto,
            Task::Classification => Self::Classes,
            Task::Regression => Self::Values,
        }
    }
}

impl From<MissingCells> for Missing {
    fn from(missing: MissingCells) -> Self {
        match missing {
            MissingCells::Reject => Self::Reject,
            MissingCells::Fill => Self::Fill,
        }
    }
}

impl From<ScalingChoice> for Scaling {
    fn from(scaling: ScalingChoice) -> Self {
        match scaling {
            ScalingChoice::Auto => Self::Auto,
            ScalingChoice::Standardize => Self::Standardize,
            ScalingChoice::MinMax => Self::MinMax,
            ScalingChoice::None => Self::None,
        }
    }
}

impl From<PrecisionChoice> for Precision {
    fn from(choice: PrecisionChoice) -> Self {
        match choice {
            PrecisionChoice::F32 => Self::F32,
            PrecisionChoice::Mixed => Self::Mixed,
        }
    }
}

impl From<DivergenceChoice> for OnDivergence {
    fn from(choice: DivergenceChoice) -> Self {
        match choice {
            DivergenceChoice::Stop => Self::Stop,
            DivergenceChoice::Skip => Self::Skip { most: 10 },
            DivergenceChoice::RollBack => Self::RollBack { factor: 0.5, most: 10 },
        }
    }
}

impl From<SamplingChoice> for Sampling {
    fn from(sampling: SamplingChoice) -> Self {
        match sampling {
            SamplingChoice::Shuffled => Self::Shuffled,
            SamplingChoice::Replacement => Self::Replacement,
            SamplingChoice::Sequential => Self::Sequential,
        }
    }
}

impl InitChoice {
    /// The distribution of weights in front of `activation`; `None` for `siren` without a sine.
    pub(crate) fn before(self, activation: Activation) -> Option<Init> {
        Some(match (self, activation) {
            (Self::Default, _) => Init::Default,
            (Self::KaimingUniform, _) => Init::KaimingUniform,
            (Self::KaimingNormal, _) => Init::KaimingNormal,
            (Self::XavierUniform, _) => Init::XavierUniform,
            (Self::XavierNormal, _) => Init::XavierNormal,
            (Self::LecunUniform, _) => Init::LecunUniform,
            (Self::LecunNormal, _) => Init::LecunNormal,
            (Self::Siren, Activation::Sine { omega0 }) => Init::Siren { omega0 },
            (Self::Siren, _) => return None,
        })
    }
}

impl OptimizerChoice {
    /// The library's rule, with momentum μ where it has one.
    pub(crate) fn rule(self, momentum: f64) -> Rule {
        match self {
            Self::Sgd => Rule::Sgd { momentum: 0.0, nesterov: false },
            Self::Momentum => Rule::Sgd { momentum, nesterov: false },
            Self::Nesterov => Rule::Sgd { momentum, nesterov: true },
            Self::Adagrad => Rule::ADAGRAD,
            Self::Rmsprop => Rule::RMSPROP,
            Self::Adam | Self::Adamw => Rule::ADAM,
            Self::Amsgrad => Rule::AMSGRAD,
            Self::Nadam => Rule::NADAM,
            Self::Lion => Rule::LION,
        }
    }

    /// Where its authors let weight decay enter.
    pub(crate) fn decay(self) -> DecayChoice {
        match self {
            Self::Adamw | Self::Lion => DecayChoice::Decoupled,
            _ => DecayChoice::L2,
        }
    }
}

impl From<DecayChoice> for Decay {
    fn from(choice: DecayChoice) -> Self {
        match choice {
            DecayChoice::L2 => Self::L2,
            DecayChoice::Decoupled => Self::Decoupled,
        }
    }
}

impl LossChoice {
    /// The library's loss; only cross-entropy knows label smoothing and class weights.
    pub(crate) fn with(self, label_smoothing: f32, class_weights: Vec<f32>) -> Loss {
        match self {
            Self::Mse => Loss::Mse,
            Self::Mae => Loss::Mae,
            Self::Huber => Loss::HUBER,
            Self::BceWithLogits => Loss::BCE_WITH_LOGITS,
            Self::CrossEntropy => Loss::CrossEntropy { label_smoothing, class_weights },
        }
    }
}

/// Which device trains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// A hardware GPU, else the CPU engine.
    Auto,
    /// The fastest adapter, software included.
    Gpu,
    /// The CPU engine.
    Cpu,
    /// An adapter by a part of its name.
    Named(String),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Named(name) => name,
        })
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match &text.to_lowercase()[..] {
            "auto" => Self::Auto,
            "gpu" => Self::Gpu,
            "cpu" => Self::Cpu,
            "" => return Err("give auto, gpu, cpu, or a part of an adapter's name".into()),
            _ => Self::Named(text.to_owned()),
        })
    }
}

/// Takes an activation's name, with its parameter in parentheses where it has one; answers others
/// with the list and the nearest, as clap does for plain choices.
#[derive(Clone, Debug)]
pub(crate) struct ActivationParser;

impl TypedValueParser for ActivationParser {
    type Value = Activation;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Activation, clap::Error> {
        let text = value.to_string_lossy();
        let name = text.split_once('(').map_or(&*text, |(name, _)| name);
        let names = PossibleValuesParser::new(Activation::ALL.iter().map(|a| a.name()));
        names.parse_ref(command, arg, name.as_ref())?;
        let whole = |text: &str| match text.parse() {
            Ok(activation) => Ok(activation),
            Err(_) => Err("a parameter is a number in parentheses, as in leaky_relu(0.2), elu(1) \
                           or sine(30); the other activations have none"),
        };
        TypedValueParser::parse_ref(&whole, command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue>>> {
        Some(Box::new(Activation::ALL.iter().map(|a| PossibleValue::new(a.name()))))
    }
}
