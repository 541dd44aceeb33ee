//! Wrong uses of the program, in tables: each says what is wrong, with which value, and what would be right;
//! none leaves anything behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "wrong_uses/tables.rs"]
mod tables;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::place::{Place, table, text};

/// What is typed, the exit code, and what the message must contain.
type Use = (&'static str, i32, &'static [&'static str]);
/// What `t.csv` or `run.toml` holds, and what the message must contain.
type Content = (&'static str, &'static [&'static str]);

/// Flags whose value can't be.
const VALUES: &[Use] = &[
    ("train --batch-size 0 --device cpu", 2, &["--batch-size", "'0'", "at least 1"]),
    ("train --epochs 0 --device cpu", 2, &["--epochs", "'0'", "at least 1"]),
    ("train --lr -1 --device cpu", 2, &["--lr", "'-1'", "above 0"]),
    ("train --lr nan --device cpu", 2, &["--lr", "'nan'", "above 0"]),
    ("train --weight-decay inf --device cpu", 2, &["--weight-decay", "'inf'", "at least 0"]),
    ("train --seed -1 --device cpu", 2, &["--seed", "'-1'", "from 0"]),
    ("train --layers 0 --device cpu", 2, &["--layers", "'0'", "from 1"]),
    (
        "train --encoding freq99 --device cpu",
        2,
        &["--encoding", "freq99", "give one of freq1 to freq24"],
    ),
    ("train --layers 10000000 --device cpu", 2, &["--layers", "10000000", "1 to 65536"]),
    ("train --layers 9999999999999 --device cpu", 2, &["--layers", "9999999999999", "1 to 65536"]),
    ("train --batch-size 99999 --drop-last --device cpu", 2, &["99999", "--drop-last"]),
    ("train --test 1 --device cpu", 2, &["--test", "'1'", "below 1"]),
    ("train --validation 0.5 --test 0.5 --device cpu", 2, &["at least one row to learn from"]),
    ("train --optimizer adamm --device cpu", 2, &["--optimizer", "adamm", "similar", "'adam"]),
    ("train --activation rellu --device cpu", 2, &["--activation", "rellu", "similar", "'relu'"]),
    ("train --activation relu(1) --device cpu", 2, &["--activation", "leaky_relu(0.2)"]),
    ("train --loss cross-entropy --device cpu", 2, &["--loss", "similar", "'cross_entropy'"]),
    ("train --loss mse --device cpu", 2, &["--loss mse", "10 classes", "cross_entropy"]),
    ("train --loss bce_with_logits --device cpu", 2, &["two classes", "has 10"]),
    ("train --momentum 0.5 --device cpu", 2, &["--momentum", "not adamw"]),
    ("train --optimizer nesterov --momentum 0 --device cpu", 2, &["momentum is 0", "positive"]),
    ("train --init siren --device cpu", 2, &["--init siren", "sine"]),
    ("train --label-smoothing 1.5 --device cpu", 2, &["--label-smoothing", "'1.5'", "from 0 to 1"]),
    ("train --frobnicate --device cpu", 2, &["--frobnicate"]),
    ("train --device abacus", 2, &["abacus"]),
    ("train --name a/b --device cpu", 2, &["--name", "a/b", "--runs"]),
    ("train --target pixle_0_0 --device cpu", 2, &["did you mean `pixel_0_0`"]),
    ("train spiral --device cpu", 2, &["did you mean `spirals`"]),
    ("train digits --device cpu --dropout 1", 2, &["--dropout", "below 1"]),
    ("train digits --device cpu --dropout nan", 2, &["--dropout", "below 1"]),
    ("train digits --device cpu --clip-norm 0", 2, &["--clip-norm", "above 0"]),
    ("train digits --device cpu --clip-norm 1 --clip-value 1", 2, &["--clip-norm", "--clip-value"]),
    ("train digits --device cpu --ema 1", 2, &["--ema", "below 1"]),
    ("train digits --device cpu --micro-batch 0", 2, &["--micro-batch", "at least 1"]),
    ("train digits --device cpu --stop-on score", 2, &["--early-stopping", "required"]),
    ("train digits --keep-best --early-stopping=3", 2, &["--keep-best", "--early-stopping"]),
    (
        "train digits --device cpu --precision mixed",
        2,
        &["the CPU computes in f32", "--device gpu"],
    ),
    ("train digits --device cpu --precision half", 2, &["--precision", "'half'", "f32, mixed"]),
    ("train digits --keep-best --validation 0", 2, &["--keep-best", "give a fraction"]),
    ("train digits --keep-checkpoints 3", 2, &["--keep-checkpoints 3", "--checkpoint-every"]),
    ("train digits --folds 3 --tune full", 2, &["--folds", "--tune"]),
    ("train digits --on-divergence rollback", 2, &["rollback", "roll-back"]),
    ("train digits --tune on", 2, &["cached", "full"]),
    ("train digits --device cpu --early-stopping=0", 2, &["--early-stopping", "at least 1"]),
    ("train digits --device cpu --class-weights 1,2", 2, &["has 2 numbers", "10 classes"]),
    ("train digits --device cpu --class-weights 1,-2", 2, &["--class-weights", "at least 0"]),
    ("train digits --device cpu --optimizer adan", 2, &["adan", "adam"]),
    ("train digits --device cpu --norm group", 2, &["group", "batch"]),
    ("train digits --device cpu --insight-every 0", 2, &["--insight-every", "at least 1"]),
    ("train digits --device cpu --norm batch --batch-size 1", 2, &["layer 1", "at least 2 rows"]),
    ("train digits --device cpu --norm batch --micro-batch 1", 2, &["layer 1", "micro_batch"]),
    ("train digits --device cpu --optimizer lion --momentum 0.5", 2, &["--momentum", "lion"]),
    ("train --epochs", 2, &["--epochs <N>", "a value is required"]),
    ("train --folds 1", 2, &["--folds", "'1'", "at least 2"]),
    ("train --folds 5 --test 0.2", 2, &["--folds", "--test"]),
    (
        "train moons --folds 2 --init-from w.safetensors",
        2,
        &["--folds", "--init-from", "leave one"],
    ),
    (
        "train moons --device cpu --init-from w.safetensors",
        2,
        &["--init-from", "w.safetensors", "no such"],
    ),
    ("export w.safetensors", 2, &["--format onnx, wgsl or json", "--output"]),
    ("export w.safetensors -o net.txt", 2, &["net.txt", ".onnx, .wgsl or .json"]),
    (
        "export w.safetensors --format onnx",
        2,
        &["w.safetensors", "no such model", "a run's folder"],
    ),
    ("export w.safetensors --format torch", 2, &["--format", "'torch'", "onnx, wgsl, json"]),
    ("check --device cpu", 2, &["--device cpu", "take auto or gpu"]),
    ("train moons --folds 100000", 2, &["moons", "folds", "100000", "number of rows"]),
    ("train moons --folds 2 --validation 0.6", 2, &["moons", "at least one row", "--validation"]),
    ("train --time-budget 5", 2, &["--time-budget", "'5'", "as in 30s, 5m or 1h30m"]),
    ("train --time-budget 0s", 2, &["--time-budget", "'0s'", "above 0"]),
    ("train --epochs 5.5", 2, &["--epochs", "'5.5'", "whole number"]),
    (
        "train --epochs 18446744073709551616",
        2,
        &["--epochs", "18446744073709551616", "a smaller whole number"],
    ),
    (
        "train --seed 9223372036854775808",
        2,
        &["--seed", "9223372036854775808", "to 9223372036854775807"],
    ),
    (
        "train --layers 64,,32",
        2,
        &["--layers", "'64,,32'", "as in 64,64", "none for a linear model"],
    ),
    ("train --layers 64:32", 2, &["--layers", "'64:32'", "divided by commas"]),
    ("train --activation sine(x)", 2, &["--activation", "'sine(x)'", "sine(30)"]),
    (
        "train --device cpu --activation leaky_relu(nan)",
        2,
        &["layer 1", "leaky_relu's slope is NaN", "0..=1"],
    ),
    ("train --encoding blob0", 2, &["--encoding", "'blob0'", "blob1 to blob4096"]),
    (
        "train --schedule warmup:5e+",
        2,
        &["--schedule", "'warmup:5e+'", "character 11", "cosine_restarts"],
    ),
    (
        "train --plateau patients=3",
        2,
        &["--plateau", "no argument \"patients\"", "did you mean patience?"],
    ),
    ("train --class-weights a", 2, &["--class-weights", "'a'", "balanced, or numbers"]),
    ("train --clip-norm inf", 2, &["--clip-norm", "'inf'", "finite number above 0"]),
    ("train --header maybe", 2, &["--header", "'maybe'", "auto, yes, no"]),
    ("train --image-size 28", 2, &["--image-size", "'28'", "as in 28x28"]),
    ("train --image-size 0x28", 2, &["--image-size", "'0x28'", "from 1 to 65536"]),
    ("train --delimiter ;;", 2, &["--delimiter", "';;'", "one ASCII character"]),
    ("train --missing drop", 2, &["--missing", "'drop'", "reject, fill"]),
    ("train --scaling minmax", 2, &["--scaling", "'minmax'", "similar", "'min-max'"]),
    ("train --column pixel_0_0", 2, &["--column", "'pixel_0_0'", "zip=category"]),
    ("train --column pixel_0_0=catgory", 2, &["--column", "catgory", "grade=ordinal:low,mid,high"]),
    ("train --name ..", 2, &["--name \"..\"", "plain folder name"]),
    ("train --epohcs 5", 2, &["'--epohcs'", "similar", "'--epochs'"]),
    ("train --lr 1 --lr 2", 2, &["--lr", "multiple times"]),
    ("train moons digits", 2, &["unexpected argument 'digits'"]),
    ("train -x", 2, &["'-x'"]),
    ("train --early-stopping 5", 2, &["5: no such file", "built-in table"]),
    (
        "train --device cpu --early-stopping --validation 0",
        2,
        &["--early-stopping", "--validation is 0", "give a fraction"],
    ),
    ("train sdf --target q", 2, &["sdf: no column `q`", "x, y, z, distance"]),
    ("train sdf --column q=number", 2, &["sdf: no column `q`"]),
    (
        "train sdf --column distance=category",
        2,
        &["column `distance` can't be given a kind", "target"],
    ),
    ("train sdf --column x=ordinal:1,1", 2, &["column `x` has `1` twice"]),
    ("train sdf --target distance --ignore -1", 2, &["`distance` is both target and ignored"]),
    ("train sdf --target x,y,x", 2, &["`x` is named twice"]),
    (
        "train sdf --loss bce_with_logits",
        2,
        &["--loss bce_with_logits is for two classes, but `distance` is a number", "take mse"],
    ),
    ("train sdf --label-smoothing 0.1", 2, &["--label-smoothing", "cross_entropy, not mse"]),
    ("train sdf --weights q", 2, &["no column `q`"]),
    (
        "train sdf --weights 1 --scaling none --device cpu",
        2,
        &["--weights 1", "must be finite and not negative"],
    ),
    ("train --device cpu --quiet --runs t.csv", 1, &["making the folder t.csv", "name another"]),
];

/// Commands that don't exist, and arguments of the others.
const COMMANDS: &[Use] = &[
    ("compare swept/plan.json", 2, &["none of these is a run"]),
    ("trian", 2, &["'train'"]),
    ("iris.csv", 2, &["put `train` before"]),
    ("evaluate runs/x", 2, &["'evaluate'", "similar", "'eval'"]),
    ("--device gpu eval x", 2, &["unexpected argument 'x'"]),
    ("eval", 2, &["<MODEL>"]),
    ("eval absent", 2, &["absent: no such model", "a run's folder"]),
    ("eval folder", 2, &["folder/model.safetensors: no such model"]),
    ("eval whole.safetensors", 2, &["config.toml", "name a table"]),
    ("eval whole.safetensors --target y.npy", 2, &["<DATA>"]),
    ("eval whole.safetensors absent.csv", 2, &["absent.csv: no such file"]),
    ("eval cut.safetensors moons", 2, &["cut.safetensors", "cut short"]),
    ("eval empty.safetensors moons", 2, &["empty.safetensors", "not a whole"]),
    ("predict whole.safetensors", 2, &["<DATA>"]),
    ("predict absent moons", 2, &["absent: no such model"]),
    ("predict t.csv moons", 2, &["t.csv: not a whole safetensors file"]),
    ("predict cut.safetensors moons", 2, &["cut short"]),
    ("predict whole.safetensors digits", 2, &["no column `x`"]),
    ("predict whole.safetensors moons --output folder", 2, &["folder", "is a folder"]),
    ("predict whole.safetensors moons --output no/x.csv", 2, &["no/x.csv", "make it"]),
    ("train --config", 2, &["--config <FILE>"]),
    ("train --config absent.toml", 2, &["absent.toml", "wgrad init writes it"]),
    ("train --config folder", 2, &["folder/config.toml"]),
    ("train --config long.toml", 2, &["long.toml", "bytes"]),
    ("train --config bytes.toml", 2, &["bytes.toml", "UTF-8"]),
    ("train --config a.toml --resume runs/x", 2, &["cannot be used with"]),
    ("init t.csv", 2, &["t.csv is there already", "another file"]),
    ("init no/run.toml", 2, &["no/run.toml: its folder isn't there"]),
    ("find-lr --from 1 --to 0.1 --device cpu", 2, &["--from 1 --to 0.1", "higher --to"]),
    ("find-lr --from 0 --device cpu", 2, &["--from", "'0'", "above 0"]),
    ("find-lr --steps 5 --device cpu", 2, &["--steps 5", "at least 20"]),
    ("find-lr --folds 5 --device cpu", 2, &["--folds is for wgrad train"]),
    ("find-lr --resume runs/x", 2, &["--resume is for wgrad train"]),
    ("find-lr moons --device cpu --output no/a.svg", 2, &["no/a.svg", "its folder isn't there"]),
    ("find-lr moons --output a.png", 2, &["a.png", "end the name in .svg"]),
    ("train --without lr", 2, &["--config <FILE>"]),
    ("train --config a.toml --without ema", 2, &["--without ema: a.toml has no such key"]),
    ("train --config a.toml --without epocs", 2, &["--without epocs", "did you mean `epochs`?"]),
    ("report", 2, &["<RUN>"]),
    ("report absent", 2, &["absent: no such folder of a run"]),
    ("report folder", 2, &["folder: no run's folder", "no config.toml"]),
    ("report swept", 2, &["swept: the folder of a sweep", "as in swept/trial-001"]),
    ("eval swept", 2, &["swept: the folder of a sweep", "as in swept/trial-001"]),
    ("train --resume swept", 2, &["swept: the folder of a sweep", "as in swept/trial-001"]),
    ("train --resume absent", 2, &["absent: no run's folder"]),
    ("train --resume absent --lr 1", 2, &["cannot be used with", "--lr <RATE>"]),
    ("train --resume absent --keep-best", 2, &["cannot be used with", "--keep-best"]),
    ("train --resume absent --tune full", 2, &["cannot be used with", "--tune"]),
    ("compare", 2, &["<RUN>"]),
    ("compare swept", 1, &["swept: the folder of a sweep", "as in swept/trial-001"]),
    ("export whole.safetensors", 2, &["--format onnx, wgsl or json", "--output"]),
    ("export whole.safetensors --format onx", 2, &["--format", "'onx'", "similar", "'onnx'"]),
    ("export absent --format onnx", 2, &["absent: no such model"]),
    ("export absent --format onnx --function f", 2, &["--function", "isn't WGSL"]),
    ("export absent --output no/x.onnx", 2, &["no/x.onnx", "its folder isn't there"]),
    ("check --device abacus", 2, &["abacus"]),
    ("sweep", 2, &["<FILE>"]),
    ("sweep absent.toml", 2, &["absent.toml", "wgrad sweep --help shows one"]),
    ("sweep bytes.toml", 2, &["bytes.toml", "UTF-8"]),
    ("sweep t.csv --trials 0", 2, &["--trials", "'0'", "at least 1"]),
    ("sweep t.csv --method gird", 2, &["--method", "'gird'", "similar", "'grid'"]),
    ("sweep t.csv --factor 1", 2, &["--factor", "'1'", "at least 2"]),
    ("sweep t.csv --lr 1", 2, &["unexpected argument '--lr'"]),
    ("schedule", 2, &["<SPEC>"]),
    ("schedule cosin", 2, &["no schedule is called \"cosin\"", "did you mean cosine?"]),
    ("schedule cosine --lr 0", 2, &["--lr", "'0'", "above 0"]),
    ("schedule cosine --steps 5 --epochs 5", 2, &["--steps", "--epochs"]),
    ("schedule cosine --steps-per-epoch 0", 2, &["--steps-per-epoch", "at least 1"]),
    ("schedule exponential:1e300 --steps 1000", 2, &["step 43 is inf", "grow more slowly"]),
    ("schedule cosine --output no/a.svg", 2, &["no/a.svg", "its folder isn't there"]),
    ("schedule cosine --output a.png", 2, &["a.png", "end the name in .svg"]),
    ("lecture algebra", 2, &["'algebra'", "approximation, decay"]),
    ("lecture momentum --output t.csv", 1, &["making the folder t.csv", "another"]),
    ("bench --workload W9", 2, &["'W9'", "W1, W2"]),
    ("bench --seconds 0", 2, &["--seconds", "'0'", "above 0"]),
    ("bench --output a.html", 2, &["a.html", "end the name in .svg"]),
    ("bench --device abacus", 2, &["\"abacus\""]),
    ("adapters --device gpu", 2, &["unexpected argument '--device'"]),
    ("man t.csv", 1, &["making the folder t.csv"]),
    ("completions", 2, &["<SHELL>"]),
    ("completions tcsh", 2, &["'tcsh'", "bash, elvish, fish, powershell, zsh"]),
];

/// Configuration files.
const FILES: &[Content] = &[
    ("[training]\nlr = 1\nepocs = 5\n", &["run.toml, line 3", "`epocs`", "`epochs`?"]),
    ("[training]\nbatch_size = 5\n", &["line 2", "`batch_size` in [training]", "`batch-size`?"]),
    ("[net]\nzzz = 5\n", &["line 2", "`zzz` in [net]", "its keys are encoding, layers"]),
    ("[net]\nepochs = 5\n", &["line 2", "`epochs` belongs to the section [training]"]),
    ("epochs = 5\n", &["line 1", "`epochs` belongs to the section [training]"]),
    ("[training]\nresume = \"a\"\n", &["line 2", "unknown key `resume`"]),
    ("\n[trainig]\nlr = 1\n", &["line 2", "[trainig]", "data, net, training, run"]),
    (
        "[training]\nepochs = \"5\"\n",
        &["line 2", "epochs = \"5\" is of type string", "a whole number"],
    ),
    ("[training]\nepochs = 5.0\n", &["epochs = 5.0 is of type float", "a whole number"]),
    ("[training]\nno-decay = 1\n", &["no-decay = 1", "true or false"]),
    ("[training]\nseed = 1979-05-27\n", &["of type datetime"]),
    ("[net]\nlayers = [[1]]\n", &["layers = [[1]]", "array of numbers"]),
    ("[net]\nlayers = [0]\n", &["layers = [0]", "from 1 to 65536"]),
    ("[training]\nlr = -1\n", &["line 2", "lr = -1: give a finite number above 0"]),
    ("[training]\nlr = nan\n", &["lr = nan: give a finite number above 0"]),
    ("[training]\noptimizer = \"adamm\"\n", &["give one of sgd, ", "did you mean `adam"]),
    ("[net]\nactivation = \"rellu\"\n", &["give one of identity, relu", "did you mean `relu`"]),
    ("[training]\nschedule = \"cosin\"\n", &["schedule = \"cosin\": character 1"]),
    ("[training]\nlr = 1\nlr = 2\n", &["line 3", "duplicate"]),
    ("[training\n", &["line 1"]),
    ("[data]\ncolumns = 1\n", &["columns = 1", "a table of columns"]),
    ("[data.columns]\nx = 1\n", &["columns: x is of type integer, but must be a string"]),
    ("[data.columns]\nx = \"catgory\"\n", &["columns: x=catgory: give a column and what it is"]),
    ("[data.columns]\npixle_0_0 = \"category\"\n", &["did you mean `pixel_0_0`"]),
    ("[training]\nclip-norm = 1\nclip-value = 1\n", &["--clip-norm", "from run.toml"]),
    ("[training]\nstop-on = \"loss\"\n", &["--early-stopping", "from run.toml"]),
    ("[training]\nmomentum = 0.5\n", &["--momentum", "not adamw", "from run.toml"]),
    ("[data]\ntarget = \"pixle_0_0\"\n", &["did you mean `pixel_0_0`", "from run.toml"]),
];

/// Files of sweeps.
const SWEEPS: &[Content] = &[
    ("", &["no key has many values", "lr = [0.01, 0.001]", "from run.toml"]),
    ("[net]\nlayers = [32, 64]\n", &["no key has many values", "layers = [[64], [64, 64]]"]),
    ("[training]\nseed = [1, 2]\n", &["seed", "which rows validate", "--folds"]),
    ("[training]\nlr = { min = 1, max = 1 }\n", &["min and max are both 1", "lr = 1"]),
    ("[training]\nepocs = [1, 2]\n", &["run.toml, line 2", "`epocs`", "`epochs`?"]),
    ("[training]\ndropout = [0, 0.5]\n", &["line 2", "`dropout` belongs to the section [net]"]),
    ("[training]\nmethod = \"grid\"\n", &["line 2", "`method` belongs to the section [sweep]"]),
    ("[swep]\n", &["line 1", "[swep]", "data, net, training, run, sweep"]),
    ("[sweep]\nmin_epochs = 1\n", &["line 2", "`min_epochs` in [sweep]", "`min-epochs`?"]),
    ("[sweep]\nzzz = 1\n", &["line 2", "`zzz`", "its keys are method, trials, seed"]),
    ("[sweep]\nmethod = \"gird\"\n", &["line 2", "give one of grid, random, halving", "`grid`?"]),
    ("[sweep]\ntrials = \"5\"\n", &["trials = \"5\" is of type string", "a whole number"]),
    ("[sweep]\nmetric = \"accuracy\"\n", &["metric", "give one of loss, score"]),
    ("[training]\nlr = []\n", &["line 2", "lr = []: give a value"]),
    ("[training]\nlr = [0.1, -1]\n", &["line 2", "lr = -1: give a finite number above 0"]),
    ("[training]\nlr = [0.1, \"a\"]\n", &["lr = \"a\" is of type string", "a number"]),
    ("[training]\nlr = [0.1, 1e-1]\n", &["lr has 1e-1 twice"]),
    ("[training]\nlr = { min = 0.1 }\n", &["line 2", "lr: a range needs max"]),
    ("[training]\nlr = { min = 1, max = 0.1 }\n", &["min = 1 is not below max = 0.1"]),
    ("[training]\nlr = { min = 0, max = 1 }\n", &["lr = 0: give a finite number above 0"]),
    ("[training]\nlr = { min = 1, max = 2, lg = true }\n", &["`lg` of a range", "min, max, log"]),
    ("[training]\nlr = { min = 1, max = 2, log = 1 }\n", &["log must be true or false"]),
    ("[training]\nlr = { min = 1, max = 2, steps = 1 }\n", &["steps = 1", "from 2 to 10000"]),
    ("[training]\nlr = { min = 1, max = 2 }\n", &["lr: a grid needs steps", "from run.toml"]),
    ("[net]\ndropout = { min = 0, max = 0.5, log = true }\n", &["dropout: log = true needs a min"]),
    ("[training]\nepochs = { min = 1, max = 2.5 }\n", &["epochs = 2.5", "a whole number"]),
    ("[training]\noptimizer = { min = 1, max = 2 }\n", &["optimizer", "of type table", "a string"]),
    ("[training]\noptimizer = [\"adam\", \"sgdd\"]\n", &["sgdd", "did you mean `sgd`?"]),
    ("[net]\nlayers = [64, [64, 64]]\n", &["layers = 64", "layers = [[64], [64, 64]]"]),
    ("[data]\nsource = [\"moons\", \"digits\"]\n", &["source can't have many values"]),
    ("[data]\nvalidation = [0.1, 0.2]\n", &["validation can't have many values"]),
    ("[run]\ndevice = [\"cpu\", \"gpu\"]\n", &["device can't have many values"]),
    ("[training]\nlr = [1, 2]\n[sweep]\ntrials = 3\n", &["trials is for", "random and halving"]),
    (
        "[training]\nlr = [1, 2]\n[sweep]\nmethod = \"random\"\nfactor = 3\n",
        &["factor is for the methods halving, not random"],
    ),
    (
        "[training]\nlr = [1, 2]\n[sweep]\nmethod = \"random\"\ntrials = 3\n",
        &["trials = 3", "2 combinations", "fewer trials"],
    ),
    (
        "[training]\nepochs = [1, 2]\n[sweep]\nmethod = \"halving\"\ntrials = 2\n",
        &["epochs is what halving divides"],
    ),
    (
        "[training]\nlr = [1, 2]\nepochs = 3\n[sweep]\nmethod = \"halving\"\ntrials = 2\nmin-epochs = 3\n",
        &["min-epochs = 3 with epochs = 3", "more epochs"],
    ),
    ("[training]\nloss = [\"mae\", \"mse\"]\n", &["loss changes what the loss is", "\"score\""]),
    ("[training]\nlr = [1, 2]\ntime-budget = \"5s\"\n", &["time-budget", "leave it out"]),
    ("[data]\nvalidation = 0\n[training]\nlr = [1, 2]\n", &["validation is 0", "fraction"]),
    ("[data]\nfolds = 3\n[training]\nlr = [1, 2]\n", &["folds keeps no models"]),
    ("[data]\nsource = \"-\"\n[training]\nlr = [1, 2]\n", &["standard input"]),
    ("[training]\nlr = [1, 2]\n[run]\nname = \"a/b\"\n", &["--name \"a/b\"", "plain folder"]),
    (
        "[training]\noptimizer = [\"nesterov\", \"adam\"]\nmomentum = 0.5\n",
        &["trial-002: --momentum", "not adam", "from run.toml"],
    ),
    // Known from the data alone.
    (
        "[training]\nlabel-smoothing = [0, 0.1]\n[data]\nsource = \"sdf\"\n[sweep]\nmetric = \"score\"\n",
        &["trial-002: --label-smoothing", "cross_entropy, not mse"],
    ),
    (
        "[training]\nclass-weights = [[1, 2], [1, 2, 3]]\n[data]\nsource = \"moons\"\n[sweep]\nmetric = \"score\"\n",
        &["trial-002: --class-weights has 3 numbers"],
    ),
];

/// A folder with files that are wrong in ways that no text is.
fn place() -> Place {
    let place = Place::new();
    place.done("train moons --device cpu --epochs 1 --runs trained --name m");
    let model = fs::read(place.path("trained/m/model.safetensors")).unwrap();
    fs::write(place.path("whole.safetensors"), &model).unwrap();
    fs::write(place.path("cut.safetensors"), &model[..model.len() - 100]).unwrap();
    fs::write(place.path("bytes.toml"), [0xff, 0xfe, 0x00]).unwrap();
    fs::write(place.path("long.toml"), vec![b'#'; 2 << 20]).unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    fs::create_dir(place.path("swept")).unwrap();
    place.write("swept/plan.json", "{}").write("a.toml", "[training]\nepochs = 5\n");
    place.write("empty.safetensors", "").write("t.csv", "x,y\n1,2.5\n2,3.5\n");
    place
}

/// Runs a wrong use, which must end within seconds, with its exit code, one error that contains all
/// `parts`, and nothing on standard output.
#[track_caller]
fn refused(place: &Place, args: &str, code: i32, parts: &[&str]) {
    let mut command = place.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, begun) = (command.spawn().unwrap(), Instant::now());
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("wgrad {args} goes on and on");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "wgrad {args}: {message}");
    assert_eq!(message.matches("error:").count(), 1, "wgrad {args}: {message}");
    assert!(!message.contains("panicked"), "wgrad {args}: {message}");
    assert_eq!(text(&output.stdout), "", "wgrad {args}");
    assert!(!place.path("runs").exists(), "wgrad {args} left a run");
    for part in parts {
        assert!(message.contains(part), "wgrad {args}: {message:?} lacks {part:?}");
    }
}

#[test]
fn wrong_values_are_named_with_what_would_be_right() {
    let place = place();
    for (args, code, parts) in VALUES {
        refused(&place, args, *code, parts);
    }
    let iris = format!("train {} --device cpu", table("iris.train.csv"));
    refused(&place, &format!("{iris} --target speceis"), 2, &["`species`"]);
    let diabetes = format!("train {} --device cpu", table("diabetes.train.csv"));
    refused(
        &place,
        &format!("{diabetes} --class-weights balanced"),
        2,
        &["--class-weights", "mse"],
    );
}

#[test]
fn wrong_commands_and_files_are_named() {
    let place = place();
    for (args, code, parts) in COMMANDS {
        refused(&place, args, *code, parts);
    }
}

#[test]
fn what_a_configuration_file_gets_wrong_is_named_with_its_line() {
    let place = place();
    for (content, parts) in FILES {
        place.write("run.toml", content);
        refused(&place, "train --config run.toml", 2, parts);
    }
}

#[test]
fn what_a_sweep_gets_wrong_is_named_before_a_trial_begins() {
    let place = place();
    for (content, parts) in SWEEPS {
        place.write("run.toml", content);
        refused(&place, "sweep run.toml --device cpu", 2, parts);
    }
}
