"""How long the policy node takes from sensor values to their command, and from an emergency stop to a stopped command.

Usage: scripts/with_ros cargo build --locked --release --bins --example latency
       scripts/with_ros python3 benches/latency.py answer [--seconds N] [--rates R ...] [OPTION...]
       scripts/with_ros python3 benches/latency.py stop [--repeats N] [--rates R ...] [OPTION...]

answer: the policy node, a bare r2r node that echoes the joints, and an rclpy node with the same network in numpy take
turns of 5 s under the same client, which is compiled; once on the idle machine, once with a busy process per core.
Time runs from before the first sensor message is published. --seconds is the time for each node, rate and load: the
default of 60 takes 12 minutes in all, the 600 of a full measurement two hours. stop: a walking policy node on its own
clock is stopped at random moments, by service and by topic in turns.
--priority P: SCHED_FIFO for the policy's control thread. --chrt P: for all threads of the nodes and of the client, also
those that receive; the busy processes stay ordinary. --json FILE: the figures.
HEBB_PROGRAMS: folder of the programs (default: target/release).
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests/reference"))
import tensors

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target")
PROGRAMS = Path(os.environ.get("HEBB_PROGRAMS") or TARGET / "release")
CLIENT = PROGRAMS / "examples/latency"
POLICY = ROOT / "config/policies/beetle.safetensors"
LOADS = ["idle", "busy"]
OURS, ECHO, NUMPY = NODES = ["policy_node", "r2r_echo", "rclpy_numpy"]
# Control begins at once, and the time in which other nodes have their turn is no silence.
AT_ONCE = {"autostart": "true", "safety.positioning_speed": 0.0, "safety.fade_in": 0.0}
ANSWERS = {**AT_ONCE, "trigger": "sensors", "safety.reactions.stale": "off", "safety.reactions.overrun": "off"}
# A sensor that is late on a busy machine must not hold the robot before it is stopped.
STOPS = {**AT_ONCE, "trigger": "timer", "safety.sensor_timeout": 1.0, "safety.reactions.overrun": "off"}


@contextlib.contextmanager
def running(*commands, folder):
    """The processes of `commands`; they are killed at the end, and one that has ended before is an error."""
    processes = []
    try:
        for number, command in enumerate(commands):
            with (folder / f"{number}.log").open("w") as log:
                words = [str(word) for word in command]
                processes.append(subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT))
        yield
        for number, process in enumerate(processes):
            if process.poll() is not None:
                raise SystemExit(f"{commands[number][0]} ended:\n{(folder / f'{number}.log').read_text()}")
    finally:
        for process in processes:
            process.kill()
            process.wait()


def policy_at(rate, folder):
    """The demo's policy at another control rate."""
    values, metadata = tensors.read(POLICY)
    description = json.loads(metadata["hebbian_locomotion"])
    description["control_rate"] = rate
    path = folder / f"{rate}.safetensors"
    tensors.write(path, values, {"hebbian_locomotion": json.dumps(description)})
    return path


def started(arguments, *command):
    """The words of a command, with the priority that all its threads inherit."""
    return [*(["chrt", "--fifo", str(arguments.chrt)] if arguments.chrt else []), *command]


def policy_node(policy, arguments, parameters):
    given = {**parameters, "policy": policy, "realtime.priority": arguments.priority}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    return started(arguments, PROGRAMS / "policy", "--ros-args", "-r", f"__ns:=/{OURS}", *words)


def load(kind):
    return [[sys.executable, "-c", "while True: pass"]] * (len(os.sched_getaffinity(0)) if kind == "busy" else 0)


def client(arguments, *words):
    command = [str(word) for word in started(arguments, CLIENT, *words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def answer(arguments, rate, kind, folder):
    policy = policy_at(rate, folder)
    nodes = [
        policy_node(policy, arguments, ANSWERS),
        started(arguments, CLIENT, "echo", ECHO),
        started(arguments, sys.executable, ROOT / "benches/latency/numpy_node.py", NUMPY, policy),
    ]
    with running(*nodes, *load(kind), folder=folder):
        figures = client(arguments, "probe", *NODES, "--rate", rate, "--seconds", arguments.seconds)
    for name in NODES:
        row = figures[name]
        times = f"p50 {row['p50_us']:7.0f}  p99 {row['p99_us']:7.0f}  max {row['max_us']:7.0f} us"
        late = f"{row['unanswered']} unanswered, {row['later_than_a_period']} later than a period"
        missed = f", {row['missed_steps']} steps missed" if name == OURS else ""
        print(f"{rate:4g} Hz {kind}  {name:11}  {times}  of {row['count']}: {late}{missed}", flush=True)
    ours = figures[OURS]
    ratios = {
        "p50_over_echo": ours["p50_us"] / figures[ECHO]["p50_us"],
        "p99_over_echo": ours["p99_us"] / figures[ECHO]["p99_us"],
        "numpy_p99_over_ours": figures[NUMPY]["p99_us"] / ours["p99_us"],
    }
    p50, p99, slower = ratios.values()
    print(f"{rate:4g} Hz {kind}  ours / echo: p50 {p50:.2f}, p99 {p99:.2f}; numpy / ours: p99 {slower:.1f}", flush=True)
    return {"nodes": figures, "ratios": ratios}


def stop(arguments, rate, kind, folder):
    node = policy_node(policy_at(rate, folder), arguments, STOPS)
    with running(node, *load(kind), folder=folder):
        figures = client(arguments, "stop", OURS, "--rate", rate, "--repeats", arguments.repeats)
    for way in ("service", "topic", "all"):
        row = figures[way]
        row |= {f"{name}_periods": row[f"{name}_us"] / figures["period_us"] for name in ("p50", "p99", "max")}
        times = f"p50 {row['p50_us']:.0f}, p99 {row['p99_us']:.0f}, max {row['max_us']:.0f} us of {row['count']}"
        print(f"{rate:4g} Hz {kind}  {way:8} {times}: p99 {row['p99_periods']:.3f} periods", flush=True)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["answer", "stop"])
    parser.add_argument("--rates", type=float, nargs="+", default=[50.0, 500.0])
    parser.add_argument("--loads", choices=LOADS, nargs="+", default=LOADS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--priority", type=int, default=0)
    parser.add_argument("--chrt", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ |= {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": str(10 + os.getpid() % 80)}
    measure, figures = {"answer": answer, "stop": stop}[arguments.what], {}
    for rate in arguments.rates:
        for kind in arguments.loads:
            with tempfile.TemporaryDirectory(prefix="latency") as folder:
                figures[f"{rate:g} Hz, {kind}"] = measure(arguments, rate, kind, Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
