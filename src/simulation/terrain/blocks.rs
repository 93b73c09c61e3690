//! Steps and gaps: a few blocks across the x axis that are moved along with the robot, so that they never end.

use rand::RngExt;
use rapier3d::prelude::*;

use super::description::{Gaps, StepOrder, Steps};
use crate::random::stream;

/// Different heights of random steps; they repeat.
const HEIGHTS: usize = 256;
/// Half the thickness of a block \[m\]; more than the height of a step.
const HALF_THICKNESS: f32 = 5.0;
/// Half the width of blocks along y \[m\]; they follow the robot, too.
const HALF_WIDTH: f32 = 8.0;
/// Blocks are moved along y once the robot is this far from their middle \[m\].
const SIDEWAYS: f32 = 4.0;
/// Most blocks at a time: a bound on hostile lengths.
const MOST: usize = 401;
/// Number of the farthest block: a robot that was thrown farther finds none, and no number overflows.
const FARTHEST: f32 = 1e9;

/// A row of blocks: block k >= 0 is the k-th in front of the start, block -1 - k its mirror image behind it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Half the length of the flat block at the start.
    start: f32,
    /// Length of a block.
    length: f32,
    /// Distance between two blocks.
    gap: f32,
    /// Height of the k-th block's top.
    heights: Heights,
    /// Depth of the floor under gaps.
    pub depth: Option<f32>,
}

#[derive(Clone, Debug)]
enum Heights {
    Level,
    Stairs(f32),
    Drawn(std::sync::Arc<[f32]>),
}

impl Row {
    /// Steps; random heights come from `seed`.
    pub fn steps(steps: &Steps, seed: u64) -> Self {
        let heights = match steps.order {
            StepOrder::Up => Heights::Stairs(steps.height),
            StepOrder::Down => Heights::Stairs(-steps.height),
            StepOrder::Random => {
                let mut random = stream(seed, "steps", &[]);
                Heights::Drawn((0..HEIGHTS).map(|_| random.random_range(0.0..=steps.height)).collect())
            }
        };
        Self { start: steps.start, length: steps.length, gap: 0.0, heights, depth: None }
    }

    /// Gaps.
    pub fn gaps(gaps: &Gaps) -> Self {
        Self { start: gaps.start, length: gaps.length, gap: gaps.width, heights: Heights::Level, depth: Some(gaps.depth) }
    }

    fn pitch(&self) -> f32 {
        self.length + self.gap
    }

    /// Number of the block at `x`, or of the one behind the gap at `x`; `None` on the flat start.
    fn number(&self, x: f32) -> Option<i64> {
        let beyond = x.abs() - self.start;
        let number = (beyond / self.pitch()).floor().min(FARTHEST) as i64;
        (beyond > 0.0).then_some(if x > 0.0 { number } else { -1 - number })
    }

    /// Middle of block `number` along x, and height of its top.
    fn block(&self, number: i64) -> (f32, f32) {
        let (count, side) = if number >= 0 { (number, 1.0) } else { (-1 - number, -1.0) };
        let middle = self.start + self.gap + count as f32 * self.pitch() + 0.5 * self.length;
        let top = match &self.heights {
            Heights::Level => 0.0,
            Heights::Stairs(height) => height * (count + 1) as f32,
            Heights::Drawn(heights) => heights[number.rem_euclid(HEIGHTS as i64) as usize],
        };
        (side * middle, top)
    }

    /// Height of the ground at `x`.
    pub fn height(&self, x: f32) -> f32 {
        let Some(number) = self.number(x) else {
            return 0.0;
        };
        let (middle, top) = self.block(number);
        match self.depth {
            Some(depth) if (x - middle).abs() > 0.5 * self.length => -depth,
            _ => top,
        }
    }

    /// Height of what one stands on at `x`: the block's top, and that of the blocks beside a gap.
    pub fn level(&self, x: f32) -> f32 {
        self.number(x).map_or(0.0, |number| self.block(number).1)
    }

    /// Smallest length over which heights do not change much \[m\].
    pub fn grain(&self) -> f32 {
        if self.gap > 0.0 { self.length.min(self.gap) } else { self.length }
    }
}

/// The colliders of a [`Row`] around the robot.
#[derive(Clone, Debug)]
pub struct Blocks {
    row: Row,
    /// Block `number` is in the slot `number` modulo their count.
    slots: Vec<(ColliderHandle, i64)>,
    start: ColliderHandle,
    /// Number of the block in the middle, and y of all; `None` until they are placed.
    centre: Option<(i64, f32)>,
}

impl Blocks {
    /// Colliders of `row` as far as `reach` \[m\] around the origin; `finish` gives each what all ground has, `frame` is the ground's.
    pub fn new(
        row: Row,
        reach: f32,
        frame: &Pose,
        colliders: &mut ColliderSet,
        finish: impl Fn(ColliderBuilder) -> ColliderBuilder,
    ) -> Self {
        let half = ((reach / row.pitch()).ceil() as usize + 1).min(MOST / 2);
        let shape = SharedShape::cuboid(0.5 * row.length, HALF_WIDTH, HALF_THICKNESS);
        let mut insert = |shape: SharedShape| colliders.insert(finish(ColliderBuilder::new(shape)));
        let start = insert(SharedShape::cuboid(row.start.max(1e-3), HALF_WIDTH, HALF_THICKNESS));
        // Numbers that no block has yet, so that each is placed.
        let slots = (0..2 * half + 1).map(|_| (insert(shape.clone()), i64::MAX)).collect();
        let mut blocks = Self { row, slots, start, centre: None };
        blocks.follow(0.0, 0.0, frame, colliders);
        blocks
    }

    /// The row that they show.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// All colliders.
    pub fn colliders(&self) -> impl Iterator<Item = ColliderHandle> + '_ {
        self.slots.iter().map(|slot| slot.0).chain([self.start])
    }

    /// Moves blocks so that they surround (`x`, `y`), in the ground's `frame`. Returns whether any moved. Does not allocate.
    pub fn follow(&mut self, x: f32, y: f32, frame: &Pose, colliders: &mut ColliderSet) -> bool {
        let number = self.row.number(x).unwrap_or(0);
        let sideways = self.centre.is_none_or(|centre| (y - centre.1).abs() > SIDEWAYS);
        let middle_y = self.centre.filter(|_| !sideways).map_or(y, |centre| centre.1);
        if self.centre == Some((number, middle_y)) {
            return false;
        }
        self.centre = Some((number, middle_y));
        let place = |colliders: &mut ColliderSet, handle: ColliderHandle, (middle, top): (f32, f32)| {
            if let Some(collider) = colliders.get_mut(handle) {
                let at = Vector::new(middle, middle_y, top - HALF_THICKNESS);
                collider.set_position(frame * Pose::from_translation(at));
            }
        };
        if sideways {
            place(colliders, self.start, (0.0, 0.0));
        }
        let (count, half) = (self.slots.len() as i64, self.slots.len() as i64 / 2);
        for number in number - half..=number + half {
            let slot = &mut self.slots[number.rem_euclid(count) as usize];
            if slot.1 != number || sideways {
                slot.1 = number;
                place(colliders, slot.0, self.row.block(number));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(row: &Row, at: &[f32]) -> Vec<f32> {
        at.iter().map(|&x| row.height(x)).collect()
    }

    #[test]
    fn stairs_climb_from_a_flat_start_in_both_directions() {
        let row = Row::steps(&Steps { height: 0.05, length: 0.3, order: StepOrder::Up, start: 1.0 }, 0);
        let seen = heights(&row, &[0.0, 0.99, -0.99, 1.1, 1.29, 1.31, -1.31, 1.0 + 0.3 * 99.5]);
        for (seen, expected) in seen.iter().zip([0.0, 0.0, 0.0, 0.05, 0.05, 0.1, 0.1, 5.0]) {
            assert!((seen - expected).abs() < 1e-4, "{seen} instead of {expected}");
        }
    }

    #[test]
    fn gaps_begin_where_the_start_ends() {
        let row = Row::gaps(&Gaps { width: 0.1, length: 0.4, depth: 0.5, start: 1.0 });
        assert_eq!(heights(&row, &[0.9, 1.05, 1.11, 1.49, 1.55, -1.05, -1.2]), [0.0, -0.5, 0.0, 0.0, -0.5, -0.5, 0.0]);
    }

    #[test]
    fn a_robot_thrown_beyond_all_blocks_overflows_nothing() {
        for row in [Row::steps(&Steps::default(), 0), Row::gaps(&Gaps::default())] {
            let mut colliders = ColliderSet::new();
            let mut blocks = Blocks::new(row.clone(), 2.0, &Pose::IDENTITY, &mut colliders, |collider| collider);
            for x in [1e30, -1e30, f32::MAX] {
                blocks.follow(x, 0.0, &Pose::IDENTITY, &mut colliders);
                assert!(row.height(x).is_finite() && row.level(x).is_finite(), "{x} m");
            }
        }
    }

    #[test]
    fn blocks_are_where_the_row_says_however_far_the_robot_goes() {
        let steps = Steps { order: StepOrder::Random, ..Steps::default() };
        let row = Row::steps(&steps, 3);
        let mut colliders = ColliderSet::new();
        let mut blocks = Blocks::new(row.clone(), 2.0, &Pose::IDENTITY, &mut colliders, |collider| collider);
        let count = colliders.len();
        for (x, y) in [(0.0, 0.0), (1.7, 0.0), (1.8, 3.0), (60.2, -9.0), (-500.3, 40.0)] {
            blocks.follow(x, y, &Pose::IDENTITY, &mut colliders);
            for along in [-1.87f32, -0.77, 0.11, 1.13, 1.91] {
                let ray = rapier3d::parry::query::Ray::new(Vector::new(x + along, y, 20.0), -Vector::Z);
                let hit = colliders.iter().filter_map(|(_, one)| one.shape().cast_ray(one.position(), &ray, 100.0, true));
                let top = 20.0 - hit.fold(f32::INFINITY, f32::min);
                assert!((top - row.height(x + along)).abs() < 1e-3, "{top} at {}", x + along);
            }
        }
        assert_eq!(colliders.len(), count);
    }
}
