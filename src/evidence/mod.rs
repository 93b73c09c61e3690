//! Evidence: what a policy can do, and what of the method does it.

mod ablation;
mod components;
mod course;
mod drawing;
mod dynamics;
mod numbers;
mod p_values;
mod page;
mod plots;
mod runs;
mod series;
pub mod statistics;
pub mod study;
mod subspace;
pub mod suite;
mod terms;
mod trial;
mod verdict;

pub use ablation::{Control, Variant, ablate, check_ablation};
pub use components::{ComponentError, ComponentFigures, Components, Scores};
pub use course::WeightCourse;
pub use drawing::PlotError;
pub use dynamics::{Dynamics, EvenPart, LayerDynamics, Motion, Recurrence};
pub use numbers::{BINS, Distribution, GenomeNumbers, NumbersOf};
pub use p_values::p_text;
pub use page::{page, runs_page};
pub use plots::{Plot, Recordings};
pub use runs::{RunFigures, RunHistory, RunHistoryError, RunPlot};
pub use series::{LeftOut, LoadedWeights, SeriesError, WeightSeries};
pub use subspace::{MOST_SAMPLES, SubspaceFigures, SubspaceFit, SubspaceFitError, fit_subspace};
pub use terms::{TermMeter, TermSizes, term_sizes};
use trial::watch_weights;
pub use trial::{Summary, Trial, TrialError, held_out_seeds};
pub use verdict::{Carrier, Loss, NoVerdict, SHORTEST_ABLATION, SLOWEST_WALK, Verdict};
