//! Schedules and plateaus against `torch.optim.lr_scheduler` (`tests/fixtures/make_schedules.py`),
//! their text form, and what a trainer makes of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "schedules/plateau.rs"]
mod plateau;

use std::ops::ControlFlow;

use serde::Deserialize;
use wgrad::data::{Dataset, Targets};
use wgrad::schedule::{Piece, Run, Span};
use wgrad::{
    CpuEngine, Error, Loss, Mlp, Optimizer, Plan, Plateau, Schedule, TrainOptions, Trainer,
};

#[derive(Deserialize)]
struct Fixture {
    lr: f64,
    run: u64,
    schedules: Vec<Scheduled>,
    plateaus: Vec<Watched>,
}

#[derive(Deserialize)]
struct Scheduled {
    name: String,
    schedule: Schedule,
    steps: Vec<u64>,
    lr: Vec<f64>,
}

#[derive(Deserialize)]
struct Watched {
    plateau: Plateau,
    /// `None` stands for NaN.
    metrics: Vec<Option<f64>>,
    /// After each metric.
    lr: Vec<f64>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/schedules.json")).unwrap()
}

/// 1e-12 of the value is some thousand roundings: as many as PyTorch's recursions have steps.
const RELATIVE: f64 = 1e-12;

#[test]
fn schedules_are_pytorchs() {
    let Fixture { lr, run, schedules, .. } = fixture();
    assert_eq!(schedules.len(), 18);
    // The epoch's length doesn't matter where all lengths are steps.
    let run = Run { steps: run, steps_per_epoch: 7 };
    for Scheduled { name, schedule, steps, lr: theirs } in schedules {
        schedule.validate().unwrap();
        // Where PyTorch adds 1 to a cosine near −1, it loses what lies below the rounding of the
        // cosine and of its argument: some ε of the learning rate at the top. wgrad doesn't.
        let cancels = name.contains("Cosine") || name.contains("OneCycle");
        let lost = if cancels { 4.0 * f64::EPSILON * lr } else { 0.0 };
        assert!(steps.len() >= 57 && steps.len() == theirs.len(), "{name}");
        for (step, want) in steps.into_iter().zip(theirs) {
            let got = lr * schedule.factor(step, &run);
            let bound = RELATIVE * want + lost;
            assert!((got - want).abs() <= bound, "{name}, step {step}: {got:e} is not {want:e}");
        }
    }
}

fn factors(text: &str, run: Run, steps: &[u64]) -> Vec<f64> {
    let schedule: Schedule = text.parse().unwrap();
    steps.iter().map(|&step| schedule.factor(step, &run)).collect()
}

#[test]
fn lengths_are_steps_epochs_and_shares_of_the_run() {
    let run = Run::new(10, 20);
    for text in ["warmup:50+constant", "warmup:2.5e+constant", "warmup:25%+constant"] {
        assert_eq!(factors(text, run, &[0, 25, 50, 199]), [0.0, 0.5, 1.0, 1.0], "{text}");
    }
    // The rest may be in the middle; what a piece says of itself, it says of its own part.
    let text = "constant:20+linear+piecewise:50%=0.25,for=2e";
    assert_eq!(factors(text, run, &[19, 90, 160, 179, 180]), [1.0, 0.5, 1.0, 1.0, 0.25]);
    // The last piece goes on, and a curve stays where it ends.
    assert_eq!(factors("linear:2e,to=0.5", run, &[20, 40, 1000]), [0.75, 0.5, 0.5]);
    assert_eq!(
        factors("constant:2e+step:1e,factor=0.5,for=1e", run, &[39, 60, 80]),
        [1.0, 0.5, 0.25]
    );
    assert_eq!(
        factors("exponential:0.25,every=2e", run, &[0, 20, 40, 80]),
        [1.0, 0.5, 0.25, 0.0625]
    );
    assert_eq!(factors("inverse_sqrt:3e", run, &[0, 180]), [1.0, 0.5]);
    assert_eq!(
        factors("cosine_restarts:5%,floor=0.5", run, &[9, 10, 15]),
        [factors("cosine_restarts:10,floor=0.5", run, &[9])[0], 1.0, 0.75]
    );
    // A piece that has no room is left out.
    assert_eq!(factors("warmup:0+constant", run, &[0]), [1.0]);
    assert_eq!(factors("warmup:0", run, &[0]), [1.0]);
    assert_eq!(factors("warmup:300+cosine", run, &[150, 199]), [0.5, 199.0 / 300.0]);
}

#[test]
fn no_schedule_leaves_the_numbers() {
    // Runs without steps, with one, and longer than any; steps beyond their end.
    let runs = [Run::new(0, 0), Run::new(1, 1), Run::new(2, 1), Run::new(u64::MAX, 3)];
    for text in VALID {
        let schedule: Schedule = text.parse().unwrap();
        for run in runs {
            for step in [0, 1, 2, 1000, u64::MAX] {
                let factor = schedule.factor(step, &run);
                assert!((0.0..=1.5).contains(&factor), "{text}, {run:?}, step {step}: {factor}");
            }
        }
    }
}

/// Texts as `Display` writes them.
const VALID: &[&str] = &[
    "constant",
    "constant:10e",
    "constant:rest",
    "step:30e",
    "step:100,factor=0.5",
    "step:10%,factor=0.5,for=50%",
    "piecewise:30e=0.1",
    "piecewise:0=0.25,30e=0.1,900=0,95%=1.5,for=20e",
    "exponential:0.95",
    "exponential:0.5,every=100,for=1e9e",
    "warmup:5e",
    "warmup:5%,from=0.1",
    "linear",
    "linear:100,from=0.5,to=0.25",
    "polynomial:power=2,floor=0.01",
    "cosine",
    "cosine:floor=1e-5",
    "cosine_restarts:10e",
    "cosine_restarts:10e,multiplier=2,floor=0.5",
    "cosine_restarts:1,multiplier=4294967295",
    "inverse_sqrt:4000",
    "one_cycle",
    "one_cycle:50%,peak=1.5,div_factor=10,final_div_factor=100,warmup=5e,anneal=linear",
    "one_cycle:warmup=rest",
    "warmup:5e+cosine",
    "warmup:5e+constant+cosine:20%,floor=0.01",
    "constant:10e+exponential:0.95",
];

#[test]
fn texts_round_trip() {
    for text in VALID {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), *text);
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule, "{json}");
    }
    // What may be typed in more than one way.
    for (typed, written) in [
        (" warmup : 5e , from = 0.5 + cosine ", "warmup:5e,from=0.5+cosine"),
        ("one-cycle:for=100", "one_cycle:100"),
        ("linear:to=1,from=0", "warmup"),
        ("cosine:floor=0", "cosine"),
        ("step:factor=0.2,every=1.50e", "step:1.5e,factor=0.2"),
        ("exponential:9.5E-1,every=1e0e", "exponential:0.95"),
    ] {
        assert_eq!(typed.parse::<Schedule>().unwrap().to_string(), written);
    }
    for text in [
        "plateau",
        "plateau:factor=0.5,patience=0",
        "plateau:mode=max,factor=0.5,patience=3,threshold=0.01,threshold_mode=abs,cooldown=2,floor=1e-5",
    ] {
        assert_eq!(text.parse::<Plateau>().unwrap().to_string(), text);
    }
}

#[test]
fn forms_of_earlier_files_are_read() {
    let read = |json: &str| serde_json::from_str::<Schedule>(json);
    assert_eq!(read("\"constant\"").unwrap(), Schedule::Constant);
    assert_eq!(read("{\"cosine\":{\"floor\":0.0}}").unwrap(), Schedule::Cosine { floor: 0.0 });
    assert_eq!(read("{\"cosine\":{}}").unwrap(), Schedule::Cosine { floor: 0.0 });
    assert!(read("{\"cosine\":{\"flor\":0.5}}").is_err());
    let mut options =
        serde_json::to_value(TrainOptions::new(Loss::Mse, Optimizer::sgd(0.1))).unwrap();
    options.as_object_mut().unwrap().remove("plateau").unwrap();
    assert_eq!(serde_json::from_value::<TrainOptions>(options).unwrap().plateau, None);
}

#[test]
fn errors_say_what_where_and_what_would_be_right() {
    for (text, at, parts) in [
        ("", 1, &["no schedule is called \"\"", "constant, step", "warmup"][..]),
        ("warmup:5e+cosin", 11, &["\"cosin\"", "did you mean cosine?"]),
        ("cosine:flor=0.1", 8, &["no argument \"flor\"", "did you mean floor?"]),
        ("constant:3e,floor=0.1", 13, &["constant has no argument \"floor\"", "it has for"]),
        ("warmup:5x+cosine", 8, &["for is \"5x\"", "5e (epochs)"]),
        ("step:factor=0.1", 1, &["step needs every", "step:30e"]),
        ("step", 1, &["step needs every", "step:30e"]),
        ("constant:1+exponential", 12, &["needs factor", "exponential:0.95"]),
        ("exponential:inf", 13, &["factor is \"inf\"", "finite"]),
        ("cosine:floor=", 8, &["a value is missing"]),
        ("cosine:", 8, &["a value is missing"]),
        ("cosine:=1", 8, &["a key is missing"]),
        ("cosine:5e,0.1", 11, &["\"0.1\" needs its key"]),
        ("cosine:floor=0,floor=0", 22, &["floor is given twice"]),
        ("piecewise", 1, &["needs a position", "piecewise:30e=0.1"]),
        ("piecewise:0.1", 11, &["\"0.1\" isn't a position", "30e=0.1"]),
        ("piecewise:10e=x", 15, &["\"x\" isn't a finite number"]),
        ("one_cycle:anneal=cosine", 18, &["anneal is \"cosine\"", "cos or linear"]),
        ("cosine_restarts:1e,multiplier=1.5", 31, &["a whole number"]),
        ("cosine + ", 9, &["no schedule is called \"\""]),
        ("ärger:1+cosin", 1, &["\"ärger\""]),
        ("warmup:ü", 8, &["\"ü\""]),
    ] {
        match text.parse::<Schedule>().unwrap_err() {
            Error::Text { what, at: found, problem, .. } => {
                assert_eq!((what, found), ("schedule", at), "{text}: {problem}");
                for part in parts {
                    assert!(problem.contains(part), "{text}: {problem:?} lacks {part:?}");
                }
            }
            error => panic!("{text}: {error}"),
        }
    }
    for (text, part) in [
        ("patience=3,factr=0.1", "did you mean factor?"),
        ("platau:patience=3", "did you mean plateau?"),
        ("plateau:mode=less", "min or max"),
        ("plateau:patience=1.5", "whole number"),
        ("plateau:0.1", "no argument \"0.1\""),
        ("factor=1", "factor is 1, but must be above 0 and below 1"),
    ] {
        let message = text.parse::<Plateau>().unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn what_is_out_of_range_is_refused() {
    for (text, name) in [
        ("step:0", "step's every"),
        ("step:1e,factor=0", "step's factor"),
        ("step:-1e", "step's every"),
        ("piecewise:1e=-1", "piecewise's factor"),
        ("piecewise:2e=1,1e=1", "piecewise's position"),
        ("piecewise:101%=1", "piecewise's position"),
        ("exponential:-0.5", "exponential's factor"),
        ("exponential:0.5,every=0%", "exponential's every"),
        ("linear:from=-1", "linear's from"),
        ("linear:to=-1", "linear's to"),
        ("polynomial:power=0", "polynomial's power"),
        ("polynomial:floor=2", "polynomial's floor"),
        ("cosine:floor=7", "cosine's floor"),
        ("cosine_restarts:0e", "cosine_restarts' period"),
        ("cosine_restarts:1e,multiplier=0", "cosine_restarts' multiplier"),
        ("cosine_restarts:1e,floor=-1", "cosine_restarts' floor"),
        ("inverse_sqrt:0", "inverse_sqrt's reference"),
        ("one_cycle:peak=0", "one_cycle's peak"),
        ("one_cycle:div_factor=0", "one_cycle's div_factor"),
        ("one_cycle:final_div_factor=-1", "one_cycle's final_div_factor"),
        ("one_cycle:warmup=200%", "one_cycle's warmup"),
        ("warmup:-5e+cosine", "length of a piece"),
        ("warmup+cosine", "pieces without a length"),
    ] {
        match text.parse::<Schedule>() {
            Err(Error::Option { name: found, .. }) => assert_eq!(found, name, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    // What no text says, but a program may.
    let piece = |schedule| Piece { schedule, length: Span::Steps(1) };
    let nested = Schedule::Sequence(vec![piece(Schedule::Sequence(vec![]))]);
    for schedule in [
        Schedule::Sequence(vec![]),
        Schedule::Piecewise { values: vec![] },
        nested,
        Schedule::Sequence(vec![piece(Schedule::Cosine { floor: f64::NAN })]),
        Schedule::Linear { from: f64::NAN, to: 1.0 },
        Schedule::Step { every: Span::Epochs(f64::INFINITY), factor: 0.5 },
    ] {
        assert!(schedule.validate().is_err(), "{schedule}");
    }
    for plateau in [
        Plateau { factor: f64::NAN, ..Plateau::default() },
        Plateau { factor: 0.0, ..Plateau::default() },
        Plateau { threshold: -1.0, ..Plateau::default() },
        Plateau { threshold: 1.0, ..Plateau::default() },
        Plateau { floor: 1.5, ..Plateau::default() },
    ] {
        assert!(plateau.validate().is_err(), "{plateau:?}");
    }
}

/// Texts put together from what the grammar is made of: none may panic or take long, and what is
/// read must be written and read again as the same.
#[test]
fn odd_texts_are_read_or_refused() {
    const PARTS: &[&str] = &[
        "constant",
        "step",
        "cosine",
        "warmup",
        "linear",
        "one_cycle",
        "cosine_restarts",
        "piecewise",
        "exponential",
        "plateau",
        ":",
        ":",
        ",",
        ",",
        "=",
        "=",
        "+",
        "for",
        "floor",
        "every",
        "factor",
        "from",
        "0",
        "1",
        "0.5",
        "5e",
        "10%",
        "rest",
        "1e999",
        "nan",
        "-1",
        "-0",
        "18446744073709551616",
        "1e-320",
        " ",
        "é",
        "🦀",
        "\0",
        "e",
        "%",
        "\"",
        "\n",
    ];
    let mut read = 0;
    let mut state = 1_u64;
    let mut draw = |n: usize| {
        // Knuth's linear congruential generator; its high bits are good enough here.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % n
    };
    for _ in 0..100_000 {
        let text: String = (0..=draw(9)).map(|_| PARTS[draw(PARTS.len())]).collect();
        if let Ok(schedule) = text.parse::<Schedule>() {
            read += 1;
            assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule, "{text:?}");
            assert!(!schedule.factor(3, &Run::new(2, 4)).is_nan(), "{text:?}");
        }
        if let Ok(plateau) = text.parse::<Plateau>() {
            assert_eq!(plateau.to_string().parse::<Plateau>().unwrap(), plateau, "{text:?}");
        }
        let _ = text.parse::<Span>();
    }
    assert!(read > 1000, "only {read} texts were read");
    for part in PARTS {
        for many in [part.repeat(100), part.repeat(100_000)] {
            let error = many.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.len() < 1000, "{error}");
        }
    }
    // The longest text that is read, and one byte more.
    let long = format!("{}constant", "constant:1+".repeat(371));
    assert_eq!(long.len(), 4089);
    assert!(long.parse::<Schedule>().is_ok());
    assert!(format!("{long}        ").parse::<Schedule>().is_err());
}

fn line() -> Dataset {
    let x: Vec<f32> = vec![-1.0, -0.5, 0.5, 1.0];
    let y = x.iter().map(|x| 2.0 * x).collect();
    Dataset::new(x, 1, Targets::Values { values: y, width: 1 }).unwrap()
}

fn trainer(
    schedule: &str,
    plateau: Option<Plateau>,
    validation: bool,
) -> Result<Trainer<CpuEngine<f64>>, Error> {
    let options = TrainOptions {
        schedule: schedule.parse()?,
        plateau,
        batch_size: 2,
        epochs: 30,
        ..TrainOptions::new(Loss::Mse, Optimizer::sgd(0.4))
    };
    let plan = Plan::new(&Mlp::new(1).linear(1), &options)?;
    Trainer::new(CpuEngine::new(plan), &line(), validation.then(line).as_ref())
}

#[test]
fn a_trainer_follows_its_schedule() {
    let text = "warmup:2e+step:3,factor=0.5";
    let mut trainer = trainer(text, None, false).unwrap();
    let schedule: Schedule = text.parse().unwrap();
    let run = Run::new(30, 2);
    let mut seen = vec![];
    for _ in 0..30 {
        let observe = |progress: &wgrad::Progress| {
            seen.push(progress.lr);
            ControlFlow::Continue(())
        };
        let report = trainer.train_epoch(observe).unwrap();
        assert_eq!(Some(&report.lr), seen.last());
    }
    let want: Vec<_> = (0..60).map(|step| 0.4 * schedule.factor(step, &run)).collect();
    assert_eq!(seen, want);
}

/// A last piece without a step leaves the rest of the run at its end, not at its peak.
#[test]
fn a_cycle_without_steps_is_over() {
    let schedule: Schedule = "constant:50%+one_cycle:0%,peak=10".parse().unwrap();
    let run = Run::new(10, 1);
    let factors: Vec<f64> = (0..10).map(|step| schedule.factor(step, &run)).collect();
    assert_eq!(factors[..5], [1.0; 5]);
    assert!(factors[5..].iter().all(|factor| (factor / 4e-5 - 1.0).abs() < 1e-12), "{factors:?}");
}
