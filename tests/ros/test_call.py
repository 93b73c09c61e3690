"""scripts/call, by which services are called where there is no `ros2`."""

import subprocess

import pytest
import yaml
from hebbian_locomotion.msg import PlasticityState
from std_srvs.srv import Trigger

from conftest import ROOT

SET_GATE = "hebbian_locomotion/srv/SetGate"
CHANGE_STATE = "lifecycle_msgs/srv/ChangeState"


def call(world, *words):
    """Its exit code, the answer that it printed, and what it complained of."""
    command = [ROOT / "scripts/call", *words]
    done = subprocess.run(command, env=world.environment(), capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, yaml.safe_load(done.stdout), done.stderr


def test_a_walking_policy_is_called_and_what_it_refuses_is_a_failure(world):
    states = world.collect(PlasticityState, "policy/plasticity")
    world.start_simulator()
    world.start_policy()
    world.spin_until(lambda: len(states) > 10, "control steps")

    code, answer, complaint = call(world, "/policy/set_gate", SET_GATE, "{gate: 0.5}")
    assert (code, answer["success"], answer["previous_gate"]) == (0, True, 1.0), complaint
    world.spin_until(lambda: states[-1].gate == 0.5, "gate", lambda: states[-1])
    code, answer, _ = call(world, "policy/set_gate", SET_GATE, "{gate: 2.0}")
    assert (code, answer["success"], answer["previous_gate"]) == (1, False, 0.5) and answer["message"], answer
    # A request without fields.
    assert call(world, "/policy/publish_weights", "std_srvs/srv/Trigger")[0] == 0

    # A message within the request.
    deactivate = ("/policy/change_state", CHANGE_STATE, "{transition: {label: deactivate}}")
    assert call(world, *deactivate)[:2] == (0, {"success": True})
    assert call(world, *deactivate)[:2] == (1, {"success": False})


@pytest.mark.parametrize(
    ("service_type", "request_text", "said"),
    [
        (SET_GATE, "{gait: 0.0}", "no field `gait`; it has: gate layer_gates"),
        (SET_GATE, "{gate: open}", "request.gate must be float; got 'open'"),
        (SET_GATE, "{layer_gates: [0.5, true]}", "request.layer_gates[1] must be float; got True"),
        (SET_GATE, "{gate: ", "no YAML"),
        (CHANGE_STATE, "{transition: {id: 256}}", "request.transition.id must be uint8; got 256"),
        (CHANGE_STATE, "{transition: {number: 1}}", "request.transition has no field `number`"),
        ("hebbian_locomotion/srv/SetGait", "{}", "no type hebbian_locomotion/srv/SetGait"),
        ("hebbian_locomotion/SetGate", "{}", "no type of a service"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_before_anybody_is_called(world, service_type, request_text, said):
    code, answer, complaint = call(world, "/policy/set_gate", service_type, request_text)
    assert (code, answer) == (2, None) and said in complaint, complaint


def test_a_service_that_nobody_serves_or_that_has_another_type_is_named(world):
    code, answer, complaint = call(world, "/policy/set_gate", SET_GATE, "{gate: 0.0}")
    assert (code, answer) == (1, None) and "nobody serves /policy/set_gate within 5 s" in complaint, complaint
    world.client.create_service(Trigger, "/policy/set_gate", lambda _, response: response)
    code, answer, complaint = call(world, "/policy/set_gate", SET_GATE, "{gate: 0.0}")
    assert (code, answer) == (2, None) and "of the type std_srvs/srv/Trigger, not" in complaint, complaint


def test_its_usage_is_told(world):
    assert call(world, "/policy/set_gate")[0] == 2
    done = subprocess.run([ROOT / "scripts/call", "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.startswith("Usage: scripts/call SERVICE TYPE"), done.stdout
