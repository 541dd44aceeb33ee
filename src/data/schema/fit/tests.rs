//! What fitting a schema learns, and what it refuses.

use super::*;
use crate::data::{CsvOptions, InputColumn, InputKind, digits, read_csv};

fn table(text: &str) -> Table {
    read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap()
}

fn fit_all(text: &str, options: &SchemaOptions) -> Result<Schema> {
    let table = table(text);
    Schema::fit(&table, &table.all_rows(), options)
}

fn message(text: &str, options: &SchemaOptions) -> String {
    fit_all(text, options).unwrap_err().to_string()
}

fn target(name: &str) -> SchemaOptions {
    SchemaOptions { targets: vec![name.into()], ..SchemaOptions::default() }
}

fn ignore(names: &[&str]) -> SchemaOptions {
    let ignore = names.iter().map(|&name| name.into()).collect();
    SchemaOptions { ignore, ..SchemaOptions::default() }
}

fn names(schema: &Schema) -> (Vec<&str>, Vec<&str>) {
    let inputs = schema.inputs.iter().map(|input| input.name.as_str()).collect();
    (inputs, schema.target.column_names())
}

const ABC: &str = "a,b,c\n1,2,x\n3,5,y\n4,9,x\n";

#[test]
fn targets_and_ignored_columns_are_left_out_of_the_inputs() {
    for (options, expected) in [
        (SchemaOptions::default(), (vec!["a", "b"], vec!["c"])),
        (target("a"), (vec!["b", "c"], vec!["a"])),
        (target("-2"), (vec!["a", "c"], vec!["b"])),
        (ignore(&["1"]), (vec!["b"], vec!["c"])),
        (ignore(&["c"]), (vec!["a"], vec!["b"])),
    ] {
        assert_eq!(names(&fit_all(ABC, &options).unwrap()), expected, "{options:?}");
    }
    assert_eq!(
        message(ABC, &SchemaOptions { ignore: vec!["c".into()], ..target("c") }),
        "t.csv: column `c` is both target and ignored, by name or as weights of rows; name another target, or \
         leave it out of what is ignored"
    );
    let twice = SchemaOptions { targets: vec!["a".into(), "1".into()], ..SchemaOptions::default() };
    assert_eq!(message(ABC, &twice), "t.csv: column `a` is named twice as target; name it once");
    assert!(message(ABC, &target("d")).contains("its columns are a, b, c"));
    assert_eq!(
        message(ABC, &ignore(&["a", "b"])),
        "t.csv: no column is left to learn from: 3 in all, 1 to predict, 2 ignored (is the delimiter right?)"
    );
    assert!(message("a\n1\n2\n", &SchemaOptions::default()).contains("is the delimiter right?"));
}

#[test]
fn the_target_is_a_class_or_a_number() {
    let is_class = |values: &mut dyn Iterator<Item = f32>, kind| {
        let y: Vec<f32> = values.collect();
        let table = Table::new("t", vec![Column::numeric("x", y.clone()), Column::numeric("y", y)])
            .unwrap();
        let options = SchemaOptions { kind, ..SchemaOptions::default() };
        let labels = options.labels(&table).unwrap();
        let schema = Schema::fit(&table, &[0], &options).unwrap();
        assert_eq!(labels.is_some(), matches!(schema.target, Target::Classes { .. }));
        labels.is_some()
    };
    let cycle = |different: u16, rows: usize| (0..different).map(f32::from).cycle().take(rows);
    for (different, rows, expected) in [
        (2, 3, true),
        (3, 29, false),
        (3, 30, true),
        (20, 200, true),
        (20, 199, false),
        (21, 999, false),
    ] {
        assert_eq!(
            is_class(&mut cycle(different, rows), TargetKind::Auto),
            expected,
            "{different} of {rows}"
        );
    }
    assert!(!is_class(&mut cycle(2, 100).map(|y| y + 0.5), TargetKind::Auto));
    assert!(is_class(&mut cycle(2, 100).map(|y| y + 0.5), TargetKind::Classes));
    assert!(!is_class(&mut cycle(2, 100), TargetKind::Values));

    let options = SchemaOptions { kind: TargetKind::Values, ..SchemaOptions::default() };
    assert_eq!(
        message(ABC, &options),
        "t.csv: column `c` holds text (`x`), so it can't be predicted as a number; \
         predict classes, or choose another target"
    );
    let two = SchemaOptions { targets: vec!["a".into(), "c".into()], ..SchemaOptions::default() };
    assert_eq!(
        message(ABC, &two),
        "t.csv: column `c` can't be a class, because there are 2 targets; \
         choose a single target, columns of 0 and 1 with a single 1 in each row, or only numbers"
    );
}

#[test]
fn labels_are_the_encoded_targets() {
    let (table, options) = (digits(), SchemaOptions::default());
    let rows = table.all_rows();
    let data = Schema::fit(&table, &rows[..10], &options).unwrap().encode(&table, &rows).unwrap();
    let labels = options.labels(&table).unwrap().unwrap();
    assert_eq!(data.targets(), &crate::data::Targets::Classes { labels, classes: 10 });
}

#[test]
fn classes_must_be_worth_telling_apart() {
    assert_eq!(
        message("x,y\n1,a\n2,a\n3,a\n", &SchemaOptions::default()),
        "t.csv: target column `y` has only one class (`a`), so there is nothing to learn; \
         choose another target with `--target`"
    );
    let ids = |rows| (0..rows).fold("x,id\n".to_owned(), |text, i| text + &format!("{i},n{i}\n"));
    assert_eq!(
        message(&ids(65), &SchemaOptions::default()),
        "t.csv: target column `id` has 65 different values in 65 rows \
         (n0, n1, n10, n11, n12, n13, n14, n15, n16, n17, … (65 in all)), so hardly a class comes \
         twice; choose another target with `--target`"
    );
    assert!(fit_all(&ids(64), &SchemaOptions::default()).is_ok());
}

/// The words of the only input, by what becomes of them.
fn words(schema: &Schema) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    let InputKind::Categorical { values, gathered, unlearnt, .. } = &schema.inputs[0].kind else {
        panic!("no categories")
    };
    let [values, gathered, unlearnt] =
        [values, gathered, unlearnt].map(|words| words.iter().map(String::as_str).collect());
    (values, gathered, unlearnt)
}

#[test]
fn rare_words_share_an_input() {
    let table = table("w,y\na,1\na,2\na,3\nb,4\nb,5\nc,6\nd,7\ne,8\n");
    let fit = |rows: &[u32], rare_below, missing| {
        let kind = TargetKind::Values;
        let options = SchemaOptions { kind, rare_below, missing, ..SchemaOptions::default() };
        Schema::fit(&table, rows, &options).unwrap()
    };
    let encode = |schema: &Schema, text: &str| {
        schema.encode_inputs(&read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap())
    };
    // `e` is in no training row.
    let rows = [0, 1, 2, 3, 4, 5, 6];
    let plain = fit(&rows, None, Missing::Reject);
    assert_eq!(words(&plain), (vec!["a", "b", "c", "d"], vec![], vec!["e"]));
    assert_eq!(encode(&plain, "w\nd\ne\n").unwrap(), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert!(
        encode(&plain, "w\nf\n").unwrap_err().to_string().contains("`f` is none of the values")
    );

    let gathered = fit(&rows, Some(2), Missing::Reject);
    assert_eq!(words(&gathered), (vec!["a", "b"], vec!["c", "d"], vec!["e"]));
    assert_eq!(gathered.feature_names(), ["w=a", "w=b", "w=other words"]);
    let rare = [0.0, 0.0, 1.0];
    assert_eq!(encode(&gathered, "w\nc\nd\nf\n").unwrap(), rare.repeat(3));
    assert_eq!(encode(&gathered, "w\ne\n").unwrap(), [0.0; 3]);
    assert!(gathered.check().is_ok() && gathered.in_features() == 3);
    // A missing cell has no word.
    assert!(encode(&gathered, "w,x\n,1\n").is_err());
    let filled = fit(&rows, Some(2), Missing::Fill);
    assert_eq!(encode(&filled, "w,x\n,1\nf,2\n").unwrap(), [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);

    let all = fit(&rows, Some(9), Missing::Reject);
    assert_eq!((words(&all).0.len(), all.in_features()), (0, 1));
    assert!(all.check().is_ok());
    let json = serde_json::to_string(&gathered).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), gathered);
}

#[test]
fn many_words_are_no_reason_to_refuse() {
    let table_of = |word: &dyn Fn(usize) -> usize, rows: usize| {
        let rows: String = (0..rows).map(|i| format!("w{:04},{i}.5\n", word(i))).collect();
        table(&format!("w,y\n{rows}"))
    };
    let fit = |table: &Table| Schema::fit(table, &table.all_rows(), &target("y")).unwrap();
    // Words that come again, one for each row, and more of them than inputs.
    assert_eq!(fit(&table_of(&|i| i % 80, 480)).in_features(), 80);
    assert_eq!(fit(&table_of(&|i| i, 200)).in_features(), 1);
    let many = fit(&table_of(&|i| i % 1500, 4000));
    assert_eq!((many.in_features(), words(&many).1.len()), (1024, 477));
    // The most frequent ones have an input.
    assert_eq!((words(&many).0[0], words(&many).1[0]), ("w0000", "w1023"));
}

#[test]
fn scales_come_from_the_training_rows_alone() {
    let table = table("x,w,y\n1,a,1\n3,a,3\n1000,b,1000\n5,b,5\n");
    for (scaling, offset, scale) in [
        (Scaling::Standardize, 3.0, narrow((8.0_f64 / 3.0).sqrt().recip())),
        (Scaling::MinMax, 1.0, 0.25),
        (Scaling::None, 0.0, 1.0),
    ] {
        let options = SchemaOptions {
            scaling,
            kind: TargetKind::Values,
            missing: Missing::Fill,
            ..SchemaOptions::default()
        };
        let schema = Schema::fit(&table, &[3, 0, 1], &options).unwrap();
        assert_eq!(schema.inputs[0].kind, InputKind::Numeric { fill: Some(3.0), offset, scale });
        let column = ValueColumn { name: "y".into(), offset, scale };
        assert_eq!(schema.target, Target::Values { columns: vec![column] });
    }
}

#[test]
fn a_constant_target_is_refused() {
    let options = SchemaOptions { kind: TargetKind::Values, ..SchemaOptions::default() };
    let refused = Schema::fit(&table("x,y\n1,0.5\n2,0.5\n"), &[0, 1], &options).unwrap_err();
    let message = refused.to_string();
    assert!(message.contains("column `y` is 0.5 in every row"), "{message}");
}

#[test]
fn words_are_known_from_all_rows_but_learnt_from_training_rows() {
    let table = table("w,y\na,1.5\nb,2\nb,3\nc,4\n,5\n");
    let options = SchemaOptions { missing: Missing::Fill, ..SchemaOptions::default() };
    for (rows, fill, values, unlearnt) in [
        (&[0, 1, 2, 4][..], "b", ["a", "b"], "c"),
        (&[3, 0][..], "a", ["a", "c"], "b"),
        (&[3, 3, 0][..], "c", ["a", "c"], "b"),
    ] {
        let schema = Schema::fit(&table, rows, &options).unwrap();
        let expected = InputKind::Categorical {
            fill: Some(fill.into()),
            values: values.map(String::from).to_vec(),
            gathered: vec![],
            unlearnt: vec![unlearnt.into()],
        };
        assert_eq!(schema.inputs[0].kind, expected);
    }
}

#[test]
fn a_constant_column_becomes_zero() {
    let table = Table::from_rows("t", &["x", "y"], &[0.1, 1.0, 0.1, 2.5].repeat(501)).unwrap();
    let rows: Vec<u32> = (0..1002).collect();
    for scaling in [Scaling::Standardize, Scaling::MinMax, Scaling::None] {
        let options = SchemaOptions { scaling, ..SchemaOptions::default() };
        let schema = Schema::fit(&table, &rows, &options).unwrap();
        assert_eq!(
            schema.inputs[0].kind,
            InputKind::Numeric { fill: None, offset: 0.1, scale: 0.0 }
        );
        assert!(schema.check().is_ok());
        // Now and later, whatever stands there: nothing was learnt of it.
        let later = Table::from_rows("t", &["x"], &[0.1, -7.0, 1e30]).unwrap();
        for table in [&table, &later] {
            assert!(schema.encode_inputs(table).unwrap().iter().all(|&x| x == 0.0));
        }
    }
    let places = vec![("g".into(), ColumnKind::Ordinal(vec!["a".into(), "b".into()]))];
    let options = SchemaOptions { columns: places, ..SchemaOptions::default() };
    let schema =
        Schema::fit(&self::table("g,y\nb,1.5\nb,2.5\na,3.5\n"), &[0, 1], &options).unwrap();
    assert_eq!(schema.encode_inputs(&self::table("g\na\nb\n")).unwrap(), [0.0, 0.0]);
}

#[test]
fn a_subnormal_range_stays_finite() {
    let table = Table::from_rows("t", &["x", "y"], &[0.0, 1.0, 1e-45, 2.5]).unwrap();
    let schema = Schema::fit(&table, &[0, 1], &SchemaOptions::default()).unwrap();
    assert!(schema.encode(&table, &[0, 1]).is_ok());
}

#[test]
fn missing_cells_are_counted_and_the_first_one_named() {
    let text = "x,w,y\n1,a,p\n2,,q\n,b,p\n,b,q\n5,a,p\n";
    assert_eq!(
        message(text, &SchemaOptions::default()),
        "t.csv, line 3, column w: the value is missing, the first of 3 (2 in x, 1 in w); \
         fill such cells in with `--missing fill`, remove their rows, \
         or leave the column out with `--ignore`"
    );
    assert!(message(text, &ignore(&["x"])).contains("column w: the value is missing; fill"));
    assert!(
        fit_all(text, &ignore(&["x", "w"])).is_err_and(|e| e.to_string().contains("no column"))
    );
    let fill = SchemaOptions { missing: Missing::Fill, ..SchemaOptions::default() };
    assert!(fit_all(text, &fill).is_ok());
    let mut holes = fill.clone();
    holes.targets = vec!["w".into()];
    assert_eq!(
        message(text, &holes),
        "t.csv, line 3, column w: the value is missing; remove such rows, \
         or choose another target with `--target`"
    );
    assert!(holes.labels(&table(text)).is_err());
    assert_eq!(
        message("x,e,y\n1,,p\n2,,q\n", &fill),
        "t.csv: column `e` has no value in any of the 2 training rows; leave it out with `--ignore e`"
    );
    let words = Table::new(
        "t",
        vec![
            Column::text("w", [None, Some("a"), Some("b")]),
            Column::text("y", [Some("p"), Some("q"), Some("q")]),
        ],
    );
    let error = Schema::fit(&words.unwrap(), &[0], &fill).unwrap_err().to_string();
    assert!(error.contains("column `w` has no value in any of the 1 training rows"), "{error}");
}

#[test]
fn there_must_be_training_rows() {
    let error = Schema::fit(&table(ABC), &[], &SchemaOptions::default()).unwrap_err().to_string();
    assert_eq!(error, "t.csv: there is no training row to fit to; take at least one");
}

#[test]
fn pixels_share_a_scale() {
    let table = |white: f32, columns: usize| {
        let pixel = |i: usize| {
            let values =
                (0..4).map(|row| if i == 0 { 0.0 } else { white * [0.0, 1.0, 0.0, 0.4][row] });
            Column::numeric(format!("p{i}"), values.collect())
        };
        let label = Column::text("label", ["a", "b", "a", "b"].map(Some));
        Table::new("t", (0..columns).map(pixel).chain([label]).collect()).unwrap()
    };
    let scales = |table: &Table, scaling| {
        let options = SchemaOptions { scaling, ..SchemaOptions::default() };
        let schema = Schema::fit(table, &[0, 1, 2], &options).unwrap();
        let scale = |input: &InputColumn| match input.kind {
            InputKind::Numeric { offset, scale, .. } => (offset, scale),
            _ => panic!("pixels are numbers"),
        };
        let scales: Vec<_> = schema.inputs.iter().map(scale).collect();
        (scales[0], scales[1], schema.pixels)
    };
    // Nothing is learnt of a pixel that is always paper.
    let paper = (0.0, 0.0);
    assert_eq!(scales(&table(255.0, 64), Scaling::Auto), (paper, (0.0, 1.0 / 255.0), true));
    assert_eq!(scales(&table(1.0, 64), Scaling::Auto), (paper, (0.0, 1.0), true));
    // What they are doesn't depend on how they are scaled.
    for scaling in [Scaling::None, Scaling::Standardize, Scaling::MinMax] {
        assert!(scales(&table(255.0, 64), scaling).2 && !scales(&table(1000.0, 64), scaling).2);
    }
    // Too few columns, whole numbers that are no bytes, halves of bytes: a scale for each column.
    for table in [table(255.0, 63), table(16.0, 64), table(300.0, 64), table(127.5, 64)] {
        let auto = scales(&table, Scaling::Auto);
        assert_eq!(auto, scales(&table, Scaling::Standardize));
        assert!(auto.0 == paper && auto.1.0 != 0.0 && !auto.2, "{auto:?}");
    }
}

#[test]
fn dates_are_refused_with_advice() {
    for date in ["2024-01-31", "2024/1/31 12:30", "31.12.2024", "1/31/24", "2024-01-31T00:00:00Z"] {
        let rows: String = (0..30).map(|i| format!("{i},{date},{}\n", i % 2)).collect();
        let message = message(&format!("x,when,y\n{rows}"), &SchemaOptions::default());
        let expected = format!("t.csv: column `when` holds dates (`{date}`)");
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.contains("--ignore when"), "{message}");
    }
    for text in ["1.2.3", "10.0.0.1", "2024-01", "a-b-c", "1-2-3-4", "--", "03/2024"] {
        let rows: String = (0..30).map(|i| format!("{i},{text},{}\n", i % 2)).collect();
        assert!(fit_all(&format!("x,when,y\n{rows}"), &SchemaOptions::default()).is_ok(), "{text}");
    }
}

#[test]
fn numbers_that_f32_makes_equal_are_refused() {
    let times =
        "time,y,z\n1700000000,1700000000.5,1\n1700000060,1700000001,2\n1700000030,1700000002,2\n";
    let input = message(times, &SchemaOptions { ignore: vec!["y".into()], ..target("z") });
    let wanted = "column `time` lies between 1700000000 and 1700000060, so close together that f32";
    assert!(input.contains(wanted) && input.ends_with("with `--ignore`"), "{input}");
    let of_target = message(times, &SchemaOptions { ignore: vec!["time".into()], ..target("y") });
    assert!(of_target.ends_with("subtract 1700000000.5 from them"), "{of_target}");
    // What isn't looked at does no harm.
    let options = SchemaOptions { ignore: vec!["time".into(), "y".into()], ..target("z") };
    assert!(message(times, &options).contains("no column is left"));
}

#[test]
fn numbers_that_f32_moves_are_no_names() {
    let of = |y: &str| format!("x,y\n1,{y}1\n2,{y}2\n3,900000000\n");
    let classes = SchemaOptions { kind: TargetKind::Classes, ..target("y") };
    let refused = message(&of("10000000"), &classes);
    assert!(refused.contains("`y` has whole numbers beyond 16777216"), "{refused}");
    fit_all(&of("1000000"), &classes).unwrap();
    let as_input =
        SchemaOptions { columns: vec![("y".into(), ColumnKind::Category)], ..target("x") };
    assert!(message(&of("10000000"), &as_input).contains("no names of classes or categories"));
}

#[test]
fn a_cell_that_is_no_number_counts_where_its_column_is_used() {
    let table = "id,x,y\n1,1.5,10\n2,2.5,20\nC3,3.5,30\n1,4.5,40\n";
    let refused = "t.csv, line 4, column id: `C3` is not a number, but most of the column is";
    assert!(message(table, &target("y")).starts_with(refused));
    assert!(message(table, &target("id")).starts_with(refused));
    let left_out = SchemaOptions { ignore: vec!["id".into()], ..target("y") };
    let schema = fit_all(table, &left_out).unwrap();
    assert_eq!(schema.in_features(), 1);
    // As categories its numbers are words like any other.
    let columns = vec![("id".into(), ColumnKind::Category)];
    let words = fit_all(table, &SchemaOptions { columns, ..target("y") }).unwrap();
    assert_eq!(words.feature_names(), ["id=1", "id=2", "id=C3", "x"]);

    // A model looks at nothing but the columns that it reads, and at the target where it is scored.
    let read = |text: &str| read_csv(text.as_bytes(), "t.csv", &CsvOptions::default()).unwrap();
    let odd = read("other,x,y\n1,1.5,10\n2,2.5,?!\nq,3.5,30\n");
    assert_eq!(schema.encode_inputs(&odd).unwrap().len(), 3);
    let message = schema.encode(&odd, &[0]).unwrap_err().to_string();
    assert!(message.starts_with("t.csv, line 3, column y: `?!` is not a number"), "{message}");
    let odd = read("x\n1\n2\nnix\n");
    let message = schema.encode_inputs(&odd).unwrap_err().to_string();
    assert!(message.starts_with("t.csv, line 4, column x: `nix` is not a number"), "{message}");
}
