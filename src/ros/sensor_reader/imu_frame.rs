//! Of whose axes the IMU's messages speak: two IMUs on one topic would turn the base to and fro.

use crate::ros::convert::MessageError;

/// What the link of an IMU is called by convention.
const CONVENTION: &str = "imu_link";

/// The frame of the IMU's messages.
#[derive(Clone, Debug, Default)]
pub struct ImuFrame {
    /// The first that a message which was taken named.
    taken: Option<String>,
    /// The IMU's link in the robot's description, where there is one.
    link: Option<String>,
}

impl ImuFrame {
    /// By the robot's description the IMU's link is `link`.
    pub fn set_link(&mut self, link: &str) {
        self.link = Some(bare(link).to_owned());
    }

    /// Checks the frame of a message; one that names none passes. Allocates nothing for one that fits.
    ///
    /// # Errors
    /// [`MessageError::Frame`] when messages before were in another one.
    pub fn check(&self, frame: &str) -> Result<(), MessageError> {
        let frame = bare(frame);
        match self.taken.as_deref() {
            Some(taken) if !frame.is_empty() && frame != taken => {
                Err(MessageError::Frame { given: frame.to_owned(), taken: taken.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Notes the frame of a message that was taken. Returns what a person should know of it: of the first one that is named, if the robot's
    /// description has the IMU elsewhere. Allocates nothing after that.
    pub fn note(&mut self, frame: &str) -> Option<String> {
        let frame = bare(frame);
        if self.taken.is_some() || frame.is_empty() {
            return None;
        }
        self.taken = Some(frame.to_owned());
        let link = self.link.as_deref()?;
        if [CONVENTION, link].into_iter().any(|link| names(frame, link)) {
            return None;
        }
        Some(format!(
            "the IMU's messages are in the frame `{frame}`, and by the robot's description the IMU is on `{link}`: their \
             orientation is taken for that of `{link}`; let the driver send it as that, or name the IMU's link as `imu_link` in \
             the description"
        ))
    }
}

/// `frame` without the slash that older drivers begin it with.
fn bare(frame: &str) -> &str {
    frame.strip_prefix('/').unwrap_or(frame)
}

/// Whether `frame` is `link`, maybe behind the prefix of one robot of many.
fn names(frame: &str, link: &str) -> bool {
    frame.strip_suffix(link).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{joints, reader};
    use super::*;
    use crate::robot::{Orientation, RobotState};
    use crate::ros::convert::{foot_contacts, imu};

    const MILLISECOND: i64 = 1_000_000;

    #[test]
    fn of_two_imus_on_one_topic_the_second_is_refused_by_name() {
        let mut reader = reader();
        let (mut own, mut other) = (RobotState::at_rest(2, 1), RobotState::at_rest(2, 1));
        other.orientation = Orientation { x: 1.0, y: 0.0, z: 0.0, w: 0.0 };
        for step in 1..=5 {
            own.angular_velocity = [step as f32, 0.0, 0.0];
            // The slash makes no other frame.
            let frame = if step % 2 == 0 { "/imu_link" } else { "imu_link" };
            let at = step * 10 * MILLISECOND;
            reader.imu(&imu(at, frame, &own), at).unwrap();
            // Its clock is ahead: had its stamp counted, the next of the first IMU would be overtaken.
            let error = reader.imu(&imu(at + 500 * MILLISECOND, "base_link", &other), at).unwrap_err();
            assert_eq!(error, MessageError::Frame { given: "base_link".to_owned(), taken: "imu_link".to_owned() });
            assert!(error.to_string().contains("`base_link`") && error.to_string().contains("`imu_link`"), "{error}");
            assert!(!error.is_not_finite());
        }
        reader.joint_state(&joints(&["hip", "knee"], &[0.0, 0.0]), 0).unwrap();
        reader.foot_contacts(&foot_contacts(0, &["toe".to_owned()], &RobotState::at_rest(2, 1)), 0).unwrap();
        let state = &reader.assembler().latest().unwrap().state;
        assert_eq!((state.orientation, state.angular_velocity), (own.orientation, [5.0, 0.0, 0.0]));
    }

    #[test]
    fn a_message_that_names_no_frame_or_is_refused_decides_nothing() {
        let mut reader = reader();
        let state = RobotState::at_rest(2, 1);
        for frame in ["", "/"] {
            reader.imu(&imu(0, frame, &state), 0).unwrap();
        }
        let mut broken = imu(0, "base_link", &state);
        broken.orientation.w = f64::NAN;
        assert!(reader.imu(&broken, 0).unwrap_err().is_not_finite());
        reader.imu(&imu(0, "imu_link", &state), 0).unwrap();
        reader.imu(&imu(0, "", &state), 0).unwrap();
        assert!(matches!(reader.imu(&imu(0, "base_link", &state), 0), Err(MessageError::Frame { .. })));
    }

    #[test]
    fn a_frame_that_is_not_the_one_of_the_robots_description_is_said_once() {
        let of = |link: Option<&str>, frame: &str| {
            let mut imu = ImuFrame::default();
            if let Some(link) = link {
                imu.set_link(link);
            }
            assert_eq!(imu.note(""), None);
            let said = imu.note(frame);
            assert_eq!(imu.note(frame), None, "said twice");
            said
        };
        for frame in ["base_link", "/base_link", "left/base_link", "my_trunk_imu"] {
            let said = of(Some("trunk_imu"), frame).unwrap();
            assert!(said.contains(&format!("`{}`", bare(frame))) && said.contains("`trunk_imu`"), "{said}");
        }
        for frame in ["trunk_imu", "/trunk_imu", "left/trunk_imu", "imu_link", ""] {
            assert_eq!(of(Some("trunk_imu"), frame), None, "{frame}");
        }
        assert_eq!(of(None, "base_link"), None);
    }
}
