//! Those that do not belong together: workers of other experiments, candidates of other runs, a second node.

use super::samples::{KEY, distribution, ms, outcome, work};
use super::{Coordinator, CoordinatorSettings, Distribution, MessageError, Refusal, Worker};
use crate::evolution::Population;

fn coordinator(distribution: &Distribution) -> Coordinator {
    let mut coordinator = Coordinator::new(CoordinatorSettings::default(), KEY, distribution.node);
    coordinator.begin(distribution, ms(0));
    coordinator
}

/// The same generation of a run that went another way.
fn of_another_run() -> Distribution {
    let mut other = distribution(3, 8);
    other.population.mean = vec![1.0];
    other
}

#[test]
fn a_fresh_worker_of_another_experiment_is_refused_and_no_worker() {
    let (mut coordinator, mut worker) = (coordinator(&distribution(3, 8)), Worker::new(9, 100));
    coordinator.heartbeat(&worker.heartbeat(ms(0)).unwrap(), ms(0)).unwrap();
    assert_eq!((coordinator.workers().count(), coordinator.refused()), (1, 0), "it has not heard of an experiment");

    worker.stay_out(8);
    let foreign = worker.heartbeat(ms(10)).expect("it says so at once");
    let refusal = Refusal::Experiment { worker: 8, node: KEY };
    assert_eq!(coordinator.heartbeat(&foreign, ms(10)), Err(MessageError::Refused(refusal)));
    assert_eq!((coordinator.workers().count(), coordinator.refused()), (0, 1));
    assert!(coordinator.work(ms(10)).unwrap().refusal_of(9).is_some());
    assert_eq!(worker.heartbeat(ms(100)), None, "and then no more often than others");
    coordinator.heartbeat(&worker.heartbeat(ms(2_000)).unwrap(), ms(2_000)).unwrap_err();
    assert!(!coordinator.take_distribution_wanted(ms(2_000)), "that would not help it");

    let mut other = Worker::new(1, 1);
    other.begin(&distribution(3, 8));
    coordinator.heartbeat(&other.heartbeat(ms(2_000)).unwrap(), ms(2_000)).unwrap();
    let leases = coordinator.work(ms(2_000)).unwrap();
    assert_eq!(leases.leases_of(1, 8), Ok(&[0, 1][..]), "all that it has room for, whatever threads the foreign one has");
}

#[test]
fn a_worker_that_was_refused_takes_part_once_there_is_an_evolution_of_its_experiment() {
    let mut worker = Worker::new(9, 1);
    worker.stay_out(8);
    worker.work(&work(1, &[(9, &[2])], &[])).unwrap();
    assert_eq!(worker.next(ms(0)), None);
    worker.begin(&distribution(3, 8));
    worker.stay_out(8);
    worker.work(&work(1, &[(9, &[2])], &[])).unwrap();
    assert!(worker.next(ms(0)).is_some());
    let mut coordinator = coordinator(&distribution(3, 8));
    coordinator.heartbeat(&worker.heartbeat(ms(0)).unwrap(), ms(0)).unwrap();
    assert_eq!((coordinator.workers().count(), coordinator.refused()), (1, 0));
}

#[test]
fn a_distribution_is_told_from_every_other_one_whoever_sends_it() {
    let (mean, deviation) = (vec![0.5, -0.5], vec![0.1, 0.2]);
    let population = Population { generation: 3, size: 8, seed: 1, mirrored: true, mean, deviation };
    let (experiment_hash, clusters) = (String::new(), (vec![0, 1], 2));
    let one = Distribution { protocol_version: 1, node: 5, experiment_hash, population, time_limit: 1.0, clusters };
    assert_eq!(Distribution { node: 6, ..one.clone() }.checksum(), one.checksum());

    let longer = Distribution { time_limit: 2.0, ..one.clone() };
    assert_ne!(longer.checksum(), one.checksum());
    assert_eq!(longer.candidates_checksum(), one.candidates_checksum(), "the candidates are the same");

    let changes: [fn(&mut Distribution); 7] = [
        |other| other.population.generation = 4,
        |other| other.population.size = 9,
        |other| other.population.seed = 2,
        |other| other.population.mirrored = false,
        |other| other.population.mean[1] = f32::from_bits((-0.5f32).to_bits() + 1),
        |other| other.population.deviation = vec![0.2, 0.1],
        |other| other.clusters.0 = vec![1, 0],
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let mut other = one.clone();
        change(&mut other);
        assert_ne!(other.candidates_checksum(), one.candidates_checksum(), "change {place}");
        assert_ne!(other.checksum(), one.checksum(), "change {place}");
    }
}

#[test]
fn what_candidates_of_another_run_come_to_in_the_same_generation_counts_nothing() {
    let (mut coordinator, mut worker) = (coordinator(&of_another_run()), Worker::new(1, 2));
    worker.begin(&distribution(3, 8));
    worker.work(&work(1, &[(1, &[0, 1])], &[])).unwrap();
    let [finished, running] = [0, 1].map(|_| worker.next(ms(0)).unwrap());
    worker.finish(finished, outcome(), ms(10));
    let results = worker.results(ms(10)).unwrap();
    assert_eq!((results.candidates.len(), coordinator.results(&results, ms(10))), (1, Ok(vec![])));
    coordinator.heartbeat(&worker.heartbeat(ms(10)).unwrap(), ms(10)).unwrap();
    let leases = coordinator.work(ms(10)).unwrap();
    assert_eq!(leases.leases_of(1, 8), Ok(&[][..]), "it has the candidates of the other run");

    worker.begin(&of_another_run());
    assert_eq!(worker.results(ms(1_000)), None);
    coordinator.heartbeat(&worker.heartbeat(ms(1_000)).unwrap(), ms(1_000)).unwrap();
    worker.work(&coordinator.work(ms(1_000)).unwrap()).unwrap();
    let [first, second] = [0, 1].map(|_| worker.next(ms(1_000)).unwrap());
    assert_eq!([first, second].map(|job| job.candidate), [0, 1]);
    // Candidate 1 of the other run ends while candidate 1 of this one runs.
    worker.finish(running, outcome(), ms(1_010));
    assert_eq!(worker.results(ms(1_010)), None);
    worker.finish(second, outcome(), ms(1_020));
    assert_eq!(coordinator.results(&worker.results(ms(1_020)).unwrap(), ms(1_020)), Ok(vec![1]));
}

#[test]
fn work_of_another_run_is_passed_over() {
    let mut worker = Worker::new(1, 1);
    worker.begin(&of_another_run());
    worker.work(&work(1, &[(1, &[2])], &[])).unwrap();
    assert_eq!(worker.next(ms(0)), None);
}

#[test]
fn a_message_from_before_a_worker_changed_its_experiment_does_not_remove_it() {
    let (mut coordinator, mut worker) = (coordinator(&distribution(3, 8)), Worker::new(1, 1));
    worker.stay_out(8);
    let before = worker.heartbeat(ms(0)).unwrap();
    worker.begin(&distribution(3, 8));
    coordinator.heartbeat(&worker.heartbeat(ms(10)).unwrap(), ms(10)).unwrap();
    coordinator.heartbeat(&before, ms(20)).unwrap_err();
    assert_eq!(coordinator.workers().count(), 1);
}

#[test]
fn of_two_nodes_the_one_that_has_said_more_stays_and_never_do_both_end() {
    let [mut old, mut young] = [1, 2].map(|node| coordinator(&Distribution { node, ..distribution(3, 8) }));
    let said: Vec<u64> = (0..100).map(|number| old.work(ms(300 * number)).unwrap().sequence).collect();
    assert_eq!((said.last(), young.work(ms(30_000)).unwrap().sequence), (Some(&100), 1));
    assert!(!old.yields_to(2, 1) && young.yields_to(1, 100), "although the young one has the larger number");
    assert!(!old.yields_to(2, 79) && young.yields_to(1, 22), "far apart");
    assert!(old.yields_to(2, 80) && !young.yields_to(1, 21), "of the same age: the number decides");
}
