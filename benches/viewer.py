"""What the viewer costs those whom it watches, and whether it grows.

Usage: scripts/with_ros python3 benches/viewer.py load [--seconds N] [--rounds N] [--priority N] [--json FILE]
       scripts/with_ros python3 benches/viewer.py memory [--minutes N] [--json FILE]

load: a beetle walks at 50 Hz with its weights published at every step, without a viewer, with one that nobody watches,
with one browser and with ten, in turns; 99th percentile of the control step's time, as ratio to none, and the viewer's
share of a core. The browsers here take every frame and draw nothing: without a graphics card, that takes the machine.
memory: the real page in Chromium; memory, threads and files of the node, and the page's heap, over time.
HEBB_PROGRAMS: folder of the programs (default: target/release).
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/reference"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/ros"))
from hebbian_locomotion.msg import PlasticityState
from process_figures import cpu_seconds, holdings

from browser import chromium
from conftest import POLICY, ROBOT, World

DOMAIN = int(os.environ.get("ROS_DOMAIN_ID", "87"))
# Number of browsers; None: no viewer at all. The first is what the others are compared with.
SETTINGS = [None, 0, 1, 10]
SETTLING = 3.0
# A page that takes what comes and counts it. Evaluated in a document of the viewer's own origin, as it refuses others.
WATCH = """address => {
    self.frames = 0;
    self.sockets = (self.sockets ?? []).concat(new WebSocket(address));
    self.sockets.at(-1).binaryType = 'arraybuffer';
    self.sockets.at(-1).onmessage = () => { self.frames += 1; };
}"""


def percentile(values, share):
    return statistics.quantiles(values, n=1000, method="inclusive")[round(1000 * share) - 1]


@contextmanager
def walking(priority):
    """A world in which the beetle walks, and the states of its policy."""
    with tempfile.TemporaryDirectory() as folder, closing(World(Path(folder), DOMAIN)) as world:
        states = world.collect(PlasticityState, "policy/plasticity")
        world.start_simulator()
        world.start_policy(weights_every=1, realtime__priority=priority)
        world.spin_until(lambda: len(states) > 50 * SETTLING, "control steps")
        yield world, states


def measure(world, states, browser, browsers, seconds):
    """Control steps with so many browsers for so many seconds."""
    process, page = None, None
    if browsers is not None:
        viewer, url = world.start_viewer(policy=POLICY, robot=ROBOT)
        process = viewer.popen
        if browsers:
            page = browser.new_page()
            page.goto(f"{url}icon.svg")
            for _ in range(browsers):
                page.evaluate(WATCH, url.replace("http", "ws") + "ws")
    world.spin_for(SETTLING)
    states.clear()
    began, cpu = time.monotonic(), cpu_seconds(process) if process else 0.0
    frames = page.evaluate("self.frames") if page else 0
    world.spin_for(seconds)
    spent = time.monotonic() - began
    result = {
        "steps": len(states),
        "missed": states[-1].missed_steps - states[0].missed_steps,
        "compute": [state.compute_time for state in states],
        "core": (cpu_seconds(process) - cpu) / spent if process else 0.0,
        "frames_per_second": (page.evaluate("self.frames") - frames) / browsers / spent if page else 0.0,
    }
    if page:
        page.close()
    if process:
        viewer.stop()
    return result


def load(arguments):
    rounds = {str(browsers): [] for browsers in SETTINGS}
    with walking(arguments.priority) as (world, states), chromium() as browser:
        for _ in range(arguments.rounds):
            for browsers in SETTINGS:
                rounds[str(browsers)].append(measure(world, states, browser, browsers, arguments.seconds))
    tails = {name: [percentile(one["compute"], 0.99) for one in of] for name, of in rounds.items()}
    report = {}
    print(f"{'browsers':>9} {'steps':>7} {'missed':>7} {'p99 [us]':>9} {'ratio':>6} {'core':>6} {'frames/s':>9}")
    for name, of in rounds.items():
        report[name] = row = {
            "steps": sum(one["steps"] for one in of),
            "missed": sum(one["missed"] for one in of),
            "p99_us": 1e6 * statistics.median(tails[name]),
            "ratio": statistics.median(a / b for a, b in zip(tails[name], tails["None"], strict=True)),
            "core": statistics.median(one["core"] for one in of),
            "frames_per_second": statistics.median(one["frames_per_second"] for one in of),
        }
        print(
            f"{'no viewer' if name == 'None' else name:>9} {row['steps']:7} {row['missed']:7} {row['p99_us']:9.1f} "
            f"{row['ratio']:6.3f} {row['core']:6.1%} {row['frames_per_second']:9.1f}"
        )
    return report


def memory(arguments):
    samples = []
    with walking(arguments.priority) as (world, _), chromium() as browser:
        viewer, url = world.start_viewer(policy=POLICY, robot=ROBOT)
        page = browser.new_page()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        page.goto(url)
        began = time.monotonic()
        while not samples or samples[-1]["minutes"] < arguments.minutes:
            # World and page each have their turn; the page draws by itself.
            page.wait_for_timeout(10_000)
            world.spin_for(0.5)
            # What could be freed is no growth.
            session.send("HeapProfiler.collectGarbage")
            metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
            page_size = {"heap_mb": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"]}
            minutes = (time.monotonic() - began) / 60
            samples.append({"minutes": minutes, **holdings(viewer.popen), **page_size})
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(samples[-1]), flush=True)
    print(f"{'':>10} {'after a tenth':>14} {'at the end':>11}")
    for key in samples[0].keys() - {"minutes"}:
        print(f"{key:>10} {samples[len(samples) // 10][key]:14.1f} {samples[-1][key]:11.1f}")
    return samples


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(required=True)
    of_load = modes.add_parser("load")
    of_load.add_argument("--seconds", type=float, default=30.0, help="per setting and round (default: 30)")
    of_load.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    of_load.set_defaults(run=load)
    of_memory = modes.add_parser("memory")
    of_memory.add_argument("--minutes", type=float, default=60.0, help="(default: 60)")
    of_memory.set_defaults(run=memory)
    for mode in (of_load, of_memory):
        mode.add_argument("--priority", type=int, default=0, help="SCHED_FIFO, of the control thread (default: none)")
        mode.add_argument("--json", type=Path, help="write the figures")
    arguments = parser.parse_args()
    report = arguments.run(arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
