//! Units in which a driver counts joints, beside how the robot's joints move.

use super::{AngleUnit, DriverDescription, DriverError};
use crate::robot::{JointKind, RobotModel};

impl DriverDescription {
    /// Checks that the driver counts no joint of `robot` that shifts in degrees, and none that turns in metres. `rad`, the unit of a driver that
    /// says nothing, passes for a joint that shifts: its numbers are taken as they are, as those in `m` are.
    ///
    /// # Errors
    /// [`DriverError::Unit`] names the first such joint.
    pub fn check_units(&self, robot: &RobotModel) -> Result<(), DriverError> {
        let unit = |joint: &str| self.joints.get(joint).and_then(|own| own.unit).unwrap_or(self.unit);
        for joint in &robot.joints {
            let given = unit(&joint.name);
            if matches!((joint.kind, given), (JointKind::Prismatic, AngleUnit::Deg) | (JointKind::Revolute, AngleUnit::M)) {
                return Err(DriverError::Unit { joint: joint.name.clone(), given, kind: joint.kind });
            }
        }
        Ok(())
    }
}

/// What is wrong with `given` as the unit of `joint`, which moves as `kind` says, and what to write.
pub(super) fn misfit(joint: &str, given: AngleUnit, kind: JointKind) -> String {
    let given = match given {
        AngleUnit::Rad => "rad",
        AngleUnit::Deg => "deg",
        AngleUnit::M => "m",
    };
    let (moves, right) = match kind {
        JointKind::Revolute => ("turns", "`unit: rad` or `unit: deg`"),
        JointKind::Prismatic => ("shifts", "`unit: m`"),
    };
    format!(
        "the driver has the joint `{joint}` in `{given}`, but by the robot's description it {moves}: it needs {right} under \
         `joints: {{{joint}: …}}`"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse_yaml;

    /// A box with one leg: `hip` turns it, `slide` lengthens it.
    fn robot() -> RobotModel {
        let inertial = "<inertial><mass value='1'/><inertia ixx='0.1' iyy='0.1' izz='0.1' ixy='0' ixz='0' iyz='0'/></inertial>";
        let limit = "<limit lower='-0.5' upper='0.5' effort='50' velocity='5'/>";
        let urdf = format!(
            "<robot name='hopper'><link name='base'>{inertial}</link><link name='thigh'>{inertial}</link>\
             <link name='foot'>{inertial}<collision><geometry><sphere radius='0.02'/></geometry></collision></link>\
             <joint name='hip' type='revolute'><parent link='base'/><child link='thigh'/><axis xyz='0 1 0'/>{limit}</joint>\
             <joint name='slide' type='prismatic'><parent link='thigh'/><child link='foot'/><axis xyz='0 0 -1'/>{limit}</joint>\
             </robot>"
        );
        let description = "{name: hopper, urdf: hopper.urdf, base_link: base, joints: [hip, slide], feet: [foot], \
             actuator: {stiffness: 400, damping: 20}}";
        RobotModel::from_parts(&parse_yaml(description).unwrap(), urdf, Path::new("hopper.urdf")).unwrap()
    }

    #[test]
    fn degrees_of_a_joint_that_shifts_and_metres_of_one_that_turns_are_refused_by_its_name() {
        let robot = robot();
        let check = |yaml: &str| parse_yaml::<DriverDescription>(yaml).unwrap().check_units(&robot);
        let shifts = "the joint `slide` in `deg`, but by the robot's description it shifts: it needs `unit: m` under \
             `joints: {slide: …}`";
        let turns = "the joint `hip` in `m`, but by the robot's description it turns: it needs `unit: rad` or `unit: deg` under \
             `joints: {hip: …}`";
        for (yaml, said) in [
            ("unit: deg", shifts),
            ("{unit: deg, joints: {slide: {name: motor_2, sign: -1}}}", shifts),
            ("joints: {slide: {unit: deg}}", shifts),
            ("unit: m", turns),
            ("joints: {hip: {unit: m}}", turns),
        ] {
            let error = check(yaml).unwrap_err();
            assert!(matches!(error, DriverError::Unit { .. }) && error.to_string().contains(said), "{yaml}: {error}");
        }
        for yaml in [
            "{}",
            "joints: {slide: {unit: m}}",
            "{unit: deg, joints: {slide: {unit: m}}}",
            "{unit: deg, joints: {slide: {unit: rad}}}",
            "{unit: m, joints: {hip: {unit: deg}}}",
        ] {
            assert_eq!(check(yaml), Ok(()), "{yaml}");
        }
    }
}
