//! The supervisor under everything that sensors, clocks and policies can do wrong.
#![allow(clippy::unwrap_used)]

#[path = "common/supervised.rs"]
mod supervised;

use hebbian_locomotion::robot::Orientation;
use hebbian_locomotion::safety::{Fallback, FaultKind, Phase, Proposal, Reaction, SafetyDescription, Supervisor};
use rand::{Rng, RngExt};

use supervised::{Bench, PERIOD, robot};

#[test]
fn stale_sensors_hold_the_robot_and_it_walks_on_when_they_are_back() {
    let mut bench = Bench::walking(SafetyDescription { recovery_time: 0.1, fade_in: 0.1, ..SafetyDescription::default() });
    bench.ages[0] = Some(PERIOD * 3 / 2 + 1);
    let held = bench.supervisor.clone();
    let command = bench.step(&[0.9, 0.9, 0.9]).unwrap();
    assert_eq!((bench.supervisor.phase(), bench.supervisor.fault().unwrap().kind), (Phase::Fallback, FaultKind::Stale));
    assert_eq!(command, [0.2, 0.7, 0.0], "{held:?}");
    bench.ages[0] = Some(0);
    let steps = (0..100).position(|_| {
        bench.step(&[0.2, 0.7, 0.0]);
        bench.supervisor.phase() == Phase::Active
    });
    assert!(steps.is_some_and(|steps| (5..15).contains(&steps)), "{steps:?}");
}

#[test]
fn silence_becomes_a_fault_after_one_and_a_half_control_periods_whatever_their_length() {
    for period in [PERIOD, PERIOD / 10] {
        let seconds = (period as f64 * 1e-9) as f32;
        let supervisor = Supervisor::new(&SafetyDescription::default(), &robot(), None, seconds).unwrap();
        assert!((supervisor.sensor_timeout() - period * 3 / 2).abs() < 100, "{}", supervisor.sensor_timeout());
    }
    let mut bench = Bench::walking(SafetyDescription::default());
    let received = [bench.now, bench.now - 7, bench.now - 3].map(Some);
    let silent_at = bench.supervisor.silent_at(received).unwrap();
    assert_eq!(silent_at, bench.now - 7 + bench.supervisor.sensor_timeout() + 1);
    for (now, phase) in [(silent_at - 1, Phase::Active), (silent_at, Phase::Fallback)] {
        bench.now = now - PERIOD;
        bench.ages = received.map(|received| received.map(|received| now - received));
        bench.step(&[0.2, 0.7, 0.0]);
        assert_eq!(bench.supervisor.phase(), phase);
    }
    assert_eq!(bench.supervisor.silent_at(received), None, "a robot that is held already");
    let mut warned = SafetyDescription::default();
    warned.reactions.stale = Reaction::Warn;
    assert_eq!(Bench::walking(warned).supervisor.silent_at(received), None);
}

#[test]
fn a_fallback_that_lasts_becomes_a_stop_that_only_a_release_ends() {
    let description = SafetyDescription { fallback_timeout: 0.5, positioning_speed: 0.0, ..SafetyDescription::default() };
    let mut bench = Bench::walking(description);
    bench.ages[2] = Some(PERIOD * 100);
    assert!((0..30).all(|_| bench.step(&[0.9; 3]).is_some()));
    assert_eq!(bench.supervisor.phase(), Phase::Stopped);
    bench.ages[2] = Some(0);
    assert!((0..200).all(|_| bench.step(&[0.9; 3]).unwrap() == [0.2, 0.7, 0.0]));
    bench.supervisor.deactivate(bench.now);
    assert_eq!(bench.step(&[0.9; 3]), None);
    bench.supervisor.activate(bench.now);
    assert_eq!((bench.step(&[0.9; 3]), bench.supervisor.phase()), (None, Phase::Stopped));
    assert!(bench.supervisor.release(bench.now));
    assert!(bench.step(&[0.9; 3]).is_some());
    assert_eq!(bench.supervisor.phase(), Phase::FadeIn);
}

#[test]
fn what_a_person_has_to_look_at_stops_at_once() {
    let leaning = Orientation { x: 0.6, y: 0.0, z: 0.0, w: 0.8 };
    let mut bench = Bench::walking(SafetyDescription::default());
    bench.state.orientation = leaning;
    bench.step(&[0.9; 3]);
    assert_eq!((bench.supervisor.phase(), bench.supervisor.fault().unwrap().kind), (Phase::Stopped, FaultKind::Tilt));

    let mut bench = Bench::walking(SafetyDescription::default());
    bench.step_with(Proposal::Targets(&[0.2; 3], f32::NAN));
    assert_eq!((bench.supervisor.phase(), bench.supervisor.fault().unwrap().kind), (Phase::Stopped, FaultKind::Weights));

    let mut warned = SafetyDescription::default();
    warned.reactions.tilt = Reaction::Warn;
    let mut bench = Bench::walking(warned);
    bench.state.orientation = leaning;
    bench.step(&[0.2, 0.7, 0.0]);
    assert_eq!((bench.supervisor.phase(), bench.supervisor.warning().unwrap().kind), (Phase::Active, FaultKind::Tilt));
}

#[test]
fn a_clock_jump_an_overrun_and_a_policy_without_numbers_are_fallbacks() {
    let mut bench = Bench::walking(SafetyDescription::default());
    bench.faults.clock_jumps += 1;
    bench.step(&[0.2; 3]);
    assert_eq!((bench.supervisor.phase(), bench.supervisor.fault().unwrap().kind), (Phase::Fallback, FaultKind::ClockJump));

    let mut description = SafetyDescription::default();
    description.reactions.overrun = Reaction::Stop;
    let mut bench = Bench::walking(description);
    for expected in [Phase::Active, Phase::Active, Phase::Fallback] {
        bench.supervisor.note_lateness(true);
        bench.step(&[0.2; 3]);
        assert_eq!(bench.supervisor.phase(), expected);
    }

    for wrong in [Proposal::Refused, Proposal::Targets(&[0.0, f32::NAN, 0.0], 1.0), Proposal::Targets(&[0.0], 1.0)] {
        let mut bench = Bench::walking(SafetyDescription::default());
        assert_eq!(bench.step_with(wrong).unwrap(), [0.2, 0.7, 0.0]);
        assert_eq!((bench.supervisor.phase(), bench.supervisor.fault().unwrap().kind), (Phase::Fallback, FaultKind::NotFinite));
    }
}

#[test]
fn what_is_off_goes_unsaid_and_what_warns_is_shown() {
    let mut description = SafetyDescription::default();
    (description.reactions.weights, description.reactions.not_finite) = (Reaction::Off, Reaction::Warn);
    let mut bench = Bench::walking(description);
    bench.step_with(Proposal::Targets(&[0.2, 0.7, 0.0], 1e9));
    assert_eq!((bench.supervisor.phase(), bench.supervisor.warning()), (Phase::Active, None));
    assert_eq!(bench.supervisor.counts()[FaultKind::Weights as usize], 0);
    assert_eq!(bench.step(&[0.2, f32::NAN, 0.0]).unwrap(), [0.2, 0.7, 0.0]);
    let warning = bench.supervisor.warning().unwrap();
    assert_eq!((bench.supervisor.phase(), warning.kind), (Phase::Active, FaultKind::NotFinite));
    assert_eq!(bench.supervisor.counts()[FaultKind::NotFinite as usize], 1);
}

#[test]
fn a_fallback_on_the_way_to_the_nominal_pose_goes_nowhere_and_is_no_faster_than_that_way() {
    for fallback in [Fallback::Hold, Fallback::LastSafe, Fallback::Damp] {
        for is_stop in [false, true] {
            let mut bench = Bench::new(SafetyDescription { fallback, ..SafetyDescription::default() });
            bench.supervisor.activate(0);
            let reached = (0..20).map(|_| bench.step(&[0.9; 3]).unwrap()).last().unwrap();
            assert_eq!(bench.supervisor.phase(), Phase::Positioning);
            if is_stop {
                bench.supervisor.emergency_stop(bench.now);
            } else {
                bench.ages[0] = Some(PERIOD * 2);
            }
            let mut before = reached.clone();
            for _ in 0..20 {
                bench.state.joint_position = vec![-0.3, 0.6, 0.2];
                let command = bench.step(&[0.9; 3]).unwrap();
                let speed = command.iter().zip(&before).map(|(new, old)| (new - old).abs() / 0.02).fold(0.0, f32::max);
                assert!(speed <= 0.5001, "{fallback:?}: {speed} rad/s");
                before = command;
            }
            assert_eq!(bench.supervisor.phase(), if is_stop { Phase::Stopped } else { Phase::Fallback });
            assert_eq!(before == reached, fallback != Fallback::Damp, "{fallback:?} went to {before:?}");
        }
    }
}

#[test]
fn a_policy_of_narrower_ranges_takes_over_without_a_jump_and_is_not_blamed_for_the_way_back() {
    let mut robot = robot();
    (robot.joints[0].lower, robot.joints[0].upper) = (-0.5, 0.5);
    let mut strict = SafetyDescription { fade_in: 0.5, ..SafetyDescription::default() };
    (strict.reactions.position, strict.reactions.velocity) = (Reaction::Stop, Reaction::Stop);
    for is_stopped in [false, true] {
        let mut bench = Bench::walking(strict.clone());
        for step in 1..=34 {
            bench.step(&[0.2 + 0.02 * step as f32, 0.7, 0.0]);
        }
        assert_eq!(bench.supervisor.phase(), Phase::Active);
        if is_stopped {
            bench.supervisor.emergency_stop(bench.now);
        }
        let mut narrow = Supervisor::new(&strict, &robot, Some(&[2.0; 3]), 0.02).unwrap();
        narrow.take_over(&bench.supervisor, bench.now);
        bench.supervisor = narrow;
        let mut before = bench.state.joint_position[0];
        if is_stopped {
            let stays = (0..60).all(|_| bench.step(&[0.4, 0.7, 0.0]).unwrap()[0] == before);
            assert!(stays && before > 0.5, "a stopped robot moves");
            continue;
        }
        for _ in 0..10 {
            assert!(before > 0.5);
            let hip = bench.step(&[0.4, 0.7, 0.0]).unwrap()[0];
            assert!((before - hip - 0.04).abs() < 1e-4 || hip == 0.5, "from {before} to {hip}");
            before = hip;
        }
        assert_eq!(before, 0.5);
        let last = (0..50).map(|_| bench.step(&[0.4, 0.7, 0.0]).unwrap()).last().unwrap();
        assert_eq!((bench.supervisor.phase(), last[0], bench.supervisor.warning()), (Phase::Active, 0.4, None));
    }
}

#[test]
fn each_fallback_does_what_its_name_says() {
    let fall = |fallback| {
        let mut bench = Bench::walking(SafetyDescription { fallback, ..SafetyDescription::default() });
        // Two steps that exceed the speed limit: only warned, but not safe.
        bench.step(&[0.9, 0.7, 0.0]);
        bench.step(&[0.9, 0.7, 0.0]);
        bench.state.joint_position = vec![0.25, 0.6, 0.01];
        bench.supervisor.emergency_stop(bench.now);
        for _ in 0..50 {
            let command = bench.step(&[0.9; 3]).unwrap();
            bench.state.joint_position = vec![0.25, 0.6, 0.01];
            assert_eq!(bench.supervisor.phase(), Phase::Stopped);
            bench.state.joint_velocity = command;
        }
        bench.state.joint_velocity
    };
    let near = |command: &[f32], expected: &[f32]| command.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(&fall(Fallback::Hold), &[0.28, 0.7, 0.0]));
    assert!(near(&fall(Fallback::Damp), &[0.25, 0.6, 0.01]));
    assert!(near(&fall(Fallback::LastSafe), &[0.2, 0.7, 0.0]));
}

/// How far a command may go in a control step while the joints are positioned \[rad\].
const POSITIONING_STEP: f32 = 0.5001 * 0.02;

#[test]
fn a_held_robot_whose_joint_sinks_takes_its_command_along_and_does_not_leap_when_power_returns() {
    for fallback in [Fallback::Hold, Fallback::LastSafe] {
        let mut bench = Bench::walking(SafetyDescription { fallback, ..SafetyDescription::default() });
        bench.supervisor.emergency_stop(bench.now);
        // The motors are without power, and the knee sinks by 1 rad.
        let mut before = 0.7f32;
        for step in 0..100 {
            bench.state.joint_position = vec![0.2, 1.7, 0.0];
            let command = bench.step(&[0.9; 3]).unwrap();
            assert!((command[1] - before).abs() <= POSITIONING_STEP, "{fallback:?}: from {before} to {}", command[1]);
            assert!(step < 52 || (command[1] - 1.7).abs() <= 0.500_01, "{fallback:?}: {} in step {step}", command[1]);
            assert_eq!([command[0], command[2]], [0.2, 0.0], "{fallback:?}: the other joints");
            before = command[1];
        }
        // Power is back: the knee goes to its command, and neither goes on to where it was.
        let last = (0..100).map(|_| bench.step(&[0.9; 3]).unwrap()).last().unwrap();
        assert!((last[1] - before).abs() <= POSITIONING_STEP, "{fallback:?}: from {before} to {}", last[1]);
        assert_eq!(bench.supervisor.phase(), Phase::Stopped);
    }
}

#[test]
fn a_held_joint_that_gives_way_under_its_load_or_has_an_impossible_value_keeps_its_command() {
    for fallback in [Fallback::Hold, Fallback::LastSafe] {
        let mut bench = Bench::walking(SafetyDescription { fallback, ..SafetyDescription::default() });
        bench.supervisor.emergency_stop(bench.now);
        for step in 0..500 {
            let command = bench.step(&[0.9; 3]).unwrap();
            assert_eq!(command, [0.2, 0.7, 0.0], "{fallback:?}, step {step}");
            // The knee hangs below its command, the hip's encoder lost a turn.
            bench.state.joint_position = vec![command[0] + std::f32::consts::TAU, command[1] + 0.45, command[2]];
        }
        // A single wrong value that could be true moves it, but not for good.
        bench.state.joint_position[1] = 2.0;
        assert!((bench.step(&[0.9; 3]).unwrap()[1] - 0.71).abs() < 1e-4, "{fallback:?}");
        bench.state.joint_position[1] = 0.7;
        assert!((bench.step(&[0.9; 3]).unwrap()[1] - 0.7).abs() < 1e-6, "{fallback:?}");
    }
}

#[test]
fn a_single_wrong_joint_state_does_not_decide_how_a_fallback_ends() {
    for fallback in [Fallback::Hold, Fallback::LastSafe] {
        // In the step in which the fallback begins, and later.
        for wrong in [0, 5, 15] {
            let description = SafetyDescription { fallback, recovery_time: 0.2, fade_in: 0.1, ..SafetyDescription::default() };
            let mut bench = Bench::walking(description);
            let (mut before, mut phases) = (0.7f32, Vec::new());
            for step in 0..60 {
                bench.ages[1] = Some(if step < 10 { PERIOD * 2 } else { 0 });
                if step == wrong {
                    bench.state.joint_position[1] = 2.0;
                }
                let knee = bench.step(&[0.2, 0.7, 0.0]).unwrap()[1];
                assert!((knee - before).abs() <= POSITIONING_STEP, "{fallback:?}: from {before} to {knee} in step {step}");
                before = knee;
                if phases.last() != Some(&bench.supervisor.phase()) {
                    phases.push(bench.supervisor.phase());
                }
            }
            assert_eq!(phases, [Phase::Fallback, Phase::FadeIn, Phase::Active], "{fallback:?}, wrong in step {wrong}");
            assert!((before - 0.7).abs() < 1e-6, "{fallback:?}, wrong in step {wrong}: {before}");
        }
    }
}

#[test]
fn a_fallback_in_which_a_joint_sank_ends_by_way_of_the_nominal_pose() {
    for recovery_time in [0.1, 2.0] {
        let mut bench = Bench::walking(SafetyDescription { recovery_time, ..SafetyDescription::default() });
        let sunk = [0.2, 1.7, 0.0];
        bench.ages[0] = Some(PERIOD * 2);
        for _ in 0..20 {
            bench.state.joint_position = sunk.to_vec();
            assert_eq!(bench.step(&[0.9; 3]).unwrap(), [0.2, 0.7, 0.0], "although nothing is known of the joints");
        }
        assert_eq!(bench.supervisor.phase(), Phase::Fallback);
        bench.ages[0] = Some(0);
        let (mut before, mut phases) = (0.7f32, vec![Phase::Fallback]);
        for step in 0..500 {
            // The sensors are back at once, power after some time.
            if step < 120 {
                bench.state.joint_position = sunk.to_vec();
            }
            let knee = bench.step(&[0.2, 0.7, 0.0]).unwrap()[1];
            assert!((knee - before).abs() <= POSITIONING_STEP, "from {before} to {knee} in step {step}");
            before = knee;
            if phases.last() != Some(&bench.supervisor.phase()) {
                phases.push(bench.supervisor.phase());
            }
        }
        assert_eq!(phases, [Phase::Fallback, Phase::Positioning, Phase::FadeIn, Phase::Active], "after {recovery_time} s");
    }
}

#[test]
fn an_emergency_stop_latches_in_every_phase() {
    let reach = |phase: Phase| {
        let mut bench = Bench::new(SafetyDescription { fade_in: 0.2, ..SafetyDescription::default() });
        bench.supervisor.activate(0);
        for _ in 0..200 {
            if bench.supervisor.phase() == phase {
                break;
            }
            bench.step(&[0.2; 3]);
            if phase == Phase::Fallback && bench.supervisor.phase() == Phase::Active {
                bench.ages[0] = Some(PERIOD * 10);
            }
        }
        assert_eq!(bench.supervisor.phase(), phase);
        bench
    };
    for phase in [Phase::Passive, Phase::Positioning, Phase::FadeIn, Phase::Active, Phase::Fallback] {
        let mut bench = reach(phase);
        bench.supervisor.emergency_stop(bench.now);
        bench.ages = [Some(0); 3];
        let first = bench.step(&[1.0; 3]);
        assert_eq!(first.is_none(), phase == Phase::Passive);
        assert!((0..100).all(|_| bench.step(&[1.0; 3]) == first), "{phase:?}");
        assert_eq!(bench.supervisor.phase(), Phase::Stopped);
    }
}

/// A number that a broken sensor or policy may give.
fn anything(random: &mut impl Rng) -> f32 {
    match random.random_range(0..12) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        3 => f32::MAX,
        4 => f32::MIN_POSITIVE,
        5 => f32::from_bits(random.random()),
        _ => random.random_range(-3.0..3.0),
    }
}

#[test]
fn no_command_outside_the_limits_in_a_million_random_sensor_messages() {
    let mut random = hebbian_locomotion::random::stream(7, "safety", &[]);
    let (mut messages, mut commands, mut phases) = (0u32, 0u32, [0u32; 6]);
    let (mut episode, mut ways_in) = (0, 0u32);
    while messages < 1_000_000 {
        let fallback = [Fallback::Hold, Fallback::Damp, Fallback::LastSafe][episode % 3];
        episode += 1;
        let description = SafetyDescription {
            acceleration_limit: random.random_range(20.0..200.0),
            step_limit: random.random_range(0.01..0.1),
            fade_in: 0.1,
            positioning_speed: 1.5,
            recovery_time: 0.04,
            fallback_timeout: 0.5,
            fallback,
            ..SafetyDescription::default()
        };
        let (acceleration, step) = (description.acceleration_limit, description.step_limit);
        let mut bench = Bench::new(description);
        let mut last: Option<(Vec<f32>, Vec<f32>)> = None;
        // Most robots are well most of the time, or little would be commanded.
        let wrongness = random.random_range(0.0..0.3);
        for _ in 0..2_000 {
            messages += 1;
            let wrong = random.random_bool(wrongness);
            match random.random_range(0..3) {
                0 => {
                    bench.ages[0] = Some(0);
                    for index in 0..3 {
                        bench.state.joint_position[index] =
                            if wrong { anything(&mut random) } else { random.random_range(-0.3..0.3) };
                        bench.state.joint_velocity[index] = if wrong { anything(&mut random) } else { 0.0 };
                    }
                }
                1 => {
                    bench.ages[1] = Some(0);
                    let mut part = || if wrong { anything(&mut random) } else { 0.0 };
                    bench.state.orientation = Orientation { x: part(), y: part(), z: part(), w: 1.0 };
                    bench.state.angular_velocity = [part(), part(), part()];
                }
                _ => {
                    bench.ages[2] = Some(0);
                    bench.state.foot_force[0] = if wrong { anything(&mut random) } else { 1.0 };
                }
            }
            if wrong {
                bench.faults.refused += random.random_range(0..2);
                bench.faults.reordered += random.random_range(0..2);
                bench.faults.clock_jumps += u64::from(random.random_bool(0.05));
                bench.ages[random.random_range(0..3)] = [None, Some(i64::MAX), Some(-5)][random.random_range(0..3)];
                // Clocks that stand still, jump and go back.
                bench.now += random.random_range(-2 * PERIOD..100 * PERIOD);
                match random.random_range(0..40) {
                    0 => bench.supervisor.emergency_stop(bench.now),
                    1 => bench.supervisor.deactivate(bench.now),
                    _ => {}
                }
            }
            bench.supervisor.activate(bench.now);
            if random.random_bool(0.02) {
                bench.supervisor.release(bench.now);
            }
            let targets: [f32; 3] =
                std::array::from_fn(|_| if wrong { anything(&mut random) } else { random.random_range(-1.0..1.0) });
            let weight = if random.random_bool(0.999) { 1.0 } else { anything(&mut random) };
            let measured = bench.state.joint_position.clone();
            let command = bench.step_with(Proposal::Targets(&targets, weight));
            if !wrong {
                bench.state.joint_position.clone_from(&measured);
            }
            phases[bench.supervisor.phase() as usize] += 1;
            let Some(command) = command else {
                last = None;
                continue;
            };
            commands += 1;
            // The first command begins where the joints are, at rest.
            let (before, change): (Vec<f32>, Vec<f32>) = last.unwrap_or_else(|| (measured, vec![0.0; 3]));
            let mut motion = vec![0.0; 3];
            for (index, joint) in robot().joints.iter().enumerate() {
                // A joint that stood outside its range comes in with every command, or stays while the robot is held. All others stay within.
                let beyond = |angle: f32| (joint.lower - angle).max(angle - joint.upper).max(0.0);
                let (was, is) = (beyond(before[index]), beyond(command[index]));
                let is_held = matches!(bench.supervisor.phase(), Phase::Fallback | Phase::Stopped);
                assert!(
                    is == 0.0 || is < was || (is_held && is == was),
                    "{} at {}, after {}",
                    joint.name,
                    command[index],
                    before[index]
                );
                ways_in += u32::from(was > 0.0);
                let speed = if was > 0.0 { 1.5 } else { 2.0 };
                motion[index] = command[index] - before[index];
                // Commands are in single precision.
                let rounding = 5e-7;
                assert!(motion[index].abs() <= step.min(speed * 0.02) + rounding, "step of {}", motion[index]);
                let difference = (motion[index] - change[index]).abs();
                assert!(difference <= acceleration * 0.02 * 0.02 + rounding, "acceleration of {difference} in a step");
            }
            last = Some((command, motion));
        }
    }
    assert!(commands > 100_000 && phases.iter().all(|&steps| steps > 1_000), "{commands} commands, phases {phases:?}");
    assert!(ways_in > 1_000, "only {ways_in} commands to joints outside their range");
}
