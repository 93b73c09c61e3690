//! How a robot under a supervisor begins, and when it does not.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/supervised.rs"]
mod supervised;

use hebbian_locomotion::evolution::Experiment;
use hebbian_locomotion::plasticity::{FootContactSettings, GateBlock, GateDescription};
use hebbian_locomotion::robot::JointKind;
use hebbian_locomotion::safety::{Fallback, FaultKind, Phase, Reaction, SafetyDescription, Subject, Supervisor, needed_sensors};

use common::repository;
use supervised::{Bench, PERIOD, robot};

#[test]
fn a_robot_goes_to_its_nominal_pose_before_the_policy_fades_in() {
    let mut bench = Bench::new(SafetyDescription { fade_in: 0.2, ..SafetyDescription::default() });
    assert_eq!(bench.step(&[1.0, 1.0, 0.0]), None, "commands although nobody wanted any");
    bench.supervisor.activate(bench.now);
    let mut phases = vec![bench.supervisor.phase()];
    let mut last = [0.0f32, 0.0, 0.0];
    for _ in 0..100 {
        let command = bench.step(&[1.0, 1.0, 0.0]).unwrap();
        let positioning = bench.supervisor.phase() == Phase::Positioning;
        let speed = command.iter().zip(last).map(|(new, old)| (new - old).abs() / 0.02).fold(0.0, f32::max);
        assert!(speed <= if positioning { 0.5001 } else { 2.0001 }, "{speed}");
        last.copy_from_slice(&command);
        if phases.last() != Some(&bench.supervisor.phase()) {
            phases.push(bench.supervisor.phase());
        }
    }
    assert_eq!(phases, [Phase::Passive, Phase::Positioning, Phase::FadeIn, Phase::Active]);
    assert_eq!(last, [1.0, 1.0, 0.0]);
}

#[test]
fn a_robot_does_not_begin_before_every_sensor_has_spoken() {
    let mut off = SafetyDescription::default();
    off.reactions.stale = Reaction::Off;
    for description in [SafetyDescription::default(), off] {
        let mut bench = Bench::new(description);
        bench.ages[1] = None;
        bench.supervisor.activate(0);
        assert!((0..10).all(|_| bench.step(&[0.0; 3]).is_none()));
        let fault = bench.supervisor.fault().unwrap();
        assert_eq!(fault.describe([]), "no values of imu yet");
        bench.ages[1] = Some(0);
        assert!(bench.step(&[0.0; 3]).is_some());
    }
}

#[test]
fn a_robot_does_not_begin_on_old_values_whatever_follows_from_silence() {
    for reaction in [Reaction::Stop, Reaction::Warn, Reaction::Off] {
        let mut description = SafetyDescription::default();
        description.reactions.stale = reaction;
        for sensor in 0..3 {
            let mut bench = Bench::new(description.clone());
            bench.supervisor.activate(0);
            // Its driver died an hour ago.
            bench.ages[sensor] = Some(3_600_000_000_000);
            assert!((0..10).all(|_| bench.step(&[0.0; 3]).is_none()), "{reaction:?}");
            let fault = bench.supervisor.fault().unwrap();
            assert_eq!((bench.supervisor.phase(), fault.kind), (Phase::Passive, FaultKind::Stale));
            assert!(fault.describe([]).contains("for 3600.000 s; 0.030 s are allowed"), "{}", fault.describe([]));
            bench.ages[sensor] = Some(bench.supervisor.sensor_timeout());
            assert!(bench.step(&[0.0; 3]).is_some(), "{reaction:?}");
        }
    }
}

#[test]
fn a_policy_that_does_not_look_at_contacts_walks_without_them() {
    let metadata = |name: &str| {
        let (experiment, robot) = Experiment::load(&repository(&format!("config/experiments/{name}.yaml"))).unwrap();
        experiment.metadata(&robot)
    };
    assert!(metadata("beetle").needs_contacts(), "it sees them");
    let mut gecko = metadata("gecko");
    assert!(!gecko.needs_contacts());
    for (needs_contacts, phase) in [(gecko.needs_contacts(), Phase::Active), (true, Phase::Passive)] {
        let mut bench = Bench::new(SafetyDescription { fade_in: 0.1, ..SafetyDescription::default() });
        bench.supervisor = bench.supervisor.with_needed(needed_sensors(needs_contacts));
        bench.ages[2] = None;
        bench.supervisor.activate(0);
        let walked = (0..500).filter(|_| bench.step(&[0.2, 0.7, 0.0]).is_some()).count();
        assert_eq!((bench.supervisor.phase(), walked > 0), (phase, phase == Phase::Active));
        if phase == Phase::Active {
            // A foot that spoke once and fell silent is no reason to stop, either.
            bench.ages[2] = Some(PERIOD * 1000);
            bench.step(&[0.2, 0.7, 0.0]);
            assert_eq!((bench.supervisor.phase(), bench.supervisor.fault()), (Phase::Active, None));
            let received = [bench.now, bench.now - 7, 0].map(Some);
            assert_eq!(bench.supervisor.silent_at(received), Some(bench.now - 7 + bench.supervisor.sensor_timeout() + 1));
            bench.ages[1] = Some(PERIOD * 2);
            bench.step(&[0.2, 0.7, 0.0]);
            assert_eq!(bench.supervisor.phase(), Phase::Fallback, "the other sensors are needed");
        }
    }
    let feet = GateBlock::FootContact(FootContactSettings { feet: 1, hold: 5, hold_open: 2, shut: 0.0 });
    gecko.gate = GateDescription::new(vec![feet]);
    assert!(gecko.needs_contacts(), "its gate follows them");
}

#[test]
fn a_joint_far_outside_its_range_keeps_the_robot_from_beginning() {
    let mut bench = Bench::new(SafetyDescription::default());
    bench.supervisor.activate(0);
    // One whole turn too far.
    bench.state.joint_position = vec![0.1 + std::f32::consts::TAU, 0.5, 0.0];
    assert!((0..50).all(|_| bench.step(&[0.2, 0.7, 0.0]).is_none()));
    let fault = bench.supervisor.fault().unwrap();
    let words = fault.describe(["hip", "knee"]);
    assert!(
        fault.kind == FaultKind::OutOfRange && words.contains("`hip` is 6.383 rad") && words.contains("1.000 rad"),
        "{words}"
    );
    assert_eq!(bench.supervisor.counts()[FaultKind::OutOfRange as usize], 50);
    // A little outside is put right.
    bench.state.joint_position[0] = 1.2;
    assert!(bench.step(&[0.2, 0.7, 0.0]).is_some());
    assert_eq!(bench.supervisor.fault(), None);
}

/// Lets the hip, whose range ends at 1 rad, come in from `hip` \[rad\] and checks that it moves by `period_speed` \[rad\] in each control step.
/// Returns the steps that it took.
fn bring_in(bench: &mut Bench, mut hip: f32, period_speed: f32) -> usize {
    let mut steps = 0;
    while hip > 1.0 {
        let next = bench.step(&[0.2, 0.7, 0.0]).unwrap()[0];
        let is_in_time = (hip - next - period_speed).abs() < 1e-6 || (next == 1.0 && hip - next <= period_speed);
        assert!(is_in_time, "from {hip} to {next} in step {steps}");
        (hip, steps) = (next, steps + 1);
    }
    steps
}

#[test]
fn a_joint_outside_its_range_comes_in_at_positioning_speed_from_where_it_stands() {
    let outside = || {
        let mut bench = Bench::new(SafetyDescription { recovery_time: 0.1, ..SafetyDescription::default() });
        bench.state.joint_position = vec![1.2, 0.5, 0.0];
        bench.supervisor.activate(0);
        bench
    };
    let mut bench = outside();
    let first = bench.step(&[0.2, 0.7, 0.0]).unwrap()[0];
    assert!((first - 1.19).abs() < 1e-6, "{first}");
    assert!((18..=20).contains(&bring_in(&mut bench, first, 0.01)));
    let walks = (0..500).any(|_| bench.step(&[0.2, 0.7, 0.0]).is_some() && bench.supervisor.phase() == Phase::Active);
    assert!(walks && bench.supervisor.counts().iter().all(|&count| count == 0), "{:?}", bench.supervisor.counts());

    // A release begins anew, from wherever somebody has put the joint meanwhile.
    bench.supervisor.emergency_stop(bench.now);
    bench.step(&[0.2, 0.7, 0.0]);
    bench.supervisor.release(bench.now);
    assert_eq!(bench.step(&[0.2, 0.7, 0.0]), None);
    bench.state.joint_position[0] = 1.3;
    assert!(bring_in(&mut bench, 1.3, 0.01) >= 29);

    // The joint that does not follow keeps its command near.
    let mut bench = outside();
    for _ in 0..100 {
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap()[0];
        assert!((0.6999..1.2).contains(&command), "{command}");
        bench.state.joint_position[0] = 1.2;
    }
    assert_eq!(bench.supervisor.fault().unwrap().kind, FaultKind::NotFollowing);
}

#[test]
fn a_fallback_or_stop_leaves_a_joint_outside_its_range_where_it_was() {
    for fallback in [Fallback::Hold, Fallback::LastSafe, Fallback::Damp] {
        for is_stop in [false, true] {
            let mut bench = Bench::new(SafetyDescription { fallback, ..SafetyDescription::default() });
            bench.state.joint_position = vec![1.2, 0.5, 0.0];
            bench.supervisor.activate(0);
            let hip = (0..3).map(|_| bench.step(&[0.9; 3]).unwrap()[0]).last().unwrap();
            assert_eq!(bench.supervisor.phase(), Phase::Positioning);
            if is_stop {
                bench.supervisor.emergency_stop(bench.now);
            } else {
                bench.ages[0] = Some(PERIOD * 2);
            }
            assert!(hip > 1.1 && (0..50).all(|_| bench.step(&[0.9; 3]).unwrap()[0] == hip), "{fallback:?} moves it");
            assert_eq!(bench.supervisor.phase(), if is_stop { Phase::Stopped } else { Phase::Fallback });
        }
    }
}

#[test]
fn without_positioning_a_joint_comes_in_as_fast_as_its_limits_allow_before_the_targets_fade_in() {
    let description = SafetyDescription { positioning_speed: 0.0, fade_in: 0.0, ..SafetyDescription::default() };
    let mut bench = Bench::new(description.clone());
    bench.state.joint_position = vec![1.2, 0.7, 0.0];
    bench.supervisor.activate(0);
    assert!((5..=6).contains(&bring_in(&mut bench, 1.2, 0.04)));
    let hip = bench.step(&[0.2, 0.7, 0.0]).unwrap()[0];
    assert!((hip - 0.96).abs() < 1e-6, "{hip}");

    // Where nothing limits the speed, as in simulation, the policy's first target is the first command.
    bench.supervisor = Supervisor::new(&description, &robot(), None, 0.02).unwrap();
    bench.state.joint_position[0] = 1.2;
    bench.supervisor.activate(0);
    assert_eq!(bench.step(&[0.2, 0.7, 0.0]).unwrap(), [0.2, 0.7, 0.0]);
}

#[test]
fn a_robot_without_power_is_waited_for_and_its_joints_do_not_jump_when_power_returns() {
    let mut bench = Bench::new(SafetyDescription::default());
    bench.supervisor.activate(0);
    let limp = [0.0, 1.5, 0.0];
    for _ in 0..500 {
        bench.state.joint_position = limp.to_vec();
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap();
        assert!(command.iter().zip(limp).all(|(command, position)| (command - position).abs() <= 0.5001), "{command:?}");
    }
    assert_eq!(bench.supervisor.phase(), Phase::Positioning);
    let words = bench.supervisor.fault().unwrap().describe(["hip", "knee"]);
    assert!(words.contains("`knee` is 1.000 rad") && words.contains("power"), "{words}");
    assert!(bench.supervisor.counts()[FaultKind::NotFollowing as usize] > 100);
    // The joints follow again, although they give way under the robot's weight.
    for _ in 0..300 {
        bench.step(&[0.2, 0.7, 0.0]);
        bench.state.joint_position.iter_mut().for_each(|position| *position += 0.3);
    }
    assert_eq!((bench.supervisor.phase(), bench.supervisor.fault()), (Phase::Active, None));

    let mut bench = Bench::new(SafetyDescription { positioning_tolerance: 0.0, ..SafetyDescription::default() });
    bench.supervisor.activate(0);
    for _ in 0..300 {
        bench.state.joint_position = limp.to_vec();
        bench.step(&[0.2, 0.7, 0.0]);
    }
    assert_eq!(bench.supervisor.phase(), Phase::Active, "0 is any distance");
}

#[test]
fn a_joint_that_is_blocked_on_the_way_to_the_nominal_pose_is_not_pushed_for_ever() {
    for fallback in [Fallback::Hold, Fallback::LastSafe, Fallback::Damp] {
        for is_stopped_twice in [false, true] {
            let description = SafetyDescription { fallback, fallback_timeout: 2.0, ..SafetyDescription::default() };
            let mut bench = Bench::new(description);
            bench.state.joint_position = vec![0.0, 1.5, 0.0];
            bench.supervisor.activate(0);
            // The command is half a radian ahead after a second.
            let steps = (0..400).position(|_| {
                bench.step(&[0.2, 0.7, 0.0]);
                bench.state.joint_position[1] = 1.5;
                bench.supervisor.phase() == Phase::Stopped
            });
            assert!(steps.is_some_and(|steps| (140..160).contains(&steps)), "{fallback:?}: {steps:?}");
            let fault = bench.supervisor.fault().unwrap();
            assert_eq!((fault.kind, fault.subject), (FaultKind::NotFollowing, Subject::Joint(1)));
            if is_stopped_twice {
                bench.supervisor.emergency_stop(bench.now);
            }
            let mut before = 1.0f32;
            for _ in 0..60 {
                let command = bench.step(&[0.2, 0.7, 0.0]).unwrap();
                bench.state.joint_position[1] = 1.5;
                assert!((-1e-6..=0.01001).contains(&(command[1] - before)), "{fallback:?}: from {before} to {}", command[1]);
                before = command[1];
            }
            assert!((before - 1.5).abs() < 1e-6, "{fallback:?} still pushes it, to {before}");
            // Once it is free, a release begins anew.
            assert!(bench.supervisor.release(bench.now));
            let walks = (0..500).any(|_| {
                bench.step(&[0.2, 0.7, 0.0]);
                bench.supervisor.phase() == Phase::Active
            });
            assert!(walks, "{fallback:?}: {:?}", bench.supervisor.fault());
        }
    }
}

#[test]
fn a_joint_that_is_slow_on_the_way_to_the_nominal_pose_is_waited_for() {
    let mut bench = Bench::new(SafetyDescription { fallback_timeout: 1.0, ..SafetyDescription::default() });
    let mut knee = 1.5f32;
    bench.state.joint_position = vec![0.0, knee, 0.0];
    bench.supervisor.activate(0);
    let walks = (0..1_000).any(|_| {
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap()[1];
        // A tenth of the speed of positioning: it stays behind for ten seconds.
        knee += (command - knee).clamp(-0.001, 0.001);
        bench.state.joint_position[1] = knee;
        assert_ne!(bench.supervisor.phase(), Phase::Stopped, "at {knee}");
        bench.supervisor.phase() == Phase::Active
    });
    assert!(walks && bench.supervisor.counts()[FaultKind::NotFollowing as usize] > 300);
}

#[test]
fn a_joint_that_shifts_slowly_on_the_way_to_the_nominal_pose_is_waited_for() {
    let mut bench = Bench::new(SafetyDescription { fallback_timeout: 1.0, ..SafetyDescription::default() });
    let kinds = [JointKind::Revolute, JointKind::Prismatic, JointKind::Revolute];
    bench.supervisor = bench.supervisor.with_kinds(&kinds);
    let mut spine = 0.6f32;
    bench.state.joint_position = vec![0.0, spine, 0.0];
    bench.supervisor.activate(0);
    let walks = (0..1_000).any(|_| {
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap()[1];
        // A tenth of the speed of positioning, as above: half a centimetre in a second.
        spine += (command - spine).clamp(-0.000_1, 0.000_1);
        bench.state.joint_position[1] = spine;
        assert_ne!(bench.supervisor.phase(), Phase::Stopped, "at {spine}");
        bench.supervisor.phase() == Phase::Active
    });
    assert!(walks && bench.supervisor.counts()[FaultKind::NotFollowing as usize] > 300);
}

#[test]
fn a_joint_that_is_blocked_and_whose_encoder_is_noisy_is_not_pushed_for_ever() {
    let mut bench = Bench::new(SafetyDescription { fallback_timeout: 1.0, ..SafetyDescription::default() });
    bench.state.joint_position = vec![0.0, 1.5, 0.0];
    bench.supervisor.activate(0);
    let steps = (0..400).position(|step| {
        bench.step(&[0.2, 0.7, 0.0]);
        // The command follows more slowly than that, and so is not as far ahead as it may be in every other step.
        bench.state.joint_position[1] = [1.5, 1.47][step % 2];
        bench.supervisor.phase() == Phase::Stopped
    });
    assert!(steps.is_some_and(|steps| (95..200).contains(&steps)), "{steps:?}");
}

#[test]
fn one_wrong_value_of_a_joint_that_has_long_arrived_does_not_stop_a_robot_that_waits_for_another() {
    let mut bench = Bench::new(SafetyDescription::default());
    let mut knee = 1.5f32;
    bench.state.joint_position = vec![0.0, knee, 0.0];
    bench.supervisor.activate(0);
    for step in 0..700 {
        // After twelve seconds, longer than a fallback may last.
        if step == 600 {
            bench.state.joint_position[0] = 0.9;
        }
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap()[1];
        let fault = bench.supervisor.fault();
        assert_eq!(bench.supervisor.phase(), Phase::Positioning, "step {step}: {fault:?}");
        assert_eq!(fault.is_some_and(|fault| fault.subject == Subject::Joint(0)), step == 600, "step {step}: {fault:?}");
        knee += (command - knee).clamp(-0.000_5, 0.000_5);
        bench.state.joint_position[1] = knee;
    }
}

#[test]
fn a_joint_that_returns_slowly_after_it_sank_in_a_fallback_is_waited_for() {
    let description = SafetyDescription { recovery_time: 0.1, fallback_timeout: 1.0, ..SafetyDescription::default() };
    let mut bench = Bench::walking(description);
    let mut knee = 1.7f32;
    bench.ages[1] = Some(PERIOD * 2);
    for _ in 0..20 {
        bench.state.joint_position[1] = knee;
        bench.step(&[0.2, 0.7, 0.0]);
    }
    // The command is still far from the joint, and nearer to the nominal pose.
    assert_eq!(bench.supervisor.phase(), Phase::Fallback);
    bench.ages[1] = Some(0);
    let walks = (0..1_000).any(|_| {
        bench.state.joint_position[1] = knee;
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap()[1];
        knee += (command - knee).clamp(-0.001, 0.001);
        assert_ne!(bench.supervisor.phase(), Phase::Stopped, "at {knee}");
        bench.supervisor.phase() == Phase::Active
    });
    assert!(walks, "{:?}", bench.supervisor.fault());
}

#[test]
fn a_joint_that_shifts_is_positioned_at_a_tenth_of_the_numbers_in_metres() {
    let slide = || {
        let mut bench = Bench::new(SafetyDescription::default());
        let kinds = [JointKind::Revolute, JointKind::Prismatic, JointKind::Revolute];
        bench.supervisor = bench.supervisor.with_kinds(&kinds);
        bench.supervisor.activate(0);
        bench
    };
    let mut bench = slide();
    bench.state.joint_position = vec![-0.4, 0.6, 0.0];
    let (mut before, mut steps) = ([-0.4f32, 0.6], 0);
    while bench.supervisor.phase() != Phase::FadeIn {
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap();
        let [turned, shifted] = [0usize, 1].map(|joint| (command[joint] - before[joint]).abs() / 0.02);
        assert!(turned <= 0.5001 && shifted <= 0.05001, "{turned} rad/s, {shifted} m/s in step {steps}");
        (before, steps) = ([command[0], command[1]], steps + 1);
        assert!(steps < 200, "{before:?}");
    }
    assert!((99..=102).contains(&steps), "0.1 m took {steps} steps");

    // What holds it up finds the command 5 cm ahead at most.
    let mut bench = slide();
    for _ in 0..200 {
        bench.state.joint_position = vec![0.1, 0.8, 0.0];
        let command = bench.step(&[0.2, 0.7, 0.0]).unwrap();
        assert!((0.749_99..=0.8).contains(&command[1]), "{command:?}");
    }
    let words = bench.supervisor.fault().unwrap().describe(["hip", "spine"]);
    assert!(words.contains("`spine` is 0.300 m") && words.contains("0.050 m are allowed"), "{words}");

    // No robot begins with one that far outside its range.
    let mut bench = slide();
    bench.state.joint_position = vec![0.1, -0.06, 0.0];
    assert_eq!(bench.step(&[0.2, 0.7, 0.0]), None);
    let words = bench.supervisor.fault().unwrap().describe(["hip", "spine"]);
    assert!(words.contains("position of `spine` is -0.060 m"), "{words}");
    bench.state.joint_position[1] = -0.04;
    assert!(bench.step(&[0.2, 0.7, 0.0]).is_some());
}
