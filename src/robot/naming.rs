//! From the names of a message to the order of a robot.

use std::collections::BTreeMap;

use crate::config::nearest;

/// The joints or feet of a robot by name.
///
/// Messages carry names in any order; the order rarely changes from one message to the next, so the last one is remembered and a message with the
/// same names costs one comparison per name.
#[derive(Clone, Debug)]
pub struct NameMap {
    kind: &'static str,
    indices: BTreeMap<String, usize>,
    last_names: Vec<String>,
    last_indices: Vec<usize>,
}

/// Why the names of a message were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name that the robot does not have.
    #[error("unknown {kind} `{name}`{}", hint.as_ref().map(|hint| format!("; did you mean `{hint}`?")).unwrap_or_default())]
    Unknown {
        /// "joint" or "foot".
        kind: &'static str,
        /// The name given.
        name: String,
        /// The nearest name that the robot has.
        hint: Option<String>,
    },
    /// A name that appears twice.
    #[error("the {kind} `{name}` appears twice")]
    Doubled {
        /// "joint" or "foot".
        kind: &'static str,
        /// The name given.
        name: String,
    },
    /// A name that is missing where all are needed.
    #[error("the {kind} `{name}` is missing; all {expected} are needed")]
    Missing {
        /// "joint" or "foot".
        kind: &'static str,
        /// The first name that is missing.
        name: String,
        /// How many the robot has.
        expected: usize,
    },
}

/// What a map does with names that the robot does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownNames {
    /// Refuses them: a command for a joint that does not exist is a mistake.
    Refused,
    /// Passes over them: a joint state may hold more joints than the policy drives.
    Ignored,
}

/// Marks a name that is passed over.
const IGNORED: usize = usize::MAX;

impl NameMap {
    /// A map for `names`; `kind` is "joint" or "foot". Of a name that is there twice the last place counts.
    pub fn new<'a>(kind: &'static str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let indices = names.into_iter().enumerate().map(|(index, name)| (name.to_owned(), index)).collect();
        Self { kind, indices, last_names: Vec::new(), last_indices: Vec::new() }
    }

    /// Number of names that the robot has.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether the robot has no such names.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The index of `name`.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    /// For each of `names` its index in the robot's order; with [`UnknownNames::Ignored`] `None` for those it does not have.
    ///
    /// # Errors
    /// [`NameError`] names the first name that is unknown, doubled or (where `complete`) missing.
    pub fn indices(
        &mut self,
        names: &[String],
        unknown: UnknownNames,
        complete: bool,
    ) -> Result<impl Iterator<Item = Option<usize>> + '_, NameError> {
        if self.last_names.is_empty() || self.last_names != names {
            let indices = self.look_up(names, unknown, complete)?;
            self.last_names = names.to_vec();
            self.last_indices = indices;
        }
        Ok(self.last_indices.iter().map(|&index| (index != IGNORED).then_some(index)))
    }

    fn look_up(&self, names: &[String], unknown: UnknownNames, complete: bool) -> Result<Vec<usize>, NameError> {
        let kind = self.kind;
        // As many places as the robot's list has, which may hold a name twice.
        let mut seen = vec![false; self.indices.values().max().map_or(0, |last| last + 1)];
        let mut indices = Vec::with_capacity(names.len());
        for name in names {
            match self.indices.get(name) {
                Some(&index) if seen[index] => {
                    return Err(NameError::Doubled { kind, name: name.clone() });
                }
                Some(&index) => {
                    seen[index] = true;
                    indices.push(index);
                }
                None if unknown == UnknownNames::Ignored => indices.push(IGNORED),
                None => {
                    let hint = nearest(name, self.indices.keys().map(String::as_str)).map(str::to_owned);
                    return Err(NameError::Unknown { kind, name: name.clone(), hint });
                }
            }
        }
        match self.indices.iter().filter(|(_, index)| !seen[**index]).min_by_key(|(_, index)| **index) {
            Some((name, _)) if complete => Err(NameError::Missing { kind, name: name.clone(), expected: self.len() }),
            _ => Ok(indices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn map(given: &[&str], unknown: UnknownNames, complete: bool) -> Result<Vec<Option<usize>>, NameError> {
        let mut map = NameMap::new("joint", ["hip", "knee", "ankle"]);
        map.indices(&names(given), unknown, complete).map(Iterator::collect)
    }

    #[test]
    fn any_order_is_mapped_by_name() {
        assert_eq!(map(&["ankle", "hip", "knee"], UnknownNames::Refused, true).unwrap(), [Some(2), Some(0), Some(1)]);
        assert_eq!(map(&["knee"], UnknownNames::Refused, false).unwrap(), [Some(1)]);
        assert_eq!(map(&["tail", "knee"], UnknownNames::Ignored, false).unwrap(), [None, Some(1)]);
    }

    #[test]
    fn wrong_names_are_named() {
        let message = |given: &[&str], complete| map(given, UnknownNames::Refused, complete).unwrap_err().to_string();
        assert_eq!(message(&["kneee"], false), "unknown joint `kneee`; did you mean `knee`?");
        assert_eq!(message(&["hip", "hip"], false), "the joint `hip` appears twice");
        assert_eq!(message(&["hip", "ankle"], true), "the joint `knee` is missing; all 3 are needed");
    }

    #[test]
    fn names_of_a_list_that_holds_one_twice_are_mapped_without_panic() {
        let mut map = NameMap::new("foot", ["t0", "t0", "t1"]);
        let given = names(&["t1", "t0"]);
        let indices: Vec<_> = map.indices(&given, UnknownNames::Refused, true).unwrap().collect();
        assert_eq!(indices, [Some(2), Some(1)]);
    }

    #[test]
    fn a_changed_order_is_noticed() {
        let mut map = NameMap::new("joint", ["hip", "knee"]);
        let mut order = |given: &[&str]| map.indices(&names(given), UnknownNames::Refused, true).unwrap().collect::<Vec<_>>();
        assert_eq!(order(&["hip", "knee"]), [Some(0), Some(1)]);
        assert_eq!(order(&["knee", "hip"]), [Some(1), Some(0)]);
        assert_eq!(order(&["knee", "hip"]), [Some(1), Some(0)]);
    }
}
