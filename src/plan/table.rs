//! The plan as a table, and numbers for people.

use std::fmt;

use super::{Plan, Stage, StageOp, Tensor};
use crate::activation::Activation;

impl Stage {
    /// What it does, short: sizes of a linear layer, or the name of a norm or an encoding.
    fn kind(&self) -> String {
        match &self.op {
            StageOp::Linear { .. } => format!("{} → {}", self.in_features, self.out_features),
            StageOp::Norm(norm) if norm.per_row => "layer norm".into(),
            StageOp::Norm(_) => "batch norm".into(),
            StageOp::Encoding(encoding) => encoding.to_string(),
            StageOp::Pass => String::new(),
        }
    }

    /// Activation and dropout, short.
    fn epilogue(&self) -> String {
        let activation =
            (self.activation != Activation::Identity).then(|| self.activation.to_string());
        let dropout = self.dropout.map(|(_, dropout)| format!("dropout {}", dropout.rate));
        activation.into_iter().chain(dropout).collect::<Vec<_>>().join(", ")
    }

    fn trained(&self) -> usize {
        self.tensors().filter(|t| t.kind.is_trained()).map(Tensor::len).sum()
    }
}

impl fmt::Display for Plan {
    /// A table: layer, shape, parameters, activations and FLOPs per row; then the totals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            self.stages.iter().map(|s| s.epilogue().len()).fold("activation".len(), usize::max);
        writeln!(
            f,
            "{:>5}  {:<13} {:<width$} {:>12} {:>13} {:>13}",
            "layer", "kind", "activation", "parameters", "activations", "FLOPs / row"
        )?;
        for stage in &self.stages {
            writeln!(
                f,
                "{:>5}  {:<13} {:<width$} {:>12} {:>13} {:>13}",
                stage.layer,
                stage.kind(),
                stage.epilogue(),
                thousands(stage.trained() as u64),
                thousands(stage.activation_len(1) as u64),
                thousands(2 * stage.products()),
            )?;
        }
        writeln!(
            f,
            "{} parameters, {} FLOPs a step of {}\n{} of parameters, gradients and optimizer \
             state, {} of activations for {}",
            thousands(self.parameters() as u64),
            thousands(self.flops_per_step()),
            rows(self.options.batch_size),
            bytes(self.state_bytes()),
            bytes(self.activation_bytes()),
            rows(self.capacity),
        )
    }
}

fn rows(n: usize) -> String {
    if n == 1 { "1 row".into() } else { format!("{n} rows") }
}

/// Bytes with a binary unit, as `1.5 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// Thousands separated by commas, as `101,770`.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_thousands_read_well() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1 << 30), "1.0 GiB");
        assert_eq!(thousands(7), "7");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
