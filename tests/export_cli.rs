//! Models that leave the program, and weights that come.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::place::{Place, text};
use serde_json::Value;

const TRAIN: &str = "train spirals --layers 8 --epochs 1 --device cpu --no-report --quiet";

#[test]
fn a_model_leaves_in_every_form() {
    let place = Place::new();
    place.done(&format!("{TRAIN} --name a"));
    for (name, begins) in
        [("a.onnx", &[8, 8][..]), ("a.wgsl", b"//"), ("a.json", b"{\"version\":1")]
    {
        place.done(&format!("export runs/a -o {name}"));
        let content = fs::read(place.path(name)).unwrap();
        assert!(content.starts_with(begins), "{name}: {:?}", &content[..20]);
    }
    let wgsl = place.done("export runs/a --format wgsl --function spiral");
    let head = "// input[0]: x\n// input[1]: y\n// output[0]: a\n// output[1]: b\n\
                fn spiral(input: array<f32, 2>) -> array<f32, 2>";
    assert!(wgsl.contains(head), "{wgsl}");

    // Every number of the model is in the JSON, to the bit.
    let json: Value = serde_json::from_str(&place.done("export runs/a --format json")).unwrap();
    assert_eq!(
        json,
        serde_json::from_slice::<Value>(&fs::read(place.path("a.json")).unwrap()).unwrap()
    );
    let model = fs::read(place.path("runs/a/model.safetensors")).unwrap();
    let model = safetensors::SafeTensors::deserialize(&model).unwrap();
    for tensor in json["tensors"].as_array().unwrap() {
        let values = tensor["values"].as_array().unwrap().iter();
        #[expect(clippy::cast_possible_truncation, reason = "written as f32")]
        let bytes: Vec<u8> =
            values.flat_map(|x| (x.as_f64().unwrap() as f32).to_le_bytes()).collect();
        let name = tensor["name"].as_str().unwrap();
        assert_eq!(bytes, model.tensor(name).unwrap().data(), "{name}");
    }
    assert_eq!(json["tensors"].as_array().unwrap().len(), model.len());
}

#[test]
fn a_run_begins_with_the_weights_of_another() {
    let place = Place::new();
    place.done(&format!("{TRAIN} --name a"));
    let model =
        |name: &str| fs::read(place.path(&format!("runs/{name}/model.safetensors"))).unwrap();
    let weights = |bytes: &[u8]| {
        let model = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let mut tensors: Vec<(String, Vec<u8>)> =
            model.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect();
        tensors.sort();
        tensors
    };
    // A step that no weight feels; a run's folder and a file name the same.
    let still = format!("{TRAIN} --optimizer sgd --lr 1e-30 --seed 5");
    place.done(&format!("{still} --name b --init-from runs/a"));
    place.done(&format!("{still} --name c --ema 0.9 --init-from runs/a/model.safetensors"));
    place.done(&format!("{still} --name d"));
    let a = weights(&model("a"));
    assert_eq!(weights(&model("b")), a);
    // The average begins there too: each step then rounds it, by a ULP or so.
    for ((name, average), (_, begun)) in weights(&model("c")).iter().zip(&a) {
        let numbers = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        for (x, y) in numbers(average).iter().zip(numbers(begun)) {
            assert!((x - y).abs() <= 1e-5 * y.abs(), "{name}: {x} and {y}");
        }
    }
    assert_ne!(weights(&model("d")), a);
    place.reproduce("runs/b");

    let refused = place.run("train spirals --layers 9 --device cpu --name e --init-from runs/a");
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused.stderr);
    assert!(told.contains("--init-from") && told.contains("0.weight is F32 [8, 2]"), "{told}");
    assert!(!place.path("runs/e").exists());
}
