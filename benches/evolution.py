"""What it costs to spread an evolution over topics.

Usage: scripts/with_ros python3 benches/evolution.py throughput [--rounds N] [--json FILE]
       scripts/with_ros python3 benches/evolution.py overhead [--workers N] [--population N] [--json FILE]

throughput: the beetle's experiment over topics with two workers of one thread, and `hebb evolve` with two threads, in
turns; the median of their ratios, and the share of a core that the node takes. overhead: candidates that cost nothing,
many workers: messages and bytes per candidate, time per candidate, results said twice, lost or doubled. Both fail when
the checkpoint is not that of one process. HEBB_PROGRAMS: folder of the programs (default: target/release).
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/chaos"))
from process_figures import cpu_seconds

from chaos import PROGRAMS, Run
from small_experiment import checkpoint_hash, write_experiment


def over_topics(folder, experiment, domain, workers, threads):
    """Over topics: seconds from the first to the last generation, CPU share of the node, hash at the end."""
    run = Run(folder, experiment, domain)
    try:
        for _ in range(workers):
            run.workers.append(run.start("episode_worker", experiment=experiment, threads=threads))
        run.start_node()
        while run.generation() < 1 and not run.look():
            time.sleep(0.005)
        began, cpu, used = time.monotonic(), cpu_seconds(run.node), 0.0
        while True:
            with contextlib.suppress(FileNotFoundError, IndexError):
                used = cpu_seconds(run.node) - cpu
            seconds = time.monotonic() - began
            if run.node.poll() is not None or run.generation() >= generations(experiment):
                break
            time.sleep(0.02)
        run.finish()
        return seconds, used / seconds, checkpoint_hash(folder / "run")
    finally:
        run.end()


def generations(experiment):
    lines = experiment.read_text().splitlines()
    return int(next(line.split(":")[1] for line in lines if line.strip().startswith("generations:")))


def in_process(folder, experiment, threads):
    """The same in one process."""
    command = [PROGRAMS / "hebb", "evolve", experiment, "--out", folder, "--threads", threads, "--ablation", 1]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    history = folder / "history.csv"

    def done():
        if process.poll() not in (None, 0):
            raise SystemExit(f"hebb evolve failed with code {process.returncode}")
        return len(history.read_text().splitlines()) - 1 if history.exists() else 0

    while done() < 1:
        time.sleep(0.005)
    began = time.monotonic()
    while done() < generations(experiment):
        time.sleep(0.02)
    seconds = time.monotonic() - began
    if process.wait() != 0:
        raise SystemExit("hebb evolve failed")
    return seconds, checkpoint_hash(folder)


def throughput(arguments, folder, domain):
    experiment = write_experiment(
        folder, population=64, generations=arguments.generations, duration=7.0, **{"from": 2.5}
    )
    rounds = []
    for number in range(arguments.rounds):
        topics, share, over = over_topics(folder / f"topics{number}", experiment, domain + number, 2, 1)
        alone, inside = in_process(folder / f"alone{number}", experiment, 2)
        rounds.append(
            {
                "topics_s": topics,
                "in_process_s": alone,
                "ratio": alone / topics,
                "node_cpu": share,
                "same": over == inside,
            }
        )
        figures = f"over topics {topics:.2f} s, in process {alone:.2f} s, ratio {alone / topics:.3f}"
        print(f"{figures}, node {100 * share:.2f} % of a core", flush=True)
    ratio = statistics.median(entry["ratio"] for entry in rounds)
    share = statistics.median(entry["node_cpu"] for entry in rounds)
    print(f"median of {len(rounds)} rounds: ratio {ratio:.3f}, node {100 * share:.2f} % of a core")
    same = all(entry["same"] for entry in rounds)
    return {"sound": same, "rounds": rounds, "median_ratio": ratio, "median_node_cpu": share}


def failures(folder):
    """Candidates without a result, by the run's history."""
    head, *rows = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    return sum(int(row[head.index("failed")]) for row in rows), len(rows)


def overhead(arguments, folder, domain):
    import rclpy
    from hebbian_locomotion.msg import EvolutionDistribution, EvolutionHeartbeat, EvolutionResults, EvolutionWork
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.serialization import deserialize_message

    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    experiment = write_experiment(folder, population=arguments.population, generations=arguments.generations)
    experiment.write_text(experiment.read_text() + "test_function: sphere\n")
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    client = Node("bench", context=context)
    messages, sizes, results = Counter(), Counter(), []

    def count(name):
        def receive(data):
            messages[name] += 1
            sizes[name] += len(data)
            if name == "results":
                results.append(data)

        return receive

    topics = {
        "distribution": EvolutionDistribution,
        "work": EvolutionWork,
        "heartbeat": EvolutionHeartbeat,
        "results": EvolutionResults,
    }
    for name, kind in topics.items():
        client.create_subscription(kind, f"evolution/{name}", count(name), 5000, raw=True)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(client)
    run = Run(folder / "topics", experiment, domain)
    try:
        for _ in range(arguments.workers):
            run.workers.append(run.start("episode_worker", experiment=experiment, threads=1))
        run.start_node()
        began = None
        cpu = used = 0.0
        while run.node.poll() is None:
            executor.spin_once(timeout_sec=0.02)
            if began is None and run.generation() >= 1:
                began, cpu = time.monotonic(), cpu_seconds(run.node)
                messages.clear()
                sizes.clear()
            if began is not None and run.generation() < arguments.generations:
                seconds, used = time.monotonic() - began, cpu_seconds(run.node) - cpu
        same = run.finish()
        run.end()
        # What has arrived and was not taken yet.
        heard, quiet = -1, time.monotonic()
        while time.monotonic() - quiet < 0.5:
            if heard != messages.total():
                heard, quiet = messages.total(), time.monotonic()
            executor.spin_once(timeout_sec=0.02)
    finally:
        run.end()
        rclpy.shutdown(context=context)
    _, alone = in_process(folder / "alone", experiment, 2)
    candidates = arguments.population * (arguments.generations - 1)
    failed, generations_done = failures(folder / "topics/run")
    said = Counter()
    for message in results:
        message = deserialize_message(message, EvolutionResults)
        said.update((message.generation, candidate) for candidate in message.candidates)
    figures = {
        # A lost result would stop its generation, one of no worker be a failure, a doubled one make another checkpoint.
        "sound": same == alone and failed == 0 and generations_done == arguments.generations,
        "workers": arguments.workers,
        "candidates": candidates,
        "same_as_in_process": same == alone,
        "failed": failed,
        # As this listener heard them, which nobody says anything again for.
        "candidates_heard": len(said),
        "said_more_than_once": sum(times > 1 for times in said.values()),
        "seconds": seconds,
        "microseconds_per_candidate": 1e6 * seconds / candidates,
        "node_cpu_seconds": used,
        "node_cpu_microseconds_per_candidate": 1e6 * used / candidates,
        "messages": dict(messages),
        "bytes": dict(sizes),
        "bytes_per_candidate": sizes.total() / candidates,
        "messages_per_candidate": messages.total() / candidates,
    }
    print(json.dumps(figures, indent=2))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["throughput", "overhead"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--population", type=int, default=4096)
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evolution") as folder:
        figures = {"throughput": throughput, "overhead": overhead}[arguments.what](
            arguments, Path(folder), 10 + os.getpid() % 80
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if figures["sound"] else 1


if __name__ == "__main__":
    sys.exit(main())
