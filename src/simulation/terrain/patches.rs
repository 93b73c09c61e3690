//! Spots of another friction, decided contact by contact.

use std::sync::Arc;

use rand::RngExt;
use rapier3d::prelude::*;

use super::description::Patches;
use crate::random::stream;

/// Spots along each axis before they repeat.
const SIDE: usize = 64;

/// Which spots of the ground are of another friction.
#[derive(Clone, Debug)]
pub struct PatchMap {
    inverse_frame: Rotation,
    friction: f32,
    size: f32,
    /// A corner of a period, along the ground's axes \[m\].
    origin: [f32; 2],
    spots: Arc<[bool]>,
}

impl PatchMap {
    /// The spots of `seed` on ground with the axes `frame`.
    pub fn new(patches: &Patches, seed: u64, frame: Rotation) -> Self {
        let mut random = stream(seed, "friction patches", &[]);
        let spots = (0..SIDE * SIDE).map(|_| random.random_range(0.0..1.0) < patches.share).collect();
        Self { inverse_frame: frame.inverse(), friction: patches.friction, size: patches.size, origin: [0.0; 2], spots }
    }

    /// Length after which spots repeat along x and y \[m\].
    pub fn period(&self) -> f32 {
        SIDE as f32 * self.size
    }

    /// Moves a corner of a period to `origin`, along the ground's axes \[m\].
    pub fn move_to(&mut self, origin: [f32; 2]) {
        self.origin = origin;
    }

    /// Friction at the world's `point`, if it is on a spot. NaN, as of a simulation that broke down, counts as the first spot.
    pub fn friction(&self, point: Vector) -> Option<f32> {
        let local = self.inverse_frame * point;
        let cell = |along: f32| ((along / self.size).floor() as i64).rem_euclid(SIDE as i64) as usize;
        let [column, row] = [cell(local.x - self.origin[0]), cell(local.y - self.origin[1])];
        self.spots[row * SIDE + column].then_some(self.friction)
    }
}

/// What rapier asks about contacts of ground with [`ActiveHooks::MODIFY_SOLVER_CONTACTS`].
#[derive(Clone, Debug, Default)]
pub struct GroundHooks(pub Option<PatchMap>);

impl PhysicsHooks for GroundHooks {
    fn modify_solver_contacts(&self, context: &mut ContactModificationContext) {
        if let (Some(map), Some(manifold)) = (&self.0, context.rigid_mut())
            && let Some(contact) = manifold.solver_contacts.first()
            && let Some(friction) = map.friction(contact.anchor1)
        {
            *manifold.friction = friction;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_cover_their_share_and_repeat_after_a_period() {
        let patches = Patches { friction: 0.1, share: 0.3, size: 0.2 };
        let map = PatchMap::new(&patches, 1, Rotation::IDENTITY);
        let at = |x: f32, y: f32| map.friction(Vector::new(x, y, 0.0));
        let covered = (0..10_000).filter(|k| at((k % 100) as f32 * 0.2 + 0.05, (k / 100) as f32 * 0.2 + 0.05).is_some()).count();
        assert!((2500..3500).contains(&covered), "{covered}");
        assert_eq!(at(0.05, 0.05), at(0.15, 0.19));
        assert_eq!(at(0.05, 0.05), at(0.05 - 12.8, 0.05));
        let mut moved = map.clone();
        moved.move_to([1.23, -4.56]);
        for (x, y) in [(0.05, 0.05), (3.31, -2.47), (-7.77, 9.13)] {
            assert_eq!(moved.friction(Vector::new(x + 1.23, y - 4.56, 0.0)), at(x, y));
        }
        // Whether the first spot is slippery or not: of the first few seeds some have it so, some not.
        for seed in 0..20 {
            let map = PatchMap::new(&patches, seed, Rotation::IDENTITY);
            let at = |x: f32, y: f32| map.friction(Vector::new(x, y, 0.0));
            assert_eq!(at(f32::NAN, f32::NAN), at(0.0, 0.0), "seed {seed}");
        }
    }
}
