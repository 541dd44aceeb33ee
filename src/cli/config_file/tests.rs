use clap::FromArgMatches as _;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

use super::*;
use crate::cli::args::TrainArgs;
use crate::cli::config::Config;
use crate::cli::init;
use crate::cli::values::Columns;

/// What a file comes to.
fn args(text: &str) -> TrainArgs {
    let train = options::train();
    let file = ConfigFile::parse(text, &train).unwrap();
    let derived = file.derived;
    let args = typed(&file.words.into_iter().flat_map(|(_, words)| words).collect::<Vec<_>>());
    TrainArgs { derived, ..args }
}

fn typed<T: AsRef<str>>(words: &[T]) -> TrainArgs {
    let words = words.iter().map(AsRef::as_ref);
    let matches = options::train().try_get_matches_from(["train"].into_iter().chain(words));
    TrainArgs::from_arg_matches(&matches.unwrap()).unwrap()
}

/// As text that shows everything.
fn shown(args: &TrainArgs) -> String {
    format!("{args:#?}")
}

#[test]
fn the_file_of_init_means_the_defaults() {
    let text = init::text().unwrap();
    assert_eq!(shown(&args(&text)), shown(&options::defaults()));
    for setting in options::settings(&options::train()) {
        let key = setting.key();
        let lines = text.lines().map(|line| line.trim_start_matches('#'));
        let of_key = |line: &&str| line.strip_prefix(key).is_some_and(|l| l.starts_with(" = "));
        assert_eq!(lines.filter(of_key).count(), 1, "{key}");
    }
}

#[test]
fn files_that_are_cut_or_damaged_end_in_a_problem_or_not_at_all() {
    let (text, train) = (init::text().unwrap(), options::train());
    for at in (0..text.len()).step_by(331).filter(|&at| text.is_char_boundary(at)) {
        let (head, tail) = text.split_at(at);
        for damaged in [head.to_owned(), format!("{head}é\"[{tail}"), format!("{head}\u{0}{tail}")]
        {
            if let Err((at, problem)) = ConfigFile::parse(&damaged, &train) {
                assert!(at <= damaged.len() && !problem.is_empty(), "{problem}");
            }
        }
    }
}

/// What files are made of, in any order.
fn piece() -> impl Strategy<Value = String> {
    let train = options::train();
    let keys: Vec<String> = options::settings(&train).map(|setting| setting.key().into()).collect();
    let sections = options::sections(&train);
    let signs =
        ["=", ".", ",", "\"", "'", "\"\"\"", "[", "]", "{", "}", "\n", "#", "\\", "é", "\0"];
    let values = ["true", "-1", "1e999", "nan", "99999999999999999999", "1979-05-27", "\"adam\""];
    prop_oneof![
        4 => select(keys.clone()).prop_map(|key| format!("{key} = ")),
        1 => select(keys),
        2 => select(sections).prop_map(|section| format!("\n[{section}]\n")),
        2 => select(signs.to_vec()).prop_map(String::from),
        4 => select(values.to_vec()).prop_map(|value| format!("{value}\n")),
        1 => "\\PC{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_is_words_that_clap_takes_or_a_problem(pieces in prop::collection::vec(piece(), 0..12)) {
        let (text, train) = (pieces.concat(), options::train());
        match ConfigFile::parse(&text, &train) {
            Err((at, problem)) => prop_assert!(at <= text.len() && !problem.is_empty(), "{text}"),
            Ok(file) => for (_, words) in file.words {
                for word in words {
                    prop_assert_eq!(check(&train, &word), Ok(()), "{}", text);
                }
            },
        }
    }
}

#[test]
fn the_file_of_a_run_means_its_flags() {
    for flags in [
        &[][..],
        &["moons", "--delimiter", ";", "--header", "no", "--target", "a", "--weights", "w"],
        &["--layers", "none", "--encoding", "freq2", "--class-weights", "balanced"],
        &[
            "--optimizer",
            "lion",
            "--no-decay",
            "--ema",
            "0.9",
            "--early-stopping",
            "--stop-on=loss",
        ],
        &["--plateau", "patience=3", "--clip-value", "1e-9", "--decay", "l2", "--loss", "mae"],
        &["--insight-every", "5", "--checkpoint-every", "7", "--micro-batch", "8"],
    ] {
        let config = Config::new(&typed(flags)).unwrap();
        let text = config.to_toml().unwrap();
        assert_eq!(Config::new(&args(&text)).unwrap(), config, "{text}");
    }
}

#[test]
fn values_of_all_types_mean_what_is_typed() {
    let file = args(
        "[data]\ntarget = [\"a, b\", -1]\ndelimiter = \"tab\"\n\
         [net]\nlayers = [0x20, 1_6]\n\
         [training]\nlr = 1e-2\nclip-norm = 1\nearly-stopping = 3\nno-decay = true\n\
         drop-last = false\nclass-weights = [1, 2.5]\n",
    );
    let mut flags = typed(&[
        "--delimiter=tab",
        "--layers=32,16",
        "--lr=0.01",
        "--clip-norm=1",
        "--early-stopping=3",
        "--no-decay",
        "--class-weights=1,2.5",
    ]);
    flags.columns.target = vec![Columns(vec!["a, b".into(), "-1".into()])];
    assert_eq!(shown(&file), shown(&flags));
}
