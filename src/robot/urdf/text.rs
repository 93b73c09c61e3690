//! The text of a URDF before it is parsed: bounded, without what physics does not need, and with the elements that the parser insists on.

use std::path::{Path, PathBuf};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, Writer};

use crate::robot::RobotError;

/// Longest text \[bytes\].
pub(super) const MAX_BYTES: u64 = 32 << 20;
/// Elements within elements. A URDF has six; parsers descend by recursion.
const MAX_NESTING: u64 = 64;
/// Elements in all.
const MAX_ELEMENTS: u64 = 200_000;
/// Elements that say nothing about the physics.
const IGNORED: [&[u8]; 5] = [b"visual", b"transmission", b"gazebo", b"sensor", b"ros2_control"];
/// Most characters of an element that a message shows.
const SHOWN: usize = 60;

/// Why a text was refused.
#[derive(Debug, thiserror::Error)]
pub(in crate::robot) enum TextError {
    /// Too much of something.
    #[error("{what}: {given}, of which at most {limit} are accepted")]
    TooLarge { what: &'static str, given: u64, limit: u64 },
    /// Not well-formed.
    #[error("{0}")]
    Malformed(String),
    /// Holds this element of xacro.
    #[error("`{0}` is xacro, which has to be expanded first")]
    Xacro(String),
}

impl TextError {
    pub fn into_robot_error(self, path: &Path) -> RobotError {
        match self {
            Self::TooLarge { what, given, limit } => {
                RobotError::TooLarge { what: format!("{what} of {}", path.display()), given, limit }
            }
            Self::Malformed(message) => RobotError::MalformedUrdf { path: path.into(), message },
            Self::Xacro(found) => RobotError::Xacro { path: path.into(), found, expanded: expanded(path) },
        }
    }
}

/// The file into which to expand `path`: beside it, so that what is relative to it stays the same.
fn expanded(path: &Path) -> PathBuf {
    let is_xacro = path.extension().is_some_and(|extension| extension == "xacro");
    // Of `a.urdf.xacro` and `a.xacro` comes `a.urdf`, and nothing goes over itself.
    let bare = if is_xacro { path.with_extension("") } else { path.to_path_buf() };
    let urdf = bare.with_extension("urdf");
    if urdf == path { bare.with_extension("expanded.urdf") } else { urdf }
}

impl From<quick_xml::Error> for TextError {
    fn from(error: quick_xml::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Events of an XML text, counted.
struct Bounded<'a> {
    reader: Reader<&'a [u8]>,
    depth: u64,
    elements: u64,
}

impl<'a> Bounded<'a> {
    fn new(text: &'a str) -> Result<Self, TextError> {
        check("bytes", text.len() as u64, MAX_BYTES)?;
        Ok(Self { reader: Reader::from_str(text), depth: 0, elements: 0 })
    }

    fn next(&mut self) -> Result<Event<'a>, TextError> {
        let event = self.reader.read_event()?;
        match event {
            Event::Start(_) => {
                self.depth += 1;
                self.elements += 1;
            }
            Event::Empty(_) => self.elements += 1,
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::Eof if self.depth > 0 => return Err(TextError::Malformed("ends before its elements do".to_owned())),
            _ => {}
        }
        check("nested elements", self.depth, MAX_NESTING)?;
        check("elements", self.elements, MAX_ELEMENTS)?;
        Ok(event)
    }
}

fn check(what: &'static str, given: u64, limit: u64) -> Result<(), TextError> {
    if given > limit { Err(TextError::TooLarge { what, given, limit }) } else { Ok(()) }
}

/// Refuses XML that is nested deeper than a parser can follow.
pub(in crate::robot) fn check_nesting(text: &str) -> Result<(), TextError> {
    let mut reader = Reader::from_str(text);
    let mut depth = 0u64;
    loop {
        match reader.read_event()? {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof => return Ok(()),
            _ => {}
        }
        check("nested elements", depth, MAX_NESTING)?;
    }
}

/// The text as the parser needs it: an `<inertial>` has its mass and inertia, a `<limit>` its effort and velocity and a `<safety_controller>` its
/// gain, 0 where the file has none; what says nothing about the physics is left out.
pub(super) fn prepare(text: &str) -> Result<String, TextError> {
    let mut events = Bounded::new(text)?;
    let mut writer = Writer::new(Vec::with_capacity(text.len()));
    let mut inertial: Option<Inertial> = None;
    let write = |writer: &mut Writer<Vec<u8>>, event: Event<'_>| {
        writer.write_event(event).map_err(|error| TextError::Malformed(error.to_string()))
    };
    loop {
        let event = events.next()?;
        match &event {
            Event::Eof => break,
            // Neither says anything about a robot, and a document type could define entities.
            Event::DocType(_) | Event::Comment(_) | Event::PI(_) => continue,
            // The parser passes over what it does not know, and masses and links would be missing without a word.
            Event::Start(element) | Event::Empty(element) if is_xacro(element) => return Err(TextError::Xacro(shown(element))),
            Event::Empty(element) if IGNORED.contains(&element.name().as_ref()) => continue,
            Event::Start(element) if IGNORED.contains(&element.name().as_ref()) => {
                let outside = events.depth - 1;
                while events.depth > outside {
                    events.next()?;
                }
                continue;
            }
            Event::Start(element) if element.name().as_ref() == b"inertial" => inertial = Some(Inertial::default()),
            Event::Empty(element) if element.name().as_ref() == b"inertial" => continue,
            Event::End(element) if element.name().as_ref() == b"inertial" => {
                for missing in inertial.take().map(Inertial::missing).into_iter().flatten() {
                    write(&mut writer, Event::Empty(missing))?;
                }
            }
            Event::Start(element) | Event::Empty(element) => {
                if let Some(inertial) = &mut inertial {
                    inertial.mass |= element.name().as_ref() == b"mass";
                    inertial.tensor |= element.name().as_ref() == b"inertia";
                }
                let needed: &[&str] = match element.name().as_ref() {
                    b"limit" => &["effort", "velocity"],
                    b"safety_controller" => &["k_velocity"],
                    _ => &[],
                };
                if !needed.is_empty() {
                    let completed = with_attributes(element, needed)?;
                    let empty = matches!(event, Event::Empty(_));
                    write(&mut writer, if empty { Event::Empty(completed) } else { Event::Start(completed) })?;
                    continue;
                }
            }
            _ => {}
        }
        write(&mut writer, event)?;
    }
    String::from_utf8(writer.into_inner()).map_err(|error| TextError::Malformed(error.to_string()))
}

/// Whether `element` is one of xacro's, or has an attribute with an expression of xacro's.
fn is_xacro(element: &BytesStart<'_>) -> bool {
    let has_expression = |text: &[u8]| text.windows(2).any(|two| two == b"${" || two == b"$(");
    element.starts_with(b"xacro:") || has_expression(element.attributes_raw())
}

/// The beginning of `element`, for a message.
fn shown(element: &BytesStart<'_>) -> String {
    let text = String::from_utf8_lossy(element);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let beginning: String = words.chars().take(SHOWN).collect();
    let rest = if beginning.len() < words.len() { "…" } else { "" };
    format!("<{beginning}{rest}>")
}

/// What an `<inertial>` has shown so far.
#[derive(Default)]
struct Inertial {
    mass: bool,
    tensor: bool,
}

impl Inertial {
    fn missing(self) -> impl Iterator<Item = BytesStart<'static>> {
        let mass = (!self.mass).then(|| BytesStart::new("mass").with_attributes([("value", "0")]));
        let names = ["ixx", "ixy", "ixz", "iyy", "iyz", "izz"];
        let tensor = (!self.tensor).then(|| BytesStart::new("inertia").with_attributes(names.map(|name| (name, "0"))));
        mass.into_iter().chain(tensor)
    }
}

/// `element` with the attributes `needed`, 0 where it has none.
fn with_attributes(element: &BytesStart<'_>, needed: &[&str]) -> Result<BytesStart<'static>, TextError> {
    let mut completed = element.to_owned();
    for &name in needed {
        let present = element.try_get_attribute(name).map_err(|error| TextError::Malformed(error.to_string()))?;
        if present.is_none() {
            completed.push_attribute((name, "0"));
        }
    }
    Ok(completed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_elements_are_added_and_pictures_left_out() {
        let text = "<robot><link name='a'><inertial><mass value='2'/></inertial><visual><geometry><mesh/></geometry></visual></link>\
            <joint><limit lower='0' velocity='3'/><safety_controller soft_upper_limit='1'/></joint></robot>";
        let prepared = prepare(text).unwrap();
        assert!(prepared.contains("<mass value='2'/><inertia ixx=\"0\"") && !prepared.contains("mesh"), "{prepared}");
        assert!(prepared.contains("velocity='3' effort=\"0\""), "{prepared}");
        assert!(prepared.contains("soft_upper_limit='1' k_velocity=\"0\""), "{prepared}");
    }

    #[test]
    fn xacro_is_refused_with_the_element_and_a_file_to_expand_it_into() {
        for (text, element) in [
            ("<robot><xacro:include filename='legs.xacro'/></robot>", "<xacro:include filename='legs.xacro'>"),
            ("<robot><link name='a'><xacro:box_inertia m='1'></xacro:box_inertia></link></robot>", "<xacro:box_inertia m='1'>"),
            ("<robot><link name='a'><inertial><mass\n value='${m}'/></inertial></link></robot>", "<mass value='${m}'>"),
            ("<robot><link name='a'><geometry><mesh filename='$(find a)/b'/></geometry></link></robot>", "$(find a)/b"),
        ] {
            let error = prepare(text).unwrap_err();
            assert!(matches!(&error, TextError::Xacro(found) if found.contains(element)), "{text}: {error}");
        }
        assert!(prepare("<robot xmlns:xacro='http://www.ros.org/wiki/xacro'><link name='$a {b} (c)'/></robot>").is_ok());
        let long = prepare(&format!("<xacro:{}/>", "é".repeat(1000))).unwrap_err().to_string();
        assert!(long.chars().count() < 150 && long.contains("é…>"), "{long}");
        let files = [("a.urdf.xacro", "a.urdf"), ("b/a.xacro", "b/a.urdf"), ("a.urdf", "a.expanded.urdf"), ("a.xml", "a.urdf")];
        for (path, into) in files {
            assert_eq!(expanded(Path::new(path)), Path::new(into));
        }
    }

    #[test]
    fn deep_nesting_and_floods_of_elements_are_refused() {
        for text in ["<a>".repeat(100_000), format!("<r>{}</r>", "<a/>".repeat(300_000)), " ".repeat(40 << 20)] {
            assert!(matches!(prepare(&text), Err(TextError::TooLarge { .. })));
        }
        assert!(matches!(prepare("<a><b></a>"), Err(TextError::Malformed(_))));
        assert!(matches!(prepare("<a><b>"), Err(TextError::Malformed(_))));
    }
}
