"""The launch files and the command line of ROS 2 itself; skipped where these are not installed."""

import itertools
import re
import shutil
import signal
import subprocess

import pytest
import yaml
from hebbian_locomotion.msg import EvolutionProgress, PlasticityState, SafetyState
from nav_msgs.msg import Odometry

from conftest import LATCHED, ROOT, SIMULATION, Process, hebb, stamp
from policy_files import policy_at
from small_experiment import checkpoint_hash, write_experiment

pytestmark = pytest.mark.skipif(shutil.which("ros2") is None, reason="there is no command ros2 here")

FILES = sorted((ROOT / "launch").glob("*.launch.py"))
# A daemon would outlive the test, and know nothing yet of nodes that have just started.
DIRECT = ["--no-daemon", "--spin-time", "4"]


def ros2(world, *words):
    """Runs a command to its end; returns what it printed."""
    command = ["ros2", *map(str, words)]
    environment = world.environment()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def launch(world):
    """Starts a launch file of this package; what that started is gone after the test."""
    started = []

    def start(name, **arguments):
        # A launch of which SIGINT is ignored, as in background jobs, leaves it at that.
        command = ["setsid", "env", "--default-signal=INT", "ros2", "launch", "hebbian_locomotion"]
        command += [f"{name}.launch.py", *(f"{key}:={value}" for key, value in arguments.items())]
        process = Process(command, world.environment(), world.folder / f"{len(world.processes)}-{name}.log")
        world.processes.append(process)
        started.append(process)
        return process

    yield start
    for process in started:
        # setsid made it the leader of a session, in which its nodes are.
        subprocess.run(["pkill", "-KILL", "-s", str(process.popen.pid)], check=False)


def walks(world, name="odom"):
    """Waits until the robot has moved by 5 cm."""
    places = world.collect(Odometry, name)

    def moved():
        return places and abs(places[-1].pose.pose.position.x - places[0].pose.pose.position.x) > 0.05

    world.spin_until(moved, f"walk on {name}", lambda: places[-1:])


def ends_in_order(process):
    """Ends a launch as Ctrl-C does: each node by itself, and the launch without a complaint."""
    code, output = process.stop(), process.output()
    assert code == 0 and "Caught exception" not in output and "process has died" not in output, output
    assert output.count("process has finished cleanly") == output.count("process started with pid"), output


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_launch_file_tells_its_arguments(world, file):
    text = ros2(world, "launch", "hebbian_locomotion", file.name, "--show-args")
    told = set(re.findall(r"^    '(\w+)':$", text, re.MULTILINE))
    declared = set(re.findall(r"DeclareLaunchArgument\(\s*\"(\w+)\"", file.read_text()))
    assert declared and declared <= told, text


def test_the_demo_walks_and_ends_as_it_is_told(world, launch):
    process = launch("demo", seed=7)
    walks(world)
    ends_in_order(process)


def test_the_demo_ends_with_its_policy(world, launch):
    process = launch("demo")
    walks(world)
    subprocess.run(["pkill", "-KILL", "-s", str(process.popen.pid), "policy"], check=True)
    process.wait()
    output = process.output()
    assert "process has died" in output and "Caught exception" not in output, output


def test_the_demo_goes_by_a_file_of_parameters_and_its_simulator_by_the_rate_of_the_policy(world, launch):
    parameters = yaml.safe_load(SIMULATION.read_text())
    parameters["policy"]["ros__parameters"] |= {"weights_every": 1, "policy": str(policy_at(world.folder, 25.0))}
    file = world.folder / "mine.yaml"
    file.write_text(yaml.safe_dump(parameters))
    states = world.collect(PlasticityState, "policy/plasticity", 2000)
    process = launch("demo", params_file=file, mode="lockstep")
    world.spin_until(lambda: len(states) > 50, "control steps", process.output)
    values = {
        name: ros2(world, "param", "get", *DIRECT, "--hide-type", f"/{node}", name).strip()
        for node, name in [("policy", "weights_every"), ("simulator", "control_rate"), ("simulator", "mode")]
    }
    assert values == {"weights_every": "1", "control_rate": "25.0", "mode": "lockstep"}
    assert min(stamp(b) - stamp(a) for a, b in itertools.pairwise(states)) == 40_000_000
    ends_in_order(process)


def test_what_a_launch_argument_says_wins_and_what_it_leaves_open_is_as_in_the_file(world, launch):
    parameters = {"gate": 0.25, "seed": 5, "safety.tilt_limit": 0.75}
    file = world.folder / "it's #1.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    process = launch("policy", params_file=file, seed="007", policy=f"{ROOT}/config/policies/beetle.safetensors")
    world.spin_until(lambda: world.client.count_publishers("/policy/transition_event"), "node", process.output)
    values = {
        name: ros2(world, "param", "get", *DIRECT, "--hide-type", "/policy", name).strip()
        for name in ["seed", "gate", "safety.tilt_limit", "trigger"]
    }
    assert values == {"seed": "7", "gate": "0.25", "safety.tilt_limit": "0.75", "trigger": "sensors"}
    ends_in_order(process)


def test_two_robots_are_managed_by_the_command_line(world, launch):
    robots = ["left", "right"]
    processes = [
        launch("robot", simulated="true", namespace=name, publish_clock=str(name == "left").lower()) for name in robots
    ]
    phases = {name: world.collect(SafetyState, f"{name}/policy/safety", LATCHED) for name in robots}
    for name in robots:
        node = f"/{name}/policy"
        world.spin_until(lambda node=node: world.client.count_publishers(f"{node}/transition_event"), node)
        assert "available ones are:\n- configure" in ros2(world, "lifecycle", "set", *DIRECT, node, "activate")
        for transition, state in [("configure", "inactive [2]"), ("activate", "active [3]")]:
            assert "Transitioning successful" in ros2(world, "lifecycle", "set", *DIRECT, node, transition)
            assert ros2(world, "lifecycle", "get", *DIRECT, node).strip() == state
        walks(world, f"{name}/odom")
    assert set(ros2(world, "lifecycle", "nodes", *DIRECT).split()) == {"/left/policy", "/right/policy"}

    def call(service):
        return ros2(world, "service", "call", service, "std_srvs/srv/Trigger")

    answer = call("/left/policy/emergency_stop")
    assert "success=True" in answer, answer
    world.spin_until(lambda: phases["left"][-1].phase == "stopped", "stop of the left robot")
    answer = call("/right/policy/release")
    assert "success=False" in answer and "nothing changed" in answer, answer
    world.spin_for(0.5)
    assert [phases[name][-1].phase == "stopped" for name in robots] == [True, False]
    answer = call("/left/policy/release")
    assert "success=True" in answer, answer
    world.spin_until(lambda: phases["left"][-1].phase != "stopped", "release of the left robot")
    for process in processes:
        ends_in_order(process)


def test_parameters_are_listed_described_set_refused_and_dumped(world):
    world.start_policy(autostart="false")
    world.spin_until(lambda: world.client.count_publishers("/policy/transition_event"), "node")

    def param(verb, *words):
        return ros2(world, "param", verb, *DIRECT, "/policy", *words)

    assert {"gate", "safety.tilt_limit", "realtime.priority"} <= set(param("list").split())
    described = param("describe", "gate")
    assert "Type: double" in described and "Min value: 0.0" in described and "Max value: 1.0" in described
    assert "successful" in param("set", "gate", "0.5")
    assert "it must be from 0 to 1" in param("set", "gate", "2.0")
    assert "unknown parameter `gait`" in param("set", "gait", "1.0")
    dumped = param("dump")
    assert yaml.safe_load(dumped)["/policy"]["ros__parameters"]["gate"] == 0.5
    # What a node was is a file of parameters for the next one.
    file = world.folder / "dumped.yaml"
    file.write_text(dumped)
    world.processes[0].stop()
    world.start("policy", "--ros-args", "--params-file", file)
    world.spin_until(lambda: world.client.count_publishers("/policy/transition_event"), "node")
    assert "0.5" in param("get", "gate")


def test_an_evolution_that_was_launched_comes_to_the_checkpoint_of_one_process(world, launch):
    experiment, alone, out = write_experiment(world.folder), world.folder / "alone", world.folder / "run"
    done = hebb("evolve", experiment, "--out", alone, "--ablation", 1)
    assert done.returncode == 0, done.stderr
    process = launch("evolution", experiment=experiment, out=out, workers=2, threads=1)
    assert process.wait(90) == 0, process.output()
    assert "Caught exception" not in process.output(), process.output()
    assert checkpoint_hash(out) == checkpoint_hash(alone)


def test_the_experiment_of_a_file_of_parameters_is_evolved_by_node_and_workers(world, launch):
    experiment, alone, out = write_experiment(world.folder), world.folder / "alone", world.folder / "run"
    done = hebb("evolve", experiment, "--out", alone, "--ablation", 1)
    assert done.returncode == 0, done.stderr
    file, parameters = world.folder / "mine.yaml", {"experiment": str(experiment), "out": str(out)}
    file.write_text(yaml.safe_dump({"evolution": {"ros__parameters": parameters}}))
    process = launch("evolution", params_file=file, workers=1, threads=1)
    assert process.wait(90) == 0, process.output()
    assert checkpoint_hash(out) == checkpoint_hash(alone)


def test_an_evolution_is_launched_and_interrupted(world, launch):
    progress = world.collect(EvolutionProgress, "evolution/progress", LATCHED)
    process = launch("evolution", out=world.folder / "run", workers=1, threads=1)
    world.spin_until(lambda: progress and progress[-1].state == "running", "evolution", process.output)
    ends_in_order(process)


def test_a_launch_that_records_leaves_a_whole_bag(world, launch):
    bag = world.folder / "bag"
    process = launch("demo", record=bag)
    walks(world)
    assert process.stop(signal.SIGINT) == 0, process.output()
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["message_count"] > 100, metadata
