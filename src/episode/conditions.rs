//! Several grounds and damages in one experiment.

use serde::{Deserialize, Serialize};

use super::EpisodeSettings;
use crate::simulation::{Damage, Terrain};

/// Under what the episodes of an experiment run: by default all under one condition, that of its `episode`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Which episode runs under which of them.
    #[serde(default)]
    pub order: ConditionOrder,
    /// The conditions.
    pub list: Vec<EpisodeCondition>,
}

/// One condition. What it leaves out is that of the experiment's `episode`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeCondition {
    /// The ground.
    #[serde(default)]
    pub terrain: Option<Terrain>,
    /// What is wrong with the robot, or happens to it.
    #[serde(default)]
    pub damage: Option<Vec<Damage>>,
}

/// Which episode runs under which condition: the same for all candidates of a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConditionOrder {
    /// Each episode under the next condition, round and round, from generation to generation too.
    #[default]
    InTurn,
    /// Each episode once under every condition, with one start pose and one set of initial weights.
    Each,
}

/// One of a candidate's episodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedEpisode {
    /// Which of the generation's seeds it has, from 0.
    pub seed: u32,
    /// Place of its condition in the list.
    pub condition: usize,
}

impl Default for Conditions {
    fn default() -> Self {
        Self { order: ConditionOrder::InTurn, list: vec![EpisodeCondition::default()] }
    }
}

impl Conditions {
    /// Most conditions, so that a slip of the pen cannot ask for all memory: each has a world of its own in every thread.
    pub const MOST: usize = 1000;

    /// Whether there are none, or too many.
    pub fn is_valid(&self) -> bool {
        (1..=Self::MOST).contains(&self.list.len())
    }

    /// Episodes under each condition, in order, that are else like `episode`.
    pub fn settings<'a>(&'a self, episode: &'a EpisodeSettings) -> impl Iterator<Item = EpisodeSettings> + 'a {
        self.list.iter().map(move |condition| {
            let mut settings = episode.clone();
            settings.simulation.terrain = condition.terrain.unwrap_or(settings.simulation.terrain);
            if let Some(damage) = &condition.damage {
                settings.damage.clone_from(damage);
            }
            settings
        })
    }

    /// Episodes of a candidate that has `seeds` of them per condition, or in all, as the order has it.
    pub fn episodes(&self, seeds: u32) -> u32 {
        match self.order {
            ConditionOrder::InTurn => seeds,
            ConditionOrder::Each => seeds.saturating_mul(self.list.len() as u32),
        }
    }

    /// Generations of so many `seeds` each in which every condition has its turn equally often: a round. Means over one can be compared, those
    /// of single generations only where a round is 1.
    pub fn round(&self, seeds: u32) -> usize {
        let count = self.list.len().max(1);
        match self.order {
            ConditionOrder::InTurn => count / greatest_common_divisor(count, seeds as usize),
            ConditionOrder::Each => 1,
        }
    }

    /// The episodes of every candidate of `generation`, which has so many `seeds`.
    pub fn plan(&self, generation: u64, seeds: u32) -> impl Iterator<Item = PlannedEpisode> {
        let count = self.list.len().max(1) as u64;
        let (order, first) = (self.order, generation.wrapping_mul(u64::from(seeds)));
        (0..u64::from(self.episodes(seeds))).map(move |episode| match order {
            ConditionOrder::InTurn => {
                PlannedEpisode { seed: episode as u32, condition: (first.wrapping_add(episode) % count) as usize }
            }
            ConditionOrder::Each => PlannedEpisode { seed: (episode / count) as u32, condition: (episode % count) as usize },
        })
    }
}

/// That of two numbers of which the first is not 0.
fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three(order: ConditionOrder) -> Conditions {
        Conditions { order, list: vec![EpisodeCondition::default(); 3] }
    }

    fn plan(order: ConditionOrder, generation: u64, seeds: u32) -> Vec<(u32, usize)> {
        three(order).plan(generation, seeds).map(|episode| (episode.seed, episode.condition)).collect()
    }

    #[test]
    fn episodes_go_round_the_conditions_from_generation_to_generation() {
        assert_eq!(plan(ConditionOrder::InTurn, 0, 2), [(0, 0), (1, 1)]);
        assert_eq!(plan(ConditionOrder::InTurn, 1, 2), [(0, 2), (1, 0)]);
        assert_eq!(plan(ConditionOrder::InTurn, 7, 1), [(0, 1)]);
    }

    #[test]
    fn in_a_round_every_condition_has_its_turn_equally_often() {
        for (conditions, seeds, expected) in [(1, 1, 1), (3, 1, 3), (3, 2, 3), (3, 3, 1), (4, 6, 2), (6, 4, 3), (5, 1000, 1)] {
            let conditions = Conditions { list: vec![EpisodeCondition::default(); conditions], order: ConditionOrder::InTurn };
            let round = conditions.round(seeds);
            assert_eq!(round, expected, "{} conditions, {seeds} episodes", conditions.list.len());
            let mut turns = vec![0; conditions.list.len()];
            for generation in 5..5 + round as u64 {
                conditions.plan(generation, seeds).for_each(|episode| turns[episode.condition] += 1);
            }
            assert!(turns.iter().all(|&count| count == turns[0]), "{turns:?}");
            assert_eq!(Conditions { order: ConditionOrder::Each, ..conditions }.round(seeds), 1);
        }
    }

    #[test]
    fn each_episode_runs_under_every_condition() {
        assert_eq!(plan(ConditionOrder::Each, 5, 2), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(three(ConditionOrder::Each).episodes(2), 6);
    }

    #[test]
    fn a_condition_changes_only_what_it_names() {
        let terrain = Terrain { slope: 0.1, ..Terrain::default() };
        let mut episode =
            EpisodeSettings { duration: 3.0, damage: vec![Damage::Suspended { when: Default::default() }], ..Default::default() };
        episode.simulation.terrain.friction = Some(0.5);
        let list = vec![
            EpisodeCondition::default(),
            EpisodeCondition { terrain: Some(terrain), damage: None },
            EpisodeCondition { terrain: None, damage: Some(Vec::new()) },
        ];
        let conditions = Conditions { list, ..Conditions::default() };
        let settings: Vec<EpisodeSettings> = conditions.settings(&episode).collect();
        assert_eq!(settings[0], episode);
        assert_eq!((settings[1].simulation.terrain, &settings[1].damage), (terrain, &episode.damage));
        assert_eq!((settings[2].simulation.terrain, settings[2].damage.len()), (episode.simulation.terrain, 0));
    }
}
