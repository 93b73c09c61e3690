//! From three sensor topics to one consistent set of values.

use super::{Orientation, RobotState};

/// A time stamp \[ns\], of whichever clock the robot's sensors use.
pub type Stamp = i64;

/// Values of all sensors that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorFrame {
    /// Time at which the joints were as they are here.
    pub stamp: Stamp,
    /// The values.
    pub state: RobotState,
    /// When the oldest of its parts was received, on the receiver's steady clock \[ns\].
    pub oldest_received: i64,
}

/// Which sensor a part of a frame comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Joints,
    Imu,
    Contacts,
}

/// Puts frames together from joint, IMU and contact values that arrive one by one.
///
/// In simulation the three carry the same stamp, and a frame is *matched* when all parts of a stamp have come. On a robot each sensor has a rhythm
/// of its own; then the *latest* values of each are taken.
#[derive(Clone, Debug)]
pub struct FrameAssembler {
    frame: SensorFrame,
    stamps: [Option<Stamp>; 3],
    received: [i64; 3],
    needed: [bool; 3],
}

impl FrameAssembler {
    /// An assembler for a robot with so many `joints` and `feet`, of which all sensors are needed.
    pub fn new(joints: usize, feet: usize) -> Self {
        let state = RobotState::at_rest(joints, feet);
        let frame = SensorFrame { stamp: 0, state, oldest_received: 0 };
        Self { frame, stamps: [None; 3], received: [0; 3], needed: [true; 3] }
    }

    /// Says which sensors are needed from the next message on: joints, which always are, IMU and contacts. The others are not waited for and
    /// make no frame old; what they sent last is in it.
    pub fn set_needed(&mut self, needed: [bool; 3]) {
        self.needed = needed;
    }

    /// Which sensors are needed: joints, IMU and contacts.
    pub fn needed(&self) -> [bool; 3] {
        self.needed
    }

    /// Takes joint values with `write`, which fills positions and speeds in joint order. `now` is the steady clock \[ns\].
    pub fn joints(&mut self, stamp: Stamp, now: i64, write: impl FnOnce(&mut [f32], &mut [f32])) {
        write(&mut self.frame.state.joint_position, &mut self.frame.state.joint_velocity);
        self.frame.stamp = stamp;
        self.note(Source::Joints, stamp, now);
    }

    /// Takes IMU values.
    pub fn imu(
        &mut self,
        stamp: Stamp,
        now: i64,
        orientation: Orientation,
        angular_velocity: [f32; 3],
        linear_acceleration: [f32; 3],
    ) {
        let state = &mut self.frame.state;
        (state.orientation, state.angular_velocity, state.linear_acceleration) =
            (orientation, angular_velocity, linear_acceleration);
        self.note(Source::Imu, stamp, now);
    }

    /// Takes contact values with `write`, which fills contacts and forces in foot order.
    pub fn contacts(&mut self, stamp: Stamp, now: i64, write: impl FnOnce(&mut [bool], &mut [f32])) {
        write(&mut self.frame.state.foot_contact, &mut self.frame.state.foot_force);
        self.note(Source::Contacts, stamp, now);
    }

    fn note(&mut self, source: Source, stamp: Stamp, now: i64) {
        self.stamps[source as usize] = Some(stamp);
        self.received[source as usize] = now;
        let of_needed = self.received.into_iter().zip(self.needed).filter_map(|(received, needed)| needed.then_some(received));
        self.frame.oldest_received = of_needed.min().unwrap_or(now);
    }

    /// The stamp of the latest joint values.
    pub fn stamp(&self) -> Stamp {
        self.frame.stamp
    }

    /// The stamps of the latest values of joints, IMU and contacts; `None` before the first.
    pub fn stamps(&self) -> [Option<Stamp>; 3] {
        self.stamps
    }

    /// The frame, if all of its parts that are needed carry the same stamp.
    pub fn matched(&self) -> Option<&SensorFrame> {
        let stamp = self.stamps[0]?;
        let fits = |(other, needed): (&Option<Stamp>, bool)| !needed || *other == Some(stamp);
        self.stamps.iter().zip(self.needed).all(fits).then_some(&self.frame)
    }

    /// The frame of the latest values, once each sensor that is needed has sent some.
    pub fn latest(&self) -> Option<&SensorFrame> {
        let fits = |(stamp, needed): (&Option<Stamp>, bool)| !needed || stamp.is_some();
        self.stamps.iter().zip(self.needed).all(fits).then_some(&self.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(assembler: &mut FrameAssembler, sources: &[Source], stamp: Stamp, now: i64) {
        for source in sources {
            match source {
                Source::Joints => assembler.joints(stamp, now, |position, velocity| {
                    position.fill(stamp as f32);
                    velocity.fill(0.0);
                }),
                Source::Imu => assembler.imu(stamp, now, Orientation::IDENTITY, [stamp as f32; 3], [0.0; 3]),
                Source::Contacts => assembler.contacts(stamp, now, |contact, _| contact.fill(true)),
            }
        }
    }

    #[test]
    fn a_frame_is_matched_only_when_all_parts_carry_its_stamp() {
        let mut assembler = FrameAssembler::new(2, 1);
        feed(&mut assembler, &[Source::Joints, Source::Imu], 10, 1);
        assert_eq!(assembler.latest(), None);
        feed(&mut assembler, &[Source::Contacts], 10, 2);
        assert_eq!(assembler.matched().unwrap().stamp, 10);
        feed(&mut assembler, &[Source::Imu], 20, 3);
        assert_eq!(assembler.matched(), None);
        assert!(assembler.latest().is_some());
        feed(&mut assembler, &[Source::Contacts, Source::Joints], 20, 4);
        let frame = assembler.matched().unwrap();
        assert_eq!((frame.stamp, frame.state.joint_position[0], frame.state.foot_contact[0]), (20, 20.0, true));
    }

    #[test]
    fn a_sensor_that_is_not_needed_is_not_waited_for_and_makes_no_frame_old() {
        let mut needing = FrameAssembler::new(1, 1);
        let mut assembler = needing.clone();
        assembler.set_needed([true, true, false]);
        feed(&mut assembler, &[Source::Imu], 10, 100);
        assert_eq!((assembler.matched(), assembler.latest()), (None, None), "without joints");
        feed(&mut assembler, &[Source::Joints], 10, 101);
        assert!(assembler.matched().is_some_and(|frame| frame.oldest_received == 100) && assembler.latest().is_some());
        feed(&mut needing, &[Source::Imu, Source::Joints], 10, 101);
        assert_eq!((needing.matched(), needing.latest()), (None, None));
        // It speaks now and then, of an instant of its own.
        for assembler in [&mut needing, &mut assembler] {
            feed(assembler, &[Source::Contacts], 7, 102);
            feed(assembler, &[Source::Imu, Source::Joints], 20, 200);
            assert_eq!(assembler.stamps(), [Some(20), Some(20), Some(7)]);
        }
        assert_eq!((needing.matched(), needing.latest().unwrap().oldest_received), (None, 102));
        let frame = assembler.matched().unwrap();
        assert_eq!((frame.state.foot_contact[0], frame.oldest_received), (true, 200));
    }

    #[test]
    fn the_age_of_a_frame_is_that_of_its_oldest_part() {
        let mut assembler = FrameAssembler::new(1, 1);
        feed(&mut assembler, &[Source::Imu], 10, 100);
        feed(&mut assembler, &[Source::Joints, Source::Contacts], 12, 300);
        assert_eq!(assembler.latest().unwrap().oldest_received, 100);
    }
}
