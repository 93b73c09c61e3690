//! Genomes that other programs evolved, as flat numpy arrays.

use std::path::{Path, PathBuf};

use npyz::{DType, NpyFile, Order, TypeChar};

use super::file::LARGEST_FILE;
use super::{MapError, NetworkDescription, PolicyFile, PolicyMetadata};
use crate::network::{History, Lstm, Shape};
use crate::plasticity::{InitialWeights, PlasticDescription};
use crate::tensors::{ReadError, read_at_most};

/// Longest header that is read \[bytes\]. That of a flat array is 118 bytes long.
const LONGEST_HEADER: usize = 256;
/// Most digits in a header: with fewer than 19, no product of sizes exceeds 64 bits.
const MOST_DIGITS: usize = 18;

/// An array that was refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot import {}: {problem}", path.display())]
pub struct ImportError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: ImportProblem,
}

/// Why an array was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportProblem {
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// It is larger than any policy.
    #[error("it has at least {0} bytes; at most {LARGEST_FILE} are read")]
    Size(u64),
    /// It is no array, or not whole.
    #[error("it is not a flat numpy array (.npy): {0}")]
    Malformed(String),
    /// Its numbers are of another type.
    #[error("it holds {0}; expected f4 or f8 (in Python: array.astype('float32'))")]
    Type(String),
    /// Its numbers are in another order.
    #[error("it is in Fortran order; expected C order (in Python: numpy.ascontiguousarray(array))")]
    FortranOrder,
    /// It is more than one genome.
    #[error("it has the shape {0:?}; expected one dimension, or two with one row: one genome, not a population")]
    Shape(Vec<u64>),
    /// It is the genome of another network.
    #[error("it has {given} numbers; the experiment's network ({kind}) needs {expected}. With these layers: {others}")]
    Length {
        /// Numbers in the array.
        given: usize,
        /// Numbers that the network needs.
        expected: usize,
        /// The network's kind and sizes.
        kind: String,
        /// What other networks need.
        others: String,
    },
    /// A number is NaN, infinite or too large.
    #[error("it holds {value} at index {index}; every number must be finite as f32")]
    NotFinite {
        /// Where.
        index: usize,
        /// What.
        value: f64,
    },
    /// The experiment's rules are shared.
    #[error("the experiment's rule has clusters, and an array does not say which synapse is in which; set rule.clusters to 0")]
    Clusters,
    /// The policy is not consistent.
    #[error(transparent)]
    Policy(#[from] MapError),
}

/// Makes a policy of the array at `path`. `metadata` describe the policy; as its origin it is given the file's name.
///
/// The array is the genome in the order of the network's blocks ([`NetworkDescription::blocks`]). For a plastic network: all A, then all
/// B, C, D, eta, each layer after layer, row-major \[inputs, outputs\], as the code of arXiv 2503.12406 has it.
///
/// # Errors
/// [`ImportError`] says what of the array was expected and what came.
pub fn import(path: &Path, metadata: PolicyMetadata) -> Result<PolicyFile, ImportError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes = read_at_most(path, LARGEST_FILE).map_err(|error| match error {
        ReadError::System(source) => ImportProblem::Read(source),
        ReadError::Size { given, .. } => ImportProblem::Size(given),
    });
    bytes.and_then(|bytes| policy(&bytes, &name, metadata)).map_err(|problem| ImportError { path: path.into(), problem })
}

fn policy(bytes: &[u8], name: &str, mut metadata: PolicyMetadata) -> Result<PolicyFile, ImportProblem> {
    let network = &metadata.network;
    if network.plastic().is_some_and(|plastic| plastic.rule.clusters > 0) {
        return Err(ImportProblem::Clusters);
    }
    let genome = genome(bytes)?;
    let (given, expected) = (genome.len(), network.genome_len());
    if given != expected {
        let kind = format!("{} {:?}", network.kind(), network.layers().neurons());
        return Err(ImportProblem::Length { given, expected, kind, others: lengths(network.layers(), given) });
    }
    metadata.provenance.experiment = format!("imported from {name} as {}", metadata.provenance.experiment);
    let file = PolicyFile { metadata, genome, clusters: None, subspace: None };
    file.policy()?;
    Ok(file)
}

/// The numbers of a flat numpy array.
fn genome(bytes: &[u8]) -> Result<Vec<f32>, ImportProblem> {
    let malformed = |problem: &str| ImportProblem::Malformed(problem.to_owned());
    let data = data(bytes).ok_or_else(|| malformed("it does not begin with the header of one"))?;
    let array = NpyFile::new(bytes).map_err(|error| ImportProblem::Malformed(error.to_string()))?;
    let size = match array.dtype() {
        DType::Plain(kind) if kind.type_char() == TypeChar::Float && matches!(kind.size_field(), 4 | 8) => kind.size_field(),
        other => return Err(ImportProblem::Type(other.descr())),
    };
    if array.order() == Order::Fortran {
        return Err(ImportProblem::FortranOrder);
    }
    if !matches!(array.shape(), [_] | [1, _]) {
        return Err(ImportProblem::Shape(array.shape().to_vec()));
    }
    if array.len().checked_mul(size) != Some(data.len() as u64) {
        let problem = format!("its header says {} numbers of {size} bytes, but {} bytes follow", array.len(), data.len());
        return Err(ImportProblem::Malformed(problem));
    }
    let values: Vec<f64> = match size {
        4 => array.into_vec::<f32>()?.into_iter().map(f64::from).collect(),
        _ => array.into_vec()?,
    };
    match values.iter().position(|&value| !(value as f32).is_finite()) {
        Some(index) => Err(ImportProblem::NotFinite { index, value: values[index] }),
        None => Ok(values.into_iter().map(|value| value as f32).collect()),
    }
}

/// What follows the header, if it is that of a plain array. npyz reads any Python literal, with an unbounded header, a recursion as deep
/// as its brackets, and sizes that it multiplies unchecked; so only headers without such literals come to it.
fn data(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, rest) = match rest {
        [1, 0, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, 0, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length).filter(|_| length <= LONGEST_HEADER)?;
    let count = |wanted: &[u8]| header.iter().filter(|byte| wanted.contains(byte)).count();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"{}():,'_<>=| \n".contains(byte);
    // `x` begins hexadecimal digits.
    let is_flat = count(b"{") == 1 && count(b"(") == 1 && count(b"xX") == 0 && count(b"0123456789") <= MOST_DIGITS;
    (is_flat && header.iter().all(is_plain)).then_some(data)
}

/// What networks of `layers` need, the recurrent ones with the sizes that come closest to `given`.
fn lengths(layers: &Shape, given: usize) -> String {
    let rule =
        |initial_weights| NetworkDescription::Plastic(PlasticDescription::new(layers.clone(), initial_weights)).genome_len();
    let feed_forward = |biases| NetworkDescription::FeedForward { layers: layers.clone(), biases }.genome_len();
    let steps = History::matched_steps(layers.inputs(), &layers.neurons()[1..], given);
    let mut lengths = vec![
        (rule(InitialWeights::Random(0.0)), "plastic".to_owned()),
        (rule(InitialWeights::Evolved), "plastic with evolved initial weights".to_owned()),
        (feed_forward(false), "feed_forward".to_owned()),
        (feed_forward(true), "feed_forward with biases".to_owned()),
        (History::parameters(layers, steps), format!("history of {steps} steps")),
    ];
    if let Ok(cell) = Shape::new(vec![layers.inputs(), layers.outputs()]) {
        let parameters = |hidden: usize| Lstm::parameters(&cell, &[hidden]);
        let hidden = (1..=Shape::LARGEST_LAYER).min_by_key(|&hidden| parameters(hidden).abs_diff(given)).unwrap_or(1);
        lengths.push((parameters(hidden), format!("lstm of one cell with {hidden} hidden units")));
    }
    lengths.iter().map(|(length, kind)| format!("{length} {kind}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array file written by hand: magic, version 1.0, length of the header, header, data.
    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn header(descr: &str, order: &str, shape: &str) -> String {
        format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")
    }

    fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        npy(&header(descr, "False", shape), data)
    }

    fn problem(bytes: &[u8]) -> String {
        genome(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_file_written_byte_by_byte_is_read() {
        // numpy.save of numpy.array([1, -2.5], 'float32'), with its padding to 128 bytes.
        let mut bytes = vec![0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 0x01, 0x00, 0x76, 0x00];
        bytes.extend(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
        bytes.resize(127, b' ');
        bytes.push(b'\n');
        bytes.extend([0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x20, 0xc0]);
        assert_eq!(genome(&bytes).unwrap(), [1.0, -2.5]);
    }

    #[test]
    fn both_precisions_byte_orders_and_a_single_row_are_read() {
        let double = [1.0f64, -2.5].map(f64::to_le_bytes).concat();
        assert_eq!(genome(&array("'<f8'", "(2,)", &double)).unwrap(), [1.0, -2.5]);
        assert_eq!(genome(&array("'<f8'", "(1, 2)", &double)).unwrap(), [1.0, -2.5]);
        let big = [1.0f32, -2.5].map(f32::to_be_bytes).concat();
        assert_eq!(genome(&array("'>f4'", "(2,)", &big)).unwrap(), [1.0, -2.5]);
        let mut second = b"\x93NUMPY\x02\x00".to_vec();
        let text = header("'>f4'", "False", "(2,)");
        second.extend((text.len() as u32).to_le_bytes());
        second.extend(text.as_bytes());
        second.extend(&big);
        assert_eq!(genome(&second).unwrap(), [1.0, -2.5]);
    }

    #[test]
    fn other_arrays_are_refused_by_what_they_are() {
        assert!(problem(&array("'<i4'", "(1,)", &[0; 4])).contains("holds '<i4'; expected f4 or f8"));
        assert!(problem(&array("'<f2'", "(1,)", &[0; 2])).contains("holds '<f2'"));
        assert!(problem(&array("'|O'", "(1,)", &[0; 8])).contains("holds '|O'"));
        assert!(problem(&npy(&header("'<f4'", "True", "(1,)"), &[0; 4])).contains("Fortran order"));
        for shape in ["()", "(2, 1)", "(1, 1, 1)"] {
            assert!(problem(&array("'<f4'", shape, &[0; 8])).contains("expected one dimension"), "{shape}");
        }
        assert!(problem(&array("'<f4'", "(3,)", &[0; 8])).contains("3 numbers of 4 bytes, but 8 bytes follow"));
        let infinite = [0.0, 1e300].map(f64::to_le_bytes).concat();
        assert!(problem(&array("'<f8'", "(2,)", &infinite)).contains("at index 1"));
        assert!(problem(&array("'<f4'", "(1,)", &f32::NAN.to_le_bytes())).contains("NaN at index 0"));
    }

    #[test]
    fn hostile_headers_are_refused() {
        let nested = |count| format!("{}{}", "(".repeat(count), ")".repeat(count));
        let sizes = "99,".repeat(60);
        let headers = [
            String::new(),
            "{".repeat(250),
            nested(125),
            nested(60_000 / 2),
            header("'<f4'", "False", &format!("({sizes})")),
            header("'<f4'", "False", "(0xffffffff, 0xffffffff, 0xffffffff)"),
            header("'<f4'", "False", "(99999999999999999999,)"),
            header("'<f4'", "False", "(-1,)"),
            header("'<f4'", "False", "(1e9,)"),
            header("[('a', '<f4')]", "False", "(1,)"),
            header("'\\N{DIGIT ONE}'", "False", "(1,)"),
            header("'<f9'", "False", "(1,)"),
            "{'shape': (1,)}".to_owned(),
        ];
        for header in &headers {
            assert!(problem(&npy(header, &[0; 4])).contains("not a flat numpy array"), "{header}");
        }
        for bytes in [&b""[..], b"\x93NUMPY", b"\x93NUMPY\x09\x00\x01\x00{", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", b"PK\x03\x04"]
        {
            assert!(problem(bytes).contains("not a flat numpy array"));
        }
    }

    #[test]
    fn a_file_cut_or_changed_anywhere_gives_an_error_or_numbers() {
        let whole = array("'<f8'", "(2,)", &[0x3f; 16]);
        for length in 0..whole.len() {
            assert!(genome(&whole[..length]).is_err());
        }
        for index in 0..whole.len() - 16 {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[index] = byte;
                if let Ok(values) = genome(&changed) {
                    assert!(values.len() == 2 && values.iter().all(|value| value.is_finite()));
                }
            }
        }
    }

    #[test]
    fn a_wrong_length_says_which_networks_have_which() {
        let layers = Shape::new(vec![27, 64, 32, 18]).unwrap();
        let text = lengths(&layers, 6912);
        for expected in
            ["21760 plastic", "26112 plastic with", "4352 feed_forward", "4466 feed_forward with", "6080 history of 2 steps"]
        {
            assert!(text.contains(expected), "{text}");
        }
        assert!(text.contains("6912 lstm of one cell with 27 hidden units"), "{text}");
    }
}
