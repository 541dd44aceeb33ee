//! `report.html`: all that a run's folder tells, and what its net says of rows that it didn't learn from,
//! on one page. Written at the end of a training, and again by `wgrad report`.

mod classes;
mod groups;
mod importance;
mod ranking;
mod scored;
mod sections;
mod values;

use std::path::{Path, PathBuf};

use wgrad::data::{Dataset, Schema};
use wgrad::{Engine, Plan};

use super::args::ReportArgs;
use super::config::Config;
use super::device::{Device, Job};
use super::failure::Failure;
use super::files::write_whole;
use super::page::Page;
use super::prepare;
use super::run_folder::REPORT;
use super::run_record::RunRecord;
use super::stdout;
use super::talk::{Talk, count};
use super::trained::Trained;
pub(crate) use scored::{MOST_ROWS, Part, Scored, some_rows};

/// A run's rows as they were scored; or why they couldn't be.
pub(crate) type Outcome = Result<Option<Scored>, Failure>;

pub(crate) fn report(args: &ReportArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.quiet };
    let record = RunRecord::read(&args.run)?;
    let trained = Trained::load(&args.run, talk)?;
    let device = Device::open(&args.device.device, talk)?;
    let scored = score_again(&device, &record, &trained, talk);
    if let Some(problem) = scored.as_ref().err().and_then(Failure::message) {
        let page = args.run.join(REPORT);
        if page.exists() {
            return Err(Failure::run(format!(
                "{problem}; {} stays as it is (delete it for one without scores)",
                page.display()
            )));
        }
        talk.line(format_args!("warning: {problem}"));
    }
    let path = write(&args.run, &trained.schema, &scored)?;
    let line = format!("{}\n", path.display());
    stdout::print(line)
}

fn score_again(device: &Device, record: &RunRecord, trained: &Trained, talk: Talk) -> Outcome {
    let Some((part, data)) = prepare::rows_to_report(&record.config, &trained.schema, talk)? else {
        return Ok(None);
    };
    talk.line(format_args!("device  {}", device.description()));
    let seed = record.config.training.seed;
    let job = Scoring { trained, part, data: &data, seed };
    device.run(trained.plan.clone(), data.rows(), job).map(Some)
}

struct Scoring<'a> {
    trained: &'a Trained,
    part: Part,
    data: &'a Dataset,
    seed: u64,
}

impl Job for Scoring<'_> {
    type Output = Scored;

    fn run<E: Engine>(self, mut engine: E) -> Result<Scored, Failure> {
        self.trained.set_parameters(&mut engine)?;
        Scored::of(&mut engine, &self.trained.schema, (self.part, self.data), None, self.seed)
    }
}

/// Writes the page of a run's folder, and says where.
pub(crate) fn write(folder: &Path, schema: &Schema, scored: &Outcome) -> Result<PathBuf, Failure> {
    let record = RunRecord::read(folder)?;
    let path = folder.join(REPORT);
    write_whole(&path, page(&record, schema, scored)?.as_bytes())?;
    Ok(path)
}

fn page(record: &RunRecord, schema: &Schema, scored: &Outcome) -> Result<String, Failure> {
    let Config { data, run, .. } = &record.config;
    let plan = Plan::new(&record.config.mlp(schema), &record.config.train_options())?;
    let about = format!(
        "{} of {} · {}, {} · {}",
        data.task,
        listed(&data.target),
        Path::new(&data.source).file_name().unwrap_or(data.source.as_ref()).to_string_lossy(),
        count(data.rows, "row"),
        run.device_name
    );
    let mut page = Page::new(&record.name(), &about);
    match &run.outcome[..] {
        "complete" => {}
        diverged if run.diverged() => page.warning(&format!("This run failed: {diverged}")),
        outcome => page.warning(&format!("This run isn't complete ({outcome}).")),
    }
    match scored {
        Ok(Some(scored)) if scored.part == Part::Validation => page.warning(
            "Scored on validation rows, as there are no test rows. Whatever was chosen by their score \
             makes it look too good.",
        ),
        Ok(Some(_)) => {}
        Ok(None) => page.warning("Not scored: all rows were learnt from (--test 0 --validation 0)."),
        Err(failure) => {
            page.warning(&format!("Not scored: {}", failure.message().unwrap_or_default()));
        }
    }
    let scored = scored.as_ref().ok().and_then(Option::as_ref);
    sections::headline(&mut page, record, &plan, scored);
    sections::training(&mut page, record);
    if let Some(scored) = scored {
        sections::answers(&mut page, schema, scored);
    }
    sections::net(&mut page, &plan);
    sections::run(&mut page, record)?;
    Ok(page.html())
}

/// A few names, and how many more there are.
fn listed(names: &[String]) -> String {
    const LISTED: usize = 4;
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "rows are far below 2⁵²")]
fn number(n: usize) -> f64 {
    n as f64
}
