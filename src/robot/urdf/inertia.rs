//! Masses and inertias: summed over the links of a body, and mended where the URDF gives what no body has.

use nalgebra::{Isometry3, Matrix3, SymmetricEigen, Vector3};
use rapier3d::parry::mass_properties::MassProperties;
use urdf_rs::Link;

use super::assembly::isometry;
use crate::robot::{Body, RobotError, RobotWarning, Shape, pose};

/// Density taken where nothing gives a mass \[kg/m³\]: water, near that of legs with motors.
const DENSITY: f32 = 1000.0;
/// Mass taken for a moving body with neither mass nor shape \[kg\]: its joints' armature is what it feels like.
const ASSUMED_MASS: f64 = 1e-3;
/// Least mass of a body and largest \[kg\]: single precision has to hold the inertia and its inverse.
const MASSES: std::ops::RangeInclusive<f64> = 1e-6..=1e5;
/// Share by which the largest principal moment may exceed the sum of the others: digits that the URDF rounded away.
const ROUNDING: f64 = 0.01;
/// Least share that one principal moment has of the largest one. A thin rod of 1 m and 1 mm has 1e-6.
const LEAST_SHARE: f64 = 1e-7;

/// Sum of the masses and inertias of links that are one body, about the body's origin.
#[derive(Default)]
pub(super) struct MassSum {
    mass: f64,
    moment: Vector3<f64>,
    inertia: Matrix3<f64>,
}

impl MassSum {
    /// Adds `link`, whose frame has the pose `at` in the body and which has the collision `shapes` (in the body's frame).
    pub fn add(
        &mut self,
        link: &Link,
        at: &Isometry3<f64>,
        shapes: &[Shape],
        warnings: &mut Vec<RobotWarning>,
    ) -> Result<(), RobotError> {
        let mass = link.inertial.mass.value;
        if !(mass >= 0.0 && mass <= *MASSES.end()) {
            let problem = format!("has the mass {mass} kg; it must be at least 0 and at most {}", MASSES.end());
            return Err(RobotError::unusable("link", &link.name, problem));
        }
        if mass == 0.0 {
            return Ok(());
        }
        let at = at * isometry("link", &link.name, &link.inertial.origin)?;
        let i = &link.inertial.inertia;
        let given = Matrix3::new(i.ixx, i.ixy, i.ixz, i.ixy, i.iyy, i.iyz, i.ixz, i.iyz, i.izz);
        let rotation = at.rotation.to_rotation_matrix();
        let inertia = match mended(&given) {
            Mended::Sound => rotation * given * rotation.transpose(),
            Mended::Clamped { given, inertia } => {
                let taken = moments(&inertia);
                warnings.push(RobotWarning::InertiaClamped { link: link.name.clone(), given: given.cast().into(), taken });
                rotation * inertia * rotation.transpose()
            }
            Mended::Hopeless { given } => {
                let inertia = of_shapes(shapes, mass);
                let (given, taken) = (given.cast().into(), moments(&inertia));
                warnings.push(RobotWarning::InertiaReplaced { link: link.name.clone(), given, taken });
                inertia
            }
        };
        let centre = at.translation.vector;
        self.mass += mass;
        self.moment += centre * mass;
        self.inertia += inertia + parallel_axis(mass, &centre);
        Ok(())
    }

    /// The body that starts with the link `name`.
    pub fn body(mut self, name: &str, shapes: Vec<Shape>, warnings: &mut Vec<RobotWarning>) -> Result<Body, RobotError> {
        if self.mass < *MASSES.start() {
            self.take_from(name, &shapes, warnings);
        }
        if !MASSES.contains(&self.mass) {
            let problem = format!("has the mass {} kg with the links fixed to it; it must be between {MASSES:?}", self.mass);
            return Err(RobotError::unusable("link", name, problem));
        }
        let centre = self.moment / self.mass;
        // What rounding took from a thin body.
        let inertia = floored(self.inertia - parallel_axis(self.mass, &centre), self.mass);
        Ok(Body { name: name.to_owned(), mass: self.mass as f32, centre_of_mass: centre.cast(), inertia: inertia.cast(), shapes })
    }

    /// Takes mass and inertia from `shapes`, as the URDF gives none.
    fn take_from(&mut self, name: &str, shapes: &[Shape], warnings: &mut Vec<RobotWarning>) {
        let solid = solid(shapes, DENSITY);
        let mass = f64::from(solid.mass());
        let link = name.to_owned();
        if mass > ASSUMED_MASS {
            let centre = Vector3::new(solid.local_com.x, solid.local_com.y, solid.local_com.z).cast();
            self.inertia = tensor(&solid) + parallel_axis(mass, &centre);
            self.moment = centre * mass;
            self.mass = mass;
            warnings.push(RobotWarning::MassFromShapes { link, mass: mass as f32 });
        } else {
            *self = Self { mass: ASSUMED_MASS, moment: Vector3::zeros(), inertia: of_ball(ASSUMED_MASS) };
            warnings.push(RobotWarning::MassAssumed { link, mass: ASSUMED_MASS as f32 });
        }
    }
}

/// What is to be said of an inertia tensor.
enum Mended {
    /// A body can have it.
    Sound,
    /// A body nearly can; principal moments given, and the tensor that it can have.
    Clamped { given: Vector3<f64>, inertia: Matrix3<f64> },
    /// No body has anything like it.
    Hopeless { given: Vector3<f64> },
}

fn mended(inertia: &Matrix3<f64>) -> Mended {
    if !inertia.iter().all(|value| value.is_finite()) {
        return Mended::Hopeless { given: inertia.diagonal() };
    }
    let SymmetricEigen { eigenvectors, eigenvalues: given } = inertia.symmetric_eigen();
    let (largest, sum) = (given.max(), given.sum());
    if !(given.min() >= LEAST_SHARE * largest && given.min() > 0.0) {
        return Mended::Hopeless { given };
    }
    // The largest moment of a body is at most the sum of the others.
    let others = sum - largest;
    if largest <= others * (1.0 + ROUNDING) {
        return Mended::Sound;
    }
    let clamped = given.map(|moment| moment.min(others));
    Mended::Clamped { given, inertia: eigenvectors * Matrix3::from_diagonal(&clamped) * eigenvectors.transpose() }
}

/// Inertia of `shapes` with the given mass at even density; of a ball of water where they have no volume. Axes of the body.
fn of_shapes(shapes: &[Shape], mass: f64) -> Matrix3<f64> {
    let solid = solid(shapes, DENSITY);
    if solid.mass() > 0.0 { tensor(&solid) * (mass / f64::from(solid.mass())) } else { of_ball(mass) }
}

fn solid(shapes: &[Shape], density: f32) -> MassProperties {
    let of = |shape: &Shape| {
        let (solid, offset) = shape.geometry.solid();
        solid.mass_properties(density).transform_by(&(pose(&shape.pose) * offset))
    };
    shapes.iter().map(of).sum()
}

fn tensor(solid: &MassProperties) -> Matrix3<f64> {
    let columns = solid.reconstruct_inertia_matrix().to_cols_array();
    let inertia = Matrix3::from_column_slice(&columns).cast::<f64>();
    floored((inertia + inertia.transpose()) * 0.5, f64::from(solid.mass()))
}

/// Inertia of a ball of water.
fn of_ball(mass: f64) -> Matrix3<f64> {
    let radius = (0.75 * mass / (std::f64::consts::PI * f64::from(DENSITY))).cbrt();
    Matrix3::identity() * (0.4 * mass * radius * radius)
}

/// `inertia` with principal moments of at least those of a ball of 0.1 mm, so that it can be inverted in single precision.
fn floored(inertia: Matrix3<f64>, mass: f64) -> Matrix3<f64> {
    let SymmetricEigen { eigenvectors, eigenvalues } = inertia.symmetric_eigen();
    let least = (0.4e-8 * mass).max(LEAST_SHARE * eigenvalues.max());
    if eigenvalues.min() >= least {
        return inertia;
    }
    eigenvectors * Matrix3::from_diagonal(&eigenvalues.map(|moment| moment.max(least))) * eigenvectors.transpose()
}

fn moments(inertia: &Matrix3<f64>) -> [f32; 3] {
    inertia.symmetric_eigenvalues().cast().into()
}

/// Inertia of a point mass at `r` about the origin (Steiner).
fn parallel_axis(mass: f64, r: &Vector3<f64>) -> Matrix3<f64> {
    (Matrix3::identity() * r.norm_squared() - r * r.transpose()) * mass
}
