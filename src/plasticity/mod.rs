//! Plastic networks: the local rule, the normalisation that bounds the weights, and the gate.

mod averaging;
mod clusters;
mod description;
mod gate;
mod kernel;
mod network;
mod normalisation;
mod rule;

pub use clusters::{ClusterError, Clusters, merge};
pub use description::{Convention, InitialWeights, PlasticDescription, PlasticDescriptionError, UpdateSchedule};
pub use gate::{
    CommandedGate, FootContactSettings, Gate, GateBlock, GateDescription, GateDescriptionError, GateDimensions, GateError,
    GateInput, GateReason, GateSource, Gates, LayerGates, NoveltySettings, ScheduleEntry, SettledSettings, Subspace,
    SubspaceError,
};
pub use kernel::Instructions;
pub use network::{LayerActivity, Measurement, PlasticNetwork, PlasticNetworkError};
pub use normalisation::Normalisation;
pub use rule::{ClusterMismatch, RuleDescription, RuleLayout, TERMS, Term, TermSource};
