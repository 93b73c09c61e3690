"""A scripted gait in MuJoCo at several step lengths; started by `hebb bench sim --peers PYTHON`.

Reads one line of JSON from stdin: the model, the module with the gaits, and the rates. Answers with the joint targets
and the base's way at each rate; then each further line with the CPU seconds that the gait takes at each of them.
"""

import json
import platform
import sys
import time
import types

import mujoco
import numpy
from mujoco import rollout

# Largest difference between what is timed and what was measured for accuracy, at the end of the gait [m or rad].
AGREEMENT = 1e-3


class Walk:
    """The gait at one rate. What is timed is MuJoCo alone: all steps in one call, with controls that were recorded."""

    def __init__(self, gaits, model, targets):
        self.model, self.data = model, mujoco.MjData(model)
        self.base, self.controls = gaits.in_mujoco(model, targets)
        mujoco.mj_resetDataKeyframe(model, self.data, 0)
        kind = mujoco.mjtState.mjSTATE_FULLPHYSICS
        self.start = numpy.empty(mujoco.mj_stateSize(model, kind))
        mujoco.mj_getState(model, self.data, self.start, kind)
        self.states = numpy.empty((1, len(self.controls), len(self.start)))
        self.seconds()
        end = self.data.qpos[:3]
        if numpy.abs(end - self.base[-1, :3]).max() > AGREEMENT:
            sys.exit(f"MuJoCo's rollout ends at {end}, its steps one by one at {self.base[-1, :3]}")

    def seconds(self):
        begin = time.process_time()
        rollout.rollout(self.model, self.data, self.start, self.controls[None], state=self.states)
        return time.process_time() - begin


def at_rate(mjcf, rate):
    model = mujoco.MjModel.from_xml_string(mjcf)
    model.opt.timestep = 1 / rate
    return model


def main():
    answer = sys.stdout
    sys.stdout = sys.stderr  # what packages print must not get into the answers
    task = json.loads(sys.stdin.readline())
    gaits = types.ModuleType("gaits")
    exec(task["gaits"], gaits.__dict__)
    robot, rates, mjcf = task["robot"], task["rates"], task["mjcf"]
    if robot not in gaits.GAITS:
        sys.exit(f"there is no scripted gait for the robot `{robot}`, only for {', '.join(gaits.GAITS)}")
    targets = gaits.GAITS[robot](at_rate(mjcf, rates[-1]), task["seconds"])
    walks = [Walk(gaits, at_rate(mjcf, rate), targets) for rate in rates]
    versions = {"python": platform.python_version(), "mujoco": mujoco.__version__}
    # A run that broke down is far off, and JSON knows no NaN.
    bases = [numpy.nan_to_num(walk.base, nan=1e6).tolist() for walk in walks]
    print(json.dumps({"versions": versions, "targets": targets.tolist(), "bases": bases}), file=answer, flush=True)
    for _ in sys.stdin:
        print(json.dumps([walk.seconds() for walk in walks]), file=answer, flush=True)


if __name__ == "__main__":
    main()
