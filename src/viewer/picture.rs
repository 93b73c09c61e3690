//! What is seen of a robot at one instant: the latest of what its nodes published, and who is still heard.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::joints::Joints;
use super::protocol::{NamesFrame, NodesFrame, StateFrame};

/// Most joints or feet of a robot; a longer list is a mistake, and must not fill the memory.
pub(super) const MOST_NAMES: usize = 512;
/// A node that published nothing for this long is silent.
const SILENCE: Duration = Duration::from_millis(1500);

/// Pose and velocity of the base in the world, from odometry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BasePose {
    /// Link of the robot description whose pose it is; empty or unknown: the root.
    pub link: String,
    /// Position \[m\].
    pub position: [f32; 3],
    /// Orientation as x, y, z, w.
    pub orientation: [f32; 4],
    /// Linear velocity in the base's own axes \[m/s\].
    pub velocity: [f32; 3],
}

/// Contacts of the feet, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Feet {
    /// Whether each touches.
    pub contact: Vec<bool>,
    /// Contact forces \[N\]; empty: not measured.
    pub force: Vec<f32>,
}

/// What the plastic network did in a step; as in PlasticityState.msg.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Plasticity {
    pub step: u64,
    pub gate: f32,
    pub layer_gates: Vec<f32>,
    pub gate_reason: String,
    pub gate_detail: String,
    pub weights_max_abs: Vec<f32>,
    pub weights_norm: Vec<f32>,
    pub weight_change_mean: Vec<f32>,
    pub compute_time: f32,
    pub sensor_age: f32,
    pub missed_steps: u64,
    pub rejected_messages: u64,
}

/// What the simulator does; as in SimulatorStatus.msg.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct Simulation {
    pub seed: u64,
    pub mode: String,
    pub paused: bool,
    pub control_steps: u64,
    pub unanswered_steps: u64,
    pub real_time_factor: f64,
    pub rejected_messages: u64,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Never heard of.
    Absent,
    /// Heard within the last 1.5 s.
    Live,
    /// Its services are there, but it has published nothing for a while: it waits, or hangs.
    Silent,
    /// It was there and is gone.
    Lost,
}

/// One node as heard here.
#[derive(Clone, Debug, Default)]
struct Heard {
    /// Steady time of its last message.
    last: Option<Duration>,
    /// Whether one of its services is offered.
    offered: bool,
    known: bool,
}

impl Heard {
    fn at(&mut self, now: Duration) {
        self.last = Some(now);
        self.known = true;
    }

    fn presence(&self, now: Duration) -> Presence {
        match self.last {
            Some(last) if now.saturating_sub(last) < SILENCE => Presence::Live,
            _ if self.offered => Presence::Silent,
            _ if self.known => Presence::Lost,
            _ => Presence::Absent,
        }
    }

    fn age(&self, now: Duration) -> Option<f64> {
        self.last.map(|last| now.saturating_sub(last).as_secs_f64())
    }
}

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Arrays that belong together have different lengths.
    #[error("`{field}` has {given} entries for {expected} names")]
    Length {
        /// Which array.
        field: &'static str,
        /// Its length.
        given: usize,
        /// Number of names.
        expected: usize,
    },
    /// No robot has so many.
    #[error("{0} names; at most {MOST_NAMES} are shown")]
    TooMany(usize),
}

/// The latest of everything. Times are steady ones, from any start.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    joints: Joints,
    /// Joints that the simulator can damage, where one has said so.
    motors: Option<Vec<String>>,
    foot_names: Vec<String>,
    feet: Feet,
    base: Option<BasePose>,
    imu: Option<[f32; 4]>,
    plasticity: Option<Plasticity>,
    simulation: Option<Simulation>,
    safety: Option<Value>,
    robot: Heard,
    policy: Heard,
    simulator: Heard,
}

fn check_names(names: &[String], field: &'static str, given: usize) -> Result<(), PictureError> {
    if names.len() > MOST_NAMES {
        return Err(PictureError::TooMany(names.len()));
    }
    if given != names.len() {
        return Err(PictureError::Length { field, given, expected: names.len() });
    }
    Ok(())
}

impl Picture {
    /// Takes joint angles \[rad\] as of `time` \[s, as stamped; 0: not stamped\]; those of joints that are not named stay. Returns whether
    /// the names of all joints are others than before.
    ///
    /// # Errors
    /// [`PictureError`]; nothing is taken then.
    pub fn joints(&mut self, time: f64, names: &[String], positions: &[f64], now: Duration) -> Result<bool, PictureError> {
        check_names(names, "position", positions.len())?;
        // A driver that stamps nothing still has a present and a past.
        let stamp = if time > 0.0 { time } else { now.as_secs_f64() };
        let is_other = self.joints.take(stamp, names, positions, now)?;
        self.robot.at(now);
        Ok(is_other)
    }

    /// Takes the names of the joints that have motors in the simulator, which are those that it takes damage to: `joint_states` also hold joints
    /// that mimic others and locked ones. Returns whether they are others than before.
    ///
    /// # Errors
    /// [`PictureError`]; nothing is taken then.
    pub fn motors(&mut self, names: &[String]) -> Result<bool, PictureError> {
        check_names(names, "name", names.len())?;
        let is_first = self.motors.is_none();
        Ok(replace(self.motors.get_or_insert_default(), names) || is_first)
    }

    /// Takes foot contacts. Returns whether the names are others than before.
    ///
    /// # Errors
    /// [`PictureError`]; nothing is taken then.
    pub fn feet(&mut self, names: &[String], feet: Feet, now: Duration) -> Result<bool, PictureError> {
        check_names(names, "in_contact", feet.contact.len())?;
        if !feet.force.is_empty() {
            check_names(names, "force", feet.force.len())?;
        }
        self.feet = feet;
        self.robot.at(now);
        Ok(replace(&mut self.foot_names, names))
    }

    /// Takes the base's pose from odometry.
    pub fn base(&mut self, base: BasePose, now: Duration) {
        self.base = Some(base);
        self.robot.at(now);
    }

    /// Takes the IMU's orientation as x, y, z, w.
    pub fn imu(&mut self, orientation: [f32; 4], now: Duration) {
        self.imu = Some(orientation);
        self.robot.at(now);
    }

    /// Takes what the policy node did.
    pub fn plasticity(&mut self, plasticity: Plasticity, now: Duration) {
        self.plasticity = Some(plasticity);
        self.policy.at(now);
    }

    /// Takes what the simulator does.
    pub fn simulation(&mut self, simulation: Simulation, now: Duration) {
        self.simulation = Some(simulation);
        self.simulator.at(now);
    }

    /// Takes what the policy node's supervisor says, as its message's fields.
    pub fn safety(&mut self, safety: Value, now: Duration) {
        self.safety = Some(safety);
        self.policy.at(now);
    }

    /// Notes whether the policy node and the simulator offer services at present.
    pub fn offered(&mut self, policy: bool, simulator: bool) {
        for (heard, offered) in [(&mut self.policy, policy), (&mut self.simulator, simulator)] {
            heard.offered = offered;
            heard.known |= offered;
        }
    }

    /// The frame of names.
    pub fn names_frame(&self) -> NamesFrame<'_> {
        NamesFrame { joints: self.joints.names(), feet: &self.foot_names, motors: self.motors.as_deref() }
    }

    /// The frame of this instant.
    pub fn state_frame(&self, now: Duration) -> StateFrame<'_> {
        let node = |heard: &Heard| (heard.presence(now), heard.age(now));
        StateFrame {
            time: self.joints.time(),
            nodes: NodesFrame::new(node(&self.robot), node(&self.policy), node(&self.simulator)),
            joints: self.joints.angles(),
            feet: &self.feet,
            base: self.base.as_ref(),
            imu: self.imu.as_ref(),
            plasticity: self.plasticity.as_ref(),
            simulation: self.simulation.as_ref(),
            safety: self.safety.as_ref(),
        }
    }
}

/// Makes `old` equal to `new`; returns whether it was not.
fn replace(old: &mut Vec<String>, new: &[String]) -> bool {
    let differs = old != new;
    if differs {
        old.clear();
        old.extend_from_slice(new);
    }
    differs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn presences(picture: &Picture, now: Duration) -> Vec<String> {
        let frame = serde_json::to_value(picture.state_frame(now)).unwrap();
        ["robot", "policy", "simulator"].map(|node| frame["nodes"][node]["presence"].as_str().unwrap().to_owned()).to_vec()
    }

    #[test]
    fn a_message_with_arrays_that_do_not_fit_changes_nothing() {
        let mut picture = Picture::default();
        assert!(picture.joints(1.0, &names(&["hip", "knee"]), &[0.1, 0.2], at(0)).unwrap());
        let before = format!("{picture:?}");
        let error = picture.joints(2.0, &names(&["hip"]), &[0.1, 0.2], at(9)).unwrap_err();
        assert_eq!(error.to_string(), "`position` has 2 entries for 1 names");
        let feet = Feet { contact: vec![true], force: vec![1.0, 2.0] };
        assert!(picture.feet(&names(&["toe"]), feet, at(9)).is_err());
        assert_eq!(picture.joints(2.0, &vec![String::new(); 513], &[0.0; 513], at(9)), Err(PictureError::TooMany(513)));
        assert_eq!(format!("{picture:?}"), before);
        assert!(!picture.joints(2.0, &names(&["hip", "knee"]), &[0.3, 0.4], at(9)).unwrap());
    }

    #[test]
    fn a_node_is_absent_then_live_then_silent_or_lost_and_comes_back() {
        let mut picture = Picture::default();
        assert_eq!(presences(&picture, at(0)), ["absent", "absent", "absent"]);
        picture.offered(true, false);
        assert_eq!(presences(&picture, at(0)), ["absent", "silent", "absent"]);
        picture.plasticity(Plasticity::default(), at(100));
        picture.simulation(Simulation::default(), at(100));
        assert_eq!(presences(&picture, at(1599)), ["absent", "live", "live"]);
        assert_eq!(presences(&picture, at(1600)), ["absent", "silent", "lost"]);
        picture.offered(false, true);
        assert_eq!(presences(&picture, at(1600)), ["absent", "lost", "silent"]);
        picture.plasticity(Plasticity::default(), at(1700));
        assert_eq!(presences(&picture, at(1700)), ["absent", "live", "silent"]);
    }

    #[test]
    fn joints_of_two_publishers_stay_side_by_side_in_the_frames() {
        let mut picture = Picture::default();
        assert!(picture.joints(1.0, &names(&["hip", "knee"]), &[0.25, 0.5], at(0)).unwrap());
        assert!(picture.joints(1.0, &names(&["gripper"]), &[0.75], at(1)).unwrap());
        assert!(!picture.joints(1.02, &names(&["hip", "knee"]), &[1.0, 2.0], at(20)).unwrap());
        let frame = serde_json::to_value(picture.state_frame(at(20))).unwrap();
        assert_eq!((&frame["joints"], &frame["time"]), (&serde_json::json!([1.0, 2.0, 0.75]), &serde_json::json!(1.02)));
        let frame = serde_json::to_value(picture.names_frame()).unwrap();
        assert_eq!(frame["joints"], serde_json::json!(["hip", "knee", "gripper"]));
    }

    #[test]
    fn joints_that_can_be_damaged_are_those_that_the_simulator_names_once_it_does() {
        let mut picture = Picture::default();
        picture.joints(1.0, &names(&["hip", "finger", "tail"]), &[0.0; 3], at(0)).unwrap();
        let motors = |picture: &Picture| serde_json::to_value(picture.names_frame()).unwrap()["motors"].clone();
        assert!(motors(&picture).is_null());
        assert!(picture.motors(&names(&["hip"])).unwrap() && !picture.motors(&names(&["hip"])).unwrap());
        assert_eq!(motors(&picture), serde_json::json!(["hip"]));
        assert_eq!(picture.motors(&vec![String::new(); 513]), Err(PictureError::TooMany(513)));
        // A simulator of a robot without motors.
        assert!(picture.motors(&[]).unwrap() && Picture::default().motors(&[]).unwrap());
        assert_eq!(motors(&picture), serde_json::json!([]));
        assert_eq!(serde_json::to_value(picture.names_frame()).unwrap()["joints"], serde_json::json!(["hip", "finger", "tail"]));
    }

    #[test]
    fn numbers_that_are_not_finite_are_null_in_the_frame() {
        let mut picture = Picture::default();
        picture.joints(1.0, &names(&["hip"]), &[f64::NAN], at(0)).unwrap();
        let frame = serde_json::to_value(picture.state_frame(at(0))).unwrap();
        assert!(frame["joints"][0].is_null() && frame["base"].is_null(), "{frame}");
    }
}
