//! The points of one geometry.

use super::ColladaError;
use super::element::Element;

/// Elements of a mesh that are faces; lines and points have no volume.
const FACES: [&str; 5] = ["triangles", "polylist", "polygons", "tristrips", "trifans"];

/// The corners of the faces of `geometry`, each once.
pub(super) fn points(geometry: &Element<'_>) -> Result<Vec<[f32; 3]>, ColladaError> {
    let mut points = Vec::new();
    for mesh in geometry.all("mesh") {
        if let Some(vertices) = mesh.child("vertices") {
            let positions = positions(mesh, vertices)?;
            let mut used = vec![false; positions.len()];
            for faces in mesh.children.iter().filter(|child| FACES.contains(&child.name)) {
                mark(faces, vertices, &mut used)?;
            }
            points.extend(positions.into_iter().zip(used).filter_map(|(position, used)| used.then_some(position)));
        }
    }
    Ok(points)
}

/// The positions of the `vertices` of `mesh`.
fn positions(mesh: &Element<'_>, vertices: &Element<'_>) -> Result<Vec<[f32; 3]>, ColladaError> {
    let input = vertices.all("input").find(|input| input.attribute("semantic") == Some("POSITION"));
    let input = input.ok_or_else(|| vertices.wrong("an <input> with the semantic POSITION", "none"))?;
    let id = input.reference("source")?;
    let source = mesh.all("source").find(|source| source.attribute("id") == Some(id));
    let source = source.ok_or_else(|| ColladaError::unknown(input, id))?;
    let accessor = source.needed("technique_common")?.needed("accessor")?;
    let (offset, stride) = (accessor.count("offset")?.unwrap_or(0), accessor.count("stride")?.unwrap_or(1));
    if stride < 3 {
        return Err(accessor.wrong("a stride of at least 3, for x, y and z", stride.to_string()));
    }
    let array = source.needed("float_array")?;
    let mut values: Vec<f32> = Vec::new();
    for word in array.text.split_ascii_whitespace() {
        values.push(word.parse().map_err(|_| array.wrong("numbers", format!("\"{word}\"")))?);
    }
    let given = values.get(offset..).unwrap_or_default().chunks_exact(stride);
    let count = accessor.count("count")?.unwrap_or(given.len());
    if count > given.len() {
        return Err(array.wrong(format!("the {count} points of its <accessor>"), given.len().to_string()));
    }
    Ok(given.take(count).map(|point| [point[0], point[1], point[2]]).collect())
}

/// Marks the `vertices` that are corners of `faces`.
fn mark(faces: &Element<'_>, vertices: &Element<'_>, used: &mut [bool]) -> Result<(), ColladaError> {
    let (mut vertex, mut stride) = (None, 0);
    for input in faces.all("input") {
        let offset = input.count("offset")?.unwrap_or(0);
        stride = stride.max(offset.saturating_add(1));
        if input.attribute("semantic") == Some("VERTEX") {
            let id = input.reference("source")?;
            if vertices.attribute("id") != Some(id) {
                return Err(ColladaError::unknown(input, id));
            }
            vertex = Some(offset);
        }
    }
    // Faces without corners.
    let Some(vertex) = vertex else { return Ok(()) };
    let lists = faces.all("p").chain(faces.all("ph").flat_map(|with_holes| with_holes.all("p")));
    for list in lists {
        for word in list.text.split_ascii_whitespace().skip(vertex).step_by(stride) {
            let corner = used.get_mut(word.parse().unwrap_or(usize::MAX));
            *corner.ok_or_else(|| list.wrong("numbers of points that exist", format!("\"{word}\"")))? = true;
        }
    }
    Ok(())
}
