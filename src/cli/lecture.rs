//! `wgrad lecture`: what the lecture on training nets says, measured by short studies.

mod approximation;
mod decay;
mod effective_step;
mod momentum;
mod nets;
mod regularisation;
mod schedules;
mod study;
mod warmup;

use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::args::LectureArgs;
use super::failure::Failure;
use super::stdout;
use super::talk::{Talk, duration, wrapped};
use study::Study;

/// A study by its name: what it asks, and how it is answered.
struct Entry {
    name: &'static str,
    question: &'static str,
    run: fn() -> Result<Study, Failure>,
}

const STUDIES: [Entry; 7] = [
    Entry {
        name: "approximation",
        question: "how close does a net with n hidden units come to a continuous function?",
        run: approximation::study,
    },
    Entry {
        name: "decay",
        question: "is weight decay the same as a penalty in the loss?",
        run: decay::study,
    },
    Entry {
        name: "effective-step",
        question: "how long are Adam's steps far from the optimum, and near it?",
        run: effective_step::study,
    },
    Entry {
        name: "momentum",
        question: "how many steps does momentum save on an ill-conditioned problem?",
        run: momentum::study,
    },
    Entry {
        name: "schedules",
        question: "what does it bring to lower the learning rate?",
        run: schedules::study,
    },
    Entry {
        name: "warmup",
        question: "what does a warm-up save a large learning rate from?",
        run: warmup::study,
    },
    Entry {
        name: "regularisation",
        question: "what helps against overfitting on few samples?",
        run: regularisation::study,
    },
];

/// The names of all studies.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    STUDIES.iter().map(|entry| entry.name)
}

pub(crate) fn lecture(args: &LectureArgs) -> Result<(), Failure> {
    let print = |text: String| stdout::print(text);
    if args.list && args.output.json {
        let list = |entry: &Entry| (entry.name.to_owned(), json!({ "question": entry.question }));
        let list: serde_json::Map<_, _> = STUDIES.iter().map(list).collect();
        return print(format!("{}\n", Value::Object(list)));
    }
    if args.list {
        return STUDIES
            .iter()
            .try_for_each(|entry| print(format!("{:16}{}\n", entry.name, entry.question)));
    }
    let talk = Talk { quiet: args.output.quiet };
    let wanted = |entry: &&Entry| {
        args.studies.is_empty() || args.studies.iter().any(|name| name == entry.name)
    };
    std::fs::create_dir_all(&args.folder).map_err(Failure::folder(&args.folder))?;
    let mut answers = serde_json::Map::new();
    for entry in STUDIES.iter().filter(wanted) {
        let start = Instant::now();
        let bar = spinner(talk, entry);
        let study = (entry.run)()?;
        bar.finish_and_clear();
        let path = args.folder.join(format!("{}.svg", entry.name));
        std::fs::write(&path, study.figure.svg()?).map_err(Failure::write(path.display()))?;
        if args.output.json {
            let mut answer = study.table.json();
            answer["question"] = json!(entry.question);
            answer["note"] = json!(study.note);
            answer["figure"] = json!(path.display().to_string());
            answer["seconds"] = json!(start.elapsed().as_secs_f64());
            answers.insert(entry.name.to_owned(), answer);
        } else {
            let heading = format!("{}: {}", entry.name, entry.question);
            print(format!("{heading}\n{}\n\n", "─".repeat(heading.chars().count())))?;
            print(format!("{}\n{}\n\n", study.table.text(), wrapped(&study.note)))?;
            let took = duration(start.elapsed().as_secs_f64());
            talk.line(format_args!("{took}; picture in {}\n", path.display()));
        }
    }
    if args.output.json {
        print(format!("{}\n", Value::Object(answers)))?;
    }
    Ok(())
}

/// Something that turns while a study runs, where somebody watches.
fn spinner(talk: Talk, entry: &Entry) -> ProgressBar {
    let target =
        if talk.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(entry.name);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}
