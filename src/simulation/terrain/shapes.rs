//! The ground as shapes to look at.

/// One shape of the ground in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct GroundShape {
    /// Position of its frame in the world \[m\].
    pub position: [f32; 3],
    /// Orientation of its frame (x, y, z, w).
    pub orientation: [f32; 4],
    /// What it is.
    pub form: GroundForm,
}

/// Form and size of a [`GroundShape`].
#[derive(Clone, Debug, PartialEq)]
pub enum GroundForm {
    /// A box, given by its edges \[m\].
    Box {
        /// Edges along x, y and z.
        size: [f32; 3],
    },
    /// Triangles, given by three corners each \[m\].
    Triangles(Vec<[f32; 3]>),
}
