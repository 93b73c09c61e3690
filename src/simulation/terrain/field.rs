//! Uneven ground: a periodic height field that is moved by whole periods when the robot leaves its middle.

use rand::RngExt;
use rapier3d::prelude::*;

use super::description::{HEIGHT_UNIT, Uneven};
use crate::random::stream;

/// Drawn heights along each axis before they repeat.
const LATTICE: usize = 64;
/// Cells between two drawn heights.
const CELLS: usize = 2;
/// Cells of one period.
const PERIOD: usize = LATTICE * CELLS;
/// Cells along each axis of the collider. Two periods: with the robot in the middle half, the edge is always half a period away.
const SIDE: usize = 2 * PERIOD;

/// The heights of one period \[m\], and how far its cells reach.
#[derive(Debug)]
pub struct Field {
    /// Row-major over y, then x.
    heights: Vec<f32>,
    /// Edge of a cell \[m\].
    cell: f32,
}

impl Field {
    /// The field of `seed`.
    pub fn new(uneven: &Uneven, seed: u64) -> Self {
        let mut random = stream(seed, "uneven ground", &[]);
        let most = uneven.most();
        let drawn: Vec<f32> = (0..LATTICE * LATTICE).map(|_| random.random_range(-most..=most) as f32 * uneven.step).collect();
        let at = |row: usize, column: usize| drawn[(row % LATTICE) * LATTICE + column % LATTICE];
        let height = |row: usize, column: usize| {
            let (r, c) = (row / CELLS, column / CELLS);
            let [v, u] = [row, column].map(|index| (index % CELLS) as f32 / CELLS as f32);
            let low = at(r, c) * (1.0 - u) + at(r, c + 1) * u;
            let high = at(r + 1, c) * (1.0 - u) + at(r + 1, c + 1) * u;
            ((low * (1.0 - v) + high * v) / HEIGHT_UNIT).round() * HEIGHT_UNIT
        };
        let heights = (0..PERIOD * PERIOD).map(|index| height(index / PERIOD, index % PERIOD)).collect();
        Self { heights, cell: uneven.spacing / CELLS as f32 }
    }

    /// Length after which heights repeat along x and y \[m\].
    pub fn period(&self) -> f32 {
        PERIOD as f32 * self.cell
    }

    /// The collider's shape: two periods each way. rapier's height fields lie in x and z, with y up; `to_z_up` turns them.
    pub fn shape(&self) -> SharedShape {
        // Row i advances along z, which `to_z_up` turns to -y.
        let heights = (0..=SIDE).flat_map(|column| (0..=SIDE).map(move |row| (SIDE - row, column)));
        let heights = heights.map(|(row, column)| self.at(row as i64, column as i64)).collect();
        let side = SIDE as f32 * self.cell;
        let scale = Vector::new(side, 1.0, side);
        // Normals of neighbouring triangles are taken into account, so that no foot stumbles over an edge inside a plane.
        SharedShape::heightfield_with_flags(Array2::new(SIDE + 1, SIDE + 1, heights), scale, HeightFieldFlags::FIX_INTERNAL_EDGES)
    }

    /// Turns y up to z up.
    pub fn to_z_up() -> Rotation {
        Rotation::from_rotation_x(std::f32::consts::FRAC_PI_2)
    }

    /// Height of the surface at (`x`, `y`) \[m\], from the corner of a period.
    pub fn height(&self, x: f32, y: f32) -> f32 {
        let [column, row] = [x, y].map(|along| (along / self.cell).floor());
        let (u, v) = (x / self.cell - column, y / self.cell - row);
        let (row, column) = (row as i64, column as i64);
        // Far beyond any robot the last cell goes on.
        let at = |up: i64, right: i64| self.at(row.saturating_add(up), column.saturating_add(right));
        let [low_left, low_right] = [0, 1].map(|right| at(0, right));
        let [high_left, high_right] = [0, 1].map(|right| at(1, right));
        // Each cell is two triangles; the edge between them runs from its lower left to its upper right corner.
        if u >= v {
            low_left + u * (low_right - low_left) + v * (high_right - low_right)
        } else {
            low_left + v * (high_left - low_left) + u * (high_right - high_left)
        }
    }

    /// Edge of a cell \[m\].
    pub fn cell(&self) -> f32 {
        self.cell
    }

    /// The largest height \[m\].
    pub fn highest(&self) -> f32 {
        self.heights.iter().copied().fold(0.0, f32::max)
    }

    fn at(&self, row: i64, column: i64) -> f32 {
        let [row, column] = [row, column].map(|index| index.rem_euclid(PERIOD as i64) as usize);
        self.heights[row * PERIOD + column]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_those_of_the_paper_and_repeat_after_a_period() {
        let field = Field::new(&Uneven::default(), 1);
        assert!((field.period() - 12.8).abs() < 1e-5);
        let (lowest, highest) = field.heights.iter().fold((0.0f32, 0.0f32), |(low, high), &h| (low.min(h), high.max(h)));
        assert!((lowest + 0.1).abs() < 1e-6 && (highest - 0.1).abs() < 1e-6, "{lowest} {highest}");
        // Every second cell corner is a drawn one: a multiple of 25 mm.
        for index in (0..PERIOD * PERIOD).filter(|index| index.is_multiple_of(2) && (index / PERIOD).is_multiple_of(2)) {
            let steps = field.heights[index] / 0.025;
            assert!((steps - steps.round()).abs() < 1e-4, "{}", field.heights[index]);
        }
        assert!((field.height(3.33, -1.7) - field.height(3.33 + 12.8, -1.7 - 25.6)).abs() < 1e-4);
        assert_ne!(field.heights, Field::new(&Uneven::default(), 2).heights);
    }

    #[test]
    fn the_largest_height_is_the_one_that_was_asked_for() {
        // In single precision some of these are a hair less than a whole number of steps.
        for (height, step) in [(0.02, 0.005), (0.1, 0.025), (0.02, 0.004), (0.02, 0.002), (0.005, 0.001), (0.05, 0.025)] {
            let highest = Field::new(&Uneven { height, step, ..Uneven::default() }, 1).highest();
            assert!((highest - height).abs() < 1e-6, "{highest} m instead of {height} m in steps of {step} m");
        }
        // Between two steps the lower one counts.
        let highest = Field::new(&Uneven { height: 0.03, ..Uneven::default() }, 1).highest();
        assert!((highest - 0.025).abs() < 1e-6, "{highest} m");
    }

    #[test]
    fn a_place_beyond_all_numbers_has_a_height() {
        let field = Field::new(&Uneven::default(), 1);
        for far in [1e30, -1e30, 1e37] {
            assert!(field.height(far, far).abs() <= 0.1 + 1e-6, "{far} m");
        }
    }

    #[test]
    fn the_collider_has_the_surface_that_heights_say() {
        let field = Field::new(&Uneven::default(), 1);
        let (shape, pose) = (field.shape(), Pose::from_rotation(Field::to_z_up()));
        for (x, y) in [(0.03, 0.01), (-1.23, 2.57), (5.01, -4.44), (0.08, -0.09), (-0.07, 0.01)] {
            let ray = rapier3d::parry::query::Ray::new(Vector::new(x, y, 1.0), -Vector::Z);
            let hit = 1.0 - shape.cast_ray(&pose, &ray, 5.0, true).unwrap();
            let said = field.height(x, y);
            assert!((hit - said).abs() < 1e-4, "at ({x}, {y}) the collider is {hit} m high instead of {said} m");
        }
    }
}
