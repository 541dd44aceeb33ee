use clap::Parser as _;
use wgrad::schedule::Run;

use super::*;
use crate::cli::args::{Args, Command};

fn config(flags: &[&str]) -> Result<Config, Failure> {
    let args = Args::try_parse_from([&["wgrad", "train"], flags].concat()).unwrap();
    let Command::Train(args) = args.command else { panic!("train was given") };
    Config::new(&args)
}

fn message(flags: &[&str]) -> String {
    config(flags).unwrap_err().message().unwrap().to_owned()
}

#[test]
fn a_config_survives_its_file() {
    for flags in [
        &[][..],
        &["t.csv", "--delimiter", "tab", "--activation", "leaky_relu(0.2)", "--loss", "mae"],
        &["--schedule", "warmup:5e+cosine:floor=0.01", "--plateau", "patience=3,floor=1e-3"],
        &["--optimizer", "nesterov", "--momentum", "0.8", "--seed", "9223372036854775807"],
        &["photos", "--image-size", "32x24"],
        &["spirals", "--encoding", "blob16", "--scaling", "min-max"],
        &["--device", "llvm", "--layers", "none", "--target", "a,b", "--validation", "0.15"],
    ] {
        let config = config(flags).unwrap();
        let text = config.to_toml().unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    assert!(message(&["--optimizer", "adam", "--momentum", "0.9"]).contains("not adam"));
    assert!(message(&["--init", "siren"]).contains("not relu"));
    assert!(config(&["--init", "siren", "--activation", "sine(30)"]).is_ok());
}

#[test]
fn defaults_depend_on_the_optimizer() {
    let training = |flags: &[&str]| config(flags).unwrap().training;
    let sgd = training(&["--optimizer", "sgd"]);
    assert_eq!((sgd.lr, sgd.momentum), (0.1, None));
    assert_eq!(training(&["--optimizer", "momentum"]).momentum, Some(0.9));
    // 2,400 steps of 3e-3 under a cosine sum to 3.6; a run of 100 would get more than 1.
    let cosine = Schedule::Cosine { floor: 0.0 };
    let sum = |steps| recipe::sum_of_lr(3e-3, &cosine, &Run::new(steps, 1));
    assert_eq!(recipe::weight_decay(OptimizerChoice::Adamw, sum(2400)), 0.28);
    assert_eq!(recipe::weight_decay(OptimizerChoice::Adamw, sum(100)), 1.0);
    assert_eq!(recipe::weight_decay(OptimizerChoice::Sgd, sum(2400)), 0.0);
    assert_eq!(training(&["--lr", "0.5"]).lr, 0.5);
}
