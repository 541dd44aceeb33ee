//! Trained nets in the forms that other programs take.

mod json;
mod onnx;
pub(crate) mod wgsl;

use crate::error::Result;
use crate::model_file::ModelFile;
use crate::plan::Plan;
use wgsl::{Snippet, WgslOptions};

impl Plan {
    /// The net as a WGSL function that reads the parameters where they are trained, so that shaders of
    /// the host evaluate it between any two steps without a copy.
    ///
    /// The text is to be joined with the host's shader. It declares
    /// `fn mlp_eval(input: array<f32, IN>) -> array<f32, OUT>`, under the name that the options give,
    /// and the buffer that it reads, [`GpuEngine::parameter_buffer`](crate::GpuEngine::parameter_buffer),
    /// at the options' group and binding. All other names begin with the function's and an underscore,
    /// so several nets can be part of one shader. It needs no features and can be called from any
    /// stage, in any control flow.
    ///
    /// It computes what [`predict`](crate::Engine::predict) does, for one row and up to rounding:
    /// batch norms take their running statistics, dropout does nothing. The outputs are the net's own,
    /// of a classification the logits, unless [`WgslOptions::squash`] says otherwise. One invocation
    /// holds two layers' activations, in registers if the device has as many: nets of up to 64
    /// columns suit best.
    ///
    /// ```
    /// use wgrad::{Activation, Loss, Mlp, Optimizer, Plan, TrainOptions, WgslOptions};
    /// let mlp = Mlp::with_hidden(2, &[32, 32], Activation::Relu, 3);
    /// let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)))?;
    /// let net = plan.to_wgsl(&WgslOptions::default().function("colour").group(1))?;
    /// let shader = net + "
    ///     @fragment
    ///     fn paint(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    ///         let rgb = colour(array<f32, 2>(at.x / 512.0, at.y / 512.0));
    ///         return vec4<f32>(rgb[0], rgb[1], rgb[2], 1.0);
    ///     }";
    /// assert!(shader.contains("@group(1) @binding(0) var<storage, read> colour_parameters"));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) for a name that WGSL doesn't take,
    /// [`Error::Shape`](crate::Error::Shape) for a scaling of other columns than the net's,
    /// [`Error::Model`](crate::Error::Model) for a batch norm without running statistics,
    /// [`Error::Limit`](crate::Error::Limit) for a net too wide for a function's variables.
    pub fn to_wgsl(&self, options: &WgslOptions) -> Result<String> {
        Ok(Snippet::live(self, options)?.text())
    }
}

impl ModelFile {
    /// The net as a WGSL function that carries its parameters, for shaders that have nothing else of
    /// wgrad.
    ///
    /// As [`Plan::to_wgsl`], but the parameters are numbers in the text: no buffer is bound, and the
    /// options' group and binding don't matter. The net is [`folded`](Self::folded) first. Every number
    /// is a multiply-add of its own in code without loops, which is fast to run but slow to compile (half
    /// a second for each thousand on a software adapter), so this is for small nets, of at most 8192
    /// parameters. Where the file has a schema, comments say which input and output is which.
    ///
    /// ```
    /// use wgrad::{Activation, Loss, Mlp, ModelFile, Optimizer, Plan, TrainOptions, WgslOptions};
    /// let mlp = Mlp::with_hidden(3, &[16, 16], Activation::SINE, 1);
    /// let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)))?;
    /// let file = ModelFile::new(&plan, plan.initial_parameters(), None)?;
    /// let net = file.to_wgsl(&WgslOptions::default().function("distance_to_shape"))?;
    /// assert!(net.contains("fn distance_to_shape(input: array<f32, 3>) -> array<f32, 1>"));
    /// assert!(!net.contains("@binding"));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Plan::to_wgsl`]; also [`Error::Limit`](crate::Error::Limit) for too many parameters, and
    /// [`Error::Model`](crate::Error::Model) for one that is infinite or NaN.
    pub fn to_wgsl(&self, options: &WgslOptions) -> Result<String> {
        let (plan, parameters) = self.folded()?.plan()?;
        Ok(Snippet::baked(&plan, &parameters, self.schema(), options)?.text())
    }

    /// The net as an ONNX model (IR version 8, operator sets 17 and `ai.onnx.ml` 3), the content of an
    /// `.onnx` file, with everything around it: raw rows go in, answers come out.
    ///
    /// *Inputs.* Where all columns are numbers, `input`, f32, rows × columns, in the order of
    /// [`Schema::inputs`](crate::data::Schema); else a tensor of rows × 1 for each column, under its name:
    /// f32 or, for words, strings. A column that is called as an answer is, `label` say, has an underscore behind its
    /// name. NaN stands for a missing number, the empty string for a missing word;
    /// they are filled in where the model was trained so. A word that the model doesn't know is filled in
    /// likewise; where nothing is filled in, all inputs of a category are 0 and a place in an order is NaN, as are
    /// then the answers. Words are compared letter by letter: numbers that are categories have to be spelt as in
    /// [`InputKind`](crate::data::InputKind). Without a schema, `input` is the net's own.
    ///
    /// *Outputs.* Of a classification `label`, the class's name; `probabilities` and `logits`, rows ×
    /// classes. Of a regression `prediction`, in the targets' own units. Without a schema, `output`.
    ///
    /// The names of what is side by side in a tensor, columns or classes, are its `doc_string`: a JSON list.
    ///
    /// It computes what [`predict`](crate::Engine::predict) does up to rounding; the net is
    /// [`folded`](Self::folded) first.
    ///
    /// ```
    /// use wgrad::{Activation, Loss, Mlp, ModelFile, Optimizer, Plan, TrainOptions};
    /// let mlp = Mlp::with_hidden(4, &[16], Activation::Gelu, 3);
    /// let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)))?;
    /// let file = ModelFile::new(&plan, plan.initial_parameters(), None)?;
    /// let onnx: Vec<u8> = file.to_onnx()?;
    /// assert_eq!(onnx[..2], [8, 8]); // field 1, the IR version, is 8
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) for a batch norm without running statistics,
    /// [`Error::Limit`](crate::Error::Limit) beyond the 2 GiB that such a file can have.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        onnx::onnx(self)
    }

    /// Everything that [`save`](Self::save) writes but the options of the training, as JSON: `version` 1,
    /// `net` (its layers in order), `schema` (columns, scaling and target, or null) and `tensors`, each with
    /// `name` (PyTorch's), `shape` and `values`, row-major; numbers come back to the bit.
    ///
    /// ```
    /// use wgrad::{Loss, Mlp, ModelFile, Optimizer, Plan, TrainOptions};
    /// let plan = Plan::new(&Mlp::new(3).linear(2), &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1)))?;
    /// let json = ModelFile::new(&plan, plan.initial_parameters(), None)?.to_json()?;
    /// assert!(json.contains(r#"{"name":"0.weight","shape":[2,3],"values":["#));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) for a parameter that is infinite or NaN, which JSON doesn't have.
    pub fn to_json(&self) -> Result<String> {
        json::json(self)
    }
}
