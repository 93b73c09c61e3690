//! Ablation: what is left of a policy's speed when parts of the method are taken away.

use rand::RngExt;

use super::course::WeightCourse;
use super::trial::{Summary, Trial, TrialError, held_out_seeds, within_range};
use crate::episode::{EPISODE_VERSION, Episode, named_version};
use crate::plasticity::{Gate, GateSource, InitialWeights, Term, TermSource};
use crate::policy::{Ablation, AblationResult, NetworkDescription, Policy, PolicyFile};
use crate::random::stream;

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
    /// The weights of each step are those of another episode of the same policy, from another start: weights that change as they do in a life,
    /// but not by what happens in this one.
    OtherWeights,
    /// From this time on \[s\] the weights make the changes of their own undisturbed episode in shuffled order.
    ShuffledAfter(f32),
    /// The rule is run in one of so many steps in which it was.
    Every(u32),
}

/// A policy without plasticity that an ablation has beside its variants: what as large a static net does, evolved in its own right. That which
/// reads past observations (`history`) is the memory-matched one.
#[derive(Clone, Debug)]
pub struct Control {
    /// Name in tables.
    pub name: String,
    /// The policy.
    pub file: PolicyFile,
}

impl Control {
    const PREFIX: &str = "control ";

    /// Name of its row.
    pub fn row(&self) -> String {
        format!("{}{} ({})", Self::PREFIX, self.name, self.file.metadata.network.kind())
    }

    /// Whether `row` is the name of a control's row.
    pub(super) fn is_row(row: &str) -> bool {
        row.starts_with(Self::PREFIX)
    }
}

impl Variant {
    /// The rows of every ablation.
    pub const ALL: [Self; 13] = [
        Self::Intact,
        Self::Without(&[Term::A, Term::B, Term::C]),
        Self::Without(&[Term::A]),
        Self::Without(&[Term::B]),
        Self::Without(&[Term::C]),
        Self::Without(&[Term::D]),
        Self::FrozenAfter(1.0),
        Self::GateShut,
        Self::RandomWeights,
        Self::OtherWeights,
        Self::ShuffledAfter(1.0),
        Self::Every(2),
        Self::Every(5),
    ];

    /// Name in files and tables.
    pub fn name(&self) -> String {
        match self {
            Self::Intact => "intact".to_owned(),
            Self::Without(terms) => terms.iter().map(|term| format!("{}=", term.name())).collect::<String>() + "0",
            Self::FrozenAfter(time) => format!("frozen after {time} s"),
            Self::GateShut => "gate shut".to_owned(),
            Self::RandomWeights => "gate shut, weights U(-1, 1)".to_owned(),
            Self::OtherWeights => "another episode's weights".to_owned(),
            Self::ShuffledAfter(time) => format!("updates shuffled after {time} s"),
            Self::Every(steps) => format!("updates every {steps} steps"),
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
            Self::Every(steps) => {
                if let NetworkDescription::Plastic(plastic) = &mut file.metadata.network {
                    plastic.update.every = plastic.update.every.saturating_mul(*steps);
                }
            }
            Self::Intact | Self::FrozenAfter(_) | Self::GateShut | Self::OtherWeights | Self::ShuffledAfter(_) => {}
        }
        file
    }

    /// The gate at control step `step` of `control_step` seconds.
    fn gate(&self, step: u32, control_step: f32) -> Gate {
        let shut = match self {
            Self::Intact | Self::Without(_) | Self::Every(_) => false,
            Self::FrozenAfter(time) => step as f32 * control_step >= *time,
            // Where weights come from a course, the rule has no say.
            Self::GateShut | Self::RandomWeights | Self::OtherWeights | Self::ShuffledAfter(_) => true,
        };
        Gate::new(if shut { 0.0 } else { 1.0 }, GateSource::Parameter).unwrap_or(Gate::OPEN)
    }

    /// The course that the weights of `policy` are led on through the episode `seed`, if they are.
    fn course(&self, episode: &mut Episode, policy: &Policy, seed: u64) -> Option<WeightCourse> {
        match self {
            Self::OtherWeights => Some(WeightCourse::record(episode, policy, stream(seed, "another episode", &[]).random())),
            Self::ShuffledAfter(time) => {
                let first = (time / episode.settings().simulation.control_step()).round() as u32;
                Some(WeightCourse::record(episode, policy, seed).shuffled_after(first, seed))
            }
            _ => None,
        }
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

/// Checks that the courses of weights which an ablation of `file` in `trial` needs can be held in memory. To be asked before other work, which would
/// be in vain.
///
/// # Errors
/// [`TrialError::Course`] says how long episodes may be.
pub fn check_ablation(file: &PolicyFile, trial: &Trial) -> Result<(), TrialError> {
    let Some(plastic) = file.metadata.network.plastic() else { return Ok(()) };
    let (synapses, settings) = (plastic.layers.synapses(), trial.settings());
    let most = WeightCourse::most_steps(synapses);
    if trial.control_steps() as usize <= most {
        return Ok(());
    }
    // Rounded down, so that what is named is taken.
    let longest = (100.0 * most as f64 / f64::from(settings.simulation.control_rate)).floor() / 100.0;
    Err(TrialError::Course { synapses, longest, duration: settings.duration })
}

/// Runs every variant of `file`, and `controls`, in the same `episodes` held-out episodes. `done` hears of each that is finished.
///
/// # Errors
/// [`TrialError`] when a policy does not fit the trial's robot, and as [`check_ablation`]; in that case nothing was run.
pub fn ablate(
    file: &PolicyFile,
    controls: &[Control],
    trial: &Trial,
    seed: u64,
    episodes: u32,
    mut done: impl FnMut(),
) -> Result<(Ablation, Summary), TrialError> {
    check_ablation(file, trial)?;
    let seeds = held_out_seeds(seed, episodes);
    let control_step = trial.settings().simulation.control_step();
    let mut rows: Vec<(String, Summary)> = Vec::new();
    // A network without a rule has nothing to take away.
    let variants = if file.metadata.network.plastic().is_some() { &Variant::ALL[..] } else { &[Variant::Intact] };
    for variant in variants {
        let prepare = |episode: &mut Episode, policy: &Policy, seed| {
            let course = variant.course(episode, policy, seed);
            move |step, policy: &mut Policy| {
                // One gate for all layers fits every network.
                let _ = policy.set_gate(variant.gate(step, control_step));
                if let Some(course) = &course {
                    course.put(step, policy);
                }
            }
        };
        rows.push((variant.name(), Summary::of(&trial.run_with(&variant.apply(file), &seeds, prepare)?)));
        done();
    }
    for control in controls {
        rows.push((control.row(), Summary::of(&trial.run(&control.file, &seeds, |_| Gate::OPEN)?)));
        done();
    }
    let intact = rows[0].1.clone();
    let results = rows.into_iter().map(|(variant, summary)| row(variant, &summary, intact.speed_mean)).collect();
    let (duration, episode_version) = (trial.settings().duration, named_version(EPISODE_VERSION));
    Ok((Ablation { episodes, duration, seed, episode_version, results }, intact))
}

/// The row of `variant`, beside an intact policy's speed \[m/s\].
fn row(variant: String, summary: &Summary, intact: f32) -> AblationResult {
    // A speed next to nothing makes shares that no number holds.
    let speed_retained = if intact == 0.0 { 0.0 } else { within_range(summary.speed_mean / intact) };
    AblationResult { variant, speed_mean: summary.speed_mean, speed_sd: summary.speed_sd, speed_retained, falls: summary.falls }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_have_the_names_that_files_use() {
        let names: Vec<String> = Variant::ALL.iter().map(Variant::name).collect();
        assert_eq!(names[..3], ["intact", "A=B=C=0", "A=0"]);
        assert_eq!(names[6], "frozen after 1 s");
        assert_eq!(
            names[9..],
            ["another episode's weights", "updates shuffled after 1 s", "updates every 2 steps", "updates every 5 steps"]
        );
    }

    #[test]
    fn a_share_of_hardly_any_speed_is_a_number() {
        let summary = Summary { speed_mean: -0.5, ..Summary::of(&[]) };
        for (intact, retained) in [(0.0, 0.0), (1e-45, f32::MIN), (-1e-45, f32::MAX), (0.25, -2.0)] {
            assert_eq!(row(String::new(), &summary, intact).speed_retained, retained);
        }
    }

    #[test]
    fn a_frozen_variant_learns_for_just_its_time() {
        let gates: Vec<f32> = (48..52).map(|step| Variant::FrozenAfter(1.0).gate(step, 0.02).value()).collect();
        assert_eq!(gates, [1.0, 1.0, 0.0, 0.0]);
    }
}
