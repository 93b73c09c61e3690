//! What each damage does to the robot.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;

use common::{beetle, bits, repository, run, sensed, state_of};
use hebbian_locomotion::config::parse_yaml;
use hebbian_locomotion::episode::{Episode, EpisodeSettings, Fitness, StepView};
use hebbian_locomotion::evolution::{Experiment, Search};
use hebbian_locomotion::plasticity::Gate;
use hebbian_locomotion::robot::{RobotModel, RobotState};
use hebbian_locomotion::simulation::{Damage, DamageError, Mount, SimulationSettings, StartNoise, World};

const STILL: StartNoise = StartNoise { position: 0.0, velocity: 0.0 };

fn damages(text: &str) -> Vec<Damage> {
    parse_yaml(text).unwrap()
}

/// A standing beetle with `damage` from the start.
fn world(damage: &str) -> World {
    let mut start = World::new(beetle(), SimulationSettings::default()).unwrap();
    start.set_damage(&damages(damage)).unwrap();
    start.start_of_episode(1, STILL)
}

/// A beetle whose base is held in the air.
fn hanging(damage: &str) -> World {
    let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
    let mut start = World::new(beetle(), settings).unwrap();
    start.set_damage(&damages(damage)).unwrap();
    start.start_of_episode(1, STILL)
}

/// A beetle that was held in the air and let go: for some 0.2 s it touches nothing.
fn falling(damage: &str) -> World {
    let mut world = world(&format!("[{{suspended: {{when: {{until: 0.19}}}}}}, {damage}]"));
    run(&mut world, 0.2);
    world
}

fn index(world: &World, joint: &str) -> usize {
    world.robot().joint_names().position(|name| name == joint).unwrap()
}

/// Mass of a falling robot, from the momentum that gravity gives it in a tenth of a second.
fn weighed(world: &mut World) -> f32 {
    let before = world.momentum().0[2];
    run(world, 0.1);
    (before - world.momentum().0[2]) / (9.81 * 0.1)
}

#[test]
fn a_limp_joint_transmits_no_torque() {
    let (mut healthy, mut limp) = (hanging("[]"), hanging("[{limp_joint: {joint: CF1}}]"));
    let joint = index(&limp, "CF1");
    let mut targets: Vec<f32> = vec![0.0; limp.robot().joints.len()];
    targets[joint] = -0.5;
    let mut torques = targets.clone();
    for world in [&mut healthy, &mut limp] {
        world.set_targets(&targets);
    }
    for _ in 0..100 {
        healthy.control_step();
        limp.control_step();
        limp.motor_torques(&mut torques);
        assert_eq!(torques[joint], 0.0);
    }
    let [healthy, limp] = [healthy, limp].map(|world| sensed(&world).joint_position[joint]);
    assert!((healthy + 0.5).abs() < 0.02, "a healthy joint is at {healthy} rad");
    assert!((limp + 0.5).abs() > 0.2, "a limp joint is at {limp} rad, where its motor would have it");
}

#[test]
fn a_stuck_joint_holds_under_load_and_against_its_command() {
    let mut world = world("[{stuck_joint: {joint: FT1, angle: 0.1}}, {stuck_joint: {joint: CF4}}, {payload: {mass: 2}}]");
    let joints = [index(&world, "FT1"), index(&world, "CF4")];
    world.set_targets(&vec![0.3; world.robot().joints.len()]);
    run(&mut world, 2.0);
    let state = sensed(&world);
    for (joint, angle) in joints.into_iter().zip([0.1, 0.0]) {
        assert!((state.joint_position[joint] - angle).abs() < 0.01, "{} rad instead of {angle}", state.joint_position[joint]);
    }
}

#[test]
fn a_weak_motor_gives_its_share_of_torque_and_no_more() {
    let share = 0.1;
    let mut world = world(&format!("[{{weak_motor: {{joint: CF1, torque: {share}}}}}]"));
    let joint = index(&world, "CF1");
    let limit = share * world.robot().joints[joint].effort_limit;
    let (mut torques, mut most) = (vec![0.0; world.robot().joints.len()], 0.0f32);
    for step in 0..100 {
        let target = if step % 20 < 10 { 0.5 } else { -0.5 };
        world.set_targets(&vec![target; torques.len()]);
        world.control_step();
        world.motor_torques(&mut torques);
        most = most.max(torques[joint].abs());
    }
    assert!(most <= limit && most > 0.9 * limit, "{most} N m of {limit} N m");
}

#[test]
fn a_motor_that_its_speed_limit_keeps_far_below_its_effort_limit_is_weakened_too() {
    let ant = Arc::new(RobotModel::load(&repository("config/robots/ant.yaml")).unwrap());
    let joint = ant.joint_names().position(|name| name == "hip1").unwrap();
    // Torque and speed at the hip, which turns about the vertical, in the first moment against a mass that it hardly moves.
    let blocked = |share: f32| {
        let settings = SimulationSettings { mount: Mount::Suspended, ..Default::default() };
        let mut world = World::new(ant.clone(), settings).unwrap();
        let weak = format!("{{weak_motor: {{joint: hip1, torque: {share}}}}}");
        world.set_damage(&damages(&format!("[{{payload: {{mass: 100, link: leg1, position: [0.5, 0, 0]}}}}, {weak}]"))).unwrap();
        let mut targets: Vec<f32> = ant.joints.iter().map(|joint| joint.nominal).collect();
        targets[joint] = ant.joints[joint].upper;
        world.set_targets(&targets);
        world.control_step();
        let mut torques = vec![0.0; targets.len()];
        world.motor_torques(&mut torques);
        (torques[joint], sensed(&world).joint_velocity[joint])
    };
    let ((whole, fast), (half, slow)) = (blocked(1.0), blocked(0.5));
    // 4 rad/s * (3 N m s/rad + 60 N m/rad * 0.01 s), of an effort limit of 30 N m.
    assert!((whole - 14.4).abs() < 0.1, "{whole} N m");
    assert!((half / whole - 0.5).abs() < 0.01, "{half} N m of {whole} N m");
    assert!((slow / fast - 0.5).abs() < 0.02, "{slow} rad/s of {fast} rad/s");
}

#[test]
fn a_shortened_limb_does_not_reach_the_ground() {
    let (mut whole, mut short) = (world("[]"), world("[{shortened_limb: {foot: tip1, length: 0.5}}]"));
    run(&mut whole, 1.5);
    run(&mut short, 1.5);
    let [whole_force, short_force] = [&whole, &short].map(|world| sensed(world).foot_force[1]);
    assert!(whole_force > 1.0 && short_force == 0.0, "{whole_force} N with the whole leg, {short_force} N with half of it");
    // The others carry the weight.
    assert!(sensed(&short).foot_contact.iter().filter(|&&touches| touches).count() >= 3);
    let mut at_once = falling("{shortened_limb: {foot: tip1, length: 0.5}}");
    let mut healthy = falling("{payload: {mass: 0}}");
    let (lighter, mass) = (weighed(&mut at_once), weighed(&mut healthy));
    let lost = 0.5 * short.robot().bodies[short.robot().feet[1].body].mass;
    assert!((mass - lighter - lost).abs() < 0.005, "{} kg lighter instead of {lost} kg", mass - lighter);
}

#[test]
fn a_lost_leg_touches_nothing_and_weighs_nothing() {
    let mut world = world("[{lost_leg: {joint: BC1, when: {from: 1}}}]");
    run(&mut world, 0.9);
    assert!(sensed(&world).foot_contact[1]);
    for _ in 0..100 {
        world.control_step();
        if world.physics_steps() > 101 {
            assert!(!sensed(&world).foot_contact[1]);
        }
    }
    let (lost, mass) = (weighed(&mut falling("{lost_leg: {joint: BC1}}")), weighed(&mut falling("{payload: {mass: 0}}")));
    // A leg of the beetle: 0.104 + 0.183 + 0.0348 + 0.0081 kg.
    assert!((mass - lost - 0.33).abs() < 0.02, "{} kg lighter", mass - lost);
}

#[test]
fn a_payload_is_felt_at_the_feet_and_has_its_mass() {
    let mut standing = [world("[]"), world("[{payload: {mass: 1.0}}]")];
    standing.iter_mut().for_each(|world| run(world, 2.0));
    let [without, with] = standing.map(|world| sensed(&world).foot_force.iter().sum::<f32>());
    // Forces also lean against friction, so their magnitudes add up to a little more.
    let more = (with - without) / 9.81;
    assert!(more > 0.9 && more < 1.6, "the feet carry {more} kg more");
    let (with, without) = (weighed(&mut falling("{payload: {mass: 1.0}}")), weighed(&mut falling("{payload: {mass: 0}}")));
    assert!((with - without - 1.0).abs() < 0.005, "{} kg more", with - without);
    assert!((without - beetle().mass()).abs() < 0.005, "{without} kg");
}

#[test]
fn a_pushed_robot_gets_the_momentum_of_the_push() {
    // 0.075 s: not a whole number of physics steps.
    let mut pushed = falling("{push: {force: [8, -4, 0], duration: 0.075, from: 0.215}}");
    let before = pushed.momentum().0;
    run(&mut pushed, 0.12);
    let after = pushed.momentum().0;
    for (axis, expected) in [(0, 0.6), (1, -0.3)] {
        let gained = after[axis] - before[axis];
        assert!((gained - expected).abs() < 0.005, "{gained} N s instead of {expected} N s along axis {axis}");
    }
    // By hand, on a leg, where it acts on that body.
    let mut world = falling("{payload: {mass: 0}}");
    world.push(&damages("[{push: {force: [0, 5, 0], duration: 0.1, link: base_link}}]")[0]).unwrap();
    let before = world.momentum().0[1];
    run(&mut world, 0.14);
    assert!((world.momentum().0[1] - before - 0.5).abs() < 0.005, "{}", world.momentum().0[1] - before);
}

/// Momentum \[N s\] along y that `world` gets in the next tenth of a second.
fn gained(world: &mut World) -> f32 {
    let before = world.momentum().0[1];
    run(world, 0.1);
    world.momentum().0[1] - before
}

#[test]
fn other_damages_end_a_push() {
    let push = "[{push: {force: [0, 5, 0], duration: 10, point: [0.1, 0, 0]}}]";
    let listed = |world: &mut World| world.set_damage(&damages(push)).unwrap();
    let by_hand = |world: &mut World| world.push(&damages(push)[0]).unwrap();
    for begin in [&listed as &dyn Fn(&mut World), &by_hand] {
        let mut world = falling("{payload: {mass: 0}}");
        begin(&mut world);
        run(&mut world, 0.02);
        let mut healed = world.clone();
        healed.set_damage(&[]).unwrap();
        let turn = |world: &World| world.momentum().1[2];
        let before = turn(&healed);
        let gained_healed = gained(&mut healed);
        assert!(gained_healed.abs() < 0.005, "{gained_healed} N s after the push");
        assert!((turn(&healed) - before).abs() < 0.01, "still turned: {} N m s", turn(&healed) - before);
        // What comes instead acts, and nothing besides it: forces come and go a physics step late.
        let mut other = world.clone();
        other.set_damage(&damages("[{push: {force: [0, -2, 0], from: 0.02, duration: 0.05, link: femur1}}]")).unwrap();
        run(&mut other, 0.02);
        let gained_other = gained(&mut other);
        assert!((gained_other + 0.1).abs() < 0.02, "{gained_other} N s instead of -0.1 N s");
        // A list that is refused ends nothing.
        world.set_damage(&damages("[{limp_joint: {joint: FT11}}]")).unwrap_err();
        let gained_pushed = gained(&mut world);
        assert!((gained_pushed - 0.5).abs() < 0.05, "{gained_pushed} N s instead of 0.5 N s");
    }
}

#[test]
fn a_push_that_is_over_leaves_nothing_to_the_next_one() {
    let mut world = falling("{payload: {mass: 0}}");
    let before = world.momentum().0[1];
    world.push(&damages("[{push: {force: [0, 5, 0], duration: 0.04}}]")[0]).unwrap();
    // The first ends with the last of these steps, and the second comes before another step.
    run(&mut world, 0.04);
    world.push(&damages("[{push: {force: [0, -2, 0], duration: 0.05, link: femur1}}]")[0]).unwrap();
    run(&mut world, 0.1);
    let gained = world.momentum().0[1] - before;
    assert!((gained - 0.1).abs() < 0.02, "{gained} N s instead of 0.2 - 0.1 N s");
}

#[test]
fn a_robot_is_lifted_and_put_down_at_the_given_times() {
    let mut world = world("[{suspended: {when: {from: 1, until: 2}}}]");
    let touching = |world: &World| sensed(world).foot_contact.iter().filter(|&&touches| touches).count();
    run(&mut world, 1.0);
    assert!(touching(&world) >= 4);
    let standing = world.base().position[2];
    for _ in 0..48 {
        world.control_step();
        assert_eq!(touching(&world), 0);
    }
    assert!(world.base().position[2] > standing + 0.25);
    run(&mut world, 1.5);
    assert!(touching(&world) >= 4 && (world.base().position[2] - standing).abs() < 0.03, "{}", world.base().position[2]);
}

#[test]
fn a_command_delay_shifts_by_exactly_its_steps() {
    let delays = [
        (hanging("[{command_delay: {steps: 5}}]"), 5),
        (
            {
                let settings = SimulationSettings { mount: Mount::Suspended, actuator_delay: 0.1, ..Default::default() };
                World::new(beetle(), settings).unwrap().start_of_episode(1, STILL)
            },
            5,
        ),
    ];
    for (mut late, steps) in delays {
        let mut prompt = hanging("[]");
        let targets = vec![0.3; prompt.robot().joints.len()];
        late.set_targets(&targets);
        let mut moved = 0.0f32;
        for step in 0..40 {
            if step == steps {
                prompt.set_targets(&targets);
            }
            late.control_step();
            prompt.control_step();
            assert_eq!(bits(&sensed(&late)), bits(&sensed(&prompt)), "step {step}");
            moved = moved.max(sensed(&late).joint_position[0].abs());
        }
        assert!(moved > 0.1, "nothing moved, so nothing was shown");
    }
}

/// True and sensed states of a leg-waving beetle, step by step.
fn watched(damage: &str, seed: u64, steps: u32) -> Vec<(RobotState, RobotState)> {
    let mut start = World::new(beetle(), SimulationSettings::default()).unwrap();
    start.set_damage(&damages(damage)).unwrap();
    let mut world = start.start_of_episode(seed, STILL);
    let mut truth = state_of(world.robot());
    let mut all = Vec::new();
    for step in 0..steps {
        world.truth(&mut truth);
        all.push((truth.clone(), sensed(&world)));
        world.set_targets(&vec![0.3 * (0.3 * step as f32).sin(); truth.joint_position.len()]);
        world.control_step();
    }
    all
}

#[test]
fn a_sensor_delay_shows_what_was_true_so_many_steps_ago() {
    let states =
        watched("[{sensor_delay: {sensor: joint_position, steps: 7}}, {sensor_delay: {sensor: orientation, steps: 3}}]", 1, 60);
    for step in 7..60 {
        assert_eq!(states[step].1.joint_position, states[step - 7].0.joint_position, "step {step}");
        assert_eq!(states[step].1.orientation, states[step - 3].0.orientation, "step {step}");
        assert_eq!(states[step].1.joint_velocity, states[step].0.joint_velocity, "step {step}");
    }
    assert_eq!(states[3].1.joint_position, states[0].0.joint_position, "before the start it was as at the start");
}

#[test]
fn bias_noise_and_dropout_do_to_a_sensor_what_they_say() {
    let biased = watched(
        "[{sensor_bias: {sensor: joint_position, of: FT1, value: 0.2}}, {sensor_bias: {sensor: orientation, of: z, value: 0.5}}]",
        1,
        20,
    );
    let joint = index(&world("[]"), "FT1");
    for (truth, sensed) in &biased {
        for (index, (t, s)) in truth.joint_position.iter().zip(&sensed.joint_position).enumerate() {
            assert!((s - t - if index == joint { 0.2 } else { 0.0 }).abs() < 1e-6);
        }
        let turned = sensed.orientation.roll_pitch_yaw()[2] - truth.orientation.roll_pitch_yaw()[2];
        assert!((turned - 0.5).abs() < 0.02, "{turned}");
    }

    let noisy = watched("[{sensor_noise: {sensor: joint_velocity, sd: 0.3}}]", 1, 300);
    let errors: Vec<f32> =
        noisy.iter().flat_map(|(t, s)| s.joint_velocity.iter().zip(&t.joint_velocity).map(|(s, t)| s - t)).collect();
    let mean = errors.iter().sum::<f32>() / errors.len() as f32;
    let sd = (errors.iter().map(|error| (error - mean).powi(2)).sum::<f32>() / errors.len() as f32).sqrt();
    assert!(mean.abs() < 0.02 && (sd - 0.3).abs() < 0.02, "mean {mean}, sd {sd}");

    let dropped = watched(
        "[{sensor_dropout: {sensor: joint_position, probability: 0.5, when: {from: 0.4}}}, {sensor_dropout: {sensor: foot_contact, reads: zero}}]",
        1,
        200,
    );
    assert!(
        dropped.iter().all(|(_, sensed)| !sensed.foot_contact.contains(&true) && sensed.foot_force.iter().all(|&f| f == 0.0))
    );
    assert!(dropped[..20].iter().all(|(truth, sensed)| truth.joint_position == sensed.joint_position));
    let held = (21..200).filter(|&step| dropped[step].1.joint_position == dropped[step - 1].1.joint_position).count();
    assert!((60..120).contains(&held), "{held} of 179 values were the last ones again");
}

#[test]
fn the_same_seed_gives_the_same_faults_and_another_seed_others() {
    let damage = "[{sensor_noise: {sensor: joint_position, sd: 0.05}}, {stuck_joint: {joint: FT1, when: {from: 0.5}}}, {payload: {mass: 0.4}},
        {lost_leg: {joint: BC3, when: {from: 0.3}}}, {push: {force: [5, 5, 0], duration: 0.2, from: 0.2}}, {command_delay: {steps: 2}}]";
    let run = |seed| {
        watched(damage, seed, 60).iter().flat_map(|(truth, sensed)| [bits(truth), bits(sensed)].concat()).collect::<Vec<_>>()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn chance_of_damage_that_comes_in_an_episode_is_that_of_its_seed() {
    let start = world("[]");
    let noisy = |seed| {
        let mut world = start.start_of_episode(seed, STILL);
        run(&mut world, 0.1);
        world.set_damage(&damages("[{sensor_noise: {sensor: joint_position, sd: 0.05}}]")).unwrap();
        run(&mut world, 0.1);
        let (mut truth, sensed) = (state_of(world.robot()), sensed(&world));
        world.truth(&mut truth);
        truth.joint_position.iter().zip(&sensed.joint_position).map(|(truth, sensed)| sensed - truth).collect::<Vec<f32>>()
    };
    assert_eq!(noisy(3), noisy(3));
    assert_ne!(noisy(3), noisy(4));
}

#[test]
fn a_refused_list_changes_nothing_and_says_why() {
    let mut world = world("[{limp_joint: {joint: FT1}}]");
    run(&mut world, 0.3);
    let mut untouched = world.clone();
    for (list, said) in [
        ("[{payload: {mass: 3}}, {limp_joint: {joint: FT11}}]", "damage 2: unknown joint `FT11`; did you mean `FT1`?"),
        ("[{shortened_limb: {foot: tpi1, length: 0.5}}]", "did you mean `tip1`?"),
        ("[{weak_motor: {joint: FT1, torque: 1.5}}]", "`torque` is 1.5"),
        ("[{payload: {mass: .nan}}]", "`mass` is NaN"),
        ("[{payload: {mass: 1, link: bas_link}}]", "did you mean `base_link`?"),
        ("[{limp_joint: {joint: FT1, when: {from: 3, until: 2}}}]", "ends at 2 s"),
        ("[{sensor_delay: {sensor: joint_position, steps: 4000000000}}]", "`steps`"),
        ("[{sensor_bias: {sensor: orientation, of: w, value: 1}}]", "unknown axis `w`"),
    ] {
        let error = world.set_damage(&damages(list)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    run(&mut world, 0.5);
    run(&mut untouched, 0.5);
    assert_eq!(bits(&sensed(&world)), bits(&sensed(&untouched)));
}

#[test]
fn damage_too_short_to_ever_act_is_refused() {
    // Physics steps of 10 ms, control steps of 20 ms.
    let set = |text: &str| World::new(beetle(), SimulationSettings::default()).unwrap().set_damage(&damages(text));
    let limp = |when: &str| set(&format!("[{{limp_joint: {{joint: FT1, when: {when}}}}}]"));
    let biased = |when: &str| set(&format!("[{{sensor_bias: {{sensor: joint_position, value: 1, when: {when}}}}}]"));
    let refused = limp("{from: 1, until: 1.004}").unwrap_err();
    assert!(matches!(refused, DamageError::Brief { number: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("one does every 0.01 s"), "{refused}");
    limp("{from: 1.004, until: 1.006}").unwrap();
    limp("{from: 1.01, until: 1.02}").unwrap();
    // Sensors are not read in between.
    let refused = biased("{from: 1.01, until: 1.02}").unwrap_err();
    assert!(matches!(refused, DamageError::Brief { .. }) && refused.to_string().contains("every 0.02 s"), "{refused}");
    biased("{from: 1.01, until: 1.03}").unwrap();
    biased("{from: 1, until: 1.01}").unwrap();
}

#[test]
fn an_orientation_drops_out_and_comes_late_as_a_whole() {
    let mut world = world("[]");
    for text in ["{sensor_dropout: {sensor: orientation, OF}}", "{sensor_delay: {sensor: orientation, OF, steps: 2}}"] {
        let list = |of: &str| damages(&format!("[{}]", text.replace(", OF", of)));
        let refused = world.set_damage(&list(", of: x")).unwrap_err();
        assert!(matches!(&refused, DamageError::WholeOrientation { number: 1, axis } if axis == "x"), "{refused}");
        assert!(refused.to_string().contains("leave out `of`"), "{refused}");
        world.set_damage(&list("")).unwrap();
    }
    world.set_damage(&damages("[{sensor_delay: {sensor: angular_velocity, of: x, steps: 2}}]")).unwrap();
}

#[test]
fn a_low_robot_that_starts_in_the_air_has_not_fallen_when_it_is_let_go() {
    // 9 cm high and let go 30 cm above that, it comes down to less than 40 % of where it began before it stands. A network of zeros holds the
    // nominal pose.
    let network = "policy.network={feed_forward: {layers: [51, 64, 32, 16]}}".parse().unwrap();
    let (experiment, robot) = Experiment::load_changed(&repository("config/experiments/gecko.yaml"), &[network]).unwrap();
    let mut file = Search::new(Arc::new(experiment), &robot).unwrap().policy();
    file.genome.fill(0.0);
    let damage = damages("[{suspended: {when: {until: 1}}}]");
    let settings = EpisodeSettings { duration: 1.24, start_noise: STILL, damage, ..EpisodeSettings::default() };
    let (mut episode, mut policy) = (Episode::new(robot, settings).unwrap(), file.policy().unwrap());
    let mut heights = Vec::new();
    let watch = |view: &StepView<'_>| heights.push(view.world.base_height());
    let result = episode.run(&mut policy, 1, &Fitness::default(), |_| Gate::OPEN, watch);
    let (held, last) = (heights[0], heights[heights.len() - 1]);
    assert!(held > 0.3 && last < 0.4 * held, "from {held} m to {last} m: nothing is shown");
    assert!(!result.fell, "{result:?}");
}

#[test]
fn a_damage_that_ends_leaves_a_healthy_robot() {
    let mut world = world(
        "[{payload: {mass: 2.5, when: {until: 0.5}}}, {lost_leg: {joint: BC4, when: {until: 0.5}}}, {limp_joint: {joint: CF0, when: {until: 0.5}}}]",
    );
    run(&mut world, 0.5);
    let low = world.base().position[2];
    run(&mut world, 3.0);
    let mut healthy = self::world("[]");
    run(&mut healthy, 3.0);
    let (mended, healthy) = (world.base().position[2], healthy.base().position[2]);
    assert!((mended - healthy).abs() < 0.01 && low < healthy - 0.005, "{low} m, then {mended} m instead of {healthy} m");
}
