//! Small problems made on the spot, to see at a glance whether a net learns.

use std::f32::consts::{PI, TAU};

use glam::{Vec2, Vec3};

use super::column::Column;
use super::statistics::narrow;
use super::table::Table;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};

/// Two spiral arms of one and a half turns around the origin, within radius 1.
///
/// Columns `x`, `y` and `arm` (`a` or `b`, by turns). `noise` is the standard deviation of the shift
/// of each point; the arms are 1/3 apart.
///
/// # Errors
/// If `rows` is 0 or `noise` is negative or not finite.
pub fn spirals(rows: u32, noise: f32, seed: u64) -> Result<Table> {
    const TURNS: f32 = 1.5;
    let classes = [("a", 0.0), ("b", PI)];
    plane("spirals", "arm", rows, noise, seed, &classes, |random, start| {
        // The square root spreads the points evenly along the arm.
        let radius = random.sqrt();
        Vec2::from_angle(start + radius * TURNS * TAU) * radius
    })
}

/// Two interleaving half circles of radius 1, as scikit-learn's `make_moons`.
///
/// Columns `x`, `y` and `moon` (`lower` or `upper`, by turns). `noise` is the standard deviation of
/// the shift of each point; the moons are 1/2 apart.
///
/// # Errors
/// If `rows` is 0 or `noise` is negative or not finite.
pub fn moons(rows: u32, noise: f32, seed: u64) -> Result<Table> {
    let classes = [("upper", 1.0), ("lower", -1.0)];
    plane("moons", "moon", rows, noise, seed, &classes, |random, side| {
        let upper = Vec2::from_angle(random * PI);
        if side > 0.0 { upper } else { Vec2::new(1.0, 0.5) - upper }
    })
}

/// Three rings around the origin, of radius 1/3, 2/3 and 1.
///
/// Columns `x`, `y` and `ring` (`inner`, `middle` or `outer`, by turns). `noise` is the standard
/// deviation of the shift of each point.
///
/// # Errors
/// If `rows` is 0 or `noise` is negative or not finite.
pub fn rings(rows: u32, noise: f32, seed: u64) -> Result<Table> {
    let classes = [("inner", 1.0 / 3.0), ("middle", 2.0 / 3.0), ("outer", 1.0)];
    plane("rings", "ring", rows, noise, seed, &classes, |random, radius| {
        Vec2::from_angle(random * TAU) * radius
    })
}

/// Points of the cube [−1, 1]³ and their [`signed_distance`]: a shape to learn.
///
/// Columns `x`, `y`, `z` and `distance`.
///
/// # Errors
/// If `rows` is 0.
pub fn sdf(rows: u32, seed: u64) -> Result<Table> {
    let mut random = Stream::new(seed, Purpose::Synthetic, 0);
    let values: Vec<f32> = (0..rows)
        .flat_map(|_| {
            let point: [f32; 3] = std::array::from_fn(|_| narrow(random.uniform()) * 2.0 - 1.0);
            let [x, y, z] = point;
            [x, y, z, signed_distance(point)]
        })
        .collect();
    Table::from_rows("sdf", &["x", "y", "z", "distance"], &values)
}

/// Distance from a point to the surface of a ball that melts into a ring around it, negative inside.
///
/// The ball has radius 0.35; the ring lies in the xz plane with radius 0.65 and thickness 0.15.
/// Where they melt into each other the distance is an approximation that is never too large.
#[must_use]
pub fn signed_distance(point: [f32; 3]) -> f32 {
    /// Distance over which the surfaces melt.
    const BLEND: f32 = 0.2;
    let point = Vec3::from(point);
    let ball = point.length() - 0.35;
    let from_ring = Vec2::new(Vec2::new(point.x, point.z).length() - 0.65, point.y);
    let ring = from_ring.length() - 0.15;
    // Quadratic smooth minimum (Quilez 2013).
    let overlap = (BLEND - (ball - ring).abs()).max(0.0);
    ball.min(ring) - overlap * overlap / (4.0 * BLEND)
}

/// A table of points in the plane with a class each: `place` puts a random number of [0, 1) and the
/// parameter of the class on its curve.
fn plane(
    name: &'static str,
    class_column: &str,
    rows: u32,
    noise: f32,
    seed: u64,
    classes: &[(&str, f32)],
    place: impl Fn(f32, f32) -> Vec2,
) -> Result<Table> {
    if !(noise >= 0.0 && noise.is_finite()) {
        return Err(Error::Option {
            name: "noise",
            value: noise.to_string(),
            expected: "a standard deviation, at least 0 and finite",
        });
    }
    let mut random = Stream::new(seed, Purpose::Synthetic, 0);
    let turns = || classes.iter().cycle().take(rows as usize);
    let points: Vec<Vec2> = turns()
        .map(|&(_, parameter)| {
            let point = place(narrow(random.uniform()), parameter);
            let shift = Vec2::new(narrow(random.normal()), narrow(random.normal()));
            point + noise * shift
        })
        .collect();
    Table::new(
        name,
        vec![
            Column::numeric("x", points.iter().map(|point| point.x).collect()),
            Column::numeric("y", points.iter().map(|point| point.y).collect()),
            Column::text(class_column, turns().map(|&(class, _)| Some(class))),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ColumnValues;

    fn numbers<'a>(table: &'a Table, name: &str) -> &'a [f32] {
        match &table.columns()[table.find(name).unwrap()].values {
            ColumnValues::Numeric(values) => values,
            ColumnValues::Text { .. } => panic!("{name} is text"),
        }
    }

    /// Points with their class.
    fn points(table: &Table) -> Vec<(Vec2, String)> {
        let (x, y) = (numbers(table, "x"), numbers(table, "y"));
        let class = |row| table.columns()[2].word(row).unwrap().into_owned();
        (0..table.rows()).map(|row| (Vec2::new(x[row], y[row]), class(row))).collect()
    }

    #[test]
    fn without_noise_the_points_lie_on_their_curves() {
        for (point, ring) in points(&rings(300, 0.0, 1).unwrap()) {
            let radius = match ring.as_str() {
                "inner" => 1.0 / 3.0,
                "middle" => 2.0 / 3.0,
                _ => 1.0,
            };
            assert!((point.length() - radius).abs() < 1e-6, "{point} {ring}");
        }
        for (point, moon) in points(&moons(300, 0.0, 1).unwrap()) {
            let (centre, side) =
                if moon == "upper" { (Vec2::ZERO, 1.0) } else { (Vec2::new(1.0, 0.5), -1.0) };
            assert!(((point - centre).length() - 1.0).abs() < 1e-6, "{point} {moon}");
            assert!((point - centre).y * side >= -1e-6, "{point} {moon}");
        }
        for (point, arm) in points(&spirals(300, 0.0, 1).unwrap()) {
            let start = if arm == "a" { 0.0 } else { PI };
            let radius = point.length();
            let expected = Vec2::from_angle(start + radius * 1.5 * TAU) * radius;
            assert!(radius <= 1.0 && (point - expected).length() < 1e-5, "{point} {arm}");
        }
    }

    #[test]
    fn classes_take_turns() {
        for (table, classes) in [
            (spirals(100, 0.1, 3).unwrap(), 2),
            (moons(100, 0.1, 3).unwrap(), 2),
            (rings(99, 0.1, 3).unwrap(), 3),
        ] {
            let ColumnValues::Text { codes, values } = &table.columns()[2].values else {
                panic!("the class is text")
            };
            assert_eq!(values.len(), classes);
            for class in 0..classes {
                let count = codes.iter().filter(|&&code| code as usize == class).count();
                assert_eq!(count, table.rows() / classes, "{}", table.source_name());
            }
        }
    }

    #[test]
    fn noise_has_the_deviation_asked_for() {
        let (exact, noisy) = (rings(4000, 0.0, 5).unwrap(), rings(4000, 0.1, 5).unwrap());
        for axis in ["x", "y"] {
            let squares = numbers(&exact, axis)
                .iter()
                .zip(numbers(&noisy, axis))
                .map(|(a, b)| (a - b).powi(2));
            let variance = squares.sum::<f32>() / 4000.0;
            // Four standard errors of a variance of 4000 normal numbers: 4·√(2/4000) = 9 %.
            assert!((variance / 0.01 - 1.0).abs() < 0.09, "{axis}: {variance}");
        }
        assert_eq!(noisy, rings(4000, 0.1, 5).unwrap());
        assert_ne!(noisy, rings(4000, 0.1, 6).unwrap());
    }

    #[test]
    fn the_distance_is_right_on_the_axes() {
        // Far enough from the other body to be that of one body alone.
        for (point, expected) in [
            ([0.0, 0.0, 0.0], -0.35),
            ([0.0, 1.0, 0.0], 0.65),
            ([1.0, 0.0, 0.0], 0.2),
            ([0.0, 0.0, -0.65], -0.15),
        ] {
            let got = signed_distance(point);
            assert!((got - expected).abs() < 1e-6, "{point:?}: {got}, not {expected}");
        }
        // Half way between the surfaces at 0.35 and 0.5: 0.075 from each, less the blend of 0.2/4.
        let between = signed_distance([0.425, 0.0, 0.0]);
        assert!((between - 0.025).abs() < 1e-6, "{between}");
    }

    #[test]
    fn the_distance_grows_no_faster_than_the_way() {
        let table = sdf(500, 2).unwrap();
        let (x, y, z) = (numbers(&table, "x"), numbers(&table, "y"), numbers(&table, "z"));
        let distance = numbers(&table, "distance");
        let point = |row: usize| Vec3::new(x[row], y[row], z[row]);
        for row in 1..table.rows() {
            assert!(point(row).abs().max_element() <= 1.0, "row {row} is in the cube");
            let way = point(row).distance(point(row - 1));
            let growth = (distance[row] - distance[row - 1]).abs();
            assert!(growth <= way + 1e-6, "rows {} and {row}: {growth} over {way}", row - 1);
        }
        let inside = distance.iter().filter(|&&distance| distance < 0.0).count();
        assert!((10..250).contains(&inside), "{inside} points are inside");
    }

    #[test]
    fn bad_sizes_and_noise_are_refused() {
        assert_eq!(
            moons(10, -1.0, 0).unwrap_err().to_string(),
            "noise is -1, but must be a standard deviation, at least 0 and finite"
        );
        assert!(rings(10, f32::NAN, 0).is_err() && spirals(10, f32::INFINITY, 0).is_err());
        assert!(spirals(0, 0.0, 0).unwrap_err().to_string().contains("the table is empty"));
        assert!(sdf(0, 0).is_err());
    }
}
