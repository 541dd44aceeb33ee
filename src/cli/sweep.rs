//! `wgrad sweep`: many trainings that differ in some flags, ranked by their validation rows.
//!
//! All that a sweep knows is in its folder: the plan, and the trials, which are runs like any other. So one
//! that was killed goes on by looking at them.

mod file;
mod picture;
mod plan;
mod ranking;
mod rungs;
mod space;
mod trial;

use indicatif::ProgressBar;
use wgrad::data::{Source, Table};

use self::plan::Sweep;
use self::ranking::Ranking;
use self::rungs::Rung;
use super::args::SweepArgs;
use super::choices::PrecisionChoice;
use super::device::Device;
use super::failure::Failure;
use super::files::write_whole;
use super::interrupt;
use super::prepare::load;
use super::progress::bar;
use super::stdout;
use super::talk::{Talk, count, printable};

/// A line a trial.
const RESULTS: &str = "results.csv";
/// The trials as lines through their values.
const PICTURE: &str = "sweep.svg";

pub(crate) fn sweep(args: &SweepArgs) -> Result<(), Failure> {
    let blame = |failure: Failure| failure.of_file(&args.file);
    let sweep = Sweep::new(args)?;
    let base = sweep.trials[0].args();
    let talk = Talk { quiet: args.output.quiet || base.output.quiet };
    let json = args.output.json || base.output.json;
    let config = sweep.trials[0].config()?;
    let table = load(Source { name: base.source.clone(), ..config.data.table() }, talk)?;
    let rungs = sweep.rungs(&table).map_err(blame)?;
    if args.list {
        return print(&sweep.list(&rungs, json));
    }
    let mut device = Device::open(&config.run.device, talk)?;
    for trial in &sweep.trials {
        let precision = trial.config()?.training.precision;
        if precision == PrecisionChoice::Mixed {
            device.check_precision(precision, talk)?;
            break;
        }
    }
    let _lock = sweep.claim(&rungs, &table)?;
    talk.line(format_args!("device  {}", device.description()));
    talk.line(format_args!("data    {}: {}", table.source_name(), count(table.rows(), "row")));
    talk.line(format_args!("sweep   {}\n", sweep.description(&rungs)));
    interrupt::watch()?;
    let ranking = run(&sweep, &rungs, &table, &mut device, talk)?;
    let svg = picture::svg(&sweep, &ranking)?;
    write_whole(&sweep.folder.join(PICTURE), svg.as_bytes())?;
    talk.line("");
    print(&if json { ranking.json(&sweep) } else { ranking.text(&sweep) })?;
    if ranking.interrupted {
        talk.line("interrupted (to go on: the same command)");
        return Ok(());
    }
    match ranking.best() {
        Some(_) => Ok(()),
        None => Err(Failure::run(
            "all trials diverged (lower the learning rates, or scale the inputs); their runs say where",
        )),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    stdout::print(printable(text))
}

/// Trains what isn't trained yet, rung by rung.
fn run(
    sweep: &Sweep,
    rungs: &[Rung],
    table: &Table,
    device: &mut Device,
    talk: Talk,
) -> Result<Ranking, Failure> {
    let bar = bar(talk, rungs::epochs(rungs));
    let mut ranking = Ranking::new(sweep);
    let mut field: Vec<usize> = (0..sweep.trials.len()).collect();
    let (mut before, mut done) = (0, 0);
    for (number, rung) in (1..).zip(rungs) {
        for (place, &index) in (1..).zip(&field) {
            let trial = &sweep.trials[index];
            let (name, of) = (&trial.name, field.len());
            bar.set_message(format!("{name} ({place} of {of}){}", ranking.best_so_far()));
            let standing = match interrupt::interrupted() {
                true => None,
                false => Some(trial.advance(table, device, rung.epochs, &|_| bar.inc(1))?),
            };
            let Some(standing) = standing.filter(|standing| standing.reaches(rung.epochs)) else {
                bar.finish_and_clear();
                if !interrupt::interrupted() {
                    return Err(Failure::run(format!(
                        "{}: the files don't tell that the training came to the end of epoch {} (is the disk \
                         full?)",
                        trial.folder.display(),
                        rung.epochs
                    )));
                }
                ranking.interrupted = true;
                return Ok(ranking);
            };
            done += rung.epochs - before;
            bar.set_position(done);
            ranking.set(index, standing, rung.epochs);
            write_whole(&sweep.folder.join(RESULTS), ranking.csv(sweep)?.as_bytes())?;
            let rung = if rungs.len() > 1 { format!("rung {number}  ") } else { String::new() };
            tell(talk, &bar, &format!("{rung}{}", ranking.line(index, sweep)));
        }
        before = rung.epochs;
        let next = rungs.get(number).map_or(0, |rung| rung.trials);
        field = ranking.best_of(&field, next);
    }
    bar.finish_and_clear();
    Ok(ranking)
}

fn tell(talk: Talk, bar: &ProgressBar, line: &str) {
    if bar.is_hidden() {
        talk.line(line);
    } else {
        bar.println(printable(line));
    }
}
