//! What can't be exported is refused with what would do.

use crate::data::{CellOptions, InputColumn, InputKind, Schema, Target, ValueColumn};
use crate::{
    Activation, Affine, BatchNorm, ColumnScaling, Layer, Loss, Mlp, ModelFile, Optimizer, Plan,
    TrainOptions, WgslOptions,
};

fn plan(mlp: &Mlp) -> Plan {
    Plan::new(mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))).unwrap()
}

fn small() -> Plan {
    plan(&Mlp::with_hidden(2, &[3], Activation::Relu, 1))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: crate::Result<T>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}

#[test]
fn names_that_wgsl_does_not_take() {
    for name in ["", "2net", "a-b", "über", "__net", "fn", "target", "dot"] {
        let options = WgslOptions::default().function(name);
        let value = format!("function is \"{name}\"");
        refused(small().to_wgsl(&options), &[&value, "a name for a WGSL function", "mlp_eval"]);
    }
}

#[test]
fn scalings_of_other_columns() {
    let of = |input, output| {
        WgslOptions::default().scaling(ColumnScaling {
            input: vec![Affine { shift: 0.0, scale: 1.0 }; input],
            output: vec![Affine { shift: 0.0, scale: 1.0 }; output],
        })
    };
    assert!(small().to_wgsl(&of(2, 0)).is_ok());
    refused(small().to_wgsl(&of(3, 0)), &["scaling of the inputs: expected 2 columns", "got 3"]);
    refused(small().to_wgsl(&of(0, 2)), &["scaling of the outputs: expected 1 columns", "got 2"]);
    let mut infinite = of(2, 1);
    infinite.scaling.output[0].scale = f32::INFINITY;
    refused(small().to_wgsl(&infinite), &["scale inf", "finite"]);
}

#[test]
fn norms_without_statistics_of_their_own() {
    let untracked = Layer::BatchNorm(BatchNorm::default().track_running_stats(false));
    let plan = plan(&Mlp::new(2).linear(3).layer(untracked).linear(1));
    let parts = ["layer 1: batch norm without running statistics", "set track_running_stats"];
    refused(plan.to_wgsl(&WgslOptions::default()), &parts);
    let file = ModelFile::new(&plan, plan.initial_parameters(), None).unwrap();
    refused(file.to_wgsl(&WgslOptions::default()), &parts);
}

#[test]
fn nets_too_wide_for_variables() {
    let wide = |width| plan(&Mlp::with_hidden(2, &[width], Activation::Relu, 1));
    assert!(wide(2036).to_wgsl(&WgslOptions::default()).is_ok());
    let parts = ["2-2040-relu-1 as a WGSL function needs variables of 8204 bytes", "8192 bytes"];
    refused(wide(2040).to_wgsl(&WgslOptions::default()), &parts);
}

#[test]
fn parameters_that_make_no_constants() {
    let file = |plan: &Plan, arena| ModelFile::new(plan, arena, None).unwrap();
    let large = plan(&Mlp::with_hidden(3, &[64; 4], Activation::Relu, 1));
    refused(
        file(&large, large.initial_parameters()).to_wgsl(&WgslOptions::default()),
        &["needs 12801 constants", "is 8192 constants", "Plan::to_wgsl"],
    );
    let mut arena = small().initial_parameters();
    arena[1] = f32::NAN;
    refused(
        file(&small(), arena).to_wgsl(&WgslOptions::default()),
        &["layer 0: tensor 0.weight holds NaN", "before the training diverged"],
    );
}

#[test]
fn schemas_that_are_no_scaling() {
    let numeric = |name: &str| InputColumn {
        name: name.into(),
        kind: InputKind::Numeric { fill: None, offset: 3.0, scale: 0.5 },
    };
    let target = |scale| Target::Values {
        columns: vec![ValueColumn { name: "y".into(), offset: -2.0, scale }],
    };
    let mut schema = Schema {
        inputs: vec![numeric("a"), numeric("b")],
        target: target(4.0),
        target_positions: vec![2],
        pixels: false,
        cells: CellOptions::default(),
    };
    let scaling = ColumnScaling::of(&schema).unwrap();
    assert_eq!(scaling.input, [Affine { shift: 3.0, scale: 0.5 }; 2]);
    assert_eq!(scaling.output, [Affine { shift: -2.0, scale: 0.25 }]);

    schema.target = target(1e-40);
    refused(ColumnScaling::of(&schema), &["a target column's scale is 1e-40", "inverse"]);
    schema.target =
        Target::Classes { name: "c".into(), names: vec!["p".into(), "q".into()], columns: vec![] };
    assert_eq!(ColumnScaling::of(&schema).unwrap().output, []);
    let values = vec!["red".into(), "blue".into()];
    schema.inputs[1].kind =
        InputKind::Categorical { fill: None, values, gathered: vec![], unlearnt: vec![] };
    refused(ColumnScaling::of(&schema), &["column b", "of 2 categories", "Schema::encode_inputs"]);
}
