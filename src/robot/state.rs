//! What the sensors of a robot say at one instant.

/// Orientation of the base as a unit quaternion, world from base (x, y, z, w).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orientation {
    /// Imaginary part along x.
    pub x: f32,
    /// Imaginary part along y.
    pub y: f32,
    /// Imaginary part along z.
    pub z: f32,
    /// Real part.
    pub w: f32,
}

impl Orientation {
    /// No rotation.
    pub const IDENTITY: Self = Self { x: 0.0, y: 0.0, z: 0.0, w: 1.0 };

    /// Roll, pitch and yaw \[rad\] (rotations about fixed x, then y, then z; REP-103), in (-pi, pi], [-pi/2, pi/2], (-pi, pi].
    ///
    /// Uses `libm`, so that the same quaternion gives the same bits on every machine.
    pub fn roll_pitch_yaw(&self) -> [f32; 3] {
        let Self { x, y, z, w } = *self;
        let roll = libm::atan2f(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y));
        let pitch = libm::asinf((2.0 * (w * y - z * x)).clamp(-1.0, 1.0));
        let yaw = libm::atan2f(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z));
        [roll, pitch, yaw]
    }

    /// This orientation, turned about the world's vertical by `angle` \[rad\].
    ///
    /// Uses `libm`, as [`Self::roll_pitch_yaw`].
    pub fn turned(&self, angle: f32) -> Self {
        let (Self { x, y, z, w }, sine, cosine) = (*self, libm::sinf(angle / 2.0), libm::cosf(angle / 2.0));
        Self { x: cosine * x - sine * y, y: cosine * y + sine * x, z: cosine * z + sine * w, w: cosine * w - sine * z }
    }

    /// The vector `v` of the world in the axes of the base.
    pub fn inverse_rotate(&self, v: [f32; 3]) -> [f32; 3] {
        let q = nalgebra::UnitQuaternion::new_unchecked(nalgebra::Quaternion::new(self.w, self.x, self.y, self.z));
        q.inverse_transform_vector(&v.into()).into()
    }

    /// z component of the base's up axis in the world: 1 upright, 0 on its side, -1 on its back.
    pub fn up_projection(&self) -> f32 {
        1.0 - 2.0 * (self.x * self.x + self.y * self.y)
    }
}

/// One consistent set of sensor values, in the joint and foot order of the robot it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct RobotState {
    /// Joint angles \[rad\].
    pub joint_position: Vec<f32>,
    /// Joint speeds \[rad/s\].
    pub joint_velocity: Vec<f32>,
    /// Orientation of the base.
    pub orientation: Orientation,
    /// Angular velocity in the IMU frame \[rad/s\].
    pub angular_velocity: [f32; 3],
    /// Specific force in the IMU frame \[m/s²\]: +g along the up axis at rest (REP-145).
    pub linear_acceleration: [f32; 3],
    /// Foot touches the ground.
    pub foot_contact: Vec<bool>,
    /// Magnitude of the contact force of each foot \[N\].
    pub foot_force: Vec<f32>,
}

impl RobotState {
    /// A state at rest with all joints at 0 and no foot on the ground.
    pub fn at_rest(joints: usize, feet: usize) -> Self {
        Self {
            joint_position: vec![0.0; joints],
            joint_velocity: vec![0.0; joints],
            orientation: Orientation::IDENTITY,
            angular_velocity: [0.0; 3],
            linear_acceleration: [0.0, 0.0, 9.81],
            foot_contact: vec![false; feet],
            foot_force: vec![0.0; feet],
        }
    }

    /// Becomes `other`, a state of the same robot. Allocates nothing.
    pub fn copy_from(&mut self, other: &Self) {
        self.joint_position.clone_from(&other.joint_position);
        self.joint_velocity.clone_from(&other.joint_velocity);
        (self.orientation, self.angular_velocity, self.linear_acceleration) =
            (other.orientation, other.angular_velocity, other.linear_acceleration);
        self.foot_contact.clone_from(&other.foot_contact);
        self.foot_force.clone_from(&other.foot_force);
    }

    /// Whether every value that a policy can see is a finite number.
    pub fn is_finite(&self) -> bool {
        let Orientation { x, y, z, w } = self.orientation;
        let vectors = [&self.angular_velocity[..], &self.linear_acceleration, &[x, y, z, w]];
        let joints = [&self.joint_position[..], &self.joint_velocity, &self.foot_force];
        vectors.into_iter().chain(joints).flatten().all(|value| value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::UnitQuaternion;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn roll_pitch_yaw_agree_with_nalgebra(roll in -3.1f32..3.1, pitch in -1.5f32..1.5, yaw in -3.1f32..3.1) {
            let q = UnitQuaternion::from_euler_angles(roll, pitch, yaw);
            let ours = Orientation { x: q.i, y: q.j, z: q.k, w: q.w }.roll_pitch_yaw();
            for (ours, theirs) in ours.iter().zip([roll, pitch, yaw]) {
                prop_assert!((ours - theirs).abs() < 5e-3, "{ours} {theirs}");
            }
        }

        #[test]
        fn a_turn_about_the_vertical_is_that_of_nalgebra(axis in proptest::array::uniform3(-3.1f32..3.1), angle in -7.0f32..7.0) {
            let q = UnitQuaternion::from_scaled_axis(nalgebra::Vector3::from(axis));
            let theirs = UnitQuaternion::from_euler_angles(0.0, 0.0, angle) * q;
            let ours = Orientation { x: q.i, y: q.j, z: q.k, w: q.w }.turned(angle);
            let ours = nalgebra::Quaternion::new(ours.w, ours.x, ours.y, ours.z);
            prop_assert!((ours - theirs.into_inner()).norm().min((ours + theirs.into_inner()).norm()) < 1e-5, "{ours} {theirs}");
        }
    }

    #[test]
    fn up_projection_is_the_cosine_of_the_tilt() {
        let q = UnitQuaternion::from_euler_angles(0.3f32, 0.0, 1.2);
        let up = Orientation { x: q.i, y: q.j, z: q.k, w: q.w }.up_projection();
        assert!((up - 0.3f32.cos()).abs() < 1e-6, "{up}");
    }
}
