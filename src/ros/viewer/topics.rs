//! What the viewer hears. Best effort throughout, so that no publisher ever waits for it.

use std::time::{Duration, Instant};

use r2r::QosProfile;
use r2r::hebbian_locomotion::msg::{FootContacts, PlasticityState, SimulatorStatus, WeightSnapshot, WeightsLayout};
use r2r::nav_msgs::msg::Odometry;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::visualization_msgs::msg::{Marker, MarkerArray};

use super::node::{LatestWeights, Shared};
use crate::ros::convert;
use crate::ros::node::{NodeError, Shell};
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::viewer::protocol::{DescriptionFrame, GroundForm, GroundFrame, GroundShape, LayoutFrame};
use crate::viewer::{BasePose, Feet, Kind, Plasticity, Simulation};

/// Most weights that are sent to browsers: more could not be seen, and would fill the network.
const MOST_WEIGHTS: usize = 1 << 20;
/// Most corners and pieces of the ground.
const MOST_CORNERS: usize = 200_000;
/// Largest robot description \[bytes\].
const LARGEST_DESCRIPTION: usize = 16 << 20;

/// Subscribes all topics; frames of weights are at least `weights_period` apart.
///
/// # Errors
/// [`NodeError::Ros`] when ROS refuses.
pub fn subscribe(shell: &mut Shell, shared: &Shared, weights_period: Duration) -> Result<(), NodeError> {
    let rejected = RejectionCount::default();
    sensors(shell, shared, &rejected)?;
    description(shell, shared, &rejected)?;
    ground(shell, shared, &rejected)?;
    policy(shell, shared)?;
    weights(shell, shared, weights_period, &rejected)
}

fn best_effort() -> QosProfile {
    qos::sensor_subscriber()
}

fn sensors(shell: &mut Shell, shared: &Shared, rejected: &RejectionCount) -> Result<(), NodeError> {
    let (to, mut rejections) = (shared.clone(), Rejections::new("joint_states", rejected));
    shell.subscribe("joint_states", best_effort(), move |message: JointState| {
        let time = seconds(&message.header.stamp);
        match to.paint(|picture, now| picture.joints(time, &message.name, &message.position, now)) {
            Ok(true) => to.post_names(),
            Ok(false) => {}
            Err(error) => rejections.note(&error),
        }
    })?;
    let (to, mut rejections) = (shared.clone(), Rejections::new("simulator/motors", rejected));
    shell.subscribe("simulator/motors", qos::latched(), move |message: JointState| {
        match to.paint(|picture, _| picture.motors(&message.name)) {
            Ok(true) => to.post_names(),
            Ok(false) => {}
            Err(error) => rejections.note(&error),
        }
    })?;
    let (to, mut rejections) = (shared.clone(), Rejections::new("foot_contacts", rejected));
    shell.subscribe("foot_contacts", best_effort(), move |message: FootContacts| {
        let feet = Feet { contact: message.in_contact, force: message.force };
        match to.paint(|picture, now| picture.feet(&message.names, feet, now)) {
            Ok(true) => to.post_names(),
            Ok(false) => {}
            Err(error) => rejections.note(&error),
        }
    })?;
    let to = shared.clone();
    shell.subscribe("imu/data", best_effort(), move |message: Imu| {
        // Minus one says that there is no orientation (sensor_msgs/Imu).
        if message.orientation_covariance.first() != Some(&-1.0) {
            to.paint(|picture, now| picture.imu(orientation(&message.orientation), now));
        }
    })?;
    let to = shared.clone();
    shell.subscribe("odom", best_effort(), move |message: Odometry| {
        let (pose, velocity) = (&message.pose.pose, &message.twist.twist.linear);
        let base = BasePose {
            link: message.child_frame_id,
            position: [pose.position.x, pose.position.y, pose.position.z].map(|value| value as f32),
            orientation: orientation(&pose.orientation),
            velocity: [velocity.x, velocity.y, velocity.z].map(|value| value as f32),
        };
        to.paint(|picture, now| picture.base(base, now));
    })?;
    let to = shared.clone();
    shell.subscribe("simulator/status", best_effort(), move |message: SimulatorStatus| {
        let simulation = Simulation {
            seed: message.seed,
            mode: message.mode,
            paused: message.paused,
            control_steps: message.control_steps,
            unanswered_steps: message.unanswered_steps,
            real_time_factor: message.real_time_factor,
            rejected_messages: message.rejected_messages,
        };
        to.paint(|picture, now| picture.simulation(simulation, now));
    })
}

fn description(shell: &mut Shell, shared: &Shared, rejected: &RejectionCount) -> Result<(), NodeError> {
    let (to, mut rejections) = (shared.clone(), Rejections::new("robot_description", rejected));
    shell.subscribe("robot_description", qos::latched(), move |message: r2r::std_msgs::msg::String| {
        if message.data.len() > LARGEST_DESCRIPTION {
            rejections.note(&format_args!("{} bytes; at most {LARGEST_DESCRIPTION} are shown", message.data.len()));
        } else {
            to.board.post_json(Kind::Description, &DescriptionFrame { urdf: &message.data });
        }
    })
}

/// The ground as a simulator shows it: boxes and triangles, each message in place of the last.
fn ground(shell: &mut Shell, shared: &Shared, rejected: &RejectionCount) -> Result<(), NodeError> {
    let (to, mut rejections) = (shared.clone(), Rejections::new("simulator/ground", rejected));
    shell.subscribe("simulator/ground", qos::latched(), move |message: MarkerArray| {
        let corners: usize = message.markers.iter().map(|marker| marker.points.len()).sum();
        if corners > MOST_CORNERS || message.markers.len() > MOST_CORNERS {
            rejections.note(&format_args!("{corners} corners; at most {MOST_CORNERS} are shown"));
            return;
        }
        let shapes: Vec<GroundShape> = message.markers.iter().filter_map(ground_shape).collect();
        to.board.post_json(Kind::Ground, &GroundFrame { shapes: &shapes });
    })
}

/// A marker that is added and has a form that the page can draw.
fn ground_shape(marker: &Marker) -> Option<GroundShape> {
    if marker.action != Marker::ADD as i32 {
        return None;
    }
    let narrow = |values: [f64; 3]| values.map(|value| value as f32);
    let form = match marker.type_ {
        kind if kind == Marker::CUBE as i32 => GroundForm::Size(narrow([marker.scale.x, marker.scale.y, marker.scale.z])),
        kind if kind == Marker::TRIANGLE_LIST as i32 => {
            GroundForm::Points(marker.points.iter().flat_map(|point| narrow([point.x, point.y, point.z])).collect())
        }
        _ => return None,
    };
    let at = &marker.pose.position;
    Some(GroundShape { position: narrow([at.x, at.y, at.z]), orientation: orientation(&marker.pose.orientation), form })
}

fn policy(shell: &mut Shell, shared: &Shared) -> Result<(), NodeError> {
    let to = shared.clone();
    shell.subscribe("policy/plasticity", best_effort(), move |message: PlasticityState| {
        let plasticity = Plasticity {
            step: message.step,
            gate: message.gate,
            layer_gates: message.layer_gates,
            gate_reason: message.gate_reason,
            gate_detail: message.gate_detail,
            weights_max_abs: message.weights_max_abs,
            weights_norm: message.weights_norm,
            weight_change_mean: message.weight_change_mean,
            compute_time: message.compute_time,
            sensor_age: message.sensor_age,
            missed_steps: message.missed_steps,
            rejected_messages: message.rejected_messages,
        };
        to.paint(|picture, now| picture.plasticity(plasticity, now));
    })?;
    let to = shared.clone();
    // Only builds whose policy node has a supervisor know this type.
    shell.subscribe_untyped("policy/safety", "hebbian_locomotion/msg/SafetyState", qos::latched(), move |message| {
        to.paint(|picture, now| picture.safety(message, now));
    })?;
    Ok(())
}

fn weights(shell: &mut Shell, shared: &Shared, period: Duration, rejected: &RejectionCount) -> Result<(), NodeError> {
    let expected = std::rc::Rc::new(std::cell::Cell::new(None));
    let (to, length, mut rejections) = (shared.clone(), expected.clone(), Rejections::new("policy/weights_layout", rejected));
    shell.subscribe("policy/weights_layout", qos::latched(), move |message: WeightsLayout| {
        let layers = message.layers.len();
        let synapses: usize = message
            .inputs
            .iter()
            .zip(&message.outputs)
            .map(|(&inputs, &outputs)| (inputs as usize).saturating_mul(outputs as usize))
            .sum();
        if message.inputs.len() != layers || message.outputs.len() != layers || synapses > MOST_WEIGHTS {
            rejections.note(&format_args!("{layers} layers of {synapses} weights; at most {MOST_WEIGHTS} are shown"));
            return;
        }
        length.set(Some(synapses));
        to.forget_weights();
        to.board.post_json(
            Kind::Layout,
            &LayoutFrame {
                policy: &message.policy,
                policy_hash: &message.policy_hash,
                layers: &message.layers,
                inputs: &message.inputs,
                outputs: &message.outputs,
                input_names: &message.input_names,
                output_names: &message.output_names,
            },
        );
        to.policy_runs(&message.policy_hash);
    })?;
    let (to, mut rejections) = (shared.clone(), Rejections::new("policy/weights", rejected));
    let mut posted: Option<Instant> = None;
    shell.subscribe("policy/weights", best_effort(), move |message: WeightSnapshot| {
        // Weights without a layout mean nothing yet; it comes of itself.
        let Some(expected) = expected.get() else {
            return;
        };
        if message.weights.len() != expected {
            rejections.note(&format_args!("{} weights; the layout says {expected}", message.weights.len()));
            return;
        }
        let time = seconds(&message.header.stamp);
        let weights = LatestWeights { step: message.step, time, weights: message.weights };
        if to.board.is_watched() && posted.is_none_or(|posted| posted.elapsed() >= period) {
            posted = Some(Instant::now());
            to.board.post(Kind::Weights, weights.frame());
        }
        to.keep_weights(weights);
    })
}

/// A stamp as seconds; what is no time counts as zero, which only blurs a picture.
fn seconds(stamp: &r2r::builtin_interfaces::msg::Time) -> f64 {
    convert::stamp(stamp).unwrap_or(0) as f64 * 1e-9
}

fn orientation(quaternion: &r2r::geometry_msgs::msg::Quaternion) -> [f32; 4] {
    [quaternion.x, quaternion.y, quaternion.z, quaternion.w].map(|value| value as f32)
}
