"""Scripted gaits: joint targets for `hebb robot drive` and for MuJoCo alike, and how MuJoCo gets them.

Half of the legs stand and push straight backwards at constant speed while the other half swings forwards, lifted; then
they change. Joint angles come from the feet's positions by MuJoCo's kinematics of the exported model, so that standing
feet do not have to slip.
"""

import mujoco
import numpy

CONTROL_RATE = 50.0
# Time in which a gait grows from standing still, so that no simulator begins with a blow [s].
COMING_IN = 0.5


class Legs:
    """The feet of a model, and the joint positions that bring them somewhere."""

    def __init__(self, model, neutral):
        self.model, self.data = model, mujoco.MjData(model)
        self.joints = [model.actuator(index).name for index in range(model.nu)]
        self.addresses = model.jnt_qposadr[model.actuator_trnid[:, 0]]
        self.dofs = model.jnt_dofadr[model.actuator_trnid[:, 0]]
        self.low, self.high = model.actuator_ctrlrange.T
        self.neutral = neutral
        leaves = set(range(1, model.nbody)) - set(model.body_parentid)
        # A foot is the last shape of a body that moves no other.
        self.feet = [model.body_geomadr[body] + model.body_geomnum[body] - 1 for body in sorted(leaves)]

    def positions(self, angles):
        """Where the feet are in the frame of the base at the joint positions `angles` [feet, 3]."""
        self.data.qpos[:7] = [0, 0, 0, 1, 0, 0, 0]
        self.data.qpos[self.addresses] = angles
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        return self.data.geom_xpos[self.feet].copy()

    def reach(self, positions, start):
        """Joint positions within their limits, from `start` on, that bring the feet there: damped least squares."""
        angles, jacobian = start.copy(), numpy.zeros((3, self.model.nv))
        for _ in range(10):
            missing = positions - self.positions(angles)
            for foot, way in zip(self.feet, missing, strict=True):
                mujoco.mj_jacGeom(self.model, self.data, jacobian, None, foot)
                own = jacobian[:, self.dofs]
                angles += own.T @ numpy.linalg.solve(own @ own.T + 1e-5 * numpy.eye(3), way)
            angles = angles.clip(self.low, self.high)
        return angles


def walk(legs, phases, stride, lift, cycle, seconds):
    """Targets [steps, joints]; `phases` of the feet as shares of a cycle, `stride` and `lift` of a foot [m]."""
    neutral = legs.positions(legs.neutral)
    # All feet on one plane.
    neutral[:, 2] = neutral[:, 2].min()
    targets, angles = [], legs.reach(neutral, legs.neutral)
    for step in range(round(seconds * CONTROL_RATE)):
        time = step / CONTROL_RATE
        phase = (time / cycle + numpy.asarray(phases)) % 1
        stands = phase < 0.5
        swing = 2 * phase - 1
        forwards = numpy.where(stands, 0.5 - 2 * phase, -0.5 * numpy.cos(numpy.pi * swing))
        upwards = numpy.where(stands, 0, numpy.sin(numpy.pi * swing.clip(0)))
        share = min(time / COMING_IN, 1)
        wanted = neutral.copy()
        wanted[:, 0] += share * stride * forwards
        wanted[:, 2] += share * lift * upwards
        angles = legs.reach(wanted, angles)
        targets.append(angles)
    return numpy.array(targets)


def beetle_tripod(model, seconds, cycle=2.4, stride=0.07, lift=0.05):
    """Legs 0, 2, 4 against 1, 3, 5, about the middle of what the first joints can reach."""
    neutral = model.key_ctrl[0].copy()
    for index in range(model.nu):
        if model.actuator(index).name.startswith("BC"):
            neutral[index] = model.actuator_ctrlrange[index].mean()
    legs = Legs(model, neutral)
    numbers = [int(model.body(model.geom_bodyid[foot]).name[-1]) for foot in legs.feet]
    return walk(legs, [0.5 * (number % 2) for number in numbers], stride, lift, cycle, seconds)


def gecko_trot(model, seconds, cycle=1.6, stride=0.07, lift=0.03):
    """Diagonal legs together."""
    legs = Legs(model, model.key_ctrl[0].copy())
    names = [model.body(model.geom_bodyid[foot]).name for foot in legs.feet]
    return walk(legs, [0.0 if name.startswith(("lf", "rh")) else 0.5 for name in names], stride, lift, cycle, seconds)


GAITS = {"beetle": beetle_tripod, "gecko": gecko_trot}


def in_mujoco(model, targets):
    """Simulates `targets` from the model's key frame on. Returns the base after each control step [steps, 7] (position,
    then orientation x y z w) and what the actuators were told in each physics step.

    What a model file cannot say, a motor's speed limit, is applied as our world does: it bounds how far the motor's
    spring may be stretched.
    """
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    addresses = model.jnt_qposadr[model.actuator_trnid[:, 0]]
    stiffness, damping = model.actuator_gainprm[:, 0], -model.actuator_biasprm[:, 2]
    reach = model.numeric_data[: model.nu] * (damping / stiffness + model.opt.timestep)
    steps = round(1 / CONTROL_RATE / model.opt.timestep)
    low, high = model.actuator_ctrlrange.T
    bases, controls = [], []
    for row in targets:
        target = row.clip(low, high)
        for _ in range(steps):
            position = data.qpos[addresses]
            data.ctrl[:] = position + (target - position).clip(-reach, reach)
            controls.append(data.ctrl.copy())
            mujoco.mj_step(model, data)
        x, y, z, w, *imaginary = data.qpos[:7]
        bases.append([x, y, z, *imaginary, w])
    return numpy.array(bases), numpy.array(controls)
