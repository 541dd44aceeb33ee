//! What exported nets return in the shaders of a host.

use super::cases::{self, Case};
use super::expected::{expected, parameters};
use super::host::{Caller, Function, Host};
use crate::plan::Plan;
use crate::testing::assert_tracked;
use crate::tracked::Tracked;
use crate::{Engine as _, GpuEngine, ModelFile};

fn run(case: &Case, caller: Caller, wgsl: &str, buffer: Option<&wgpu::Buffer>) -> Vec<f32> {
    let function = Function {
        wgsl,
        name: &case.options.function,
        inputs: case.mlp.in_features(),
        outputs: case.mlp.out_features(),
    };
    let host = Host::get();
    host.run(&host.pipeline(caller, function), buffer, &case.inputs())
}

/// A bound so wide that a wrong formula could pass shows nothing.
fn check_bound(case: &Case, want: &[Tracked]) {
    let largest = want.iter().map(|y| y.value.abs()).fold(0.0, f64::max);
    let widest = want.iter().map(|y| y.error).fold(0.0, f64::max);
    // A sine may be off by 2⁻¹¹, which is a lot.
    let share = if case.mlp.to_string().contains("sine") { 1e-2 } else { 1e-3 };
    println!("{}: {widest:.1e} of {largest}", case.mlp);
    assert!(widest <= share * largest, "{}: a bound of {widest:e} for {largest}", case.mlp);
}

fn check_live(caller: Caller) {
    let host = Host::get();
    for case in cases::all() {
        let plan = case.plan();
        let arena = parameters(&plan);
        let want = expected(&plan, &arena, &case.options, &case.inputs());
        check_bound(&case, &want);
        let wgsl = plan.to_wgsl(&case.options).unwrap();
        println!("{} {caller:?}", case.mlp);
        assert_tracked(&run(&case, caller, &wgsl, Some(&host.buffer(&arena))), &want);
    }
}

fn check_baked(caller: Caller) {
    for case in cases::all() {
        let plan = case.plan();
        let file = ModelFile::new(&plan, parameters(&plan), None).unwrap();
        // Folding rounds the parameters again, which is its own test's concern.
        let (folded, arena) = file.folded().unwrap().plan().unwrap();
        if folded.parameters() > 3000 {
            continue;
        }
        let want = expected(&folded, &arena, &case.options, &case.inputs());
        let wgsl = file.to_wgsl(&case.options).unwrap();
        println!("{} {caller:?}", case.mlp);
        assert_tracked(&run(&case, caller, &wgsl, None), &want);
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn compute_shaders_get_the_engines_outputs_from_the_buffer() {
    check_live(Caller::Compute);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn fragment_shaders_get_the_engines_outputs_from_the_buffer() {
    check_live(Caller::Fragment);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn compute_shaders_get_the_engines_outputs_from_constants() {
    check_baked(Caller::Compute);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn fragment_shaders_get_the_engines_outputs_from_constants() {
    check_baked(Caller::Fragment);
}

/// The engine's own buffer, and its own kernels within the same bound.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_gpu_engine_agrees() {
    let host = Host::get();
    let of_norms =
        |case: &Case| case.mlp.to_string().contains("-bn") && case.mlp.in_features() == 4;
    let case = cases::all().into_iter().find(of_norms).unwrap();
    let plan: Plan = case.plan();
    let arena = parameters(&plan);
    let want = expected(&plan, &arena, &case.options, &case.inputs());
    let wgsl = plan.to_wgsl(&case.options).unwrap();
    let mut engine = GpuEngine::new(&host.device, &host.queue, plan).unwrap();
    engine.set_parameters(&arena).unwrap();
    let buffer = engine.parameter_buffer().clone();
    assert_tracked(&run(&case, Caller::Fragment, &wgsl, Some(&buffer)), &want);
    assert_tracked(&engine.predict(&case.inputs()).unwrap(), &want);
}
