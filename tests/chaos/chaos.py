"""An evolution whose processes are killed and stopped at random moments ends with the checkpoint of an undisturbed one.

Usage: scripts/with_ros python3 tests/chaos/chaos.py [--seed N] [--json FILE] [--quick]

Evolves a small experiment in one process with 1 and with 2 threads; over topics with 1, 2 and 5 workers and with
workers that come late; and once more while, at moments drawn from the seed, workers are killed ten times, stopped three
times for longer than a lease, and the evolution node is killed twice and started again. The last checkpoint must have
one and the same SHA-256 throughout. --quick: only the last of these beside one process. HEBB_PROGRAMS: folder of the
programs (default: target/release).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from small_experiment import ROOT, checkpoint_hash, write_experiment

TARGET = ROOT / (os.environ.get("CARGO_TARGET_DIR") or "target")
PROGRAMS = Path(os.environ.get("HEBB_PROGRAMS") or TARGET / "release")
GENERATIONS = 24
LEASE = 1.0
KILLS, STOPS, NODE_KILLS = 10, 3, 2
LONGEST_RUN = 600.0


class Run:
    """One evolution over topics, in a ROS domain of its own."""

    def __init__(self, folder, experiment, domain):
        self.folder, self.experiment = folder, experiment
        folder.mkdir()
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }
        self.log = (folder / "log").open("w")
        self.processes = []
        self.workers = []
        self.node = None
        self.began = time.monotonic()

    def start(self, program, **parameters):
        given = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        command = [str(PROGRAMS / program), "--ros-args", *given]
        process = subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def start_node(self):
        self.node = self.start("evolution", experiment=self.experiment, out=self.folder / "run", lease=LEASE)

    def start_worker(self):
        self.workers.append(self.start("episode_worker", experiment=self.experiment, threads=1))

    def generation(self):
        """Generations done, by the file that the node writes."""
        try:
            return len((self.folder / "run/history.csv").read_text().splitlines()) - 1
        except FileNotFoundError:
            return 0

    def look(self):
        """Fails when the node has ended in error or nothing goes on."""
        code = self.node.poll()
        if code not in (None, 0):
            raise SystemExit(f"the evolution node ended with code {code}:\n{(self.folder / 'log').read_text()}")
        if time.monotonic() - self.began > LONGEST_RUN:
            raise SystemExit(f"no end after {LONGEST_RUN} s:\n{(self.folder / 'log').read_text()[-4000:]}")
        return code == 0

    def finish(self):
        while not self.look():
            time.sleep(0.05)
        return checkpoint_hash(self.folder / "run")

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.log.close()


def in_process(folder, experiment, threads):
    command = [PROGRAMS / "hebb", "evolve", experiment, "--out", folder, "--threads", threads, "--ablation", 1]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return checkpoint_hash(folder)


def undisturbed(run, workers, late):
    for _ in range(workers - late):
        run.start_worker()
    run.start_node()
    if late:
        while run.generation() < (1 if workers > late else 0) and not run.look():
            time.sleep(0.05)
        time.sleep(1.0)
        for _ in range(late):
            run.start_worker()
    return run.finish()


def disturbed(run, seed):
    """The run with all faults. Each comes in a generation and at a moment of it that the seed draws."""
    draw = random.Random(seed)
    faults = ["kill"] * KILLS + ["stop"] * STOPS + ["kill node"] * NODE_KILLS
    draw.shuffle(faults)
    generations = sorted(draw.randrange(1, GENERATIONS - 3) for _ in faults)
    for _ in range(3):
        run.start_worker()
    run.start_node()
    stopped = []
    events = []

    def let_go():
        for process, when in [entry for entry in stopped if entry[1] <= time.monotonic()]:
            stopped.remove((process, when))
            process.send_signal(signal.SIGCONT)

    for fault, generation in zip(faults, generations, strict=True):
        moment = draw.random()
        while run.generation() < generation and not run.look():
            let_go()
            time.sleep(0.01)
        time.sleep(moment * 0.3)
        if run.look():
            raise SystemExit(f"the run ended after {len(events)} of {len(faults)} faults")
        awake = [worker for worker in run.workers if worker not in [process for process, _ in stopped]]
        victim = draw.choice(awake or run.workers)
        if fault == "kill":
            victim.kill()
            victim.wait()
            run.workers.remove(victim)
            stopped[:] = [entry for entry in stopped if entry[0] is not victim]
            run.start_worker()
        elif fault == "stop":
            victim.send_signal(signal.SIGSTOP)
            stopped.append((victim, time.monotonic() + 2.5 * LEASE))
        else:
            run.node.kill()
            run.node.wait()
            time.sleep(draw.random())
            run.start_node()
        events.append(
            {"fault": fault, "generation": run.generation(), "after_s": round(time.monotonic() - run.began, 2)}
        )
        print(f"  {events[-1]['after_s']:6.1f} s  generation {events[-1]['generation']:>3}  {fault}", flush=True)
    while stopped:
        let_go()
        time.sleep(0.05)
    return run.finish(), events


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the faults' moments and victims")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--quick", action="store_true", help="only one process and the run with faults")
    arguments = parser.parse_args()
    domain = 10 + os.getpid() % 80
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        folder = Path(folder)
        experiment = write_experiment(folder, population=16, generations=GENERATIONS, duration=1.0)
        hashes, seconds = {}, {}

        def note(name, began, value):
            hashes[name], seconds[name] = value, round(time.monotonic() - began, 1)
            print(f"{name:<40} {seconds[name]:6.1f} s  {value[:16]}…", flush=True)

        def over_topics(name, body):
            nonlocal domain
            domain += 1
            run = Run(folder / name.replace(" ", "_"), experiment, domain)
            try:
                return body(run)
            finally:
                run.end()

        for threads in (1,) if arguments.quick else (1, 2):
            began = time.monotonic()
            note(
                f"one process, {threads} threads", began, in_process(folder / f"threads{threads}", experiment, threads)
            )
        for workers, late in [] if arguments.quick else [(1, 0), (2, 0), (5, 0), (3, 2), (2, 2)]:
            began = time.monotonic()
            name = f"{workers} workers, {late} of them late"
            note(name, began, over_topics(name, lambda run, w=workers, n=late: undisturbed(run, w, n)))
        began = time.monotonic()
        value, events = over_topics("faults", lambda run: disturbed(run, arguments.seed))
        note(f"{KILLS} killed, {STOPS} stopped, node killed {NODE_KILLS}x", began, value)

    same = len(set(hashes.values())) == 1
    print("all the same" if same else "NOT the same")
    if arguments.json:
        figures = {"seed": arguments.seed, "same": same, "sha256": hashes, "seconds": seconds, "faults": events}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
