//! Conservation, rest and robustness of the simulated world.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{beetle, beetle_on, run, sensed};
use hebbian_locomotion::config::parse_yaml;
use hebbian_locomotion::random::stream;
use hebbian_locomotion::simulation::{Damage, Mount, Relief, SimulationSettings, StartNoise, Terrain, Uneven, World};
use rand::RngExt;

fn damages(text: &str) -> Vec<Damage> {
    parse_yaml(text).unwrap()
}

/// Throws a beetle up at 5 m/s with a spin of about `spin` turns a second; relative errors of linear and angular momentum in the second after.
fn flight(physics_rate: f32, spin: f32) -> (f32, f32) {
    let mut world = World::new(beetle(), SimulationSettings { physics_rate, ..Default::default() }).unwrap();
    let lever = 0.0084 * spin;
    let throw = damages(&format!("[{{push: {{force: [60, 20, 700], duration: 0.05, point: [{lever}, {lever}, 0.0]}}}}]"));
    world.push(&throw[0]).unwrap();
    run(&mut world, 0.1);
    assert!(!sensed(&world).foot_contact.contains(&true));
    let (p, l) = world.momentum();
    let length = |v: [f32; 3]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    let rate = length(world.base().angular_velocity) / std::f32::consts::TAU;
    let centre = world.centre_of_mass();
    run(&mut world, 1.0);
    // What moves is the robot, not only the numbers: its centre of mass flies along the parabola of its first momentum, as steps that take
    // the velocity at their end cut it.
    let drop = [0.0, 0.0, 0.5 * 9.81 * (1.0 + 1.0 / physics_rate)];
    for axis in 0..3 {
        let (expected, way) = (p[axis] / beetle().mass() - drop[axis], world.centre_of_mass()[axis] - centre[axis]);
        println!("{physics_rate} Hz, axis {axis}: off by {:.2} mm", 1e3 * (way - expected));
        assert!((way - expected).abs() < 0.01, "{way} m instead of {expected} m along axis {axis}");
    }
    let (p_after, l_after) = world.momentum();
    assert!(world.base().position[2] > 0.5, "back on the ground at {} m", world.base().position[2]);
    let expected = [p[0], p[1], p[2] - beetle().mass() * 9.81];
    let linear = length(std::array::from_fn(|axis| p_after[axis] - expected[axis])) / length(expected).max(length(p));
    let angular = length(std::array::from_fn(|axis| l_after[axis] - l[axis])) / length(l);
    println!(
        "{physics_rate} Hz, {rate:.2} turns/s: linear momentum off by {linear:.1e}, angular by {angular:.1e} in 1 s of free fall"
    );
    (linear, angular)
}

#[test]
fn a_tumbling_robot_in_free_fall_conserves_momentum() {
    for (rate, spin) in [(100.0, 0.2), (100.0, 3.0), (1000.0, 1.0)] {
        let (linear, angular) = flight(rate, spin);
        assert!(linear < 1e-3, "linear momentum off by {linear}");
        assert!(angular < 1e-3, "angular momentum off by {angular}");
    }
}

/// The beetle's base has its centre of mass 64 mm from its origin, about which it once turned.
#[test]
fn the_base_moves_as_its_velocity_says_while_it_turns() {
    let mut world = World::new(beetle(), SimulationSettings { physics_rate: 1000.0, ..Default::default() }).unwrap();
    let throw = damages("[{push: {force: [60, 20, 700], duration: 0.05, point: [0.02, 0.02, 0.0]}}]");
    world.push(&throw[0]).unwrap();
    run(&mut world, 0.1);
    let (mut before, mut fastest) = (world.base(), 0.0f32);
    for _ in 0..500 {
        world.physics_step();
        let after = world.base();
        for axis in 0..3 {
            let moved = (after.position[axis] - before.position[axis]) * 1000.0;
            let said = 0.5 * (before.linear_velocity[axis] + after.linear_velocity[axis]);
            fastest = fastest.max(after.angular_velocity[axis].abs());
            assert!((moved - said).abs() < 0.05, "moves at {moved} m/s and says {said} m/s along axis {axis}");
        }
        before = after;
    }
    assert!(fastest > 5.0, "{fastest} rad/s");
}

/// Masses were once known from the first step on, which then shifted a base whose centre of mass is not its origin.
#[test]
fn a_robot_has_its_masses_before_the_first_step_and_starts_where_it_is_put() {
    let mut world = World::new(beetle(), SimulationSettings::default()).unwrap();
    let centre = world.centre_of_mass();
    assert!((centre[0] - 0.051).abs() < 0.001 && centre[2] > 0.1, "{centre:?}");
    world.physics_step();
    for (axis, value) in world.centre_of_mass().into_iter().enumerate() {
        assert!((value - centre[axis]).abs() < 0.001, "from {centre:?} to {value} m along axis {axis}");
    }
}

#[test]
fn a_standing_robot_does_not_creep() {
    for relief in [Relief::Flat, Relief::Uneven(Uneven { height: 0.02, step: 0.005, ..Uneven::default() })] {
        let mut world = beetle_on(Terrain { relief, ..Terrain::default() });
        run(&mut world, 3.0);
        let before = world.base();
        run(&mut world, 10.0);
        let after = world.base();
        let way: f32 = before.position.iter().zip(after.position).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        println!("{relief:?}: creeps {:.4} mm/s", 1e3 * way / 10.0);
        assert!(way / 10.0 < 1e-3, "{relief:?}: {way} m in 10 s");
    }
}

/// Random targets, new ten times a second; largest excess over a joint's limit \[rad\].
fn thrash(seconds: u32) -> f32 {
    let terrain = Terrain { relief: Relief::Uneven(Uneven::default()), ..Terrain::default() };
    let settings = SimulationSettings { terrain, ..Default::default() };
    let mut world = World::new(beetle(), settings).unwrap().start_of_episode(1, StartNoise::default());
    let mut random = stream(1, "thrashing", &[]);
    let mut targets = vec![0.0; world.robot().joints.len()];
    let mut most = 0.0f32;
    for step in 0..50 * seconds {
        if step % 5 == 0 {
            targets.fill_with(|| random.random_range(-1.5..1.5));
            world.set_targets(&targets);
        }
        world.control_step();
        let state = sensed(&world);
        assert!(state.is_finite(), "step {step}");
        for (joint, q) in world.robot().joints.iter().zip(&state.joint_position) {
            most = most.max(q - joint.upper).max(joint.lower - q);
        }
        let speed = world.base().linear_velocity.iter().fold(0.0f32, |most, speed| most.max(speed.abs()));
        assert!(speed < 10.0, "step {step}: thrown away at {speed} m/s");
    }
    println!("{seconds} s of random targets: at most {:.2} degrees over a limit", most.to_degrees());
    most
}

#[test]
fn random_targets_at_full_speed_on_the_roughest_ground_break_nothing() {
    assert!(thrash(20).to_degrees() < 2.0);
}

/// The same for ten minutes: `cargo test --release --test physics -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn ten_minutes_of_random_targets_break_nothing() {
    assert!(thrash(600).to_degrees() < 2.0);
}

#[test]
fn motors_that_hold_do_no_work_and_motors_that_lift_do_at_least_that_of_the_weight() {
    let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
    let mut world = World::new(beetle(), settings).unwrap();
    run(&mut world, 2.0);
    let holding = world.energy();
    run(&mut world, 2.0);
    let held = world.energy();
    assert!(held.work - holding.work < 1e-3, "{} J for holding still", held.work - holding.work);
    assert!(held.torque_squared - holding.torque_squared > 0.1, "holding legs up needs torque");

    // A robot that stands up from a crouch lifts its base.
    let robot = beetle();
    let femurs: Vec<usize> = (0..robot.joints.len()).filter(|&index| robot.joints[index].name.starts_with("CF")).collect();
    let mut world = World::new(robot.clone(), SimulationSettings::default()).unwrap();
    let mut targets = vec![0.0; robot.joints.len()];
    let mut move_to = |world: &mut World, angle: f32| {
        femurs.iter().for_each(|&index| targets[index] = angle);
        world.set_targets(&targets);
        run(world, 1.5);
        (world.base().position[2], world.energy().work)
    };
    let one = move_to(&mut world, 0.2);
    let other = move_to(&mut world, -0.2);
    let back = move_to(&mut world, 0.2);
    let lifted = (other.0 - one.0).abs().max((back.0 - other.0).abs());
    let work = (if other.0 > one.0 { other.1 - one.1 } else { back.1 - other.1 }) as f32;
    let weight = robot.mass() * 9.81;
    println!("lifting {lifted:.3} m took {work:.3} J, the weight's part {:.3} J", lifted * weight);
    assert!(lifted > 0.02, "{lifted} m");
    assert!(work > 0.8 * lifted * weight && work < 6.0 * lifted * weight, "{work} J for {} J", lifted * weight);
}
