//! What turns a gradient into a step of the mean.

use serde::{Deserialize, Serialize};

use super::settings::EvolutionSettings;
use super::strategy::StrategyState;

/// The optimiser of OpenAI-ES, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimiser {
    /// Adam (Kingma & Ba 2015), with decoupled weight decay.
    #[default]
    Adam,
    /// Gradient ascent with momentum, `velocity = momentum * velocity + gradient`, and decoupled weight decay.
    Sgd,
}

impl Optimiser {
    /// Step upwards along `gradient`, number `step` since the optimiser was at rest, from 1.
    pub(super) fn ascend(
        self,
        state: &mut StrategyState,
        gradient: &[f32],
        step: u64,
        learning_rate: f32,
        settings: &EvolutionSettings,
    ) {
        let decay = settings.weight_decay;
        match self {
            Self::Adam => adam(state, gradient, step, learning_rate, settings),
            Self::Sgd => {
                for ((mean, velocity), gradient) in state.mean.iter_mut().zip(&mut state.first_moment).zip(gradient) {
                    *velocity = settings.momentum * *velocity + gradient;
                    *mean += learning_rate * (*velocity - decay * *mean);
                }
            }
        }
    }
}

fn adam(state: &mut StrategyState, gradient: &[f32], step: u64, learning_rate: f32, settings: &EvolutionSettings) {
    const EPSILON: f32 = 1e-8;
    let EvolutionSettings { beta1, beta2, weight_decay, .. } = *settings;
    let corrected = |beta: f32| (1.0 - f64::from(beta).powf(step as f64)) as f32;
    let (correct1, correct2) = (corrected(beta1), corrected(beta2));
    let StrategyState { mean, first_moment, second_moment, .. } = state;
    for (((mean, m), v), g) in mean.iter_mut().zip(first_moment).zip(second_moment).zip(gradient) {
        *m = beta1 * *m + (1.0 - beta1) * g;
        *v = beta2 * *v + (1.0 - beta2) * g * g;
        let direction = (*m / correct1) / ((*v / correct2).sqrt() + EPSILON);
        *mean += learning_rate * (direction - weight_decay * *mean);
    }
}
