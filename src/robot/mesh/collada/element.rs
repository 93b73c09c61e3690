//! The elements of a COLLADA text that say where the points of a mesh are; all others are passed over.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::ColladaError;

/// Most elements that are kept: in some files each face is one.
const MAX_ELEMENTS: usize = 1_000_000;
/// Elements that are kept when all around them are.
const KEPT: &str = "COLLADA asset unit library_geometries geometry mesh source float_array technique_common accessor vertices input triangles \
    polylist polygons tristrips trifans p ph library_controllers controller skin morph bind_shape_matrix library_nodes library_visual_scenes \
    visual_scene node matrix translate rotate scale lookat skew instance_geometry instance_controller instance_node scene \
    instance_visual_scene";
/// Attributes that are kept.
const ATTRIBUTES: [&str; 8] = ["id", "url", "source", "semantic", "offset", "stride", "count", "meter"];

/// An element with what is kept of it.
pub(super) struct Element<'a> {
    pub name: &'static str,
    pub text: Cow<'a, str>,
    pub children: Vec<Self>,
    attributes: Vec<(&'static str, String)>,
}

/// Reads `text`, whose elements must not be nested too deeply, into an element around its root.
pub(super) fn read(text: &str) -> Result<Element<'_>, ColladaError> {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element { name: "", text: Cow::default(), children: Vec::new(), attributes: Vec::new() }];
    let mut count = 0;
    while let Some(innermost) = open.last_mut() {
        match reader.read_event()? {
            Event::Start(tag) => match Element::of(&tag)? {
                Some(element) => {
                    count += 1;
                    open.push(element);
                }
                None => {
                    reader.read_to_end(tag.name())?;
                }
            },
            Event::Empty(tag) => {
                count += 1;
                innermost.children.extend(Element::of(&tag)?);
            }
            Event::End(_) => {
                let done = open.pop();
                open.last_mut().ok_or_else(ended)?.children.extend(done);
            }
            Event::Text(piece) => innermost.text += piece.decode().map_err(quick_xml::Error::from)?,
            Event::CData(piece) => innermost.text += piece.decode().map_err(quick_xml::Error::from)?,
            Event::GeneralRef(_) => return Err(innermost.wrong("plain numbers or elements", "an entity")),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        if count > MAX_ELEMENTS {
            return Err(ColladaError::TooMany { what: "elements", limit: MAX_ELEMENTS, advice: "take a coarser mesh" });
        }
    }
    let whole = open.pop();
    whole.filter(|_| open.is_empty()).ok_or_else(ended)
}

fn ended() -> ColladaError {
    ColladaError::Malformed("it ends before its elements do".to_owned())
}

impl<'a> Element<'a> {
    /// The start of the element of `tag`, if it is one that is kept.
    fn of(tag: &BytesStart<'_>) -> Result<Option<Self>, ColladaError> {
        let local = tag.local_name();
        let Some(name) = KEPT.split_ascii_whitespace().find(|kept| kept.as_bytes() == local.as_ref()) else { return Ok(None) };
        let mut attributes = Vec::new();
        // Their check for doubled ones takes the square of their number.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(quick_xml::Error::from)?;
            if let Some(kept) = ATTRIBUTES.into_iter().find(|kept| kept.as_bytes() == attribute.key.as_ref()) {
                attributes.push((kept, String::from_utf8_lossy(&attribute.value).into_owned()));
            }
        }
        Ok(Some(Self { name, text: Cow::default(), children: Vec::new(), attributes }))
    }

    /// The children called `name`.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child called `name`.
    pub fn child(&self, name: &'static str) -> Option<&Self> {
        self.all(name).next()
    }

    /// The first child called `name`, which must be there.
    pub fn needed(&self, name: &'static str) -> Result<&Self, ColladaError> {
        self.child(name).ok_or_else(|| self.wrong(format!("a <{name}>"), "none"))
    }

    pub fn attribute(&self, name: &'static str) -> Option<&str> {
        self.attributes.iter().find(|(kept, _)| *kept == name).map(|(_, value)| value.as_str())
    }

    /// The identifier that the attribute `name` refers to.
    pub fn reference(&self, name: &'static str) -> Result<&str, ColladaError> {
        let reference = self.attribute(name).unwrap_or_default();
        let wrong = || self.wrong(format!("a {name} of the form \"#identifier\", in the same file"), format!("\"{reference}\""));
        reference.strip_prefix('#').ok_or_else(wrong)
    }

    /// The whole number in the attribute `name`, if it is there.
    pub fn count(&self, name: &'static str) -> Result<Option<usize>, ColladaError> {
        let wrong = |given: &str| self.wrong(format!("a whole number as its {name}"), format!("\"{given}\""));
        self.attribute(name).map(|given| given.trim().parse().map_err(|_| wrong(given))).transpose()
    }

    /// Its text as `N` numbers.
    pub fn numbers<const N: usize>(&self) -> Result<[f64; N], ColladaError> {
        let wrong = || self.wrong(format!("{N} numbers"), format!("\"{}\"", self.text.trim()));
        let mut words = self.text.split_ascii_whitespace();
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
        }
        if words.next().is_some() { Err(wrong()) } else { Ok(numbers) }
    }

    /// That it has `given` instead of `expected`.
    pub fn wrong(&self, expected: impl Into<String>, given: impl Into<String>) -> ColladaError {
        const SHOWN: usize = 60;
        let (given, name) = (given.into(), if self.name.is_empty() { "document" } else { self.name });
        let mut shown: String = given.chars().take(SHOWN).collect();
        shown.extend((shown.len() < given.len()).then_some('…'));
        let id = self.attribute("id").map(|id| format!(" id=\"{id}\"")).unwrap_or_default();
        ColladaError::Wrong { element: format!("{name}{id}"), expected: expected.into(), given: shown }
    }
}
