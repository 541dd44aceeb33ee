//! Exported nets as text: in every language that naga writes, beside each other, and to the bit.

use naga::back::{glsl, hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};

use super::cases::{self, Case};
use super::expected::parameters;
use super::host::Function;
use crate::rng::{Purpose, Stream};
use crate::{Activation, ModelFile, WgslOptions};

/// A module that needs no capability beyond WebGPU's core.
fn module(wgsl: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(wgsl)
        .unwrap_or_else(|e| panic!("{}\n{wgsl}", e.emit_to_string(wgsl)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|e| panic!("{e:?}\n{wgsl}"));
    (module, info)
}

/// The texts of a case, with the parameters in a buffer and in themselves.
fn exports(case: &Case) -> [String; 2] {
    let plan = case.plan();
    let file = ModelFile::new(&plan, parameters(&plan), None).unwrap();
    let baked =
        if plan.parameters() > 3000 { String::new() } else { file.to_wgsl(&case.options).unwrap() };
    [plan.to_wgsl(&case.options).unwrap(), baked]
}

/// Every host shader with every export.
fn hosts() -> impl Iterator<Item = (Module, ModuleInfo)> {
    cases::all().into_iter().flat_map(|case| {
        let exports = exports(&case).into_iter().filter(|wgsl| !wgsl.is_empty());
        let host = |wgsl: String| {
            let function = Function {
                wgsl: &wgsl,
                name: &case.options.function,
                inputs: case.mlp.in_features(),
                outputs: case.mlp.out_features(),
            };
            module(&function.module())
        };
        exports.map(host).collect::<Vec<_>>()
    })
}

const ENTRIES: [(ShaderStage, &str); 2] =
    [(ShaderStage::Compute, "compute"), (ShaderStage::Fragment, "fragment")];

#[test]
fn every_export_translates_for_vulkan() {
    for (module, info) in hosts() {
        let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
        spv::write_vec(&module, &info, &options, None).unwrap();
    }
}

#[test]
fn every_export_translates_for_metal() {
    for (module, info) in hosts() {
        let options = msl::Options { lang_version: (2, 1), ..msl::Options::default() };
        let pipeline = msl::PipelineOptions::default();
        msl::write_string(&module, &info, &options, &pipeline).unwrap();
    }
}

#[test]
fn every_export_translates_for_direct3d() {
    for (module, info) in hosts() {
        let options =
            hlsl::Options { shader_model: hlsl::ShaderModel::V5_1, ..hlsl::Options::default() };
        let (mut text, pipeline) = (String::new(), hlsl::PipelineOptions::default());
        hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None).unwrap();
    }
}

#[test]
fn every_export_translates_for_opengl_es() {
    for (module, info) in hosts() {
        for (shader_stage, entry) in ENTRIES {
            let options = glsl::Options { version: glsl::Version::new_gles(310), ..<_>::default() };
            let pipeline = glsl::PipelineOptions {
                shader_stage,
                entry_point: entry.to_owned(),
                multiview: None,
            };
            let mut text = String::new();
            let policies = naga::proc::BoundsCheckPolicies::default();
            glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, policies)
                .unwrap()
                .write()
                .unwrap();
        }
    }
}

/// Two nets and a host that has the names which a net's formulas come to mind with.
#[test]
fn nets_live_beside_each_other_and_the_host() {
    let case = cases::all().into_iter().find(|case| case.mlp.to_string().contains("gelu")).unwrap();
    let plan = case.plan();
    let first = plan.to_wgsl(&WgslOptions::default()).unwrap();
    let second = plan.to_wgsl(&WgslOptions::default().function("other").binding(1)).unwrap();
    let file = ModelFile::new(&plan, parameters(&plan), None).unwrap();
    let third = file.to_wgsl(&WgslOptions::default().function("baked")).unwrap();
    let names = [
        "input",
        "output",
        "weight",
        "bias",
        "activate",
        "gelu",
        "normal_cdf",
        "numbers",
        "parameters",
        "layer_0",
        "x",
        "y",
        "z",
        "v",
        "i",
        "k",
        "row",
        "x3",
        "mlp",
        "number",
    ];
    let host: String = names.iter().map(|name| format!("fn {name}() {{}}\n")).collect();
    let (module, _) = module(&format!("{host}{first}{second}{third}"));
    // Everything declared is the host's or begins with its net's name.
    let own = |name: &Option<String>| {
        let name = name.as_deref().unwrap_or_default();
        names.contains(&name)
            || ["mlp_eval", "other", "baked"].iter().any(|net| name.starts_with(net))
    };
    assert!(module.functions.iter().all(|(_, function)| own(&function.name)));
    assert!(module.global_variables.iter().all(|(_, variable)| own(&variable.name)));
    assert!(module.constants.iter().all(|(_, constant)| own(&constant.name)));
    let bindings: Vec<_> = module.global_variables.iter().filter_map(|(_, v)| v.binding).collect();
    assert_eq!(bindings.iter().map(|b| (b.group, b.binding)).collect::<Vec<_>>(), [(0, 0), (0, 1)]);
}

/// What two activations have in common comes once, and nothing that isn't called.
#[test]
fn a_text_has_what_its_net_needs() {
    let mlp = crate::Mlp::with_hidden(2, &[4], Activation::Silu, 1).activation(Activation::Sigmoid);
    let options = crate::TrainOptions::new(crate::Loss::Mse, crate::Optimizer::sgd(0.1));
    let wgsl = crate::Plan::new(&mlp, &options).unwrap().to_wgsl(&WgslOptions::default()).unwrap();
    assert_eq!(wgsl.matches("fn mlp_eval_sigmoid(").count(), 1);
    assert_eq!(wgsl.matches("fn mlp_eval_silu(").count(), 1);
    for absent in ["normal_cdf", "tanh", "override", "ACTIVATION"] {
        assert!(!wgsl.contains(absent), "{absent} in\n{wgsl}");
    }
}

#[test]
fn numbers_in_a_text_keep_their_bits() {
    let mut stream = Stream::new(3, Purpose::Synthetic, 0);
    let special = [
        0.0,
        -0.0,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE / 2.0,
        1.0,
        f32::from_bits(1),
        f32::from_bits(0x8000_0001),
        16_777_216.0,
        0.1,
        1e-5,
        1e16,
        -1e38,
    ];
    let drawn = (0..2000).map(|_| f32::from_bits(stream.bits()[0]));
    for number in special.into_iter().chain(drawn.filter(|number| number.is_finite())) {
        let (module, _) = module(&format!("const n = {};", super::super::text::literal(number)));
        let (_, constant) = module.constants.iter().next().unwrap();
        let naga::Expression::Literal(naga::Literal::F32(read)) =
            module.global_expressions[constant.init]
        else {
            panic!("{number}: {:?}", module.global_expressions[constant.init])
        };
        assert_eq!(read.to_bits(), number.to_bits(), "{number:?} became {read:?}");
    }
}
