//! Message definitions from the ROS installation.

use std::path::PathBuf;

use crate::recording::{DefinitionError, MessageDefinition};

/// The definition of the type `name`, as the packages in `AMENT_PREFIX_PATH` have it.
///
/// # Errors
/// [`DefinitionError`] when a package that it needs is not installed.
pub fn definition(name: &str) -> Result<MessageDefinition, DefinitionError> {
    let prefixes: Vec<PathBuf> = std::env::var_os("AMENT_PREFIX_PATH").iter().flat_map(std::env::split_paths).collect();
    let read = |package: &str, name: &str, extension: &str| {
        let file = format!("share/{package}/msg/{name}.{extension}");
        prefixes.iter().find_map(|prefix| std::fs::read_to_string(prefix.join(&file)).ok())
    };
    let definition = MessageDefinition::resolve(name, |package, name| read(package, name, "msg"))?;
    let mut parts = name.split("/msg/");
    let description = parts.next().zip(parts.next()).and_then(|(package, short)| read(package, short, "json"));
    let hash = description.and_then(|text| hash(&text, name)).unwrap_or_default();
    Ok(definition.with_hash(hash))
}

/// The hash of the type `name` in a type description (REP-2016), which distributions before Iron do not have.
fn hash(description: &str, name: &str) -> Option<String> {
    let description: serde_json::Value = serde_json::from_str(description).ok()?;
    let hashes = description.get("type_hashes")?.as_array()?;
    let own = hashes.iter().find(|entry| entry.get("type_name").and_then(|name| name.as_str()) == Some(name))?;
    Some(own.get("hash_string")?.as_str()?.to_owned())
}
