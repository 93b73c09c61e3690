"""Evolution over topics: the same checkpoint, byte for byte, whoever tries the candidates and whatever dies."""

import signal
import time

import pytest
from hebbian_locomotion.msg import (
    EvolutionHeartbeat,
    EvolutionProgress,
    EvolutionResults,
    EvolutionWork,
)
from std_srvs.srv import Trigger

from conftest import LATCHED, hebb
from small_experiment import checkpoint_hash, write_experiment

# Some four seconds of work: a client needs one or two to find a new node, and must not miss its end.
GENERATIONS = 40
TIMEOUT = 90.0


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The experiment and the hash of its last checkpoint, evolved in one process."""
    folder = tmp_path_factory.mktemp("reference")
    experiment = write_experiment(folder, generations=GENERATIONS)
    hashes = set()
    for threads in (1, 2):
        out = folder / str(threads)
        done = hebb("evolve", experiment, "--out", out, "--threads", threads, "--ablation", 1)
        assert done.returncode == 0, done.stderr
        hashes.add(checkpoint_hash(out))
    assert len(hashes) == 1, "the number of threads changes the result"
    return experiment, hashes.pop()


class Fleet:
    """An evolution node, its workers, and what they say."""

    def __init__(self, world, experiment):
        self.world, self.experiment, self.out = world, experiment, world.folder / "run"
        self.progress = world.collect(EvolutionProgress, "evolution/progress", LATCHED)

    def node(self, **parameters):
        given = {"experiment": self.experiment, "out": self.out, "lease": 2.0, **parameters}
        return self.world.start("evolution", **given)

    def worker(self, **parameters):
        return self.world.start("episode_worker", **{"experiment": self.experiment, "threads": 1, **parameters})

    def until(self, condition, what):
        self.world.spin_until(
            lambda: self.progress and condition(self.progress[-1]),
            what,
            lambda: self.progress[-1:],
            timeout=TIMEOUT,
        )

    def finish(self, node):
        self.until(lambda progress: progress.state == "finished", "end of the evolution")
        assert node.wait() == 0, node.output()
        return checkpoint_hash(self.out)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_come_to_the_checkpoint_of_one_process(world, reference, workers):
    experiment, expected = reference
    fleet = Fleet(world, experiment)
    for _ in range(workers):
        fleet.worker()
    assert fleet.finish(fleet.node()) == expected
    last = fleet.progress[-1]
    assert last.generation == GENERATIONS and f"all {GENERATIONS} generations" in last.reason, last
    assert len(last.workers) == workers and abs(sum(last.shares) - 1) < 1e-5, last
    for name in ("mean", "best"):
        assert hebb("inspect", fleet.out / f"{name}.safetensors").returncode == 0


def test_episodes_under_several_conditions_come_to_the_checkpoint_of_one_process(world, tmp_path):
    experiment, alone = write_experiment(tmp_path, generations=20), tmp_path / "alone"
    conditions = "conditions: {order: each, list: [{}, {damage: [{limp_joint: {joint: FT1}}]}]}\n"
    experiment.write_text(experiment.read_text() + conditions)
    done = hebb("evolve", experiment, "--out", alone, "--ablation", 1)
    assert done.returncode == 0, done.stderr
    fleet = Fleet(world, experiment)
    for _ in range(2):
        fleet.worker()
    assert fleet.finish(fleet.node()) == checkpoint_hash(alone)
    for folder in (alone, fleet.out):
        pace = [line.split(",") for line in (folder / "pace.csv").read_text().splitlines()]
        assert [line[:3] for line in pace[1:]] == [[str(number), "12", "24"] for number in range(20)], pace
    assert hebb("analyze", alone, fleet.out).returncode == 0


def test_workers_that_come_late_stop_and_die_change_nothing(world, reference):
    experiment, expected = reference
    fleet = Fleet(world, experiment)
    node = fleet.node()
    fleet.until(lambda progress: progress.state == "waiting", "node without workers")
    first = fleet.worker()
    fleet.until(lambda progress: progress.generation >= 1, "first generation")
    first.popen.kill()
    second = fleet.worker()
    fleet.until(lambda progress: second and list(progress.workers) and progress.generation >= 2, "second generation")
    # Longer than a lease: what it had goes to the third one, and what it sends afterwards is too late.
    second.popen.send_signal(signal.SIGSTOP)
    fleet.worker()
    world.spin_for(3.0)
    second.popen.send_signal(signal.SIGCONT)
    assert fleet.finish(node) == expected


def test_a_killed_node_goes_on_with_the_workers_that_waited(world, reference):
    experiment, expected = reference
    fleet = Fleet(world, experiment)
    fleet.worker()
    node = fleet.node()
    fleet.until(lambda progress: progress.generation >= 1, "first generation")
    node.popen.kill()
    node.popen.wait()
    # What the killed node said does not count for the next one.
    fleet.progress.clear()
    assert fleet.finish(fleet.node()) == expected


def test_a_signal_in_a_generation_ends_everything_soon_and_resumes_to_the_same_checkpoint(world, reference):
    experiment, expected = reference
    fleet = Fleet(world, experiment)
    node, worker = fleet.node(), fleet.worker()
    fleet.until(lambda progress: progress.generation >= 1, "first generation")
    began = time.monotonic()
    for process in (node, worker):
        process.popen.send_signal(signal.SIGINT)
    for process in (node, worker):
        assert process.wait(5.0) == 0, process.output()
    assert time.monotonic() - began < 5.0
    world.spin_for(0.5)
    fleet.progress.clear()
    fleet.worker()
    assert fleet.finish(fleet.node()) == expected


def test_a_client_watches_pauses_resumes_and_stops(world, tmp_path):
    fleet = Fleet(world, write_experiment(tmp_path, generations=1000))
    node = fleet.node()
    fleet.worker()
    fleet.until(lambda progress: progress.generation >= 2 and progress.state == "running", "generations")
    seen = fleet.progress[-1]
    assert seen.best >= seen.mean and seen.spread > 0 and seen.episodes_per_second > 0 and seen.time_left > 0, seen
    assert world.call(Trigger, "evolution/pause", Trigger.Request()).success
    fleet.until(lambda progress: progress.state == "paused", "pause")
    world.spin_for(0.5)
    before = fleet.progress[-1].generation
    world.spin_for(1.0)
    assert fleet.progress[-1].generation == before
    assert world.call(Trigger, "evolution/resume", Trigger.Request()).success
    fleet.until(lambda progress: progress.generation > before, "generations after the pause")
    answer = world.call(Trigger, "evolution/stop", Trigger.Request())
    assert answer.success and "goes on from generation" in answer.message, answer
    fleet.until(lambda progress: progress.state == "stopped", "stop")
    assert node.wait() == 0, node.output()


def test_foreign_workers_are_refused_and_told_why(world, reference, tmp_path):
    experiment, expected = reference
    fleet = Fleet(world, experiment)
    node = fleet.node()
    work = world.collect(EvolutionWork, "evolution/work")
    other = fleet.worker(experiment=write_experiment(tmp_path, name="other", duration=0.4))
    heartbeats = world.client.create_publisher(EvolutionHeartbeat, "evolution/heartbeat", 10)
    results = world.client.create_publisher(EvolutionResults, "evolution/results", 10)
    old = EvolutionHeartbeat(protocol_version=0, worker=7, sequence=1, threads=1, capacity=5)
    reasons = {}

    def refused():
        heartbeats.publish(old)
        # Results that cannot be, from someone who does not say who he is.
        version = work[-1].protocol_version if work else 0
        results.publish(EvolutionResults(protocol_version=version, worker=8, candidates=[99, 1], fitness=[1e9]))
        for message in work:
            reasons.update(zip(message.refused, message.reasons, strict=True))
        return 7 in reasons and "takes part" not in other.output() and "another one" in other.output()

    world.spin_until(refused, "refusals", lambda: (reasons, other.output()))
    assert "version 0 of the protocol" in reasons[7]
    fleet.worker()
    assert fleet.finish(node) == expected


def test_a_fresh_worker_of_another_experiment_counts_as_none_and_both_logs_say_why(world, reference, tmp_path):
    fleet = Fleet(world, reference[0])
    node = fleet.node()
    other = fleet.worker(experiment=write_experiment(tmp_path, name="other", duration=0.4))
    fleet.until(
        lambda progress: progress.state == "waiting" and progress.refused == 1 and not list(progress.workers),
        "refusal",
    )
    reason = "the worker's experiment, robot or seed is another one"
    world.spin_until(
        lambda: reason in node.output() and f"refused by the evolution node: {reason}" in other.output(),
        "reason in both logs",
    )
    assert node.stop() == 0, node.output()


def evolve_with_numbers_that_no_episode_gave(world, fleet):
    """Two generations with a worker of another make: it speaks the protocol, and sends numbers that are not finite."""
    work = world.collect(EvolutionWork, "evolution/work")
    heartbeats = world.client.create_publisher(EvolutionHeartbeat, "evolution/heartbeat", 10)
    results = world.client.create_publisher(EvolutionResults, "evolution/results", 10)
    node = fleet.node(generations=2)
    sequence = 0

    def play():
        nonlocal sequence
        sequence += 1
        if not work:
            return False
        present = work[-1]
        same = {
            "protocol_version": present.protocol_version,
            "experiment": present.experiment,
            "worker": 5,
            "generation": present.generation,
            "distribution": present.distribution,
        }
        heartbeats.publish(EvolutionHeartbeat(**same, sequence=sequence, threads=1, capacity=12))
        leased = {
            candidate
            for message in work
            if message.generation == present.generation
            for candidate in message.candidates
        }
        if leased:
            candidates = sorted(leased)
            fitness = [
                float("nan") if candidate == 3 else float("inf") if candidate == 4 else 1.0 * candidate
                for candidate in candidates
            ]
            zeros = [0.0] * len(candidates)
            failure = [2 if candidate == 11 else 0 for candidate in candidates]
            results.publish(
                EvolutionResults(
                    **same, candidates=candidates, fitness=fitness, speed=zeros, falls=zeros, failure=failure
                )
            )
        return fleet.progress and fleet.progress[-1].state == "finished"

    world.spin_until(play, "end of the evolution", lambda: fleet.progress[-1:], timeout=TIMEOUT)
    assert node.wait() == 0, node.output()
    return node


def test_results_that_no_episode_gave_are_failures_and_never_best(world, reference):
    fleet = Fleet(world, reference[0])
    node = evolve_with_numbers_that_no_episode_gave(world, fleet)
    last = fleet.progress[-1]
    assert last.best == 10.0 and last.failed == pytest.approx(3 / 12), last
    assert "panicked" in node.output() and "not finite" in node.output()


def test_figures_are_of_their_generation_also_after_a_restart_with_more_candidates(world, tmp_path):
    experiment = write_experiment(tmp_path)
    restart = "  stop: {spread: 1.0e9}\n  restarts: {most: 1, population_factor: 2}\n  genome:"
    experiment.write_text(experiment.read_text().replace("  genome:", restart, 1))
    fleet = Fleet(world, experiment)
    evolve_with_numbers_that_no_episode_gave(world, fleet)
    restarted = [progress for progress in fleet.progress if progress.restarts == 1]
    figures = [(progress.generation, pytest.approx(progress.failed)) for progress in (restarted[0], restarted[-1])]
    assert figures == [(1, 3 / 12), (2, 3 / 24)], figures


def test_what_takes_too_long_fails_with_its_reason(world, tmp_path):
    fleet = Fleet(world, write_experiment(tmp_path, duration=3600.0))
    node = fleet.node(time_limit=0.2)
    fleet.worker()
    fleet.until(lambda progress: progress.state == "stopped", "end of the evolution")
    reason = fleet.progress[-1].reason
    assert "took too long" in reason and "`time_limit`" in reason, reason
    assert node.wait() == 1
    assert reason in node.output(), node.output()


def test_two_nodes_on_one_name_and_two_in_one_folder_are_a_clear_error(world, reference, tmp_path):
    fleet = Fleet(world, reference[0])
    node = fleet.node()
    fleet.until(lambda progress: progress.state == "waiting", "first node")
    in_folder = fleet.node()
    assert in_folder.wait() == 1 and "another process evolves into" in in_folder.output(), in_folder.output()
    twin = fleet.node(out=tmp_path / "other", listen=10.0)
    assert twin.wait() == 1 and "another evolution node" in twin.output(), twin.output()
    assert node.stop() == 0, node.output()


def test_a_second_node_that_heard_of_no_other_one_ends_and_the_first_goes_on(world, tmp_path):
    fleet = Fleet(world, write_experiment(tmp_path, generations=100_000))
    node = fleet.node()
    fleet.worker()
    fleet.until(lambda progress: progress.generation >= 10, "generations")
    twin = fleet.node(out=tmp_path / "other", listen=0.0)
    assert twin.wait() == 1 and "another evolution node" in twin.output(), twin.output()
    fleet.progress.clear()
    fleet.until(lambda progress: progress.generation >= 10 and progress.state == "running", "the first node")
    before = fleet.progress[-1].generation
    fleet.until(lambda progress: progress.generation > before, "generations after the second node")
    assert node.stop() == 0, node.output()


def test_damaged_checkpoints_and_files_that_are_not_there_are_named(world, reference, tmp_path):
    fleet = Fleet(world, reference[0])
    fleet.out.mkdir()
    (fleet.out / "checkpoint.safetensors").write_bytes(b"nonsense")
    assert_fails(fleet.node(), "checkpoint.safetensors is not a usable checkpoint")
    assert (fleet.out / "checkpoint.safetensors").read_bytes() == b"nonsense"
    assert_fails(fleet.node(experiment="/no/such/file.yaml"), "/no/such/file.yaml")
    assert_fails(fleet.worker(experiment="/no/such/file.yaml"), "/no/such/file.yaml")
    assert_fails(world.start("episode_worker"), "the parameter `experiment` must be set")
    assert_fails(fleet.node(out="/proc/nothing"), "cannot use the folder /proc/nothing")


def assert_fails(process, with_message):
    assert process.wait() == 1, process.output()
    assert with_message in process.output(), process.output()
    assert "panicked" not in process.output(), process.output()
