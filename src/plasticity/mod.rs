//! Plastic networks: the local rule, the normalisation that bounds the weights, and the gate.

mod clusters;
mod gate;
mod network;
mod normalisation;
mod rule;

pub use clusters::{ClusterError, Clusters, merge};
pub use gate::{
    CommandedGate, FootContactSettings, Gate, GateBlock, GateDescription, GateDescriptionError, GateDimensions, GateError,
    GateInput, GateReason, GateSource, Gates, LayerGates, NoveltySettings, ScheduleEntry, SettledSettings, Subspace,
    SubspaceError,
};
pub use network::{LayerActivity, PlasticNetwork};
pub use normalisation::Normalisation;
pub use rule::{GenomeError, Rule, TERMS, Term};
