//! Candidates that run for longer than they may, and the threads that run them.

use super::samples::{distribution, ms, outcome, work, work_in};
use super::{Distribution, Job, Worker};
use crate::evolution::outcome::Failure;

fn worker() -> Worker {
    let mut worker = Worker::new(1, 1);
    worker.begin(&distribution(3, 8));
    worker
}

/// Lets three seconds pass from `start` on, one more than candidates may run. Returns what was given up then.
fn too_long(worker: &mut Worker, start: u64) -> Vec<Job> {
    assert!([0, 1_000, 2_000].into_iter().all(|passed| worker.give_up(ms(start + passed)).is_empty()));
    worker.give_up(ms(start + 3_000))
}

#[test]
fn what_runs_too_long_fails_and_its_thread_is_replaced() {
    let mut worker = worker();
    worker.give_up(ms(0));
    worker.work(&work(1, &[(1, &[2])], &[])).unwrap();
    let job = worker.next(ms(0)).unwrap();
    assert!(worker.give_up(ms(1_000)).is_empty());
    // An hour in which the whole process was stopped.
    assert!(worker.give_up(ms(3_600_000)).is_empty());
    assert_eq!(worker.give_up(ms(3_601_000)), [job]);
    assert_eq!(worker.results(ms(3_601_000)).unwrap().failure, [Failure::TooLong.code()]);
    assert!(!worker.finish(job, outcome(), ms(3_700_000)));
    assert_eq!(worker.results(ms(3_700_000)).unwrap().failure, [Failure::TooLong.code()]);
}

#[test]
fn a_candidate_of_a_generation_before_that_hangs_is_given_up_too() {
    let mut worker = worker();
    worker.give_up(ms(0));
    worker.work(&work(1, &[(1, &[2])], &[])).unwrap();
    let job = worker.next(ms(0)).unwrap();
    assert!(worker.give_up(ms(900)).is_empty());
    worker.begin(&distribution(4, 8));
    // The thread is busy with what nobody waits for.
    assert_eq!(worker.heartbeat(ms(1_000)).unwrap().capacity, 1);
    assert!(worker.give_up(ms(1_900)).is_empty());
    assert_eq!(worker.give_up(ms(2_100)), [job], "the time before the new generation counts");
    assert_eq!(worker.heartbeat(ms(3_000)).unwrap().capacity, 2);
    assert_eq!(worker.results(ms(3_000)), None);
    assert!(!worker.finish(job, outcome(), ms(9_000)));
    assert_eq!(worker.results(ms(9_000)), None);
}

#[test]
fn what_took_too_long_is_tried_again_where_it_may_run_longer() {
    let mut worker = worker();
    worker.work(&work(1, &[(1, &[2, 4])], &[])).unwrap();
    let quick = worker.next(ms(0)).unwrap();
    worker.finish(quick, outcome(), ms(10));
    let slow = worker.next(ms(10)).unwrap();
    assert_eq!(too_long(&mut worker, 10), [slow]);
    assert_eq!(worker.results(ms(4_000)).unwrap().candidates, [2, 4]);

    // A node that was started again, with a shorter limit and then with a longer one.
    worker.begin(&Distribution { time_limit: 1.0, ..distribution(3, 8) });
    assert_eq!(worker.results(ms(5_000)).unwrap().candidates, [2, 4], "with less time it would fail too");
    let longer = Distribution { time_limit: 60.0, ..distribution(3, 8) };
    worker.begin(&longer);
    let kept = worker.results(ms(6_000)).unwrap();
    assert_eq!((kept.candidates, kept.distribution), (vec![2], longer.checksum()));

    worker.work(&work_in(&longer, 2, &[(1, &[4])], &[2])).unwrap();
    let again = worker.next(ms(6_000)).unwrap();
    assert_eq!(again.candidate, slow.candidate);
    // The thread of the first time comes to its end while the second one runs.
    assert!(!worker.finish(slow, Err(Failure::Panicked), ms(7_000)));
    assert!(worker.finish(again, outcome(), ms(8_000)));
    let results = worker.results(ms(8_000)).unwrap();
    assert_eq!((results.candidates, results.failure), (vec![4], vec![0]));
}

#[test]
fn threads_hang_only_as_long_as_their_candidates_run() {
    let mut worker = worker();
    for number in 1..=100 {
        let (distribution, start) = (distribution(3 + number, 8), 10_000 * number);
        worker.begin(&distribution);
        worker.work(&work_in(&distribution, number, &[(1, &[2])], &[])).unwrap();
        let job = worker.next(ms(start)).unwrap();
        assert_eq!((too_long(&mut worker, start), worker.hanging()), (vec![job], 1));
        assert!(!worker.finish(job, outcome(), ms(start + 5_000)));
        assert_eq!(worker.hanging(), 0, "after candidate {number}");
    }
}
