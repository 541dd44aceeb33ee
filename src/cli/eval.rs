//! `wgrad eval`: scores a trained net.

use serde_json::{Value, json};
use wgrad::Engine;
use wgrad::data::Dataset;

use super::args::EvalArgs;
use super::device::{Device, Job};
use super::failure::Failure;
use super::prepare;
use super::results::Results;
use super::stdout;
use super::talk::{Talk, count, printable};
use super::trained::Trained;

pub(crate) fn eval(args: &EvalArgs) -> Result<(), Failure> {
    let talk = Talk { quiet: args.output.quiet };
    let trained = Trained::load(&args.model, talk)?;
    let (name, data) = match &args.data {
        Some(source) => {
            let source_for = args.table.source_for(&trained.schema, source, args.target.clone());
            let table = prepare::load(source_for, talk)?;
            let weights = trained.config().ok().and_then(|config| config.data.weights);
            let weights = weights.filter(|name| table.find(name).is_ok());
            trained.warn_of_unknown(&table, talk)?;
            let rows = prepare::rows_to_score(&table);
            let data = prepare::encoded(&trained.schema, &table, &rows, weights.as_deref())?;
            let which = if table.test_rows() > 0 { "the test rows," } else { "all" };
            (format!("{which} {} of {source}", count(data.rows(), "row")), data)
        }
        None => {
            let config = trained.config()?;
            let test = prepare::test_rows(&config, &trained.schema, talk)?;
            (format!("the {} of {}", count(test.rows(), "test row"), config.data.source), test)
        }
    };
    let device = Device::open(&args.device.device, talk)?;
    talk.line(format_args!("device  {}", device.description()));
    talk.line(format_args!("model   {}", trained.plan.mlp()));
    talk.line(format_args!("data    {name}\n"));

    let job = Scoring { trained: &trained, data: &data };
    let results = device.run(trained.plan.clone(), data.rows(), job)?;
    let text = if args.output.json {
        let mut object = results.json();
        object.insert("engine".into(), json!(device.engine()));
        object.insert("device".into(), json!(device.name()));
        object.insert("model".into(), json!(args.model.display().to_string()));
        format!("{}\n", Value::Object(object))
    } else {
        printable(&results.text())
    };
    stdout::print(text)
}

struct Scoring<'a> {
    trained: &'a Trained,
    data: &'a Dataset,
}

impl Job for Scoring<'_> {
    type Output = Results;

    fn run<E: Engine>(self, mut engine: E) -> Result<Results, Failure> {
        self.trained.set_parameters(&mut engine)?;
        Results::of(&mut engine, &self.trained.schema, self.data)
    }
}
