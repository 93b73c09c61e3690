//! The simulated beetle behaves like the robot that its description describes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{beetle, state_of};
use hebbian_locomotion::robot::RobotState;
use hebbian_locomotion::simulation::{Mount, SimulationSettings, StartNoise, World};

const NOISE: StartNoise = StartNoise { position: 0.2, velocity: 0.1 };

/// A tripod gait on the BC joints: legs 0, 2, 4 against 1, 3, 5.
fn tripod(world: &World, time: f32, targets: &mut [f32]) {
    for (joint, target) in world.robot().joints.iter().zip(targets) {
        let leg = joint.name[2..].parse::<usize>().unwrap();
        let phase = if leg % 2 == 0 { 0.0 } else { std::f32::consts::PI };
        let middle = 0.5 * (joint.lower + joint.upper);
        *target = match &joint.name[..2] {
            "BC" => middle + 0.2 * (2.0 * time + phase).sin(),
            "CF" => joint.nominal + 0.2 * (2.0 * time + phase).cos().max(0.0),
            _ => joint.nominal,
        };
    }
}

fn bits(state: &RobotState) -> Vec<u32> {
    [&state.joint_position[..], &state.joint_velocity, &state.angular_velocity, &state.linear_acceleration, &state.foot_force]
        .concat()
        .iter()
        .map(|value| value.to_bits())
        .collect()
}

#[test]
fn the_beetle_stands_still_and_its_feet_carry_its_weight() {
    let robot = beetle();
    let mut world = World::new(robot.clone(), SimulationSettings::default()).unwrap();
    let height = world.base().position[2];
    for _ in 0..150 {
        world.control_step();
    }
    let mut state = state_of(&robot);
    world.sense(&mut state);
    // At the zero pose the hind feet are up to 15 mm higher than the middle ones.
    assert!(state.foot_contact.iter().filter(|&&touches| touches).count() >= 4, "{:?}", state.foot_contact);
    let carried: f32 = state.foot_force.iter().sum();
    // A foot's force also leans inwards against friction, so the sum of magnitudes is a little more than the weight.
    let weight = robot.mass() * 9.81;
    assert!(carried > 0.97 * weight && carried < 1.6 * weight, "feet carry {carried} N of {weight} N");
    assert!((world.base().position[2] - height).abs() < 0.02, "sank from {height} to {}", world.base().position[2]);
    assert!(state.joint_velocity.iter().all(|speed| speed.abs() < 0.02), "{:?}", state.joint_velocity);
}

#[test]
fn the_imu_at_rest_measures_plus_g_upwards() {
    let robot = beetle();
    let mut world = World::new(robot.clone(), SimulationSettings::default()).unwrap();
    for _ in 0..150 {
        world.control_step();
    }
    let mut state = state_of(&robot);
    world.sense(&mut state);
    let [x, y, z] = state.linear_acceleration;
    assert!((x * x + y * y + z * z).sqrt() - 9.81 < 0.1 && z > 9.6, "{:?}", state.linear_acceleration);
    assert!(state.angular_velocity.iter().all(|rate| rate.abs() < 0.02), "{:?}", state.angular_velocity);
}

#[test]
fn joints_keep_their_speed_limit_and_reach_their_target() {
    for limit in [30f32.to_radians(), 60f32.to_radians()] {
        let mut robot = (*beetle()).clone();
        robot.set_velocity_limit(limit).unwrap();
        let robot = std::sync::Arc::new(robot);
        let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
        let mut world = World::new(robot.clone(), settings).unwrap();
        let targets: Vec<f32> = robot.joints.iter().map(|joint| 0.9 * joint.upper).collect();
        world.set_targets(&targets);
        let (mut state, mut fastest) = (state_of(&robot), 0.0f32);
        for _ in 0..200 {
            world.control_step();
            world.sense(&mut state);
            fastest = state.joint_velocity.iter().fold(fastest, |fastest, speed| fastest.max(speed.abs()));
        }
        assert!(fastest < 1.1 * limit && fastest > 0.9 * limit, "fastest {fastest} rad/s of {limit}");
        for ((joint, q), target) in robot.joints.iter().zip(&state.joint_position).zip(&targets) {
            assert!((q - target).abs() < 0.03, "{}: {q} instead of {target}", joint.name);
        }
    }
}

#[test]
fn joints_that_are_held_stop_where_they_are() {
    let robot = beetle();
    let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
    let mut world = World::new(robot.clone(), settings).unwrap();
    let (mut then, mut now) = (state_of(&robot), state_of(&robot));
    let targets: Vec<f32> = robot.joints.iter().map(|joint| joint.lower).collect();
    world.set_targets(&targets);
    (0..15).for_each(|_| world.control_step());
    world.sense(&mut then);
    assert!(then.joint_velocity.iter().any(|speed| *speed < -0.5), "nothing moves: {:?}", then.joint_velocity);
    world.hold_joints();
    (0..50).for_each(|_| world.control_step());
    world.sense(&mut now);
    assert!(now.joint_velocity.iter().all(|speed| speed.abs() < 0.01), "{:?}", now.joint_velocity);
    for (joint, (then, now)) in robot.joints.iter().zip(then.joint_position.iter().zip(&now.joint_position)) {
        assert!((then - now).abs() < 0.02, "{} held at {then}, is at {now}", joint.name);
    }
    world.set_targets(&targets);
    (0..100).for_each(|_| world.control_step());
    world.sense(&mut now);
    let reached = robot.joints.iter().zip(&now.joint_position).all(|(joint, q)| (q - joint.lower).abs() < 0.02);
    assert!(reached, "{:?}", now.joint_position);
}

#[test]
fn a_weak_motor_cannot_hold_the_robot_up() {
    let stands_at = |effort: f32| {
        let mut robot = (*beetle()).clone();
        robot.joints.iter_mut().for_each(|joint| joint.effort_limit = effort);
        let mut world = World::new(std::sync::Arc::new(robot), SimulationSettings::default()).unwrap();
        for _ in 0..100 {
            world.control_step();
        }
        world.base().position[2]
    };
    let (strong, weak) = (stands_at(4.1), stands_at(0.05));
    assert!(weak < 0.6 * strong, "stands at {weak} m with 0.05 N m, at {strong} m with 4.1 N m");
}

#[test]
fn targets_beyond_a_limit_stop_at_the_limit() {
    let robot = beetle();
    let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
    let mut world = World::new(robot.clone(), settings).unwrap();
    world.set_targets(&vec![3.0; robot.joints.len()]);
    for _ in 0..200 {
        world.control_step();
    }
    let mut state = state_of(&robot);
    world.sense(&mut state);
    for (joint, q) in robot.joints.iter().zip(&state.joint_position) {
        assert!(*q < joint.upper + 0.02, "{}: {q} over {}", joint.name, joint.upper);
    }
}

#[test]
fn no_foot_of_a_suspended_robot_touches_the_ground() {
    let robot = beetle();
    let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
    let mut world = World::new(robot.clone(), settings).unwrap().start_of_episode(3, NOISE);
    let (mut state, mut targets) = (state_of(&robot), vec![0.0; robot.joints.len()]);
    let start = world.base();
    for step in 0..100 {
        tripod(&world, step as f32 * 0.02, &mut targets);
        world.set_targets(&targets);
        world.control_step();
        world.sense(&mut state);
        assert!(!state.foot_contact.contains(&true), "step {step}");
    }
    assert_eq!(world.base().position, start.position);
}

#[test]
fn a_clone_continues_bit_for_bit_like_its_original() {
    let robot = beetle();
    let mut world = World::new(robot.clone(), SimulationSettings::default()).unwrap().start_of_episode(1, NOISE);
    let (mut a, mut b, mut targets) = (state_of(&robot), state_of(&robot), vec![0.0; robot.joints.len()]);
    let mut run = |world: &mut World, steps: std::ops::Range<u32>, state: &mut RobotState| {
        for step in steps {
            tripod(world, step as f32 * 0.02, &mut targets);
            world.set_targets(&targets);
            world.control_step();
        }
        world.sense(state);
    };
    run(&mut world, 0..100, &mut a);
    let mut copy = world.clone();
    run(&mut world, 100..250, &mut a);
    run(&mut copy, 100..250, &mut b);
    assert_eq!(bits(&a), bits(&b));
    assert_eq!(world.base(), copy.base());
    assert!(world.base().position[0].abs() > 0.01, "the gait did not move the robot, so the comparison shows nothing");
}

#[test]
fn the_start_of_an_episode_depends_on_its_seed_alone() {
    let robot = beetle();
    let world = World::new(robot.clone(), SimulationSettings::default()).unwrap();
    let start = |seed| {
        let mut state = state_of(&robot);
        world.start_of_episode(seed, NOISE).sense(&mut state);
        state
    };
    assert_eq!(bits(&start(7)), bits(&start(7)));
    assert_ne!(bits(&start(7)), bits(&start(8)));
    let spread = start(7).joint_position.iter().fold(0.0f32, |most, q| most.max(q.abs()));
    assert!(spread > 0.05 && spread <= 0.2, "{spread}");
}

#[test]
fn ten_millisecond_steps_walk_like_one_millisecond_steps() {
    let robot = beetle();
    let walk = |physics_rate: f32| {
        let settings = SimulationSettings { physics_rate, ..Default::default() };
        let mut world = World::new(robot.clone(), settings).unwrap();
        let mut targets = vec![0.0; robot.joints.len()];
        for step in 0..400 {
            tripod(&world, step as f32 * 0.02, &mut targets);
            world.set_targets(&targets);
            world.control_step();
        }
        world.base().position[0]
    };
    let (coarse, fine) = (walk(100.0), walk(1000.0));
    println!("distance at 100 Hz {coarse}, at 1 kHz {fine}");
    assert!((coarse - fine).abs() < 0.15 * fine.abs(), "{coarse} m at 100 Hz, {fine} m at 1 kHz");
}
