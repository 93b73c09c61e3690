//! What a URDF left out or got wrong, and what was taken instead.

use std::fmt;

use serde::Serialize;

/// One replacement that reading a robot has made. The robot can be used, but a person should know.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RobotWarning {
    /// A moving body without a mass got that of its collision shapes, at the density of water.
    MassFromShapes {
        /// Link that the body starts with.
        link: String,
        /// Mass taken \[kg\].
        mass: f32,
    },
    /// A moving body with neither mass nor shape got a very small one.
    MassAssumed {
        /// Link that the body starts with.
        link: String,
        /// Mass taken \[kg\].
        mass: f32,
    },
    /// An inertia that no body can have was replaced by that of the collision shapes at even density, or of a ball of water.
    InertiaReplaced {
        /// The link.
        link: String,
        /// Principal moments in the URDF \[kg m²\].
        given: [f32; 3],
        /// Principal moments taken \[kg m²\].
        taken: [f32; 3],
    },
    /// Principal moments of which one exceeds the sum of the others: it was lowered to that sum.
    InertiaClamped {
        /// The link.
        link: String,
        /// Principal moments in the URDF \[kg m²\].
        given: [f32; 3],
        /// Principal moments taken \[kg m²\].
        taken: [f32; 3],
    },
    /// A mesh without volume got its bounding box, at least a millimetre thick, as its shape.
    FlatMesh {
        /// The link.
        link: String,
        /// The file as the URDF names it.
        file: String,
    },
    /// A joint without a range may turn half a turn either way, or shift by a metre.
    RangeAssumed {
        /// The joint.
        joint: String,
    },
    /// A collision shape without size was left out.
    EmptyShape {
        /// The link.
        link: String,
    },
    /// A mesh of a package that was not found was taken from a folder that has another name.
    MeshElsewhere {
        /// The link.
        link: String,
        /// The file as the URDF names it.
        file: String,
        /// The file that was taken.
        found: String,
    },
    /// Motors whose speed limit times damping is clearly less than their effort limit: at rest they give no more than that, but for what long
    /// physics steps add.
    EffortOutOfReach {
        /// The joint whose motor reaches the smallest share of its effort limit.
        joint: String,
        /// Its speed limit times its damping \[N m or N\].
        reached: f32,
        /// Its effort limit \[N m or N\].
        effort_limit: f32,
        /// The other joints of which the same is true.
        others: Vec<String>,
    },
    /// The base link is next to the ground in the nominal pose, so that its height does not tell whether the robot has fallen.
    LowBase {
        /// The base link.
        link: String,
        /// Its height over the lowest foot \[m\].
        height: f32,
    },
}

impl fmt::Display for RobotWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moments = |[a, b, c]: &[f32; 3]| format!("({a:.3e}, {b:.3e}, {c:.3e}) kg m²");
        match self {
            Self::MassFromShapes { link, mass } => {
                write!(f, "link `{link}` has no mass: {mass:.3e} kg taken, its collision shapes at the density of water")
            }
            Self::MassAssumed { link, mass } => {
                write!(f, "link `{link}` has neither mass nor collision shape: {mass:.3e} kg taken")
            }
            Self::InertiaReplaced { link, given, taken } => write!(
                f,
                "link `{link}` has principal moments of inertia {}, which no body has: {} taken, from its shapes",
                moments(given),
                moments(taken)
            ),
            Self::InertiaClamped { link, given, taken } => write!(
                f,
                "link `{link}` has principal moments of inertia {}, of which one exceeds the sum of the others: {} taken",
                moments(given),
                moments(taken)
            ),
            Self::FlatMesh { link, file } => {
                write!(f, "the collision mesh `{file}` of the link `{link}` has no volume: its bounding box taken")
            }
            Self::RangeAssumed { joint } => {
                write!(f, "joint `{joint}` has no range: half a turn either way taken, or a metre where it shifts")
            }
            Self::EmptyShape { link } => write!(f, "link `{link}` has a collision shape without size: left out"),
            Self::MeshElsewhere { link, file, found } => write!(
                f,
                "the collision mesh `{file}` of the link `{link}` is in no folder or installed package of that name: \
                 `{found}` taken; make sure that it is the same"
            ),
            Self::EffortOutOfReach { joint, reached, effort_limit, others } => {
                write!(
                    f,
                    "the motor of `{joint}` reaches {reached:.3} N m (N where it shifts) of its effort limit of \
                     {effort_limit:.3} at rest, more only by long physics steps, as its speed limit times its damping is no more"
                )?;
                match others.len() {
                    0 => Ok(()),
                    1 => write!(f, "; another joint is like that"),
                    more => write!(f, "; {more} other joints are like that"),
                }
            }
            Self::LowBase { link, height } => write!(
                f,
                "the base link `{link}` stands {height:.3} m over the lowest foot, so that a robot that stands may count as \
                 fallen; name the link of the trunk as base_link"
            ),
        }
    }
}
