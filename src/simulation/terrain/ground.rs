//! The ground as colliders: made once, moved along with the robot.

use std::sync::Arc;

use rand::RngExt;
use rapier3d::prelude::*;

use super::blocks::{Blocks, Row};
use super::description::{Relief, Terrain};
use super::field::Field;
use super::patches::{GroundHooks, PatchMap};
use super::shapes::{GroundForm, GroundShape};
use crate::random::stream;

/// Half the edge of the ground that [`Ground::shapes`] shows around the robot \[m\].
const SHOWN: f32 = 4.0;
/// Thickness at which a plane is shown \[m\].
const SHOWN_THICKNESS: f32 = 0.02;
/// The level of uneven ground is the mean over so many places along each edge of the robot's footprint …
const LEVEL_SAMPLES: usize = 7;
/// … which is a square that reaches this share of the robot's reach to each side: legs stand bent, not stretched out.
const FOOTPRINT: f32 = 0.5;

/// What the ground needs to know of the robot.
pub struct GroundSettings {
    /// Friction coefficient where the terrain names none.
    pub friction: f32,
    /// Farthest that any part of the robot reaches from its base \[m\].
    pub reach: f32,
    /// What robot and ground collide with.
    pub groups: InteractionGroups,
}

/// The ground of one world. Its axes are the world's, turned by the slope.
#[derive(Clone)]
pub struct Ground {
    frame: Pose,
    relief: Built,
    hooks: GroundHooks,
    /// Half the edge of the square that the robot stands on \[m\].
    footprint: f32,
}

#[derive(Clone)]
enum Built {
    Plane,
    Field {
        field: Arc<Field>,
        collider: ColliderHandle,
        /// Middle of the collider in the ground's frame. Both are a whole number of periods off the episode's own place.
        centre: [f32; 2],
    },
    Blocks(Blocks),
}

impl Ground {
    /// Puts the colliders of `terrain` into `colliders`.
    pub fn new(terrain: &Terrain, settings: &GroundSettings, colliders: &mut ColliderSet) -> Self {
        // Climbing along x is turning nose up: about -y.
        let rotation = Rotation::from_rotation_y(-terrain.slope);
        let frame = Pose::from_rotation(rotation);
        let map = terrain.patches.map(|patches| PatchMap::new(&patches, terrain.seed, rotation));
        let hooks = if map.is_some() { ActiveHooks::MODIFY_SOLVER_CONTACTS } else { ActiveHooks::empty() };
        let friction = terrain.friction.unwrap_or(settings.friction);
        let finish =
            |collider: ColliderBuilder| collider.friction(friction).collision_groups(settings.groups).active_hooks(hooks);
        let plane = |height: f32| {
            let normal = nalgebra::Unit::new_unchecked(rotation * Vector::Z);
            finish(ColliderBuilder::halfspace(normal)).position(Pose::from_translation(rotation * Vector::new(0.0, 0.0, height)))
        };
        let relief = match terrain.relief {
            Relief::Flat => {
                colliders.insert(plane(0.0));
                Built::Plane
            }
            Relief::Uneven(uneven) => {
                let field = Field::new(&uneven, terrain.seed);
                let at = frame * Pose::from_rotation(Field::to_z_up());
                let collider = colliders.insert(finish(ColliderBuilder::new(field.shape())).position(at));
                Built::Field { field: Arc::new(field), collider, centre: [0.0; 2] }
            }
            Relief::Steps(steps) => {
                Built::Blocks(Blocks::new(Row::steps(&steps, terrain.seed), settings.reach, &frame, colliders, finish))
            }
            Relief::Gaps(gaps) => {
                colliders.insert(plane(-gaps.depth));
                Built::Blocks(Blocks::new(Row::gaps(&gaps), settings.reach, &frame, colliders, finish))
            }
        };
        Self { frame, relief, hooks: GroundHooks(map), footprint: FOOTPRINT * settings.reach }
    }

    /// What rapier asks about contacts.
    pub fn hooks(&self) -> &GroundHooks {
        &self.hooks
    }

    /// The ground's axes in the world.
    pub fn rotation(&self) -> Rotation {
        self.frame.rotation
    }

    /// Moves uneven ground and patches of friction to the place of the episode `seed`. Steps and gaps are the same in every episode.
    pub fn start_of_episode(&mut self, seed: u64, colliders: &mut ColliderSet) {
        let mut random = stream(seed, "place on the ground", &[]);
        let mut place = |period: f32| std::array::from_fn(|_| random.random_range(-0.5 * period..0.5 * period));
        if let Built::Field { field, centre, .. } = &mut self.relief {
            *centre = place(field.period());
        }
        if let GroundHooks(Some(map)) = &mut self.hooks {
            map.move_to(place(map.period()));
        }
        self.place(colliders);
    }

    /// Moves what surrounds the robot along with it: its base is at `position` in the world. Returns whether anything moved.
    pub fn follow(&mut self, position: Vector, colliders: &mut ColliderSet) -> bool {
        match &mut self.relief {
            Built::Plane => false,
            Built::Field { field, centre, .. } => {
                let local = self.frame.inverse_transform_point(position);
                let period = field.period();
                let away = [local.x - centre[0], local.y - centre[1]];
                // Not at half a period, where standing still could move it to and fro.
                if away.iter().all(|away| away.abs() < 0.6 * period) || !position.is_finite() {
                    return false;
                }
                for (centre, away) in centre.iter_mut().zip(away) {
                    *centre += period * (away / period).round();
                }
                self.place(colliders);
                true
            }
            Built::Blocks(blocks) => {
                let local = self.frame.inverse_transform_point(position);
                position.is_finite() && blocks.follow(local.x, local.y, &self.frame, colliders)
            }
        }
    }

    fn place(&self, colliders: &mut ColliderSet) {
        if let Built::Field { collider, centre, .. } = &self.relief
            && let Some(collider) = colliders.get_mut(*collider)
        {
            let at = Pose::from_parts(Vector::new(centre[0], centre[1], 0.0), Field::to_z_up());
            collider.set_position(self.frame * at);
        }
    }

    /// Height of the ground over its plane at (`x`, `y`) in its own frame \[m\].
    fn height(&self, x: f32, y: f32) -> f32 {
        match &self.relief {
            Built::Plane => 0.0,
            Built::Field { field, centre, .. } => field.height(x - centre[0], y - centre[1]),
            Built::Blocks(blocks) => blocks.row().height(x),
        }
    }

    /// How far `position` in the world is over the ground's level, along the ground's normal \[m\]: over the plane of a slope, over the step at
    /// that place, over the mean height of uneven ground under the robot. What a robot stands across, and gaps, do not count.
    pub fn over_level(&self, position: Vector) -> f32 {
        let local = self.frame.inverse_transform_point(position);
        match &self.relief {
            Built::Plane => local.z,
            Built::Field { .. } => local.z - self.mean_height(local.x, local.y),
            Built::Blocks(blocks) => local.z - blocks.row().level(local.x),
        }
    }

    /// Mean height of the ground over its plane under a robot at (`x`, `y`) in its own frame \[m\].
    fn mean_height(&self, x: f32, y: f32) -> f32 {
        let offsets = || (0..LEVEL_SAMPLES).map(|k| self.footprint * (2.0 * k as f32 / (LEVEL_SAMPLES - 1) as f32 - 1.0));
        let heights = offsets().flat_map(|along| offsets().map(move |across| self.height(x + along, y + across)));
        heights.sum::<f32>() / (LEVEL_SAMPLES * LEVEL_SAMPLES) as f32
    }

    /// How far the lowest point of `shape` at `pose` is over the ground, along the ground's normal \[m\]; not more than it really is.
    ///
    /// The shape counts as the box around it in the ground's frame, so that on a relief it is never put into the ground.
    pub fn clearance(&self, shape: &dyn Shape, pose: &Pose) -> f32 {
        let aabb = shape.compute_aabb(&(self.frame.inverse() * *pose));
        let grain = match &self.relief {
            Built::Plane => return aabb.mins.z,
            Built::Field { field, .. } => field.cell(),
            Built::Blocks(blocks) => blocks.row().grain(),
        };
        let samples = |low: f32, high: f32| {
            let count = (((high - low) / grain).ceil() as usize + 1).clamp(2, 64);
            (0..=count).map(move |k| low + (high - low) * k as f32 / count as f32)
        };
        let highest = samples(aabb.mins.x, aabb.maxs.x)
            .flat_map(|x| samples(aabb.mins.y, aabb.maxs.y).map(move |y| (x, y)))
            .fold(f32::NEG_INFINITY, |highest, (x, y)| highest.max(self.height(x, y)));
        aabb.mins.z - highest
    }

    /// The largest height of the ground near the robot \[m\]; stairs have none.
    pub fn highest(&self) -> f32 {
        match &self.relief {
            Built::Field { field, .. } => field.highest(),
            Built::Plane | Built::Blocks(_) => 0.0,
        }
    }

    /// Whether only feet can be the first to touch it.
    pub fn is_plane(&self) -> bool {
        matches!(self.relief, Built::Plane)
    }

    /// The ground around `position`, to look at.
    pub fn shapes(&self, position: Vector, colliders: &ColliderSet) -> Vec<GroundShape> {
        let local = self.frame.inverse_transform_point(position);
        let shape = |pose: Pose, form: GroundForm| GroundShape {
            position: pose.translation.to_array(),
            orientation: pose.rotation.to_array(),
            form,
        };
        let slab = |height: f32| {
            let middle = Vector::new(local.x, local.y, height - 0.5 * SHOWN_THICKNESS);
            let size = [2.0 * SHOWN, 2.0 * SHOWN, SHOWN_THICKNESS];
            shape(self.frame * Pose::from_translation(middle), GroundForm::Box { size })
        };
        match &self.relief {
            Built::Plane => vec![slab(0.0)],
            Built::Field { field, .. } => {
                let cells = ((2.0 * SHOWN / field.cell()) as i64).min(160);
                let corner = |row: i64, column: i64| {
                    let [x, y] = [(local.x, column), (local.y, row)].map(|(middle, index)| {
                        (middle / field.cell()).round() * field.cell() + (index - cells / 2) as f32 * field.cell()
                    });
                    [x, y, self.height(x, y)]
                };
                let triangles = (0..cells * cells).flat_map(|index| {
                    let (row, column) = (index / cells, index % cells);
                    let [a, b, c, d] =
                        [corner(row, column), corner(row, column + 1), corner(row + 1, column + 1), corner(row + 1, column)];
                    [a, b, c, a, c, d]
                });
                vec![shape(self.frame, GroundForm::Triangles(triangles.collect()))]
            }
            Built::Blocks(blocks) => {
                let boxes = blocks.colliders().filter_map(|handle| {
                    let collider = colliders.get(handle)?;
                    let size = collider.shape().as_cuboid()?.half_extents * 2.0;
                    Some(shape(*collider.position(), GroundForm::Box { size: size.to_array() }))
                });
                boxes.chain(blocks.row().depth.map(|depth| slab(-depth))).collect()
            }
        }
    }
}
