//! The calls of the stages' functions: those that go on alike share a loop. Compilers inline functions, so
//! without it a deep net's code would be as many copies of its layers'.

use std::collections::BTreeSet;

/// Calls in their order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    runs: Vec<Run>,
}

/// Calls of one function, whose arguments grow by the same from each to the next.
#[derive(Debug)]
struct Run {
    function: String,
    in_features: usize,
    out_features: usize,
    /// Arguments of the first call.
    first: Vec<usize>,
    /// By what they grow; 0 in a single call.
    steps: Vec<usize>,
    count: usize,
}

impl Calls {
    /// Appends a call.
    pub(super) fn push(
        &mut self,
        function: String,
        [in_features, out_features]: [usize; 2],
        arguments: Vec<usize>,
    ) {
        let last = self.runs.last_mut().filter(|run| run.function == function);
        if last.is_some_and(|run| run.takes(&arguments)) {
            return;
        }
        let steps = vec![0; arguments.len()];
        let run = Run { function, in_features, out_features, first: arguments, steps, count: 1 };
        self.runs.push(run);
    }

    /// The calls as statements. A variable `x` and a number holds a row of so many columns; that of the
    /// input is there already.
    pub(super) fn text(&self, inputs: usize) -> String {
        let mut declared = BTreeSet::from([inputs]);
        let statement = |run: &Run| {
            let Run { function, in_features, out_features, count, .. } = run;
            let arguments = run.arguments();
            let call = format!("x{out_features} = {function}(&x{in_features}{arguments});");
            match count {
                1 if declared.insert(*out_features) => format!("    var {call}\n"),
                1 => format!("    {call}\n"),
                _ => {
                    format!("    for (var i = 0u; i < {count}u; i++) {{\n        {call}\n    }}\n")
                }
            }
        };
        self.runs.iter().map(statement).collect()
    }
}

impl Run {
    /// Takes in another call of the function, if its arguments go on as those before.
    fn takes(&mut self, arguments: &[usize]) -> bool {
        let last =
            self.first.iter().zip(&self.steps).map(|(at, step)| at + step * (self.count - 1));
        let steps = arguments.iter().zip(last).map(|(at, last)| at.checked_sub(last));
        let Some(steps) = steps.collect::<Option<Vec<usize>>>() else { return false };
        let alike = self.count == 1 || steps == self.steps;
        // What is called again with its own output has as many columns on both sides.
        if alike && self.in_features == self.out_features {
            self.steps = steps;
            self.count += 1;
            return true;
        }
        false
    }

    fn arguments(&self) -> String {
        let argument = |(at, step): (&usize, &usize)| match self.count {
            1 => format!(", {at}u"),
            _ => format!(", {at}u + {step}u * i"),
        };
        self.first.iter().zip(&self.steps).map(argument).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_go_on_alike_share_a_loop() {
        let mut calls = Calls::default();
        let mut push = |name: &str, columns, arguments: &[usize]| {
            calls.push(name.into(), columns, arguments.to_vec());
        };
        push("a", [2, 4], &[0]);
        push("b", [4, 4], &[10, 5]);
        push("b", [4, 4], &[30, 6]);
        push("b", [4, 4], &[50, 7]);
        // By other steps, backwards, and of another function.
        push("b", [4, 4], &[60, 8]);
        push("b", [4, 4], &[50, 9]);
        push("c", [4, 2], &[]);
        assert_eq!(
            calls.text(2),
            "    var x4 = a(&x2, 0u);
    for (var i = 0u; i < 3u; i++) {
        x4 = b(&x4, 10u + 20u * i, 5u + 1u * i);
    }
    x4 = b(&x4, 60u, 8u);
    x4 = b(&x4, 50u, 9u);
    x2 = c(&x4);\n"
        );
    }
}
