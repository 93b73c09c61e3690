//! A search over a network that loses, doubles, delays and reorders, among processes that die, stop and come: it must end where the search in
//! one process ends, bit for bit.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rand::RngExt;

use super::*;
use crate::evolution::outcome::{CandidateResult, Failure, Outcome};
use crate::evolution::{
    EvolutionSettings, GroupSearch, Method, Population, Schedule, SearchSpace, SearchStretches, Strategy, StrategyState,
};
use crate::network::GenomeBlock;
use crate::random::{Stream, stream};

const TICK: Duration = Duration::from_millis(5);
/// Nothing dies any more after this, as a node that dies more often than a generation takes might never get to its end.
const CALM_AFTER: Duration = Duration::from_secs(60);
const EXPERIMENT: ExperimentKey = 42;

/// What goes wrong.
#[derive(Clone, Debug)]
struct Faults {
    seed: u64,
    loss: f64,
    doubling: f64,
    /// Longest delay of a message \[s\].
    delay: f64,
    /// Until [`CALM_AFTER`], per tick, of any worker: death, with another one coming later, and a stop for longer than a lease.
    death: f64,
    stop: f64,
    /// Per tick, of the node.
    node_death: f64,
}

#[derive(Clone, Debug)]
enum Message {
    Distribution(Population),
    Work(Work),
    Heartbeat(Heartbeat),
    Results(Results),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Address {
    Node,
    Worker(WorkerId),
}

struct Peer {
    worker: Worker,
    population: Option<Population>,
    running: Vec<(Duration, Job)>,
    /// Time that a candidate takes it \[s\].
    pace: f64,
    stopped_until: Duration,
}

struct Node {
    coordinator: Coordinator,
    strategy: Strategy,
}

struct Network {
    faults: Faults,
    random: Stream,
    now: Duration,
    in_flight: BTreeMap<Reverse<(Duration, u64)>, (Address, Message)>,
    sent: u64,
    node: Option<Node>,
    node_back: Duration,
    /// What the node wrote last.
    checkpoint: StrategyState,
    /// The latched message, which late workers get.
    latched: Option<Population>,
    peers: BTreeMap<WorkerId, Peer>,
    coming: Vec<Duration>,
    next_id: u64,
    /// Accepted outcomes per generation.
    accepted: u64,
}

fn settings(method: Method) -> EvolutionSettings {
    EvolutionSettings {
        population: 24,
        generations: 4,
        method,
        genome: SearchSpace::uniform(GroupSearch { offset: 0.0, scale: 1.0, spread: 1.0 }),
        sigma: Schedule::constant(0.3),
        ..EvolutionSettings::default()
    }
}

/// What the node says of a generation.
fn distribution(population: &Population) -> Distribution {
    let (experiment_hash, population, clusters) = (format!("{EXPERIMENT:016x}"), population.clone(), (Vec::new(), 0));
    Distribution { protocol_version: protocol_version(), node: 1, experiment_hash, population, time_limit: 0.0, clusters }
}

fn stretches() -> SearchStretches {
    settings(Method::OpenEs).genome.stretches(&[GenomeBlock::new("all", "A", &[7])]).unwrap()
}

/// Some candidates fail, the same ones wherever they are tried.
fn outcome(population: &Population, candidate: u32) -> Outcome {
    let genome = population.genome(candidate as usize, &stretches());
    if genome[0] > 1.5 {
        return Err(Failure::Panicked);
    }
    let fitness = if genome[1] > 1.5 { f32::NAN } else { -genome.iter().map(|x| x * x).sum::<f32>() };
    CandidateResult { fitness, ..Default::default() }.checked()
}

fn tell(strategy: &mut Strategy, outcomes: &[Outcome]) {
    let fitness: Vec<f32> = outcomes.iter().map(|outcome| outcome.map_or(f32::NAN, |result| result.fitness)).collect();
    strategy.tell(&fitness).unwrap();
}

fn in_process(method: Method) -> StrategyState {
    let mut strategy = Strategy::new(settings(method), 3, stretches());
    for _ in 0..settings(method).generations {
        let population = strategy.population();
        let outcomes: Vec<Outcome> = (0..population.size as u32).map(|index| outcome(&population, index)).collect();
        tell(&mut strategy, &outcomes);
    }
    strategy.state().clone()
}

impl Network {
    fn new(faults: Faults, method: Method, workers: usize) -> Self {
        let strategy = Strategy::new(settings(method), 3, stretches());
        let mut network = Self {
            random: stream(faults.seed, "simulated network", &[]),
            faults,
            now: Duration::ZERO,
            in_flight: BTreeMap::new(),
            sent: 0,
            node: None,
            node_back: Duration::ZERO,
            checkpoint: strategy.state().clone(),
            latched: None,
            peers: BTreeMap::new(),
            coming: vec![Duration::ZERO; workers],
            next_id: 1,
            accepted: 0,
        };
        network.start_node(method);
        network
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.random.random::<f64>() < probability
    }

    fn later(&mut self, most: f64) -> Duration {
        self.now + Duration::from_secs_f64(self.random.random::<f64>() * most)
    }

    fn send(&mut self, to: Address, message: &Message) {
        let copies = if self.happens(self.faults.loss) { 0 } else { 1 + usize::from(self.happens(self.faults.doubling)) };
        for _ in 0..copies {
            self.sent += 1;
            let when = self.later(self.faults.delay);
            self.in_flight.insert(Reverse((when, self.sent)), (to, message.clone()));
        }
    }

    fn broadcast(&mut self, message: &Message) {
        let workers: Vec<WorkerId> = self.peers.keys().copied().collect();
        workers.into_iter().for_each(|worker| self.send(Address::Worker(worker), message));
    }

    fn start_node(&mut self, method: Method) {
        let strategy = Strategy::resume(settings(method), 3, stretches(), self.checkpoint.clone()).unwrap();
        let settings = CoordinatorSettings { most_losses: u32::MAX, ..CoordinatorSettings::default() };
        let coordinator = Coordinator::new(settings, EXPERIMENT, self.random.random());
        self.node = Some(Node { coordinator, strategy });
        self.begin_generation();
    }

    fn begin_generation(&mut self) {
        let Some(node) = &mut self.node else { return };
        let population = node.strategy.population();
        node.coordinator.begin(&distribution(&population), self.now);
        self.latched = Some(population.clone());
        self.broadcast(&Message::Distribution(population));
    }

    fn deliver(&mut self) {
        while let Some((&Reverse((when, _)), _)) = self.in_flight.last_key_value() {
            if when > self.now {
                break;
            }
            let Some((_, (to, message))) = self.in_flight.pop_last() else { break };
            match (to, message) {
                (Address::Node, message) => self.reach_node(&message),
                (Address::Worker(id), message) => {
                    let Some(peer) = self.peers.get_mut(&id) else { continue };
                    if peer.stopped_until > self.now {
                        // It lies in its socket until the process goes on.
                        self.sent += 1;
                        self.in_flight.insert(Reverse((peer.stopped_until, self.sent)), (to, message));
                        continue;
                    }
                    match message {
                        Message::Distribution(population) => {
                            if peer.population.as_ref().is_none_or(|present| present.generation <= population.generation) {
                                peer.worker.begin(&distribution(&population));
                                peer.population = Some(population);
                            }
                        }
                        Message::Work(work) => peer.worker.work(&work).unwrap(),
                        _ => unreachable!("workers get no such messages"),
                    }
                }
            }
        }
    }

    fn reach_node(&mut self, message: &Message) {
        let Some(node) = &mut self.node else { return };
        match message {
            Message::Heartbeat(heartbeat) => node.coordinator.heartbeat(heartbeat, self.now).unwrap(),
            Message::Results(results) => self.accepted += node.coordinator.results(results, self.now).unwrap().len() as u64,
            _ => unreachable!("the node gets no such messages"),
        }
    }

    fn step_node(&mut self, method: Method) {
        let Some(node) = &mut self.node else {
            if self.now >= self.node_back {
                self.start_node(method);
            }
            return;
        };
        node.coordinator.tick(self.now);
        let repeat = node.coordinator.take_distribution_wanted(self.now);
        let work = node.coordinator.work(self.now);
        if let Some(outcomes) = node.coordinator.outcomes() {
            tell(&mut node.strategy, &outcomes);
            self.checkpoint = node.strategy.state().clone();
            self.begin_generation();
        } else if repeat {
            let population = Message::Distribution(node.strategy.population());
            self.broadcast(&population);
        }
        if let Some(work) = work {
            self.broadcast(&Message::Work(work));
        }
    }

    fn step_peers(&mut self) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            if peer.stopped_until > self.now {
                continue;
            }
            let now = self.now;
            for (_, job) in peer.running.extract_if(.., |(end, _)| *end <= now) {
                let population = peer.population.as_ref().filter(|population| population.generation == job.generation);
                let outcome = population.map_or(Err(Failure::Panicked), |population| outcome(population, job.candidate));
                peer.worker.finish(job, outcome, now);
            }
            while peer.running.len() < 2
                && let Some(job) = peer.worker.next(now)
            {
                let time = peer.pace * (0.5 + self.random.random::<f64>());
                peer.running.push((now + Duration::from_secs_f64(time), job));
            }
            let (heartbeat, results) = (peer.worker.heartbeat(now), peer.worker.results(now));
            if let Some(heartbeat) = heartbeat {
                self.send(Address::Node, &Message::Heartbeat(heartbeat));
            }
            if let Some(results) = results {
                self.send(Address::Node, &Message::Results(results));
            }
        }
    }

    fn fail(&mut self) {
        if self.now > CALM_AFTER {
            self.faults.death = 0.0;
            self.faults.stop = 0.0;
            self.faults.node_death = 0.0;
        }
        if self.node.is_some() && self.happens(self.faults.node_death) {
            self.node = None;
            self.node_back = self.later(3.0);
        }
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            if self.happens(self.faults.death) {
                self.peers.remove(&id);
                let back = self.later(3.0);
                self.coming.push(back);
            } else if self.happens(self.faults.stop) {
                let until = self.later(15.0);
                self.peers.entry(id).and_modify(|peer| peer.stopped_until = until);
            }
        }
        let now = self.now;
        for _ in self.coming.extract_if(.., |when| *when <= now).collect::<Vec<_>>() {
            let id = self.next_id;
            self.next_id += 1;
            let pace = 0.02 + 0.5 * self.random.random::<f64>();
            let peer = Peer { worker: Worker::new(id, 2), population: None, running: Vec::new(), pace, stopped_until: now };
            self.peers.insert(id, peer);
            if let Some(population) = self.latched.clone() {
                self.send(Address::Worker(id), &Message::Distribution(population));
            }
        }
    }

    /// Runs until the last generation is told; virtual time is bounded.
    fn run(mut self, method: Method) -> (StrategyState, u64) {
        while self.checkpoint.generation < settings(method).generations {
            assert!(self.now < Duration::from_secs(400), "no end in sight: {:?}", self.faults);
            self.now += TICK;
            self.fail();
            self.deliver();
            self.step_node(method);
            self.step_peers();
        }
        (self.checkpoint, self.accepted)
    }
}

fn calm(seed: u64) -> Faults {
    Faults { seed, loss: 0.0, doubling: 0.0, delay: 0.0, death: 0.0, stop: 0.0, node_death: 0.0 }
}

#[test]
fn without_faults_every_candidate_counts_once() {
    for workers in [1, 2, 5] {
        let (state, accepted) = Network::new(calm(1), Method::OpenEs, workers).run(Method::OpenEs);
        assert_eq!(state, in_process(Method::OpenEs));
        assert_eq!(accepted, 4 * 24);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_the_search_ends_where_it_ends_in_one_process(
        seed in any::<u64>(),
        loss in 0.0..0.5,
        doubling in 0.0..0.5,
        delay in 0.0..1.0,
        death in 0.0..0.001,
        stop in 0.0..0.001,
        node_death in 0.0..0.002,
        workers in 1usize..6,
        method in prop_oneof![Just(Method::OpenEs), Just(Method::Snes)],
    ) {
        let faults = Faults { seed, loss, doubling, delay, death, stop, node_death };
        let (state, _) = Network::new(faults, method, workers).run(method);
        prop_assert_eq!(state, in_process(method));
    }
}
