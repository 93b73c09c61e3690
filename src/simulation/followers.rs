//! Joints that mimic others: their motors go where their masters are, and are as weak as those.

use rapier3d::prelude::*;

use super::actuator::{free_axis, spring_target, torque_limit};
use super::damage::Condition;
use super::motors::{Energy, SEIZED};
use crate::robot::{Follower, RobotModel};

/// Links of the multibody that the followers move, in the order of [`RobotModel::followers`].
#[derive(Clone)]
pub(super) struct Followers {
    links: Vec<usize>,
}

impl Followers {
    pub fn new(links: Vec<usize>) -> Self {
        Self { links }
    }

    /// Writes into `displacement` what puts every follower where its master, at `angles`, wants it, and lets its motor hold it there.
    pub fn place(&self, robot: &RobotModel, tree: &mut Multibody, angles: &[f32], displacement: &mut [f32]) {
        for (follower, &link) in robot.followers.iter().zip(&self.links) {
            let axis = free_axis(&follower.joint) as usize;
            if let Some(link) = tree.link_mut(link) {
                let target = follower.position(angles[follower.master]);
                displacement[link.assembly_id()] = target - link.joint().coords()[axis];
                link.joint.data.motors[axis].target_pos = target;
            }
        }
    }

    /// Makes every follower's motor what `condition` says: it has the share of its torque that its master has of its own, and where its body
    /// came off it stays where it is. `dt` is the length of a physics step \[s\].
    pub fn apply(&self, condition: &Condition, robot: &RobotModel, tree: &mut Multibody, dt: f32) {
        for (follower, &link) in robot.followers.iter().zip(&self.links) {
            let (joint, axis) = (&follower.joint, free_axis(&follower.joint) as usize);
            let Some(link) = tree.link_mut(link) else {
                continue;
            };
            let (present, lost) = (link.joint().coords()[axis], is_lost(follower, condition));
            let motor = &mut link.joint.data.motors[axis];
            // No motor has this torque but one that holds already.
            if lost && motor.max_force < f32::MAX {
                motor.target_pos = present;
            }
            let stiffer = if lost { SEIZED } else { 1.0 };
            motor.stiffness = joint.stiffness * stiffer;
            motor.damping = joint.damping * stiffer;
            let share = condition.joints[follower.master].torque;
            motor.max_force = if lost { f32::MAX } else { torque_limit(joint, share, dt) };
        }
    }

    /// Gives every follower's motor the target that its master, at `angles`, makes of it; `dt` is the length of the physics step \[s\].
    pub fn aim(&self, condition: &Condition, robot: &RobotModel, tree: &mut Multibody, angles: &[f32], dt: f32) {
        for (follower, &link) in robot.followers.iter().zip(&self.links) {
            let axis = free_axis(&follower.joint) as usize;
            if is_lost(follower, condition) {
                continue;
            }
            if let Some(link) = tree.link_mut(link) {
                let position = link.joint().coords()[axis];
                let target = follower.position(angles[follower.master]);
                link.joint.data.motors[axis].target_pos = spring_target(&follower.joint, position, target, dt);
            }
        }
    }

    /// What the followers' motors used in the step of length `dt` at whose end `tree` is; as those of driven joints, springs and dampers at the
    /// end of the step, within the torque limit.
    pub fn used(&self, condition: &Condition, robot: &RobotModel, tree: &Multibody, dt: f32) -> Energy {
        let mut used = Energy::default();
        for ((follower, &link), [position, speed]) in robot.followers.iter().zip(&self.links).zip(self.states(robot, tree)) {
            let Some(link) = tree.link(link).filter(|_| !is_lost(follower, condition)) else {
                continue;
            };
            let motor = &link.joint().data.motors[free_axis(&follower.joint) as usize];
            let torque = motor.stiffness * (motor.target_pos - position) - motor.damping * speed;
            let torque = torque.clamp(-motor.max_force, motor.max_force);
            used.work += f64::from((torque * speed).max(0.0) * dt);
            used.torque_squared += f64::from(torque * torque * dt);
        }
        used
    }

    /// Position \[rad\] and speed \[rad/s\] of every follower.
    pub fn states<'a>(&'a self, robot: &'a RobotModel, tree: &'a Multibody) -> impl Iterator<Item = [f32; 2]> + 'a {
        robot.followers.iter().zip(&self.links).map(move |(follower, &link)| {
            let axis = free_axis(&follower.joint) as usize;
            tree.link(link).map_or([0.0; 2], |link| [link.joint().coords()[axis], tree.joint_velocity(link)[0]])
        })
    }
}

/// Whether the body that `follower` moves came off.
fn is_lost(follower: &Follower, condition: &Condition) -> bool {
    condition.bodies[follower.joint.child].lost
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::parse_yaml;
    use crate::robot::RobotDescription;
    use crate::simulation::{Damage, Mount, SimulationSettings, StartNoise, StartPose, World};

    /// A box with one leg: its hip turns about the vertical, its knee lifts a foot of a kilogram. `knee` is what the knee says besides, `more` what
    /// the description does.
    fn crane(kind: &str, knee: &str, more: &str) -> RobotModel {
        let inertia = "<inertia ixx='1e-3' iyy='1e-3' izz='1e-3' ixy='0' ixz='0' iyz='0'/>";
        let foot = "<origin xyz='0 0 -0.3'/>";
        let urdf = format!(
            "<robot name='crane'><link name='base'><inertial><mass value='5'/>{inertia}</inertial>\
             <collision><geometry><box size='0.2 0.2 0.1'/></geometry></collision></link>\
             <link name='mast'><inertial><mass value='0.1'/>{inertia}</inertial></link>\
             <link name='foot'><inertial>{foot}<mass value='1'/>{inertia}</inertial>\
             <collision>{foot}<geometry><sphere radius='0.02'/></geometry></collision></link>\
             <joint name='hip' type='revolute'><parent link='base'/><child link='mast'/><axis xyz='0 0 1'/>\
             <limit lower='-1.5' upper='1.25' effort='20' velocity='1'/></joint>\
             <joint name='knee' type='{kind}'><parent link='mast'/><child link='foot'/><axis xyz='0 1 0'/>{knee}</joint></robot>"
        );
        let description = format!(
            "{{name: crane, urdf: crane.urdf, base_link: base, joints: [hip], feet: [foot], contact_threshold: 0.1, \
             actuator: {{stiffness: 400, damping: 20}}{more}}}"
        );
        let description: RobotDescription = parse_yaml(&description).unwrap();
        RobotModel::from_parts(&description, urdf, Path::new("crane.urdf")).unwrap()
    }

    /// A crane in the air whose knee mimics its hip as `mimic` says, with `damage` from the start.
    fn hanging(mimic: &str, damage: &str) -> World {
        let robot = Arc::new(crane("revolute", &format!("<mimic joint='hip' {mimic}/>"), ""));
        let mut world = World::new(robot, SimulationSettings { mount: Mount::Suspended, ..Default::default() }).unwrap();
        world.set_damage(&parse_yaml::<Vec<Damage>>(damage).unwrap()).unwrap();
        world
    }

    fn knee(world: &World) -> f32 {
        world.follower_states().next().unwrap()[0]
    }

    #[test]
    fn the_work_of_joints_that_mimic_others_is_counted() {
        let mut world = hanging("multiplier='1'", "[]");
        world.set_targets(&[1.0]);
        (0..150).for_each(|_| world.control_step());
        let lifted = 9.81 * 0.3 * (1.0 - f64::from(knee(&world)).cos());
        let Energy { work, torque_squared } = world.energy();
        // The hip turns about the plumb line: it lifts nothing.
        assert!(lifted > 1.2 && work > 0.9 * lifted && work < 2.0 * lifted, "{work} J, {lifted} J of the weight");
        assert!(torque_squared > 5.0, "{torque_squared} N² m² s");
    }

    #[test]
    fn a_joint_that_mimics_a_limp_one_transmits_no_torque() {
        let [mut healthy, mut limp] = ["[]", "[{limp_joint: {joint: hip}}]"].map(|damage| hanging("offset='1'", damage));
        let (mut highest, mut lowest) = (0.0f32, 1.0f32);
        for _ in 0..100 {
            healthy.control_step();
            limp.control_step();
            (highest, lowest) = (highest.max((knee(&healthy) - 1.0).abs()), lowest.min(knee(&limp)));
        }
        assert!(highest < 0.1, "{highest} rad off");
        assert!(lowest < 0.3, "a limp knee stayed at {lowest} rad");
        assert_eq!(limp.energy(), Energy::default());
    }

    #[test]
    fn a_joint_that_mimics_a_weak_one_has_the_same_share_of_its_torque() {
        // The foot pulls with 2.5 N m; of 20 N m 0.6 N m are left.
        let mut world = hanging("offset='1'", "[{weak_motor: {joint: hip, torque: 0.03}}]");
        let mut lowest = 1.0f32;
        for _ in 0..100 {
            world.control_step();
            lowest = lowest.min(knee(&world));
        }
        assert!(lowest < 0.8, "held at {lowest} rad");
    }

    #[test]
    fn a_joint_that_mimics_another_and_came_off_stays_where_it_began() {
        let pose = StartPose { joints: vec![(0, 0.3)], ..StartPose::default() };
        let lost = hanging("offset='1'", "[{lost_leg: {joint: hip}}]");
        let mut world = lost.start_at(3, StartNoise { position: 0.0, velocity: 0.0 }, &pose);
        (0..50).for_each(|_| world.control_step());
        assert!((knee(&world) - 1.3).abs() < 0.01, "at {} rad", knee(&world));
        assert_eq!(world.energy(), Energy::default());
    }

    #[test]
    fn without_limits_of_its_own_a_joint_that_mimics_another_goes_as_far_as_that_takes_it() {
        for (kind, knee, expected) in [
            ("revolute", "<mimic joint='hip' multiplier='-2' offset='0.1'/>", [-2.4, 3.1]),
            ("continuous", "<mimic joint='hip' multiplier='3'/>", [-4.5, 3.75]),
            ("prismatic", "<mimic joint='hip' multiplier='0.02' offset='0.05'/>", [0.02, 0.075]),
            ("revolute", "<mimic joint='hip'/><limit lower='-0.5' upper='0.25'/>", [-0.5, 0.25]),
        ] {
            let robot = crane(kind, knee, "");
            let Follower { joint, .. } = &robot.followers[0];
            let near = [joint.lower, joint.upper].iter().zip(expected).all(|(limit, expected)| (limit - expected).abs() < 1e-6);
            assert!(near, "{knee}: {} to {}", joint.lower, joint.upper);
            assert_eq!(robot.warnings, [], "{knee}");
        }
    }

    #[test]
    fn damage_names_driven_joints_and_neither_those_that_mimic_them_nor_locked_ones() {
        for more in ["", ", locked: [knee], nominal_pose: {knee: 1.2}"] {
            let robot = crane("revolute", "<mimic joint='hip'/>", more);
            let driven: Vec<String> = robot.joint_names().map(str::to_owned).collect();
            assert_eq!(driven, ["hip"]);
            let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
            let mut world = World::new(Arc::new(robot), settings).unwrap();
            for kind in ["limp_joint: {joint: JOINT}", "stuck_joint: {joint: JOINT}", "lost_leg: {joint: JOINT}"] {
                let mut damage = |joint: &str| {
                    let list: Vec<Damage> = parse_yaml(&format!("[{{{}}}]", kind.replace("JOINT", joint))).unwrap();
                    world.set_damage(&list)
                };
                damage("hip").unwrap();
                let error = damage("knee").unwrap_err().to_string();
                assert!(error.contains("unknown joint `knee`"), "{kind}{more}: {error}");
            }
        }
    }

    #[test]
    fn a_locked_joint_is_known_with_its_position() {
        let robot = crane("revolute", "<mimic joint='hip'/>", ", locked: [knee], nominal_pose: {knee: 1.2}");
        assert_eq!((robot.followers.len(), robot.locked.len()), (0, 1));
        assert_eq!((robot.locked[0].name.as_str(), robot.locked[0].position), ("knee", 1.2));
    }
}
