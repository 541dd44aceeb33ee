//! `wgrad schedule`: what a learning-rate schedule does over a run.

use indicatif::HumanCount;
use serde_json::json;
use wgrad::Schedule;
use wgrad::schedule::Run;

use super::args::ScheduleArgs;
use super::chart;
use super::failure::Failure;
use super::plot::plot;
use super::recipe;
use super::stdout;
use super::talk::{Talk, count, significant};

/// Steps at which the curve is looked at; all of them in shorter runs.
const SAMPLES: u64 = 100_000;
/// Rows of the table.
const ROWS: usize = 12;
/// Points of the picture.
const POINTS: usize = 300;

pub(crate) fn show(args: &ScheduleArgs) -> Result<(), Failure> {
    let steps = args.steps.unwrap_or(args.epochs.saturating_mul(args.steps_per_epoch));
    let run = Run { steps, steps_per_epoch: args.steps_per_epoch };
    let curve = Curve::new(args, &run);
    if let Some((step, lr)) = curve.points.iter().find(|(_, lr)| !lr.is_finite()) {
        return Err(Failure::input(format!(
            "{}: the learning rate of step {} is {lr} (let the schedule grow more slowly, or \
             shorten the run)",
            args.schedule,
            step + 1
        )));
    }
    if let Some(doubt) = unreached(&args.schedule, &run) {
        Talk { quiet: false }.line(format_args!("warning: {doubt}"));
    }
    if let Some(path) = &args.output {
        let title = format!("{} · lr {}", args.schedule, args.lr);
        std::fs::write(path, curve.svg(&title)?).map_err(Failure::write(path.display()))?;
    }
    let text = if args.json { curve.json(args) } else { curve.text(args) };
    stdout::print(text)
}

/// What is said of pieces of a schedule that a run is too short for.
pub(super) fn unreached(schedule: &Schedule, run: &Run) -> Option<String> {
    let pieces = schedule.unreached(run).into_iter();
    let pieces: Vec<String> = pieces.map(|piece| format!("`{}`", piece.schedule)).collect();
    let steps = HumanCount(run.steps);
    (!pieces.is_empty()).then(|| {
        format!(
            "the run's {steps} steps leave none for {} of the schedule {schedule}",
            pieces.join(" and ")
        )
    })
}

/// The learning rates of a run.
struct Curve {
    run: Run,
    /// Steps done, and the learning rate of the step that follows; in order.
    points: Vec<(u64, f64)>,
    /// What the learning rates sum to.
    sum: f64,
}

impl Curve {
    fn new(args: &ScheduleArgs, run: &Run) -> Self {
        let samples = run.steps.min(SAMPLES);
        // The first and the last step among them.
        let nth = |i: u64| {
            let (i, last) = (u128::from(i), u128::from(run.steps - 1));
            u64::try_from(i * last / u128::from(samples - 1).max(1)).unwrap_or(run.steps - 1)
        };
        let lr = |step| args.lr * args.schedule.factor(step, run);
        Self {
            run: *run,
            points: (0..samples).map(nth).map(|step| (step, lr(step))).collect(),
            sum: recipe::sum_of_lr(args.lr, &args.schedule, run),
        }
    }

    /// At most `most` points between which straight lines follow the curve best: one after another,
    /// the point that is farthest from the lines so far. So corners and jumps are among them, and a
    /// straight curve has only its ends.
    fn telling(&self, most: usize) -> Vec<(u64, f64)> {
        let scale = self.points.iter().fold(0.0, |most: f64, point| most.max(point.1));
        let mut chosen = vec![0, self.points.len() - 1];
        while chosen.len() < most {
            let farthest = chosen
                .windows(2)
                .flat_map(|ends| {
                    let (a, b) = (self.points[ends[0]], self.points[ends[1]]);
                    (ends[0] + 1..ends[1]).map(move |i| (i, off_line(self.points[i], a, b)))
                })
                .max_by(|x, y| x.1.total_cmp(&y.1));
            match farthest {
                // Less isn't seen in four digits.
                Some((i, distance)) if distance > 1e-4 * scale => chosen.push(i),
                _ => break,
            }
            chosen.sort_unstable();
        }
        chosen.dedup();
        chosen.into_iter().map(|i| self.points[i]).collect()
    }

    /// Epoch, counted from 1, of the step that follows `done` others.
    fn epoch(&self, done: u64) -> u64 {
        done / self.run.steps_per_epoch + 1
    }

    fn text(&self, args: &ScheduleArgs) -> String {
        let Run { steps, steps_per_epoch } = self.run;
        let mut text = format!(
            "{}\n{}, {steps_per_epoch} an epoch; the learning rates sum to {}\n\n",
            args.schedule,
            count(usize::try_from(steps).unwrap_or(usize::MAX), "step"),
            significant(self.sum)
        );
        text += &plot(&self.points, &["1".into(), format!("step {steps}")]);
        text += &format!("\n{:>12}  {:>10}  {:>11}\n", "step", "epoch", "lr");
        for (done, lr) in self.telling(ROWS) {
            let (step, epoch) = (done + 1, self.epoch(done));
            text += &format!("{step:>12}  {epoch:>10}  {:>11}\n", significant(lr));
        }
        text
    }

    fn json(&self, args: &ScheduleArgs) -> String {
        let row = |(done, lr): (u64, f64)| json!({ "step": done + 1, "epoch": self.epoch(done), "lr": lr });
        let object = json!({
            "schedule": args.schedule.to_string(),
            "lr": args.lr,
            "steps": self.run.steps,
            "steps_per_epoch": self.run.steps_per_epoch,
            "sum_of_lr": self.sum,
            "rows": self.telling(ROWS).into_iter().map(row).collect::<Vec<_>>(),
        });
        format!("{object}\n")
    }

    #[expect(clippy::cast_precision_loss, reason = "places in a picture")]
    fn svg(&self, title: &str) -> Result<String, Failure> {
        // Epochs are for runs that have some.
        let by_epoch =
            self.run.steps_per_epoch > 1 && self.run.steps >= 2 * self.run.steps_per_epoch;
        let (name, unit) =
            if by_epoch { ("epoch", self.run.steps_per_epoch as f64) } else { ("step", 1.0) };
        let place = |(step, lr): (u64, f64)| (step as f64 / unit, lr);
        let points = self.telling(POINTS).into_iter().map(place).collect();
        chart::curve_svg(title, name, "learning rate", points)
    }
}

/// How far a point is from the line between two others, along the learning rate.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn off_line(point: (u64, f64), a: (u64, f64), b: (u64, f64)) -> f64 {
    let along = (point.0 - a.0) as f64 / (b.0 - a.0) as f64;
    (point.1 - (a.1 + (b.1 - a.1) * along)).abs()
}
