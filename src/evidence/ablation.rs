//! Ablation: what is left of a policy's speed when parts of the method are taken away.

use super::trial::{Summary, Trial, TrialError, held_out_seeds};
use crate::plasticity::{Gate, GateSource, InitialWeights, Term, TermSource};
use crate::policy::{Ablation, AblationResult, NetworkDescription, PolicyFile};

/// Weights of [`Variant::RandomWeights`] are drawn from U(-1, 1): as large as max normalisation lets them become.
const RANDOM_WEIGHTS: f32 = 1.0;

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Variant {
    /// Nothing.
    Intact,
    /// Coefficients of these terms are 0.
    Without(&'static [Term]),
    /// The gate shuts after this time \[s\].
    FrozenAfter(f32),
    /// The gate is shut from the start: the small random weights of the episode's start, unchanged.
    GateShut,
    /// The gate is shut and the random weights are as large as plastic ones become. Small weights barely move a joint, so
    /// [`Variant::GateShut`] alone would be a weak control.
    RandomWeights,
}

impl Variant {
    /// The rows of every ablation.
    pub const ALL: [Self; 9] = [
        Self::Intact,
        Self::Without(&[Term::A, Term::B, Term::C]),
        Self::Without(&[Term::A]),
        Self::Without(&[Term::B]),
        Self::Without(&[Term::C]),
        Self::Without(&[Term::D]),
        Self::FrozenAfter(1.0),
        Self::GateShut,
        Self::RandomWeights,
    ];

    /// Name in files and tables.
    pub fn name(&self) -> String {
        match self {
            Self::Intact => "intact".to_owned(),
            Self::Without(terms) => terms.iter().map(|term| format!("{}=", term.name())).collect::<String>() + "0",
            Self::FrozenAfter(time) => format!("frozen after {time} s"),
            Self::GateShut => "gate shut".to_owned(),
            Self::RandomWeights => "gate shut, weights U(-1, 1)".to_owned(),
        }
    }

    fn apply(&self, file: &PolicyFile) -> PolicyFile {
        let mut file = file.clone();
        match self {
            Self::Without(terms) => terms.iter().for_each(|&term| remove(&mut file, term)),
            Self::RandomWeights => {
                if let NetworkDescription::Plastic(plastic) = &mut file.metadata.network {
                    let evolved = plastic.initial_weights == InitialWeights::Evolved;
                    file.genome.truncate(file.genome.len() - if evolved { plastic.layers.synapses() } else { 0 });
                    plastic.initial_weights = InitialWeights::Random(RANDOM_WEIGHTS);
                }
            }
            Self::Intact | Self::FrozenAfter(_) | Self::GateShut => {}
        }
        file
    }

    /// The gate at control step `step` of `control_step` seconds.
    fn gate(&self, step: u32, control_step: f32) -> Gate {
        let shut = match self {
            Self::Intact | Self::Without(_) => false,
            Self::FrozenAfter(time) => step as f32 * control_step >= *time,
            Self::GateShut | Self::RandomWeights => true,
        };
        Gate::new(if shut { 0.0 } else { 1.0 }, GateSource::Parameter).unwrap_or(Gate::OPEN)
    }
}

/// Fixes a term of the rule to 0; its numbers leave the genome.
fn remove(file: &mut PolicyFile, term: Term) {
    let mut rest = std::mem::take(&mut file.genome).into_iter();
    for block in file.metadata.network.blocks() {
        let numbers = rest.by_ref().take(block.size());
        if block.group == term.name() { numbers.for_each(drop) } else { file.genome.extend(numbers) }
    }
    if let NetworkDescription::Plastic(plastic) = &mut file.metadata.network {
        plastic.rule = plastic.rule.with(term, TermSource::Fixed(0.0));
    }
}

/// Runs every variant of `file` in the same `episodes` held-out episodes. `done` hears of each variant that is finished.
///
/// # Errors
/// [`TrialError`] when the policy does not fit the trial's robot.
pub fn ablate(
    file: &PolicyFile,
    trial: &Trial,
    seed: u64,
    episodes: u32,
    mut done: impl FnMut(),
) -> Result<(Ablation, Summary), TrialError> {
    let seeds = held_out_seeds(seed, episodes);
    let control_step = trial.settings().simulation.control_step();
    let mut results: Vec<AblationResult> = Vec::new();
    let mut intact = None;
    // A network without a rule has nothing to take away.
    let variants = if file.metadata.network.plastic().is_some() { &Variant::ALL[..] } else { &[Variant::Intact] };
    for variant in variants {
        let summary = Summary::of(&trial.run(&variant.apply(file), &seeds, |step| variant.gate(step, control_step))?);
        let whole: &Summary = intact.get_or_insert_with(|| summary.clone());
        results.push(AblationResult {
            variant: variant.name(),
            speed_mean: summary.speed_mean,
            speed_sd: summary.speed_sd,
            speed_retained: if whole.speed_mean == 0.0 { 0.0 } else { summary.speed_mean / whole.speed_mean },
            falls: summary.falls,
        });
        done();
    }
    let intact = intact.unwrap_or_else(|| Summary::of(&[]));
    Ok((Ablation { episodes, duration: trial.settings().duration, seed, results }, intact))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_have_the_names_that_files_use() {
        let names: Vec<String> = Variant::ALL.iter().map(Variant::name).collect();
        assert_eq!(names[..3], ["intact", "A=B=C=0", "A=0"]);
        assert_eq!(names[6], "frozen after 1 s");
    }

    #[test]
    fn a_frozen_variant_learns_for_just_its_time() {
        let gates: Vec<f32> = (48..52).map(|step| Variant::FrozenAfter(1.0).gate(step, 0.02).value()).collect();
        assert_eq!(gates, [1.0, 1.0, 0.0, 0.0]);
    }
}
