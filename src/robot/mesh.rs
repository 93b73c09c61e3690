//! Meshes as collision shapes: found, read, and reduced to their convex hull.

mod collada;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nalgebra::Vector3;
use rapier3d::parry::math::Vector;
use rapier3d::parry::shape::ConvexPolyhedron;
use rapier3d::parry::transformation::try_convex_hull;

use super::urdf::check_nesting;
use super::{Geometry, RobotError};

/// Largest mesh file \[bytes\], …
const MAX_FILE: u64 = 64 << 20;
/// … and all files of a robot together.
const MAX_FILES: u64 = 512 << 20;
/// Most points of which hulls are made, those of a file once for each scale that it is used at: about as many as files within
/// [`MAX_FILES`] have.
const MAX_POINTS: u64 = 64 << 20;
/// A hull has its mesh's outermost point in each of so many directions. They lie 0.22 rad apart, so what is cut off is under 1 % of the
/// hull's size, and contacts stay cheap.
const DIRECTIONS: usize = 256;
/// Least thickness of the shape of a flat mesh \[m\].
const LEAST_THICKNESS: f32 = 1e-3;
/// How far above the URDF a package's folder is looked for.
const FOLDERS_UP: usize = 8;

/// Reads the meshes of one robot; each file once, and makes each hull once.
pub(super) struct Meshes<'a> {
    urdf: &'a Path,
    packages: &'a [PathBuf],
    read: BTreeMap<PathBuf, Arc<Vec<[f32; 3]>>>,
    bytes: u64,
    /// By the file and the bits of the scale.
    hulls: BTreeMap<(PathBuf, [u32; 3]), Hull>,
    /// Of which the hulls were made.
    points: u64,
}

/// The hull of a mesh.
#[derive(Clone)]
pub(super) struct Hull {
    pub geometry: Geometry,
    /// Whether the mesh was flat, so that its box had to be taken.
    pub flat: bool,
    /// The file, where it was found only in a folder that has another name than its package.
    pub elsewhere: Option<PathBuf>,
}

/// A file that may be meant, and whether its folder has another name than its package.
struct Candidate {
    path: PathBuf,
    elsewhere: bool,
}

impl<'a> Meshes<'a> {
    /// Meshes whose names are relative to the file `urdf`; packages that are not near it are looked for in `share` of the folders `packages`.
    pub fn of(urdf: &'a Path, packages: &'a [PathBuf]) -> Self {
        Self { urdf, packages, read: BTreeMap::new(), bytes: 0, hulls: BTreeMap::new(), points: 0 }
    }

    /// The hull of the mesh `file` of the link `link`, in units of `scale`.
    pub fn hull(&mut self, link: &str, file: &str, scale: Vector3<f32>) -> Result<Hull, RobotError> {
        let wrong = |problem: String| RobotError::Mesh { link: link.to_owned(), file: file.to_owned(), problem };
        let Candidate { path, elsewhere } = find(self.urdf, self.packages, file).ok_or_else(|| {
            wrong(format!(
                "no such file from {} upwards; package:// names a folder beside or above the URDF, or a package installed in a \
                 folder of AMENT_PREFIX_PATH: source the workspace that has it",
                self.urdf.parent().unwrap_or(Path::new(".")).display()
            ))
        })?;
        let elsewhere = elsewhere.then(|| path.clone());
        let used = (path, [scale.x, scale.y, scale.z].map(f32::to_bits));
        if let Some(hull) = self.hulls.get(&used) {
            return Ok(Hull { elsewhere, ..hull.clone() });
        }
        let path = &used.0;
        if !self.read.contains_key(path) {
            let vertices = self.vertices(path, &wrong)?;
            self.read.insert(path.clone(), Arc::new(vertices));
        }
        let vertices = &self.read[path];
        self.points += vertices.len() as u64;
        if self.points > MAX_POINTS {
            let what = format!("points of all meshes together, at each scale anew ({})", path.display());
            return Err(RobotError::TooLarge { what, given: self.points, limit: MAX_POINTS });
        }
        let points: Vec<Vector3<f32>> = vertices.iter().map(|&v| Vector3::from(v).component_mul(&scale)).collect();
        let reach = super::urdf::MAX_LENGTH as f32;
        if points.is_empty() || !points.iter().flatten().all(|value| value.abs() <= reach) {
            return Err(wrong(format!("has no points, or some farther than {reach} m out; check its scale")));
        }
        let hull = hull_of(&points).ok_or_else(|| wrong("has no convex hull; give the link a primitive shape".to_owned()))?;
        self.hulls.insert(used, hull.clone());
        Ok(Hull { elsewhere, ..hull })
    }

    fn vertices(&mut self, path: &Path, wrong: &impl Fn(String) -> RobotError) -> Result<Vec<[f32; 3]>, RobotError> {
        let mut bytes = self.content(path, wrong)?;
        let size = bytes.len() as u64;
        let vertices = if is_collada(path, &bytes) {
            let text = std::str::from_utf8(&bytes).map_err(|error| wrong(format!("is not UTF-8 ({error}); save it as UTF-8")))?;
            // The reader descends into nested nodes by recursion.
            check_nesting(text).map_err(|error| wrong(error.to_string()))?;
            collada::points(text).map_err(|error| wrong(error.to_string()))?
        } else {
            unmask_binary_stl(&mut bytes);
            from_loader(path, &bytes, wrong)?
        };
        // Instances can take more memory than their file.
        self.bytes += (std::mem::size_of_val(vertices.as_slice()) as u64).saturating_sub(size);
        Ok(vertices)
    }

    /// What is in the file `path`, if that is not too much.
    fn content(&mut self, path: &Path, wrong: &impl Fn(String) -> RobotError) -> Result<Vec<u8>, RobotError> {
        let system = |error: std::io::Error| wrong(error.to_string());
        let file = File::open(path).map_err(system)?;
        let size = file.metadata().map_err(system)?.len();
        // Before memory is taken.
        self.check_size(path, size)?;
        let mut bytes = Vec::with_capacity(size as usize + 1);
        // A file may grow, and those of /proc say that they are empty.
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(system)?;
        self.check_size(path, bytes.len() as u64)?;
        self.bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// Refuses the file `path` of `size` bytes where that is too much, by itself or with those before it.
    fn check_size(&self, path: &Path, size: u64) -> Result<(), RobotError> {
        for (what, given, limit) in [("mesh", size, MAX_FILE), ("all meshes together", self.bytes + size, MAX_FILES)] {
            if given > limit {
                return Err(RobotError::TooLarge { what: format!("bytes of {what} ({})", path.display()), given, limit });
            }
        }
        Ok(())
    }
}

/// Whether the file `path` with the content `bytes` is COLLADA, by its extension or, where that says nothing, by its head.
fn is_collada(path: &Path, bytes: &[u8]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    // As `mesh-loader` has it: all else, it knows by the head.
    let is_other = ["stl", "STL", "obj", "OBJ"].contains(&extension);
    let head = &bytes[..bytes.len().min(1024)];
    extension.eq_ignore_ascii_case("dae") || !is_other && head.windows(8).any(|word| word == b"<COLLADA")
}

fn from_loader(path: &Path, bytes: &[u8], wrong: &impl Fn(String) -> RobotError) -> Result<Vec<[f32; 3]>, RobotError> {
    // Of the materials that an OBJ names nothing is used, and any file may be named there. That they are not found is no error of the mesh.
    let loader = mesh_loader::Loader::default().custom_reader(|_| Err(ErrorKind::NotFound.into()));
    let scene = catch_unwind(AssertUnwindSafe(|| loader.load_from_slice(bytes, path)));
    let scene = scene.map_err(|_| wrong("makes its reader fail".to_owned()))?.map_err(|error| wrong(error.to_string()))?;
    Ok(scene.meshes.into_iter().flat_map(|mesh| mesh.vertices).collect())
}

/// Many programs begin binary STL files with the word of textual ones; their length tells them apart.
fn unmask_binary_stl(bytes: &mut [u8]) {
    const HEADER: usize = 84;
    const TRIANGLE: u64 = 50;
    if let Some(&[a, b, c, d]) = bytes.get(HEADER - 4..HEADER)
        && bytes.starts_with(b"solid")
        && HEADER as u64 + TRIANGLE * u64::from(u32::from_le_bytes([a, b, c, d])) == bytes.len() as u64
    {
        bytes[..5].fill(b' ');
    }
}

/// The file that `name` means in the file `urdf`: as a path, or as `package://name/…` in a folder of that name above or beside, in `share` of
/// one of the folders `packages`, or else in any folder above.
fn find(urdf: &Path, packages: &[PathBuf], name: &str) -> Option<Candidate> {
    let absolute = std::path::absolute(urdf).ok()?;
    let folders = || absolute.ancestors().skip(1).take(FOLDERS_UP);
    let meant = |path: PathBuf| Candidate { path, elsewhere: false };
    let candidates: Vec<Candidate> = match name.split_once("://") {
        Some(("file", path)) => vec![meant(PathBuf::from(path))],
        Some(("package" | "model", path)) => {
            let (package, inside) = path.split_once('/')?;
            let beside = folders().map(|folder| folder.join(package).join(inside));
            let within = folders().filter(|folder| folder.ends_with(package)).map(|folder| folder.join(inside));
            let installed = packages.iter().map(|prefix| prefix.join("share").join(package).join(inside));
            // A package whose folder was renamed.
            let renamed = folders().map(|folder| Candidate { path: folder.join(inside), elsewhere: true });
            within.chain(beside).chain(installed).map(meant).chain(renamed).collect()
        }
        Some(_) => return None,
        None => folders().map(|folder| meant(folder.join(name))).collect(),
    };
    candidates.into_iter().find(|candidate| candidate.path.is_file())
}

fn hull_of(points: &[Vector3<f32>]) -> Option<Hull> {
    let (mut low, mut high) = (points[0], points[0]);
    for point in points {
        low = low.inf(point);
        high = high.sup(point);
    }
    let (centre, size) = ((low + high) * 0.5, (high - low).max());
    if size > 0.0 && (high - low).min() > 1e-3 * LEAST_THICKNESS {
        let outer = outermost(points);
        // Around the origin and of unit size, as that is what the hull's tolerances are made for.
        let unit: Vec<Vector> = outer.iter().map(|p| (p - centre) / size).map(|p| Vector::new(p.x, p.y, p.z)).collect();
        let found = catch_unwind(AssertUnwindSafe(|| {
            let (vertices, faces) = try_convex_hull(&unit).ok()?;
            let centre = Vector::new(centre.x, centre.y, centre.z);
            ConvexPolyhedron::from_convex_mesh(vertices.iter().map(|&v| v * size + centre).collect(), &faces)
        }));
        if let Ok(Some(polyhedron)) = found {
            return Some(Hull { geometry: Geometry::ConvexHull(Arc::new(polyhedron)), flat: false, elsewhere: None });
        }
    }
    let half = ((high - low) * 0.5).map(|half| half.max(0.5 * LEAST_THICKNESS));
    let corner = |index: u8| {
        let side = |bit: u8, half: f32| if index >> bit & 1 == 1 { half } else { -half };
        Vector::new(centre.x + side(0, half.x), centre.y + side(1, half.y), centre.z + side(2, half.z))
    };
    let corners: Vec<Vector> = (0..8).map(corner).collect();
    let polyhedron = ConvexPolyhedron::from_convex_hull(&corners)?;
    Some(Hull { geometry: Geometry::ConvexHull(Arc::new(polyhedron)), flat: true, elsewhere: None })
}

/// The outermost point in each of [`DIRECTIONS`] even directions and along the axes, each once.
fn outermost(points: &[Vector3<f32>]) -> Vec<Vector3<f32>> {
    let axes = (0..6).map(|i| Vector3::ith(i / 2, if i % 2 == 0 { 1.0 } else { -1.0 }));
    // Fibonacci's spiral.
    let spiral = (0..DIRECTIONS).map(|i| {
        let z = 1.0 - (2 * i + 1) as f32 / DIRECTIONS as f32;
        let (radius, angle) = ((1.0 - z * z).sqrt(), i as f32 * 2.399_963_2);
        Vector3::new(radius * libm::cosf(angle), radius * libm::sinf(angle), z)
    });
    let mut kept: Vec<usize> = axes.chain(spiral).filter_map(|direction: Vector3<f32>| farthest(points, &direction)).collect();
    kept.sort_unstable();
    kept.dedup();
    let mut kept: Vec<Vector3<f32>> = kept.into_iter().map(|index| points[index]).collect();
    kept.sort_by(|a, b| a.iter().zip(b.iter()).fold(std::cmp::Ordering::Equal, |order, (a, b)| order.then(a.total_cmp(b))));
    kept.dedup();
    kept
}

/// Number of the point that is farthest out in `direction`, of several the last.
fn farthest(points: &[Vector3<f32>], direction: &Vector3<f32>) -> Option<usize> {
    let reach = points.iter().map(|point| point.dot(direction)).enumerate();
    reach.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corners(hull: &Hull) -> &Arc<ConvexPolyhedron> {
        let Geometry::ConvexHull(polyhedron) = &hull.geometry else { panic!("not a hull") };
        polyhedron
    }

    #[test]
    fn materials_of_an_obj_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let urdf = folder.path().join("leggy.urdf");
        // Materials may be like that, but the reader understands neither the comment nor the spectrum.
        std::fs::write(folder.path().join("grey.mtl"), "newmtl grey\nKd 1 1 1 # grey\nKa spectral grey.rfl\n").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(folder.path().join("pipe.mtl")).status().unwrap().success());
        let (sender, receiver) = std::sync::mpsc::channel();
        // In a thread of its own: who reads a pipe into which nobody writes waits for ever.
        std::thread::spawn(move || {
            for library in ["missing.mtl", "grey.mtl", "pipe.mtl"] {
                let (points, faces) = ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 -1", "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4");
                let text = format!("mtllib {library}\n{points}\nusemtl grey\n{faces}\n");
                std::fs::write(folder.path().join("tip.obj"), text).unwrap();
                let hull = Meshes::of(&urdf, &[]).hull("foot", "tip.obj", Vector3::repeat(1.0));
                let points = hull.map(|hull| corners(&hull).points().len()).map_err(|error| error.to_string());
                sender.send((library, points)).unwrap();
            }
        });
        for _ in 0..3 {
            let (library, points) = receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
            assert_eq!(points, Ok(4), "{library}");
        }
    }

    #[test]
    fn a_hull_is_made_once_for_each_file_and_scale_and_only_of_so_many_points() {
        let folder = tempfile::tempdir().unwrap();
        let urdf = folder.path().join("leggy.urdf");
        let text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 -1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";
        std::fs::write(folder.path().join("tip.obj"), text).unwrap();
        let mut meshes = Meshes::of(&urdf, &[]);
        let mut hull = |scale: f32, points: Option<u64>| {
            meshes.points = points.unwrap_or(meshes.points);
            let hull = meshes.hull("foot", "tip.obj", Vector3::repeat(scale)).map_err(|error| error.to_string())?;
            Ok::<_, String>((hull, meshes.points))
        };
        let (first, points) = hull(0.1, None).unwrap();
        let (again, after) = hull(0.1, None).unwrap();
        assert!(Arc::ptr_eq(corners(&first), corners(&again)));
        // Three to a face.
        assert_eq!((points, after), (12, 12));
        let (larger, after) = hull(0.2, None).unwrap();
        assert_eq!((corners(&larger).points().len(), after), (4, 24));
        assert!(!Arc::ptr_eq(corners(&first), corners(&larger)));
        assert!(hull(0.2, Some(MAX_POINTS)).is_ok());
        assert!(hull(0.3, Some(MAX_POINTS - 12)).is_ok());
        let error = hull(0.4, Some(MAX_POINTS - 11)).map(|_| ()).unwrap_err();
        assert!(error.starts_with("points of all meshes together") && error.contains(": 67108865, of which"), "{error}");
    }

    #[test]
    fn of_points_that_are_equally_far_out_the_last_is_taken() {
        // A lattice, each point of it twice: whole faces and edges are equally far out.
        let lattice = (0..2 * 343u16).map(|i| Vector3::new(i % 7, i / 7 % 7, i / 49 % 7).map(|value| f32::from(value) - 3.0));
        let points: Vec<Vector3<f32>> = lattice.collect();
        let ways = (0..27u16).map(|i| Vector3::new(i % 3, i / 3 % 3, i / 9).map(|value| f32::from(value) - 1.0));
        for way in ways.chain([Vector3::new(0.3, -0.7, 0.2)]) {
            let most = points.iter().map(|point| point.dot(&way)).max_by(f32::total_cmp).unwrap();
            let last = points.iter().rposition(|point| point.dot(&way).total_cmp(&most).is_eq());
            assert_eq!(farthest(&points, &way), last, "{way:?}");
        }
        assert_eq!(farthest(&[], &Vector3::x()), None);
    }

    #[test]
    fn a_mesh_whose_size_is_not_known_before_counts_by_what_is_read() {
        let urdf = Path::new("leggy.urdf");
        let mut meshes = Meshes::of(urdf, &[]);
        let wrong = |problem: String| RobotError::Mesh { link: String::new(), file: String::new(), problem };
        // Its size is 0 to who asks.
        let read = meshes.content(Path::new("/proc/self/status"), &wrong).map_err(|error| error.to_string()).unwrap();
        assert!(!read.is_empty() && meshes.bytes == read.len() as u64);
        meshes.bytes = MAX_FILES - 1;
        assert!(matches!(meshes.content(Path::new("/proc/self/status"), &wrong), Err(RobotError::TooLarge { .. })));
    }

    #[test]
    fn a_hull_keeps_the_corners_and_drops_what_is_inside() {
        let mut points: Vec<_> =
            (0..8u8).map(|i| Vector3::new(f32::from(i & 1), f32::from(i >> 1 & 1) * 2.0, f32::from(i >> 2))).collect();
        points.extend((0..1000).map(|i| Vector3::new(0.5, 1.0 + 0.3 * libm::sinf(i as f32), 0.5)));
        let hull = hull_of(&points).unwrap();
        let Geometry::ConvexHull(polyhedron) = &hull.geometry else { panic!() };
        assert!(!hull.flat);
        assert_eq!(polyhedron.points().len(), 8);
        let (solid, _) = hull.geometry.solid();
        assert!((solid.mass_properties(1.0).mass() - 2.0).abs() < 1e-4);
    }

    #[test]
    fn flat_and_single_points_become_thin_boxes() {
        for points in [vec![Vector3::zeros()], vec![Vector3::zeros(), Vector3::x(), Vector3::y(), Vector3::new(1.0, 1.0, 0.0)]] {
            let hull = hull_of(&points).unwrap();
            assert!(hull.flat);
            assert!(hull.geometry.solid().0.mass_properties(1.0).mass() > 0.0);
        }
    }

    #[test]
    fn collada_is_known_by_its_name_or_head_and_refused_when_nested_too_deeply() {
        let folder = tempfile::tempdir().unwrap();
        let urdf = folder.path().join("leggy.urdf");
        let hull = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            Meshes::of(&urdf, &[]).hull("foot", name, Vector3::repeat(1.0)).map(|_| ()).unwrap_err().to_string()
        };
        for name in ["a.dae", "a.DAE", "a.Dae", "a.xml", "a.Obj", "a"] {
            let text = format!("<?xml version='1.0'?><COLLADA><library_nodes>{}", "<node>".repeat(100_000));
            let error = hull(name, &text);
            assert!(error.contains(&format!("`{name}` of the link `foot`: nested elements: 65")), "{name}: {error}");
            assert!(hull(name, "<COLLADA/>").contains("has no points"), "{name}");
        }
        let error = hull("b.dae", "solid b");
        assert!(error.contains("should have a <COLLADA> in <document>"), "{error}");
    }

    #[test]
    fn packages_are_found_above_the_urdf_and_where_they_are_installed() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        };
        let (foot, hip) = (make("leggy_description/meshes/foot.stl"), make("leggy_description/urdf/hip.stl"));
        let other = make("other/part.stl");
        // An installed package has what one near the URDF has not, and comes before a folder of another name.
        let (hand, installed) = (make("ros/share/hands/meshes/hand.stl"), make("ros/share/feet/meshes/foot.stl"));
        let urdf = root.path().join("leggy_description/urdf/leggy.urdf");
        let packages = [root.path().join("none"), root.path().join("ros")];
        for (name, expected) in [
            ("package://leggy_description/meshes/foot.stl", Some((&foot, false))),
            ("package://other/part.stl", Some((&other, false))),
            ("package://hands/meshes/hand.stl", Some((&hand, false))),
            ("package://feet/meshes/foot.stl", Some((&installed, false))),
            ("package://another_name/meshes/foot.stl", Some((&foot, true))),
            ("../meshes/foot.stl", Some((&root.path().join("leggy_description/urdf/../meshes/foot.stl"), false))),
            ("hip.stl", Some((&hip, false))),
            ("package://leggy_description/meshes/hand.stl", None),
            ("http://x/hip.stl", None),
        ] {
            let found = find(&urdf, &packages, name);
            assert_eq!(found.as_ref().map(|found| (&found.path, found.elsewhere)), expected, "{name}");
        }
    }
}
