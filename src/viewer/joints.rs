//! Joint angles of several publishers, put together by name: the legs' driver and the gripper's both speak on `joint_states`.

use std::time::Duration;

use super::picture::{MOST_NAMES, PictureError};

/// A joint of which nothing was heard for this long, while others are, is one of a driver that is gone.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// The stamp of a joint counts as present for this long.
const PRESENT: Duration = Duration::from_millis(1500);

/// The latest angle of every joint. The lists belong together.
#[derive(Clone, Debug, Default)]
pub(super) struct Joints {
    names: Vec<String>,
    angles: Vec<f32>,
    heard: Vec<Heard>,
    time: f64,
}

/// When a joint's angle was measured \[s, as stamped\], and when it came \[steady time\].
#[derive(Clone, Copy, Debug)]
struct Heard {
    stamp: f64,
    at: Duration,
}

impl Joints {
    /// Names, in the order in which they were first heard.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Angles \[rad\].
    pub fn angles(&self) -> &[f32] {
        &self.angles
    }

    /// The latest stamp \[s\] of the joints that are heard at present. It goes back where all that is heard does, and not where two
    /// publishers stamp by turns.
    pub fn time(&self) -> f64 {
        self.time
    }

    /// Takes the angles `positions` of the joints `names`, as of `stamp` \[s\]; one list is as long as the other. The angles of other joints
    /// stay. Returns whether there are other joints than before.
    ///
    /// # Errors
    /// [`PictureError::TooMany`] when there would be too many; nothing is taken then.
    pub fn take(&mut self, stamp: f64, names: &[String], positions: &[f64], now: Duration) -> Result<bool, PictureError> {
        let places = self.places(names);
        let age = |heard: &Heard| now.saturating_sub(heard.at);
        let mut stays: Vec<bool> = self.heard.iter().map(|heard| age(heard) < FORGOTTEN).collect();
        for &place in places.iter().flatten() {
            stays[place] = true;
        }
        let number = stays.iter().filter(|&&stays| stays).count() + places.iter().filter(|place| place.is_none()).count();
        if number > MOST_NAMES {
            return Err(PictureError::TooMany(number));
        }
        let mut is_other = stays.contains(&false);
        for (place, (name, &position)) in places.into_iter().zip(names.iter().zip(positions)) {
            let (angle, heard) = (position as f32, Heard { stamp, at: now });
            // A name that is new may stand in the message twice.
            match place.or_else(|| self.place(name, usize::MAX)) {
                Some(place) => (self.angles[place], self.heard[place]) = (angle, heard),
                None => {
                    self.names.push(name.clone());
                    self.angles.push(angle);
                    self.heard.push(heard);
                    is_other = true;
                }
            }
        }
        keep(&mut self.names, &stays);
        keep(&mut self.angles, &stays);
        keep(&mut self.heard, &stays);
        let present = self.heard.iter().filter(|heard| age(heard) < PRESENT);
        self.time = present.map(|heard| heard.stamp).fold(stamp, f64::max);
        Ok(is_other)
    }

    /// Where each of `names` stands; None for a new one.
    fn places(&self, names: &[String]) -> Vec<Option<usize>> {
        let mut expected = 0;
        let place = |name: &String| {
            let place = self.place(name, expected);
            expected = place.map_or(expected, |place| place + 1);
            place
        };
        names.iter().map(place).collect()
    }

    /// Where `name` stands. Publishers keep their order, so the place `expected` is looked at first.
    fn place(&self, name: &str, expected: usize) -> Option<usize> {
        match self.names.get(expected) {
            Some(known) if known == name => Some(expected),
            _ => self.names.iter().position(|known| known == name),
        }
    }
}

/// Keeps the items that stay, and those behind them, which are new.
fn keep<T>(items: &mut Vec<T>, stays: &[bool]) {
    let mut stays = stays.iter();
    items.retain(|_| stays.next().is_none_or(|&stays| stays));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a message of `names` and `positions`, stamped and heard at `time` \[s\]; returns whether there are other joints.
    fn take(joints: &mut Joints, time: f64, names: &[&str], positions: &[f64]) -> bool {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        joints.take(time, &names, positions, Duration::from_secs_f64(time)).unwrap()
    }

    #[test]
    fn two_publishers_are_put_together_and_their_names_are_news_once() {
        let mut joints = Joints::default();
        assert!(take(&mut joints, 1.0, &["hip", "knee"], &[0.1, 0.2]));
        assert!(take(&mut joints, 1.01, &["gripper"], &[0.3]));
        for turn in 0..10 {
            let time = 1.02 + 0.02 * f64::from(turn);
            assert!(!take(&mut joints, time, &["hip", "knee"], &[0.4, 0.5]), "turn {turn}");
            assert!(!take(&mut joints, time, &["gripper"], &[0.6]), "turn {turn}");
        }
        // In any order, and with some left out.
        assert!(!take(&mut joints, 1.3, &["gripper", "hip"], &[0.7, 0.8]));
        assert_eq!(joints.names(), ["hip", "knee", "gripper"]);
        assert_eq!(joints.angles(), [0.8, 0.5, 0.7]);
    }

    #[test]
    fn a_joint_that_is_new_and_named_twice_is_one() {
        let mut joints = Joints::default();
        assert!(take(&mut joints, 1.0, &["hip", "hip"], &[0.1, 0.2]));
        assert_eq!((joints.names(), joints.angles()), (&["hip".to_owned()][..], &[0.2][..]));
    }

    #[test]
    fn joints_of_a_driver_that_is_gone_are_forgotten_and_make_room() {
        let mut joints = Joints::default();
        let many = |of: &str| -> Vec<String> { (0..300).map(|number| format!("{of}{number}")).collect() };
        let positions = [0.0; 300];
        assert!(joints.take(1.0, &many("old"), &positions, Duration::from_secs(1)).unwrap());
        let early = joints.take(2.0, &many("new"), &positions, Duration::from_secs(2));
        assert_eq!((early, joints.names().len()), (Err(PictureError::TooMany(600)), 300));
        assert!(joints.take(11.0, &many("new"), &positions, Duration::from_secs(11)).unwrap());
        assert_eq!((joints.names(), joints.angles().len(), joints.heard.len()), (&many("new")[..], 300, 300));
    }

    #[test]
    fn time_goes_back_with_a_robot_and_not_between_two_publishers() {
        let mut joints = Joints::default();
        let mut take = |stamp, name: &str, now| {
            joints.take(stamp, &[name.to_owned()], &[0.0], Duration::from_millis(now)).unwrap();
            joints.time()
        };
        assert_eq!([take(5.0, "hip", 0), take(4.99, "gripper", 5), take(5.02, "hip", 20)], [5.0, 5.0, 5.02]);
        // A new episode: each has begun anew.
        assert_eq!([take(0.0, "hip", 40), take(0.0, "gripper", 45), take(0.02, "hip", 60)], [4.99, 0.0, 0.02]);
        // The gripper's driver is gone, and the legs begin anew.
        take(9.0, "gripper", 80);
        assert_eq!([take(0.04, "hip", 90), take(1.6, "hip", 1580)], [9.0, 1.6]);
    }
}
