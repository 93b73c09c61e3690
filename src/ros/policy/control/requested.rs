//! What requests do to a robot that walks.

use std::path::Path;

use super::*;
use crate::plasticity::{CommandedGate, Gate, GateSource, InitialWeights, PlasticDescription};
use crate::policy::{NetworkDescription, PolicyFile, SnapshotRing};
use crate::robot::{RobotState, SensorFrame};
use crate::ros::outbox::outbox;
use crate::ros::policy::commanding::commands;
use crate::ros::policy::report::StepReport;
use crate::safety::{MessageFaults, SafetyDescription};

/// Number of the life that walks.
const LIFE: u64 = 1;

/// The shipped beetle policy with `initial_weights`.
fn beetle(initial_weights: InitialWeights) -> Policy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies/beetle.safetensors");
    let mut file = PolicyFile::load(&path).unwrap().0;
    let layers = file.metadata.network.layers().clone();
    file.metadata.network = NetworkDescription::Plastic(PlasticDescription::new(layers, initial_weights));
    file.policy().unwrap()
}

/// A control thread whose robot walks by `policy`, which has made three steps.
fn walking(mut policy: Policy) -> (ControlHandle, Control) {
    let robot = policy.robot().clone();
    let mut state = RobotState::at_rest(robot.joints.len(), robot.feet.len());
    state.joint_position.iter_mut().zip(&robot.joints).for_each(|(position, joint)| *position = joint.nominal);
    let mut ring = SnapshotRing::new(&policy, 4, 1, 1 << 24).unwrap();
    policy.start(1);
    for _ in 0..3 {
        policy.step(&state).unwrap();
        ring.push(&policy);
    }
    let description = SafetyDescription { positioning_speed: 0.0, fade_in: 2.0, ..SafetyDescription::default() };
    let mut supervisor = Supervisor::new(&description, &robot, None, 0.02).unwrap();
    let sensors = Sensors { state: &state, ages: [Some(0); 3], faults: MessageFaults::default() };
    supervisor.activate(0);
    assert!(supervisor.admit(0, &sensors));
    supervisor.command(3_000_000_000, &sensors, Proposal::Targets(policy.targets(), 0.0));
    assert_eq!(supervisor.phase(), Phase::Active);

    let ((outbox, _), (commands, _)) = (outbox(1, || StepReport::new(&policy)), commands(policy.targets().len()));
    let life = Life { number: LIFE, policy, seed: 1, ring, supervisor, commands, outbox };
    let empty = SensorFrame { stamp: 0, state, oldest_received: 0 };
    let (_, frames) = triple_buffer::TripleBuffer::new(&empty).split();
    let session = Session::new(life, frames, Trigger::Timer, 50.0);
    let (handle, requests) = ControlHandle::new();
    let mut control = Control::new(handle.clone(), requests);
    assert!(handle.send(Request::Configure(Box::new(session))));
    control.serve();
    (handle, control)
}

fn life(control: &Control) -> &Life {
    &control.session.as_ref().unwrap().life
}

#[test]
fn weights_that_are_put_back_fade_in_and_those_that_are_not_change_nothing() {
    let mut other = beetle(InitialWeights::Random(0.1));
    other.start(5);
    let snapshot = other.snapshot();
    let walking = || walking(beetle(InitialWeights::Random(0.1)));
    for (number, is_put_back, phase) in [(LIFE, true, Phase::FadeIn), (LIFE + 1, false, Phase::Active)] {
        let (handle, mut control) = walking();
        let mut answer = handle.ask(|answer| Request::Restore(number, Box::new(snapshot.clone()), answer));
        control.serve();
        let (_, result) = answer.try_recv().unwrap().unwrap();
        assert_eq!((result.is_ok(), life(&control).supervisor.phase()), (is_put_back, phase), "restored");
    }
    for (steps, is_put_back, phase) in [(1, true, Phase::FadeIn), (100, false, Phase::Active)] {
        let (handle, mut control) = walking();
        let mut answer = handle.ask(|answer| Request::RollBack(steps, answer));
        control.serve();
        let result = answer.try_recv().unwrap().unwrap();
        assert_eq!((result.is_ok(), life(&control).supervisor.phase()), (is_put_back, phase), "rolled back");
    }
}

#[test]
fn a_release_of_a_robot_that_walks_changes_nothing() {
    let (handle, mut control) = walking(beetle(InitialWeights::Random(0.1)));
    let fence = handle.fence();
    let mut answer = handle.ask_release();
    control.serve();
    assert_eq!(answer.try_recv(), Ok(Some(Released::NotStopped)));
    assert_eq!((life(&control).supervisor.phase(), handle.fence()), (Phase::Active, fence));
}

#[test]
fn values_from_before_a_silence_do_not_pass_for_those_of_the_message_that_ends_it() {
    let (handle, mut control) = walking(beetle(InitialWeights::Random(0.1)));
    let session = control.session.as_deref_mut().unwrap();
    let old = session.frames.output_buffer().clone();
    let (mut frames, output) = triple_buffer::TripleBuffer::new(&old).split();
    session.frames = output;
    // The message comes while the control thread looks.
    let received = latest(session, || {
        frames.input_buffer_mut().stamp = 7;
        frames.publish();
        handle.note_received(0, 7);
        handle.received()
    });
    assert_eq!((received[0], session.frames.output_buffer().stamp), (Some(7), 7));
}

#[test]
fn a_reset_draws_the_weights_of_its_seed_also_where_episodes_keep_them() {
    let weights = |policy: &Policy| policy.network().plastic().unwrap().weights();
    for initial_weights in [InitialWeights::Random(0.1), InitialWeights::Kept(0.1)] {
        let (handle, mut control) = walking(beetle(initial_weights));
        let before = weights(&life(&control).policy);
        let mut answer = handle.ask(|answer| Request::Reset(Some(9), answer));
        control.serve();
        assert_eq!(answer.try_recv(), Ok(Some(9)));
        let (after, mut fresh) = (weights(&life(&control).policy), beetle(initial_weights));
        fresh.start(9);
        assert!(after == weights(&fresh) && after != before, "{initial_weights:?}");
        assert_eq!(life(&control).supervisor.phase(), Phase::FadeIn);
    }
}

#[test]
fn the_gate_before_a_call_is_the_one_that_was_commanded_though_no_step_was_made_since() {
    let gate = |value: f32| Gate::new(value, GateSource::Service).unwrap();
    let mut shut = beetle(InitialWeights::Random(0.1));
    shut.set_gate(gate(0.0)).unwrap();
    let (handle, mut control) = walking(shut);
    assert_eq!(handle.present_gate(), 0.0);
    handle.set_layers(3);
    assert_eq!(handle.request_gate(gate(0.25)), Ok(true));
    control.serve();
    assert_eq!(handle.present_gate(), 0.25);
    let of_layers = CommandedGate::per_layer(&[1.0, 0.5, 0.75], GateSource::Service).unwrap();
    assert_eq!(handle.request_gate(of_layers), Ok(true));
    control.serve();
    assert_eq!(handle.present_gate(), 0.5);
}
