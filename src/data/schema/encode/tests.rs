use super::*;
use crate::data::{CsvOptions, Missing, Scaling, SchemaOptions, read_csv};

fn table(text: &str) -> Table {
    read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
}

pub(in crate::data::schema) fn fit(text: &str, options: &SchemaOptions) -> Schema {
    let table = table(text);
    Schema::fit(&table, &table.all_rows(), options).unwrap()
}

fn unscaled() -> SchemaOptions {
    SchemaOptions { scaling: Scaling::None, ..SchemaOptions::default() }
}

pub(in crate::data::schema) fn filling() -> SchemaOptions {
    SchemaOptions { missing: Missing::Fill, ..unscaled() }
}

pub(in crate::data::schema) fn encode_all(schema: &Schema, text: &str) -> Result<Dataset> {
    let table = table(text);
    schema.encode(&table, &table.all_rows())
}

fn message(schema: &Schema, text: &str) -> String {
    encode_all(schema, text).unwrap_err().to_string()
}

pub(in crate::data::schema) const FRUIT: &str =
    "size,color,kind\n1,red,apple\n2,green,pear\n6,red,apple\n";

#[test]
fn numbers_are_scaled_and_words_become_one_hot() {
    let schema = fit(FRUIT, &SchemaOptions::default());
    assert_eq!((schema.in_features(), schema.outputs()), (3, 2));
    assert_eq!(schema.feature_names(), ["size", "color=green", "color=red"]);
    let data = schema.encode(&table(FRUIT), &[2, 0]).unwrap();
    let deviation = (14.0_f64 / 3.0).sqrt();
    let sizes = [3.0 / deviation, -2.0 / deviation].map(narrow);
    let expected = [sizes[0], 0.0, 1.0, sizes[1], 0.0, 1.0];
    for (got, expected) in data.inputs().iter().zip(expected) {
        assert!((got - expected).abs() <= 2.0 * f32::EPSILON, "{got}, not {expected}");
    }
    assert_eq!(data.targets(), &Targets::Classes { labels: vec![0, 0], classes: 2 });
}

#[test]
fn numbers_can_be_classes_and_words_numbers() {
    let schema = fit("x,y\n1,3\n2,10\n3,3\n4,-1\n5,a\n6,b\n7,c\n8,d\n9,e\n", &unscaled());
    // Read on its own, this table's y is a column of numbers.
    let data = encode_all(&schema, "x,y\n1,10\n2,-1\n").unwrap();
    assert_eq!(data.targets().to_f32(), [1.0, 0.0]);
    let schema = fit(
        "x,y\n1,10\n2,9\n3,10\n4,9\n5,-0\n",
        &SchemaOptions { kind: crate::data::TargetKind::Classes, ..unscaled() },
    );
    assert!(matches!(&schema.target, Target::Classes { names, .. } if names == &["0", "9", "10"]));
    assert_eq!(encode_all(&schema, "x,y\n1,10\n2,0\n").unwrap().targets().to_f32(), [2.0, 0.0]);
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    let schema = fit(FRUIT, &unscaled());
    let data =
        encode_all(&schema, "kind,extra,color,size\npear,0,green,7\napple,0,red,1\n").unwrap();
    assert_eq!(data.inputs(), [7.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    assert_eq!(data.targets().to_f32(), [1.0, 0.0]);
    let inputs = schema.encode_inputs(&table("color,size\nred,5\n")).unwrap();
    assert_eq!(inputs, [5.0, 0.0, 1.0]);
}

#[test]
fn without_a_header_columns_are_found_by_position() {
    let text = "y,a,id,b,z\n10,1,0,2,20\n11,3,0,4,21\n12,5,0,6,22\n";
    let options = SchemaOptions {
        targets: vec!["z".into(), "y".into()],
        ignore: vec!["id".into()],
        ..unscaled()
    };
    let schema = fit(text, &options);
    assert_eq!(schema.target_positions, [3, 0]);
    let data = encode_all(&schema, "7,1,2,8\n9,3,4,10\n").unwrap();
    assert_eq!(data.inputs(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(data.targets().to_f32(), [8.0, 7.0, 10.0, 9.0]);
    assert_eq!(schema.encode_inputs(&table("1,2\n3,4\n")).unwrap(), [1.0, 2.0, 3.0, 4.0]);
    assert!(schema.encode_inputs(&table("1,2,3\n")).is_err());
    // With a header that names other columns, position is no guide.
    assert!(schema.encode_inputs(&table("c,d\n1,2\n")).is_err());
}

#[test]
fn a_headerless_table_fits_one_without_its_target() {
    let schema =
        fit("1,5,6\n2,7,8\n1,9,9\n", &SchemaOptions { targets: vec!["1".into()], ..unscaled() });
    assert_eq!(schema.encode_inputs(&table("5,6\n")).unwrap(), [5.0, 6.0]);
    assert_eq!(encode_all(&schema, "2,5,6\n").unwrap().inputs(), [5.0, 6.0]);
}

#[test]
fn columns_without_names_that_can_be_read_in_two_ways_are_refused() {
    let options = SchemaOptions { ignore: vec!["1".into()], ..unscaled() };
    let schema = fit("0,1,5,6\n1,2,7,8\n2,3,9,1\n", &options);
    assert_eq!(encode_all(&schema, "9,3,5,6\n").unwrap().inputs(), [3.0, 5.0]);
    assert_eq!(schema.encode_inputs(&table("3,5\n")).unwrap(), [3.0, 5.0]);
    // The ignored column and the inputs, or the inputs and the target?
    let refused = message(&schema, "9,3,5\n");
    assert!(refused.contains("its 3 columns have no names, so they could be"), "{refused}");
}

#[test]
fn words_that_are_numbers_are_known_in_any_digits() {
    let schema = fit("k,y\n007,1\na,2\nb,3\n1.50,4\n", &unscaled());
    assert_eq!(
        schema.encode_inputs(&table("k,y\n1.5,1\n7,1\n")).unwrap()[..4],
        [0.0, 1.0, 0.0, 0.0]
    );
    assert!(message(&schema, "k,y\n8,1\n").contains("`8` is none of the values"));
    // Two of them are the same number.
    let schema = fit("k,y\n7.0,1\n007,2\na,3\nb,4\n", &unscaled());
    assert!(message(&schema, "k,y\n7,1\n").contains("`7` is none of the values"));
}

#[test]
fn absent_columns_are_named() {
    let schema = fit(FRUIT, &unscaled());
    assert_eq!(
        message(&schema, "size,colour,kind\n1,red,apple\n"),
        "t.csv: no column `color`; did you mean `colour`?"
    );
    assert_eq!(
        message(&schema, "size,color\n1,red\n2,green\n"),
        "t.csv: no column `kind`; its columns are size, color"
    );
    let error = schema.encode(&table(FRUIT), &[]).unwrap_err().to_string();
    assert_eq!(error, "t.csv: no rows were chosen; take at least one");
}

#[test]
fn what_was_never_seen_is_refused() {
    let schema = fit(FRUIT, &unscaled());
    assert_eq!(
        message(&schema, "size,color,kind\n1,red,pear\n1,blue,pear\n"),
        "t.csv, line 3, column color: `blue` is none of the values the model knows: green, red"
    );
    assert_eq!(
        message(&schema, "size,color,kind\n1,red,plum\n"),
        "t.csv, line 2, column kind: `plum` is none of the values the model knows: apple, pear"
    );
    assert_eq!(
        message(&schema, "size,color,kind\n1,7,pear\n"),
        "t.csv, line 2, column color: `7` is none of the values the model knows: green, red"
    );
    assert_eq!(
        message(&schema, "size,color,kind\n5,red,pear\nbig,red,pear\n"),
        "t.csv, line 3, column size: `big` is text, but the model was trained on numbers here"
    );
}

#[test]
fn numbers_too_far_out_are_refused() {
    let schema = fit("x,y\n0,1\n1e-3,2.5\n", &SchemaOptions::default());
    assert_eq!(
        message(&schema, "x,y\n1,1\n3e38,1\n"),
        "t.csv, line 3, column x: 3e38 lies so far outside the training data that its scaled \
         value exceeds f32; correct it or remove the row"
    );
    // But the whole range of f32 fits where it was seen.
    let wide = "x,y\n-3e38,1\n3e38,2.5\n";
    let to_unit = SchemaOptions { scaling: Scaling::MinMax, ..SchemaOptions::default() };
    let data = encode_all(&fit(wide, &to_unit), wide).unwrap();
    assert!(data.inputs()[0] == 0.0 && (data.inputs()[1] - 1.0).abs() <= 2.0 * f32::EPSILON);
    let data = encode_all(&fit(wide, &SchemaOptions::default()), wide).unwrap();
    assert!(data.inputs().iter().all(|x| (x.abs() - 1.0).abs() <= 2.0 * f32::EPSILON));
}

#[test]
fn missing_cells_are_filled_or_refused() {
    let holes = "size,color,kind\n2,red,pear\n,NA,pear\n5,blue,apple\n";
    let filled = encode_all(&fit(FRUIT, &filling()), holes).unwrap();
    assert_eq!(filled.inputs(), [2.0, 0.0, 1.0, 3.0, 0.0, 1.0, 5.0, 0.0, 1.0]);
    let advice = "the value is missing, and the model was trained without filling in missing \
                  values; remove the row, or train with `--missing fill`";
    let schema = fit(FRUIT, &unscaled());
    assert_eq!(message(&schema, holes), format!("t.csv, line 3, column size: {advice}"));
    assert_eq!(
        message(&schema, "size,color,kind\n2,,pear\n"),
        format!("t.csv, line 2, column color: {advice}")
    );
    for schema in [schema, fit(FRUIT, &filling())] {
        assert_eq!(
            message(&schema, "size,color,kind\n2,red,\n1,red,pear\n3,red,?\n"),
            "t.csv, line 2, column kind: the value is missing, the first of 2 (2 in kind); \
             remove such rows, or fill in the target"
        );
    }
}
