//! COLLADA (DAE): the points of its geometries where its scene puts them, in metres.
//!
//! `mesh-loader` reads COLLADA too, but multiplies a node's transform by its parent's from the wrong side, has one transform for each geometry
//! however often it is instanced, knows no `library_nodes`, and leaves translations out of the unit.
//!
//! `<up_axis>` is left alone, as in RViz, MoveIt, Gazebo and the viewer's urdf-loader: meshes of URDFs are in the axes of their link whatever
//! it says. Turned by it, those of Tiago and iCub (Y_UP, written by MeshLab) lie across their visual shapes.

mod element;
mod geometry;

use std::collections::BTreeMap;

use nalgebra::{Isometry3, Matrix4, Rotation3, Unit, Vector3, Vector4};

use element::Element;

/// Most nodes and instances in the scene, counted as often as they are placed: instances of instances multiply.
const MAX_PLACED: usize = 100_000;
/// Most levels of nodes; more are a ring of instances.
const MAX_LEVELS: usize = 64;
/// Most points of all instances: as many as a binary STL file of the largest size has.
const MAX_POINTS: usize = 4_000_000;

/// Why a COLLADA text cannot be used; completes "the mesh …".
#[derive(Debug, thiserror::Error)]
pub(super) enum ColladaError {
    /// Not XML.
    #[error("is not well-formed XML: {0}; export it again")]
    Malformed(String),
    /// More than any honest file has.
    #[error("has more than {limit} {what}; {advice}")]
    TooMany { what: &'static str, limit: usize, advice: &'static str },
    /// An element has something else than it should.
    #[error("should have {expected} in <{element}>, but has {given}; export it again")]
    Wrong { element: String, expected: String, given: String },
    /// A reference to nothing.
    #[error("names `{reference}` in <{element}>, which is not where it belongs in the file; export it again with all its parts")]
    Unknown { element: &'static str, reference: String },
}

impl ColladaError {
    fn unknown(element: &Element<'_>, reference: &str) -> Self {
        Self::Unknown { element: element.name, reference: reference.to_owned() }
    }
}

impl From<quick_xml::Error> for ColladaError {
    fn from(error: quick_xml::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The points of the scene in `text` \[m\], whose elements must not be nested too deeply.
pub(super) fn points(text: &str) -> Result<Vec<[f32; 3]>, ColladaError> {
    let document = element::read(text)?;
    let root = document.needed("COLLADA")?;
    let library = Library::of(root)?;
    let in_metres = Matrix4::new_scaling(unit(root)?);
    let mut placed = Placed { library: &library, points: Vec::new(), count: 0 };
    match library.scene(root)? {
        Some(scene) => placed.node(scene, &in_metres, 0)?,
        // Nothing says where anything is.
        None => library.geometries.values().try_for_each(|points| placed.geometry(points, &in_metres))?,
    }
    Ok(placed.points)
}

/// The length of a unit \[m\].
fn unit(root: &Element<'_>) -> Result<f64, ColladaError> {
    let Some(unit) = root.child("asset").and_then(|asset| asset.child("unit")) else { return Ok(1.0) };
    let Some(meter) = unit.attribute("meter") else { return Ok(1.0) };
    // Some exporters write the comma of their language.
    let value = meter.trim().replace(',', ".").parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| unit.wrong("a positive number as its meter", format!("\"{meter}\"")))
}

/// A node, or a whole scene.
struct Node<'e> {
    /// Its transform in the node around it.
    local: Matrix4<f64>,
    parts: Vec<Part<'e>>,
}

/// What a node places.
enum Part<'e> {
    Node(usize),
    Instance { element: &'e Element<'e>, of: &'e str },
}

/// What can be placed, by its identifier.
struct Library<'e> {
    geometries: BTreeMap<&'e str, Vec<[f32; 3]>>,
    /// Transform and identifier of what a controller deforms.
    controllers: BTreeMap<&'e str, (Matrix4<f64>, &'e str)>,
    nodes: Vec<Node<'e>>,
    named: BTreeMap<&'e str, usize>,
    /// In the file's order.
    scenes: Vec<(&'e str, usize)>,
}

impl<'e> Library<'e> {
    fn of(root: &'e Element<'e>) -> Result<Self, ColladaError> {
        let mut library = Self {
            geometries: BTreeMap::new(),
            controllers: BTreeMap::new(),
            nodes: Vec::new(),
            named: BTreeMap::new(),
            scenes: Vec::new(),
        };
        for entry in root.children.iter().flat_map(|part| &part.children) {
            let id = entry.attribute("id").unwrap_or_default();
            match entry.name {
                "geometry" => {
                    library.geometries.insert(id, geometry::points(entry)?);
                }
                "controller" => {
                    library.controllers.insert(id, controller(entry)?);
                }
                "visual_scene" => {
                    let scene = library.add(entry)?;
                    library.scenes.push((id, scene));
                }
                "node" => {
                    library.add(entry)?;
                }
                _ => {}
            }
        }
        Ok(library)
    }

    /// Adds the node or scene `element` with all nodes in it; as deep a recursion as the text is nested.
    fn add(&mut self, element: &'e Element<'e>) -> Result<usize, ColladaError> {
        let mut node = Node { local: Matrix4::identity(), parts: Vec::new() };
        for child in &element.children {
            match child.name {
                "node" => node.parts.push(Part::Node(self.add(child)?)),
                "instance_node" | "instance_geometry" | "instance_controller" => {
                    node.parts.push(Part::Instance { element: child, of: child.reference("url")? });
                }
                // What is written last is done to the points first.
                _ => node.local *= transform(child)?,
            }
        }
        self.nodes.push(node);
        let index = self.nodes.len() - 1;
        if let Some(id) = element.attribute("id") {
            self.named.entry(id).or_insert(index);
        }
        Ok(index)
    }

    /// The scene that the document shows, or its first.
    fn scene(&self, root: &Element<'_>) -> Result<Option<usize>, ColladaError> {
        let Some(shown) = root.child("scene").and_then(|scene| scene.child("instance_visual_scene")) else {
            return Ok(self.scenes.first().map(|&(_, scene)| scene));
        };
        let id = shown.reference("url")?;
        let found = self.scenes.iter().find(|(name, _)| *name == id);
        found.map(|&(_, scene)| Some(scene)).ok_or_else(|| ColladaError::unknown(shown, id))
    }
}

/// What the element of a transform does.
fn transform(element: &Element<'_>) -> Result<Matrix4<f64>, ColladaError> {
    Ok(match element.name {
        "matrix" => Matrix4::from_row_slice(&element.numbers::<16>()?),
        "translate" => Matrix4::new_translation(&Vector3::from(element.numbers::<3>()?)),
        "scale" => Matrix4::new_nonuniform_scaling(&Vector3::from(element.numbers::<3>()?)),
        "rotate" => {
            let [x, y, z, degrees] = element.numbers()?;
            let axis = Unit::try_new(Vector3::new(x, y, z), 1e-9);
            axis.map_or(Matrix4::identity(), |axis| Rotation3::from_axis_angle(&axis, degrees.to_radians()).to_homogeneous())
        }
        "lookat" => {
            let numbers = element.numbers::<9>()?;
            let [eye, target, up] = [0, 3, 6].map(|first| Vector3::new(numbers[first], numbers[first + 1], numbers[first + 2]));
            Isometry3::look_at_rh(&eye.into(), &target.into(), &up).inverse().to_homogeneous()
        }
        "skew" => return Err(element.wrong("no shear", "one")),
        _ => Matrix4::identity(),
    })
}

/// What `controller` deforms, and its transform when it does not.
fn controller<'e>(controller: &'e Element<'e>) -> Result<(Matrix4<f64>, &'e str), ColladaError> {
    let deforming = controller.child("skin").or_else(|| controller.child("morph"));
    let deforming = deforming.ok_or_else(|| controller.wrong("a <skin> or <morph>", "neither"))?;
    let shape = deforming.child("bind_shape_matrix").map(|matrix| matrix.numbers::<16>()).transpose()?;
    Ok((shape.map_or(Matrix4::identity(), |matrix| Matrix4::from_row_slice(&matrix)), deforming.reference("source")?))
}

/// What has been placed so far.
struct Placed<'l, 'e> {
    library: &'l Library<'e>,
    points: Vec<[f32; 3]>,
    count: usize,
}

impl Placed<'_, '_> {
    /// Places all of the node `index`, which is in a frame with the pose `around`, `level` nodes deep.
    fn node(&mut self, index: usize, around: &Matrix4<f64>, level: usize) -> Result<(), ColladaError> {
        const RING: &str = "do its <instance_node> form a ring?";
        if level > MAX_LEVELS {
            return Err(ColladaError::TooMany { what: "nodes within nodes", limit: MAX_LEVELS, advice: RING });
        }
        let library = self.library;
        let node = &library.nodes[index];
        let at = around * node.local;
        for part in &node.parts {
            self.count += 1;
            if self.count > MAX_PLACED {
                return Err(ColladaError::TooMany { what: "nodes and instances in its scene", limit: MAX_PLACED, advice: RING });
            }
            match *part {
                Part::Node(child) => self.node(child, &at, level + 1)?,
                Part::Instance { element, of } if element.name == "instance_node" => {
                    let child = library.named.get(of).ok_or_else(|| ColladaError::unknown(element, of))?;
                    self.node(*child, &at, level + 1)?;
                }
                Part::Instance { element, of } => {
                    let (mut at, mut of) = (at, of);
                    // A skin of a morph of a geometry: more would be a ring.
                    for _ in 0..2 {
                        if let Some((shape, deformed)) = library.controllers.get(of) {
                            (at, of) = (at * shape, deformed);
                        }
                    }
                    let points = library.geometries.get(of).ok_or_else(|| ColladaError::unknown(element, of))?;
                    self.geometry(points, &at)?;
                }
            }
        }
        Ok(())
    }

    fn geometry(&mut self, points: &[[f32; 3]], at: &Matrix4<f64>) -> Result<(), ColladaError> {
        if self.points.len() + points.len() > MAX_POINTS {
            return Err(ColladaError::TooMany { what: "points", limit: MAX_POINTS, advice: "take a coarser mesh" });
        }
        self.points.extend(points.iter().map(|&[x, y, z]| {
            let point = at * Vector4::new(f64::from(x), f64::from(y), f64::from(z), 1.0);
            [point.x as f32, point.y as f32, point.z as f32]
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half an edge of the cube; exact in single precision.
    const HALF: f32 = 0.0625;

    /// A document with a cube as its geometry `g`, and beside it `rest`.
    fn cube(rest: &str) -> String {
        let corners = (0..8u8).map(|i| [i, i >> 1, i >> 2].map(|bit| if bit & 1 == 1 { "0.0625 " } else { "-0.0625 " }).concat());
        let corners: String = corners.collect();
        format!(
            "<?xml version='1.0'?><COLLADA version='1.4.1'><asset><unit meter='1'/><up_axis>Z_UP</up_axis></asset><library_effects>\
             <effect>&#9;</effect></library_effects><library_geometries><geometry id='g'><mesh><source id='p'><float_array id='a' count='24'>\
             {corners}</float_array><technique_common><accessor source='#a' count='8' stride='3'><param name='X' type='float'/></accessor>\
             </technique_common></source><vertices id='v'><input semantic='POSITION' source='#p'/></vertices><triangles count='4'>\
             <input semantic='NORMAL' source='#n' offset='1'/><input semantic='VERTEX' source='#v' offset='0'/>\
             <p>0 0 1 0 2 0 1 0 3 0 2 0 4 0 5 0 6 0 5 0 7 0 6 0</p></triangles></mesh></geometry></library_geometries>{rest}</COLLADA>"
        )
    }

    /// Of the scene with the content `scene`.
    fn shown(scene: &str) -> String {
        cube(&format!(
            "<library_visual_scenes><visual_scene id='s'>{scene}</visual_scene></library_visual_scenes>\
             <scene><instance_visual_scene url='#s'/></scene>"
        ))
    }

    /// Centre and size of what `text` shows.
    fn bounds(text: &str) -> ([f32; 3], [f32; 3]) {
        let points = points(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let end = |axis: usize, pick: fn(f32, f32) -> f32| points.iter().map(|point| point[axis]).reduce(pick).unwrap();
        let ends = [0, 1, 2].map(|axis| (end(axis, f32::min), end(axis, f32::max)));
        (ends.map(|(low, high)| (low + high) * 0.5), ends.map(|(low, high)| high - low))
    }

    fn near(text: &str, centre: [f32; 3], size: [f32; 3]) {
        let found = bounds(text);
        let mut all = found.0.into_iter().chain(found.1).zip(centre.into_iter().chain(size));
        let fits = all.all(|(found, expected)| (found - expected).abs() < 1e-5);
        assert!(fits, "{found:?} instead of {centre:?}, {size:?}: {text}");
    }

    const CUBE: [f32; 3] = [2.0 * HALF; 3];
    const G: &str = "<instance_geometry url='#g'><bind_material><technique_common/></bind_material></instance_geometry>";

    #[test]
    fn transforms_are_done_from_the_last_to_the_first_and_from_the_inside_out() {
        let (turn, shift) = ("<rotate>1 0 0 90</rotate>", "<translate>0 0 0.1</translate>");
        near(&shown(&format!("<node>{turn}{shift}{G}</node>")), [0.0, -0.1, 0.0], CUBE);
        near(&shown(&format!("<node>{shift}{turn}{G}</node>")), [0.0, 0.0, 0.1], CUBE);
        near(&shown(&format!("<node>{turn}<node>{shift}{G}</node></node>")), [0.0, -0.1, 0.0], CUBE);
        near(&shown(&format!("<node>{shift}<node>{turn}{G}</node></node>")), [0.0, 0.0, 0.1], CUBE);
        let stretched = "<matrix sid='m'>2 0 0 1\n0 1 0 2\n0 0 1 3\n0 0 0 1</matrix>";
        near(&shown(&format!("<node>{stretched}<scale>1 2 1</scale>{G}</node>")), [1.0, 2.0, 3.0], [0.25, 0.25, 0.125]);
        // From (1, 0, 0) towards the origin: what is ahead, at -z, comes to smaller x.
        let camera = "<lookat>1 0 0 0 0 0 0 0 1</lookat><translate>0 0 -0.25</translate>";
        near(&shown(&format!("<node>{camera}{G}</node>")), [0.75, 0.0, 0.0], CUBE);
    }

    #[test]
    fn instances_lie_wherever_they_are_placed() {
        let at = |z: &str, what: &str| format!("<node><translate>0 0 {z}</translate>{what}</node>");
        near(&shown(&(at("1", G) + &at("-1", G))), [0.0; 3], [0.125, 0.125, 2.125]);
        let node = "<instance_node url='#n'/>";
        let named = format!("<node id='n'><translate>0 1 0</translate>{G}</node>");
        let scene = shown(&at("1", node)).replace("<scene>", &format!("<library_nodes>{named}</library_nodes><scene>"));
        near(&scene, [0.0, 1.0, 1.0], CUBE);
        let skin = "<library_controllers><controller id='c'><skin source='#g'><bind_shape_matrix>1 0 0 5 0 1 0 0 0 0 1 0 0 0 0 1\
             </bind_shape_matrix></skin></controller></library_controllers><scene>";
        near(&shown(&at("1", "<instance_controller url='#c'/>")).replace("<scene>", skin), [5.0, 0.0, 1.0], CUBE);
        // Without a scene that says where anything is.
        near(&cube(""), [0.0; 3], CUBE);
        let unsaid = shown(&at("1", G)).replace("<scene><instance_visual_scene url='#s'/></scene>", "");
        near(&unsaid, [0.0, 0.0, 1.0], CUBE);
    }

    #[test]
    fn lengths_are_in_the_files_unit_and_axes_those_of_the_link() {
        let scene = shown(&format!("<node><translate>0 0 8</translate>{G}</node>"));
        for meter in ["0.5", "0,5"] {
            near(&scene.replace("meter='1'", &format!("meter='{meter}'")), [0.0, 0.0, 4.0], [0.0625; 3]);
        }
        for axis in ["X_UP", "Y_UP"] {
            near(&scene.replace("Z_UP", axis), [0.0, 0.0, 8.0], CUBE);
        }
    }

    #[test]
    fn only_corners_of_faces_count() {
        let scene = shown(&format!("<node>{G}</node>"));
        let stray =
            scene.replace("count='24'>", "count='30'>9 9 9 9 9 9 ").replace("count='8' stride", "count='8' offset='6' stride");
        near(&stray, [0.0; 3], CUBE);
        let polygons = "<polygons count='2'><input semantic='VERTEX' source='#v' offset='0'/><p>0 1 2</p><ph><p>3 2 1</p><h>7 7 7</h></ph>\
            </polygons><lines count='1'><input semantic='VERTEX' source='#v' offset='0'/><p>0 7</p></lines></mesh>";
        let (start, end) = (scene.find("<triangles").unwrap(), scene.find("</mesh>").unwrap() + "</mesh>".len());
        near(&format!("{}{polygons}{}", &scene[..start], &scene[end..]), [0.0, 0.0, -HALF], [0.125, 0.125, 0.0]);
    }

    #[test]
    fn rings_and_floods_of_instances_are_refused() {
        let ring = "<node id='a'><instance_node url='#b'/></node><node id='b'><node><instance_node url='#a'/></node></node>";
        let own = "<node id='a'><instance_node url='#a'/><instance_node url='#a'/></node>".to_owned();
        let doubling: String = (0..60)
            .map(|n| format!("<node id='n{n}'>{}</node>", format!("<instance_node url='#n{}'/>", n + 1).repeat(2)))
            .collect();
        let many_points = format!("<node>{}</node>", G.repeat(90_000));
        for scene in [ring.to_owned(), own, doubling + "<node id='n60'/>"] {
            let error = points(&shown(&scene)).unwrap_err();
            assert!(error.to_string().contains("do its <instance_node> form a ring?"), "{error}");
        }
        assert_eq!(points(&shown(&many_points)).unwrap().len(), 720_000);
        assert!(matches!(points(&shown(&many_points.repeat(2))), Err(ColladaError::TooMany { .. })));
        assert!(matches!(points(&shown(&"<node/>".repeat(1_000_001))), Err(ColladaError::TooMany { .. })));
        let controllers = "<library_controllers><controller id='c'><skin source='#c'/></controller></library_controllers><scene>";
        let error = points(&shown("<node><instance_controller url='#c'/></node>").replace("<scene>", controllers)).unwrap_err();
        assert!(error.to_string().contains("names `c` in <instance_controller>"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let scene = shown(&format!("<node id='n'><translate>0 0 0.1</translate>{G}</node>"));
        for (from, to, expected) in [
            ("meter='1'", "meter='-1'", "should have a positive number as its meter in <unit>, but has \"-1\""),
            ("0 0 0.1<", "0 0<", "should have 3 numbers in <translate>, but has \"0 0\""),
            ("0 0 0.1<", "0 0 0.1 0<", "should have 3 numbers"),
            ("0 0 0.1<", "0 0 &#49;<", "but has an entity"),
            ("url='#g'", "url='other.dae#g'", "in the same file in <instance_geometry>, but has \"other.dae#g\""),
            ("url='#g'", "url='#h'", "names `h` in <instance_geometry>"),
            ("url='#s'", "url='#t'", "names `t` in <instance_visual_scene>"),
            ("source='#p'", "source='#q'", "names `q` in <input>"),
            ("source='#v'", "source='#w'", "names `w` in <input>"),
            ("<p>0 0", "<p>8 0", "but has \"8\""),
            ("<p>0 0", "<p>-1 0", "numbers of points that exist in <p>, but has \"-1\""),
            ("stride='3'", "stride='2'", "a stride of at least 3"),
            ("count='8'", "count='9'", "should have the 9 points of its <accessor> in <float_array id=\"a\">, but has 8"),
            ("count='8'", "count='8.5'", "a whole number as its count"),
            ("0.0625", "x", "should have numbers in <float_array id=\"a\">"),
            ("<translate>0 0 0.1</translate>", "<skew>45 1 0 0 0 1 0</skew>", "no shear"),
            ("COLLADA", "collada", "a <COLLADA> in <document>"),
            ("</geometry>", "", "is not well-formed XML"),
        ] {
            let broken = scene.replace(from, to);
            assert_ne!(broken, scene, "{from}");
            let error = points(&broken).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn no_damaged_text_does_harm() {
        let text = shown(&format!("<node><translate>0 0 0.1</translate><scale>1 1 1</scale>{G}</node>"));
        for at in 0..text.len() {
            assert!(points(&text[..at]).is_err(), "{at}");
            for with in ["", "9", "<", "-", "\0", "NaN "] {
                let _ = points(&format!("{}{with}{}", &text[..at], &text[at + 1..]));
            }
        }
    }
}
