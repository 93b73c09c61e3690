"""Whether nodes grow: their memory, threads and file handles over many lives, or over a long walk.

Usage: scripts/with_ros python3 benches/soak.py lives [--cycles N] [--json FILE]
       scripts/with_ros python3 benches/soak.py walk [--minutes N] [--json FILE]

lives: the policy node is configured, activated, makes control steps, is deactivated and cleaned up, again and again.
walk: a simulator as fast as it can, and the policy that walks in it. After a warm-up the medians of the first and the
last quarter of the samples are compared; the exit code is 1 when something grew. HEBB_PROGRAMS: folder of the programs
(default: target/release).
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from hebbian_locomotion.msg import LoopTiming
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState

# The tests' world, and the packages that scripts/test installs for it.
sys.path += [str(Path(__file__).parents[1] / path) for path in ("tests/ros", "tests/reference", ".ros/test-tools")]
from process_figures import holdings

from conftest import World

# Of the samples: while the allocator's arenas, the pools of DDS and the latched histories fill.
WARM_UP = 0.2
# What may come on top between two quarters: for memory what an allocator keeps or gives back, else nothing. The share
# of common pages (PSS) also grows when another program that has them ends; it is only shown.
TOLERATED = {"rss_kib": 2048, "pss_kib": math.inf, "anonymous_kib": 1024, "threads": 0, "files": 0}


class Samples:
    """Samples of some processes over time or cycles."""

    def __init__(self, processes, unit):
        self.processes, self.unit = processes, unit
        self.places, self.values = [], {name: [] for name in processes}

    def take(self, place):
        for name, process in self.processes.items():
            if process.popen.poll() is not None:
                raise SystemExit(f"{name} ended at {place:.0f} {self.unit}:\n{process.output()}")
            self.values[name].append(holdings(process.popen))
        self.places.append(place)

    def report(self):
        """One row per process and figure; prints them."""
        begin = int(len(self.places) * WARM_UP)
        places = self.places[begin:]
        if len(places) < 8:
            raise SystemExit(f"only {len(places)} samples after the warm-up: too few to judge")
        quarter, rows = len(places) // 4, []
        print(f"{'':10} {'':14} {'first':>9} {'last':>9} {'grown':>8} per 1000 {self.unit}")
        for name, samples in self.values.items():
            for figure, tolerated in TOLERATED.items():
                series = [values[figure] for values in samples[begin:]]
                first, last = statistics.median(series[:quarter]), statistics.median(series[-quarter:])
                slope = statistics.linear_regression(places, series).slope * 1000
                row = {"process": name, "figure": figure, "start": samples[0][figure], "first": first, "last": last}
                row |= {"slope_per_1000": slope, "grew": last - first > tolerated, "series": series}
                rows.append(row)
                verdict = "  GREW" if row["grew"] else ""
                print(f"{name:10} {figure:14} {first:9.0f} {last:9.0f} {last - first:8.0f} {slope:8.1f}{verdict}")
        return rows


def lives(world, arguments):
    commands = []
    simulator = world.start_simulator(wait_for_command=False)
    policy = world.start_policy(autostart="false")
    world.client.create_subscription(JointState, "joint_commands", lambda _: commands.append(True), 10)
    samples = Samples({"policy": policy, "simulator": simulator}, "cycles")

    def change(label):
        request = ChangeState.Request(transition=Transition(label=label))
        future = client.call_async(request)
        world.spin_until(future.done, f"answer to {label}")
        if not future.result().success:
            raise SystemExit(f"{label} failed:\n{policy.output()}")

    client = world.client.create_client(ChangeState, "policy/change_state")
    world.spin_until(client.service_is_ready, "the lifecycle")
    for cycle in range(arguments.cycles):
        change("configure")
        change("activate")
        commands.clear()
        world.spin_until(lambda: len(commands) > 1, "commands of an active node")
        change("deactivate")
        change("cleanup")
        if cycle % max(1, arguments.cycles // 200) == 0 or cycle == arguments.cycles - 1:
            samples.take(cycle)
    return {"cycles": arguments.cycles, "rows": samples.report()}


def walk(world, arguments):
    figures = {"steps": 0, "missed_steps": 0, "unpublished_steps": 0}

    def count(timing):
        figures["steps"] += timing.steps
        figures.update({name: getattr(timing, name) for name in ("missed_steps", "unpublished_steps")})

    world.client.create_subscription(LoopTiming, "policy/timing", count, 50)
    simulator, policy = world.start_simulator(mode="free_running"), world.start_policy()
    world.spin_until(lambda: figures["steps"] > 0, "control steps")
    samples, began = Samples({"policy": policy, "simulator": simulator}, "s"), time.monotonic()
    while (elapsed := time.monotonic() - began) < arguments.minutes * 60:
        samples.take(elapsed)
        world.spin_for(min(10.0, arguments.minutes * 60 / 100))
    print(", ".join(f"{value} {name.replace('_', ' ')}" for name, value in figures.items()))
    return {"minutes": arguments.minutes, **figures, "rows": samples.report()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["lives", "walk"])
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        world = World(Path(folder), 10 + os.getpid() % 80)
        try:
            figures = {"lives": lives, "walk": walk}[arguments.what](world, arguments)
        finally:
            world.close()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if any(row["grew"] for row in figures["rows"]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
