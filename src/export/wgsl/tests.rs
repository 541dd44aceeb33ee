//! Exported nets in shaders of a host, against the engine in f64.
#[path = "../../../tests/common/host.rs"]
mod host;
use super::*;
use crate::*;
use host::*;

#[test]
fn dump() {
    let plan = |mlp: &Mlp| Plan::new(mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))).unwrap();
    for (n, mlp) in [("a", Mlp::with_hidden(3, &[32; 3], Activation::Relu, 3)), ("b", Mlp::with_hidden(2, &[64; 2], Activation::Relu, 3)), ("c", Mlp::with_hidden(4, &[128; 2], Activation::Relu, 3)), ("d", Mlp::with_hidden(3, &[16;2], Activation::Relu, 3))] {
        let p = plan(&mlp);
        let write = |k: &str, t: &str| std::fs::write(format!("/tmp/exp/{n}_{k}.wgsl"), t).unwrap();
        write("live", &p.to_wgsl(&WgslOptions::default()).unwrap());
        let f = ModelFile::new(&p, p.initial_parameters(), None).unwrap();
        if let Ok(b) = f.to_wgsl(&WgslOptions::default()) { 
            write("private", &b.replace("const mlp_eval_parameters =", "var<private> mlp_eval_parameters ="));
            write("const", &b); }
    }
}
