//! The policy node's subscriptions: whatever messages the driver sends, checked and handed to the control thread.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use r2r::geometry_msgs::msg::WrenchStamped;
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::std_msgs::msg::Bool;
use r2r::{QosProfile, WrappedTypesupport};

use super::pace::Pace;
use super::requests::ControlHandle;
use crate::robot::{ContactDescription, DriverDescription, RobotModel, SensorFrame};
use crate::ros::clock::steady_now;
use crate::ros::convert::MessageError;
use crate::ros::node::{NodeError, Shell};
use crate::ros::qos;
use crate::ros::rejection::{RejectionCount, Rejections};
use crate::ros::sensor_reader::SensorReader;
use crate::safety::{MessageFaults, RepeatWatch, SENSORS};

/// How old the contacts of a robot may be that is said to have them \[ns\]: more than any control period.
const SILENCE: i64 = 1_000_000_000;
/// Lag of a sensor that a person should know of in any case \[ns\]: its messages come at their full rate, and still it may count as silent.
const LATE: i64 = 100_000_000;
/// Shortest time between two warnings of that \[ns\].
const WARNING_PERIOD: i64 = 10_000_000_000;

/// Sensor messages while the node is configured; all on the spin thread.
pub struct Sensing {
    /// What understands the messages.
    pub reader: SensorReader,
    /// To the control thread.
    pub frames: triple_buffer::Input<SensorFrame>,
    /// With it only complete sets of one stamp count, and each that is in time makes a step.
    pub pace: Option<Pace>,
    /// Age from which on values are stale \[ns\].
    pub timeout: i64,
    /// What was wrong with messages.
    pub faults: MessageFaults,
    /// Starts of the robot that the reader knows of.
    pub starts: u64,
    /// What tells of each sensor whether it only repeats itself.
    pub watches: [RepeatWatch; SENSORS.len()],
}

/// Sensor messages, if the node is configured.
pub type SharedSensing = Rc<RefCell<Option<Sensing>>>;

/// One subscription: where its messages go.
struct Receiver {
    sensing: SharedSensing,
    control: ControlHandle,
    rejections: Rejections,
    lateness: Lateness,
    /// Of messages that say of one foot alone how it touches, and when: that foot.
    foot: Option<String>,
}

/// Says of a topic that its messages arrive late.
struct Lateness {
    topic: String,
    /// When that was said last \[ns, steady clock\].
    said: Option<i64>,
}

impl Lateness {
    /// Notes by how much later than the quickest a message came, of a sensor that counts as silent after `timeout` \[ns\].
    fn note(&mut self, lag: i64, timeout: i64, now: i64) {
        if lag >= LATE.min(timeout) && self.said.is_none_or(|said| now - said >= WARNING_PERIOD) {
            let late = lag as f64 * 1e-9;
            tracing::warn!("{}: messages arrive {late:.3} s late; their values count as that much older", self.topic);
            self.said = Some(now);
        }
    }
}

/// What a message says about the sensors.
#[derive(Clone, Copy)]
struct Spoken {
    joints: bool,
    imu: bool,
    contacts: bool,
    /// The sensor whose stamp it carries, where that tells whether it says something new. Feet that send wrenches one by one have stamps of their
    /// own, which the reader watches.
    stamped: Option<usize>,
}

const JOINTS: Spoken = Spoken { joints: true, imu: false, contacts: false, stamped: Some(0) };
const IMU: Spoken = Spoken { joints: false, imu: true, contacts: false, stamped: Some(1) };
/// A switch that speaks of changes alone may well repeat its last message, with the stamp of the last change.
const CONTACTS: Spoken = Spoken { joints: false, imu: false, contacts: true, stamped: None };

impl Spoken {
    /// Whether it is of a sensor that is `needed`.
    fn is_of(self, needed: [bool; SENSORS.len()]) -> bool {
        [self.joints, self.imu, self.contacts].into_iter().zip(needed).any(|(spoken, needed)| spoken && needed)
    }
}

impl Receiver {
    /// Lets `take` put a message into the reader, and hands the frame that it makes to the control thread.
    fn receive(&mut self, spoken: Spoken, take: impl FnOnce(&mut SensorReader, i64) -> Result<(), MessageError>) {
        let mut sensing = self.sensing.borrow_mut();
        // An unconfigured node has no use for messages.
        let Some(Sensing { reader, frames, pace, timeout, faults, starts, watches }) = sensing.as_mut() else { return };
        let now = steady_now();
        let begun = self.control.starts();
        if *starts != begun {
            *starts = begun;
            reader.start();
        }
        let (jumps, is_needed) = (reader.clock_jumps(), spoken.is_of(reader.assembler().needed()));
        let result = take(reader, now);
        // What is wrong with values that nobody needs is said, and stops nobody.
        let counted = u64::from(is_needed);
        faults.clock_jumps += counted * (reader.clock_jumps() - jumps);
        let received = match &result {
            Ok(()) => {
                let stamps = reader.assembler().stamps();
                let stamp = spoken.stamped.and_then(|sensor| Some((sensor, stamps[sensor]?)));
                // Where sets of one stamp make the steps, the simulator repeats one on purpose: its command got lost, or time stands still.
                let repeats = pace.is_none() && stamp.is_some_and(|(sensor, stamp)| watches[sensor].repeats(stamp));
                let lag = spoken.stamped.map_or(0, |sensor| reader.lag(sensor));
                let late = self.foot.as_deref().map_or(lag, |foot| reader.foot_lag(foot));
                self.lateness.note(late, *timeout, now);
                let renewed = (!repeats).then_some(now - lag);
                let contacts = reader.contacts_received(now - lag).filter(|_| spoken.contacts && !repeats);
                [renewed.filter(|_| spoken.joints), renewed.filter(|_| spoken.imu), contacts]
            }
            Err(error) => {
                self.rejections.note(error);
                match error {
                    MessageError::Order(_) => faults.reordered += counted,
                    error if error.is_not_finite() => faults.not_finite += counted,
                    _ => faults.refused += counted,
                }
                [None; SENSORS.len()]
            }
        };
        self.control.set_faults(*faults);
        let mut in_time = None;
        if result.is_ok() && is_needed {
            let assembler = reader.assembler();
            let frame = if pace.is_some() { assembler.matched() } else { assembler.latest() };
            if let Some(frame) = frame {
                let paced = pace.as_mut().map(|pace| pace.note(frame.stamp));
                match &paced {
                    Some(Err(early)) => self.rejections.note(early),
                    Some(Ok(Some(slower))) => tracing::warn!("{slower}"),
                    Some(Ok(None)) | None => {}
                }
                if !matches!(paced, Some(Err(_))) {
                    in_time = Some(frame);
                }
            }
        }
        hand_over(in_time, frames, received, |sensor, received| self.control.note_received(sensor, received));
        // With the steady clock as its trigger the control thread wakes by itself.
        if in_time.is_some() && pace.is_some() {
            self.control.wake();
        }
    }
}

/// Hands a frame to the control thread, and notes only then which sensors spoke, and when: that thread looks at this first, and so takes no values
/// that are older than it says.
fn hand_over(
    frame: Option<&SensorFrame>,
    frames: &mut triple_buffer::Input<SensorFrame>,
    received: [Option<i64>; SENSORS.len()],
    mut note: impl FnMut(usize, i64),
) {
    if let Some(frame) = frame {
        frames.input_buffer_mut().clone_from(frame);
        frames.publish();
    }
    for (sensor, received) in received.into_iter().enumerate() {
        if let Some(received) = received {
            note(sensor, received);
        }
    }
}

/// Whether a robot tells of its joints, but not of its feet, by when each sensor spoke last and the time `now` \[ns, steady clock\].
pub fn lacks_contacts(received: [Option<i64>; SENSORS.len()], now: i64) -> bool {
    let [joints, _, contacts] = received.map(|received| received.is_some_and(|received| now - received <= SILENCE));
    joints && !contacts
}

/// The robot of the description at `robot`, if one is named.
///
/// # Errors
/// [`NodeError`] names what is wrong with the description.
pub fn robot_model(robot: &str) -> Result<Option<RobotModel>, NodeError> {
    if robot.is_empty() { Ok(None) } else { Ok(Some(RobotModel::load(Path::new(robot))?)) }
}

/// Subscribes the topics that `driver` names.
///
/// # Errors
/// [`NodeError::Ros`] when ROS refuses.
pub fn subscribe(
    shell: &mut Shell,
    driver: &DriverDescription,
    sensing: &SharedSensing,
    control: &ControlHandle,
    rejected: &RejectionCount,
) -> Result<(), NodeError> {
    let receiver = |topic: &str| Receiver {
        sensing: sensing.clone(),
        control: control.clone(),
        rejections: Rejections::new(topic, rejected),
        lateness: Lateness { topic: topic.to_owned(), said: None },
        foot: None,
    };
    let by_effort = matches!(driver.contacts, ContactDescription::Effort { .. });
    let joints = Spoken { contacts: by_effort, ..JOINTS };
    let mut receive = receiver(&driver.joint_states);
    subscribe_one(shell, &driver.joint_states, move |message: JointState| {
        receive.receive(joints, |reader, now| reader.joint_state(&message, now));
    })?;
    let mut receive = receiver(&driver.imu.topic);
    subscribe_one(shell, &driver.imu.topic, move |message: Imu| {
        receive.receive(IMU, |reader, now| reader.imu(&message, now));
    })?;
    match &driver.contacts {
        ContactDescription::FootContacts { topic } => {
            let mut receive = receiver(topic);
            subscribe_one(shell, topic, move |message: FootContacts| {
                receive.receive(CONTACTS, |reader, now| reader.foot_contacts(&message, now));
            })?;
        }
        ContactDescription::Bool { feet } => {
            for (foot, topic) in feet {
                let (mut receive, foot) = (receiver(topic), foot.clone());
                subscribe_one(shell, topic, move |message: Bool| {
                    receive.receive(CONTACTS, |reader, now| {
                        reader.foot_touches(&foot, message.data, now);
                        Ok(())
                    });
                })?;
            }
        }
        ContactDescription::Wrench { feet, .. } => {
            for (foot, topic) in feet {
                let foot = foot.clone();
                let mut receive = Receiver { foot: Some(foot.clone()), ..receiver(topic) };
                subscribe_one(shell, topic, move |message: WrenchStamped| {
                    receive.receive(CONTACTS, |reader, now| reader.foot_wrench(&foot, &message, now));
                })?;
            }
        }
        ContactDescription::Effort { .. } => {}
    }
    Ok(())
}

fn subscribe_one<T: WrappedTypesupport + 'static>(
    shell: &mut Shell,
    topic: &str,
    receive: impl FnMut(T) + 'static,
) -> Result<(), NodeError> {
    let quality: QosProfile = qos::sensor_subscriber();
    shell.subscribe(topic, quality, receive)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::robot::RobotState;
    use crate::ros::convert::{ImuMounting, foot_contacts, imu, joint_state, time};
    use crate::ros::sensor_reader::OrderRules;
    use crate::safety::needed_sensors;

    const PERIOD: i64 = 20_000_000;

    /// The subscriptions of a robot with one joint and one foot, and what the control thread gets of them.
    struct Bench {
        receiver: Receiver,
        frames: triple_buffer::Output<SensorFrame>,
    }

    impl Bench {
        fn new(pace: Option<Pace>, needs_contacts: bool) -> Self {
            Self::with_driver(&DriverDescription::default(), pace, needs_contacts)
        }

        fn with_driver(driver: &DriverDescription, pace: Option<Pace>, needs_contacts: bool) -> Self {
            let (clock_jump, drops_reordered, needs_stamps) = (1_000_000_000, true, pace.is_some());
            let order = OrderRules { clock_jump, drops_reordered, needs_stamps, counts_lag: pace.is_none() };
            let mounting = ImuMounting::default();
            let mut reader = SensorReader::new(driver, &["hip"], &["toe"], false, order, mounting).unwrap();
            reader.set_needed(needed_sensors(needs_contacts));
            let empty = SensorFrame { stamp: 0, state: RobotState::at_rest(1, 1), oldest_received: 0 };
            let (input, frames) = triple_buffer::TripleBuffer::new(&empty).split();
            let (timeout, faults) = (PERIOD * 3 / 2, MessageFaults::default());
            let sensing = Sensing { reader, frames: input, pace, timeout, faults, starts: 0, watches: Default::default() };
            let (control, _requests) = ControlHandle::new();
            let rejections = Rejections::new("sensors", &RejectionCount::default());
            let lateness = Lateness { topic: "sensors".to_owned(), said: None };
            let sensing = Rc::new(RefCell::new(Some(sensing)));
            Self { receiver: Receiver { sensing, control, rejections, lateness, foot: None }, frames }
        }

        /// Of which sensors the message of `stamp` says something new: joints, IMU or contacts, by the place of `sensor`.
        fn hears(&mut self, sensor: usize, stamp: i64) -> [bool; 3] {
            let state = RobotState { foot_contact: vec![true], ..RobotState::at_rest(1, 1) };
            self.receiver.control.forget_sensors();
            match sensor {
                0 => self
                    .receiver
                    .receive(JOINTS, |reader, now| reader.joint_state(&joint_state(stamp, &["hip".to_owned()], &state), now)),
                1 => self.receiver.receive(IMU, |reader, now| reader.imu(&imu(stamp, "imu_link", &state), now)),
                _ => self.receiver.receive(CONTACTS, |reader, now| {
                    reader.foot_contacts(&foot_contacts(stamp, &["toe".to_owned()], &state), now)
                }),
            }
            self.receiver.control.received().map(|received| received.is_some())
        }

        fn faults(&self) -> MessageFaults {
            self.receiver.control.faults()
        }
    }

    #[test]
    fn a_sensor_that_repeats_one_message_falls_silent_where_the_clock_makes_the_steps() {
        let mut robot = Bench::new(None, true);
        for (sensor, spoken) in [[true, false, false], [false, true, false]].into_iter().enumerate() {
            // Until its stamps change from message to message it may be one that never stamps.
            assert_eq!([0; 3].map(|stamp| robot.hears(sensor, stamp)), [spoken; 3]);
            assert_eq!([1, 2].map(|step| robot.hears(sensor, step * PERIOD)), [spoken; 2]);
            assert_eq!([2; 3].map(|step| robot.hears(sensor, step * PERIOD)), [[false; 3]; 3], "repetitions");
            assert_eq!(robot.hears(sensor, 3 * PERIOD), spoken, "it speaks again");
        }
        let contacts = [1, 2, 3, 3, 3].map(|step| robot.hears(2, step * PERIOD));
        assert_eq!(contacts, [[false, false, true]; 5], "switches may repeat the message of their last change");
        assert_eq!(robot.faults(), MessageFaults::default(), "a repetition is no fault");
    }

    #[test]
    fn values_that_arrive_late_count_from_when_they_were_due_where_the_clock_makes_the_steps() {
        // Some time of day.
        let stamp = |milliseconds: i64| (1_750_000_000_000 + milliseconds) * 1_000_000;
        for pace in [None, Some(Pace::new(PERIOD))] {
            let is_timed = pace.is_none();
            let mut robot = Bench::new(pace, true);
            (0..4).for_each(|step| _ = robot.hears(0, stamp(step)));
            // The next one is held up on its way.
            std::thread::sleep(Duration::from_millis(50));
            let before = steady_now();
            assert_eq!(robot.hears(0, stamp(4)), [true, false, false]);
            let received = robot.receiver.control.received()[0].unwrap();
            assert_eq!(received < before, is_timed, "received at {received} ns, in hand at {before} ns");
        }
    }

    #[test]
    fn messages_are_said_to_be_late_from_when_their_sensor_counts_as_silent() {
        let is_said = |lag: i64, timeout: i64| {
            let mut lateness = Lateness { topic: "sensors".to_owned(), said: None };
            lateness.note(lag * 1_000_000, timeout * 1_000_000, 0);
            lateness.said.is_some()
        };
        assert_eq!([(29, 30), (40, 30)].map(|(lag, timeout)| is_said(lag, timeout)), [false, true]);
        assert_eq!([(99, 500), (100, 500)].map(|(lag, timeout)| is_said(lag, timeout)), [false, true], "before it is silent");
    }

    #[test]
    fn the_wrenches_of_a_foot_are_said_to_be_late_as_other_messages_are() {
        let driver = "contacts: {wrench: {feet: {toe: left}, threshold: 5}}";
        let driver = serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(driver));
        let mut robot = Bench::with_driver(&driver.unwrap(), None, true);
        robot.receiver.foot = Some("toe".to_owned());
        let mut is_said = |milliseconds: i64| {
            let mut message = WrenchStamped::default();
            // Some time of day.
            message.header.stamp = time((1_750_000_000_000 + milliseconds) * 1_000_000);
            robot.receiver.receive(CONTACTS, |reader, now| reader.foot_wrench("toe", &message, now));
            robot.receiver.lateness.said.is_some()
        };
        assert_eq!([0, 500, 1000, 1500].map(&mut is_said), [false; 4]);
        // The next one is held up on its way.
        std::thread::sleep(Duration::from_millis(50));
        assert!(is_said(1501));
    }

    #[test]
    fn which_sensors_spoke_is_noted_when_their_values_are_there() {
        let frame = |stamp| SensorFrame { stamp, state: RobotState::at_rest(1, 1), oldest_received: 0 };
        let (mut input, mut output) = triple_buffer::TripleBuffer::new(&frame(0)).split();
        let mut noted = Vec::new();
        hand_over(Some(&frame(PERIOD)), &mut input, [Some(5), None, Some(6)], |sensor, received| {
            output.update();
            noted.push((sensor, received, output.output_buffer().stamp));
        });
        assert_eq!(noted, [(0, 5, PERIOD), (2, 6, PERIOD)]);
    }

    #[test]
    fn wrong_contacts_are_a_fault_only_where_the_policy_needs_them() {
        for needs_contacts in [true, false] {
            let mut robot = Bench::new(None, needs_contacts);
            robot.hears(2, PERIOD);
            robot.hears(2, 3600 * 1_000_000_000);
            let broken = RobotState { foot_contact: vec![true], foot_force: vec![f32::NAN], ..RobotState::at_rest(1, 1) };
            let message = foot_contacts(3601 * 1_000_000_000, &["toe".to_owned()], &broken);
            robot.receiver.receive(CONTACTS, |reader, now| reader.foot_contacts(&message, now));
            let expected = if needs_contacts { (1, 1) } else { (0, 0) };
            assert_eq!((robot.faults().clock_jumps, robot.faults().not_finite), expected);
        }
    }

    #[test]
    fn a_robot_whose_feet_fell_silent_lacks_contacts() {
        let now = 10 * SILENCE;
        assert!(!lacks_contacts([None; 3], now), "nothing is known yet");
        assert!(!lacks_contacts([Some(now); 3], now));
        assert!(lacks_contacts([Some(now), Some(now), None], now));
        assert!(lacks_contacts([Some(now), Some(now), Some(now - SILENCE - 1)], now));
        assert!(!lacks_contacts([Some(0), Some(0), Some(0)], now), "the whole robot is silent");
    }

    #[test]
    fn sets_of_one_stamp_that_make_the_steps_may_be_repeated() {
        let mut simulation = Bench::new(Some(Pace::new(PERIOD)), true);
        for step in [1, 2, 2, 2] {
            let heard: [_; 3] = std::array::from_fn(|sensor| simulation.hears(sensor, step * PERIOD));
            assert_eq!(heard, [[true, false, false], [false, true, false], [false, false, true]]);
            assert!(simulation.frames.update() && simulation.frames.output_buffer().stamp == step * PERIOD);
        }
    }

    #[test]
    fn a_set_that_comes_too_early_for_a_step_makes_no_sensor_silent() {
        let mut robot = Bench::new(Some(Pace::new(PERIOD)), true);
        for (stamp, makes_step) in [(PERIOD, true), (PERIOD + PERIOD / 4, false), (2 * PERIOD, true)] {
            let heard: [_; 3] = std::array::from_fn(|sensor| robot.hears(sensor, stamp));
            assert_eq!(heard, [[true, false, false], [false, true, false], [false, false, true]], "the set of {stamp} ns");
            assert_eq!(robot.frames.update(), makes_step, "the set of {stamp} ns");
        }
    }

    #[test]
    fn contacts_that_the_policy_does_not_need_are_not_waited_for_and_make_no_step() {
        for pace in [None, Some(Pace::new(PERIOD))] {
            let mut needing = Bench::new(pace.clone(), true);
            (0..2).for_each(|sensor| _ = needing.hears(sensor, PERIOD));
            assert!(!needing.frames.update(), "a frame without contacts");
            needing.hears(2, PERIOD);
            assert!(needing.frames.update());

            let mut robot = Bench::new(pace, false);
            (0..2).for_each(|sensor| _ = robot.hears(sensor, PERIOD));
            assert!(robot.frames.update() && robot.frames.output_buffer().oldest_received > 0);
            assert_eq!(robot.hears(2, PERIOD), [false, false, true]);
            assert!(!robot.frames.update(), "contacts make a frame of their own");
            (0..2).for_each(|sensor| _ = robot.hears(sensor, 2 * PERIOD));
            assert!(robot.frames.update() && robot.frames.output_buffer().state.foot_contact[0]);
        }
    }
}
