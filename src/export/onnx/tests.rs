//! The files are whole: every value has one name and one maker. What they compute is asked of ONNX Runtime
//! by `tests/round_trip.sh`.

use std::collections::HashSet;

use crate::data::{CsvOptions, Missing, Schema, SchemaOptions, read_csv};
use crate::{
    Activation, BatchNorm, Encoding, Layer, LayerNorm, Loss, Mlp, ModelFile, Optimizer, Plan,
    TrainOptions,
};

/// A field of a message: a number, or bytes.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (&byte, rest) = bytes.split_first().expect("a whole number");
            *bytes = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            kind => {
                let len = if kind == 5 { 4 } else { varint(&mut bytes) };
                let (field, rest) = bytes.split_at(usize::try_from(len).unwrap());
                bytes = rest;
                Field::Bytes(field)
            }
        };
        found.push((key >> 3, field));
    }
    found
}

/// The texts or messages of a field.
fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    let of = |(n, field)| match field {
        Field::Bytes(bytes) if n == number => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(of).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Names of inputs and of outputs of a model; all that it uses is made once, and before.
fn checked(onnx: &[u8]) -> (Vec<String>, Vec<String>) {
    let version = fields(onnx).into_iter().find(|(number, _)| *number == 1);
    assert!(matches!(version, Some((_, Field::Number(8)))), "IR version");
    let graph = all(onnx, 7)[0];
    let names = |field: u64, name: u64| -> Vec<String> {
        all(graph, field).into_iter().map(|message| text(all(message, name)[0])).collect()
    };
    let (inputs, outputs, constants) = (names(11, 1), names(12, 1), names(5, 8));
    let mut known = HashSet::new();
    for name in inputs.iter().chain(&constants) {
        assert!(known.insert(name.clone()), "{name} is there twice");
    }
    for node in all(graph, 1) {
        for input in all(node, 1) {
            assert!(known.contains(&text(input)), "{} isn't made yet", text(input));
        }
        for output in all(node, 2) {
            assert!(known.insert(text(output)), "{} is made twice", text(output));
        }
    }
    for output in &outputs {
        assert!(known.contains(output) && !inputs.contains(output), "output {output}");
    }
    (inputs, outputs)
}

fn model(mlp: &Mlp, schema: Option<Schema>) -> ModelFile {
    let loss = if schema.is_some() { Loss::CROSS_ENTROPY } else { Loss::Mse };
    let plan = Plan::new(mlp, &TrainOptions::new(loss, Optimizer::adam(1e-3))).unwrap();
    ModelFile::new(&plan, plan.initial_parameters(), schema).unwrap()
}

#[test]
fn every_layer_has_names_of_its_own() {
    let encodings =
        [Encoding::frequency(3), Encoding::one_blob(4), Encoding::triangle_wave(3)].map(Some);
    for encoding in encodings.into_iter().chain([None]) {
        for &activation in Activation::ALL {
            let batch = Layer::BatchNorm(BatchNorm::default());
            for norm in [None, Some(batch), Some(Layer::LayerNorm(LayerNorm::default()))] {
                let mlp = encoding.into_iter().fold(Mlp::new(2), Mlp::encoding);
                let mlp = mlp.activation(activation).linear(4);
                let mlp = norm.into_iter().fold(mlp, Mlp::layer);
                // A second norm that no linear layer takes in.
                let mlp = mlp.activation(activation).batch_norm().activation(activation).linear(3);
                let (inputs, outputs) = checked(&model(&mlp, None).to_onnx().unwrap());
                assert_eq!((inputs, outputs), (vec!["input".into()], vec!["output".into()]));
            }
        }
    }
}

#[test]
fn columns_may_be_called_as_anything() {
    // Words, so that each column is an input of its own, and names that nodes have.
    let header = "x,x.scaled,label,features,classes,logits,0.weight,layer0.z,input,best,target";
    let text = format!("{header}\n1,2,a,b,3,4,5,6,7,8,yes\n2,3,c,d,4,5,6,7,8,9,no\n");
    let table = read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap();
    let options = SchemaOptions { missing: Missing::Fill, ..SchemaOptions::default() };
    let schema = Schema::fit(&table, &table.all_rows(), &options).unwrap();
    let mlp = Mlp::with_hidden(schema.in_features(), &[4], Activation::Relu, schema.outputs());
    let (inputs, outputs) = checked(&model(&mlp, Some(schema)).to_onnx().unwrap());
    assert_eq!(outputs, ["label", "probabilities", "logits"]);
    let expected: Vec<String> = header
        .split(',')
        .filter(|name| *name != "target")
        .map(|name| format!("{name}{}", if outputs.iter().any(|o| o == name) { "_" } else { "" }))
        .collect();
    assert_eq!(inputs, expected);
}

#[test]
fn columns_of_one_tensor_are_named() {
    let rows = "a,\"b \"\"c\"\"\",k\n1,2,no\n3,5,yes\n";
    let table = read_csv(rows.as_bytes(), "t.csv", &CsvOptions::default()).unwrap();
    let schema = Schema::fit(&table, &[0, 1], &SchemaOptions::default()).unwrap();
    let onnx = model(&Mlp::new(2).linear(2), Some(schema)).to_onnx().unwrap();
    let graph = all(&onnx, 7)[0];
    let described = |field| -> Vec<_> {
        all(graph, field)
            .into_iter()
            .map(|info| all(info, 3).first().map(|doc| text(doc)))
            .collect()
    };
    assert_eq!(described(11), [Some(r#"["a","b \"c\""]"#.to_owned())]);
    let classes = Some(r#"["no","yes"]"#.to_owned());
    assert_eq!(described(12), [None, classes.clone(), classes]);
}

#[test]
fn a_batch_norm_without_statistics_is_refused() {
    let norm = BatchNorm { track_running_stats: false, ..BatchNorm::default() };
    let mlp = Mlp::new(2).layer(Layer::BatchNorm(norm)).linear(1);
    let refused = model(&mlp, None).to_onnx().unwrap_err().to_string();
    assert!(refused.contains("set track_running_stats"), "{refused}");
}
