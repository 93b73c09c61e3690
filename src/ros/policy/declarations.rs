//! The policy node's parameters. `config/policy.yaml` documents them for people; each is at the same default there.

use crate::ros::parameters::Declaration;
use crate::safety::{Fallback, FaultKind, Reaction, SafetyDescription};

const REACTIONS: &[&str] = &["off", "warn", "stop"];

/// Parameters `safety.reactions.*`, by [`FaultKind`]; an emergency stop always stops.
const CHECKS: [(FaultKind, &str, &str); 12] = [
    (FaultKind::Position, "safety.reactions.position", "a target beyond a joint's range"),
    (FaultKind::Velocity, "safety.reactions.velocity", "a target too far for the speed limit"),
    (FaultKind::Acceleration, "safety.reactions.acceleration", "a target beyond the acceleration limit"),
    (FaultKind::Step, "safety.reactions.step", "a target too far from the one before"),
    (FaultKind::Tilt, "safety.reactions.tilt", "a base that leans too far"),
    (FaultKind::Stale, "safety.reactions.stale", "a sensor that is silent"),
    (FaultKind::Refused, "safety.reactions.refused", "a sensor message without all joints or feet, or of wrong lengths"),
    (FaultKind::Reordered, "safety.reactions.reordered", "a sensor message that was overtaken; with off it is used"),
    (FaultKind::NotFinite, "safety.reactions.not_finite", "a number of a sensor or the policy that is NaN or infinite"),
    (FaultKind::Overrun, "safety.reactions.overrun", "control steps that are late, several in a row"),
    (FaultKind::Weights, "safety.reactions.weights", "a weight larger than safety.weight_limit"),
    (FaultKind::ClockJump, "safety.reactions.clock_jump", "stamps that jump"),
];

/// All parameters.
pub fn declarations() -> Vec<Declaration> {
    let seconds = (0.0, 3600.0);
    let mut all = vec![
        Declaration::string("policy", "", "policy file (.safetensors)").configurable(),
        Declaration::string(
            "robot",
            "",
            "robot description (YAML): checks the policy, limits position and speed, and says how the IMU is mounted; empty: only names in messages are checked",
        )
        .configurable(),
        Declaration::string("driver", "", "how the robot's driver names and turns joints, and its topics (YAML); empty: as this suite"),
        Declaration::bool("autostart", false, "configure and activate the node at its start; it ends when that fails"),
        Declaration::bool(
            "shared_commands",
            false,
            "become active also where other nodes can publish on the topic of commands, as those that take turns with this one",
        )
        .changeable(),
        Declaration::integer("seed", 0, (0, i64::MAX), "seed of the initial weights").configurable(),
        Declaration::double("gate", 1.0, (0.0, 1.0), "plasticity gate: 1 fully plastic, 0 weights frozen").changeable(),
        Declaration::choice(
            "trigger",
            &["sensors", "timer"],
            "what makes a control step: each set of sensor values with one stamp (simulation), or the steady clock (robot)",
        )
        .configurable(),
        Declaration::integer(
            "weights_every",
            5,
            (0, i64::from(u32::MAX)),
            "publish all weights every so many control steps; 0: never",
        )
        .changeable(),
        Declaration::string("keep_weights", "", "file that keeps the weights over a restart; empty: none").configurable(),
        Declaration::double("keep_weights_every", 10.0, (0.1, 3600.0), "keep the weights so often, and at the end [s]"),
        Declaration::double("history.duration", 60.0, seconds, "how far the weights can be rolled back [s]").configurable(),
        Declaration::integer("history.every", 25, (1, 1_000_000), "control steps between two states of that history").configurable(),
        Declaration::bool("emergency_stop", false, "true stops the robot until ~/release; false ends that stop").changeable(),
        Declaration::integer("realtime.priority", 0, (0, 99), "SCHED_FIFO priority of the thread that makes commands, and one less than that of the one that publishes them; 0: ordinary threads"),
        Declaration::bool("realtime.lock_memory", false, "keep the node's memory from being paged out"),
        Declaration::string("realtime.processors", "", "processors for the threads that make and publish commands, such as 2,3; empty: all"),
    ];
    let warning = |name, seconds_, what| Declaration::double(name, seconds_, seconds, what).changeable();
    all.extend([
        warning("timing.jitter_warning", 0.002, "jitter of the control period worth a warning on /diagnostics [s]; 0: none"),
        warning("timing.compute_warning", 0.005, "duration of a control step worth a warning [s]; 0: none"),
        warning("timing.sensor_age_warning", 0.05, "age of a sensor value in a control step worth a warning [s]; 0: none"),
    ]);
    all.extend(safety());
    all
}

fn safety() -> Vec<Declaration> {
    let default = SafetyDescription::default();
    let number = |name, value: f32, range, what| Declaration::double(name, f64::from(value), range, what).configurable();
    let (seconds, any) = ((0.0, 3600.0), (0.0, 1e6));
    let fallback = match default.fallback {
        Fallback::Hold => "hold",
        Fallback::Damp => "damp",
        Fallback::LastSafe => "last_safe",
    };
    let mut all = vec![
        number(
            "safety.positioning_speed",
            default.positioning_speed,
            any,
            "joint speed on the way to the nominal pose at the start [rad/s; of joints that shift a tenth, m/s]; 0: no such phase",
        ),
        number(
            "safety.positioning_tolerance",
            default.positioning_tolerance,
            (0.0, 3.2),
            "how far commands may be ahead of the measured joints on that way, at its end, and in a fallback or stop, and joints outside their range at the start [rad; of joints that shift a tenth, m]; 0: any distance",
        ),
        number("safety.fade_in", default.fade_in, seconds, "time over which the policy's targets fade in [s]; 0: at once"),
        number("safety.position_margin", default.position_margin, (0.0, 3.2), "distance of commands from joint limits [rad]"),
        number(
            "safety.velocity_limit",
            default.velocity_limit,
            any,
            "largest speed of a command [rad/s], where each joint's own, from the robot description, is not lower; 0: that alone",
        ),
        number(
            "safety.acceleration_limit",
            default.acceleration_limit,
            any,
            "largest acceleration of a command [rad/s^2]; 0: none",
        ),
        number("safety.step_limit", default.step_limit, any, "largest change of a command in one control step [rad]; 0: none"),
        number("safety.tilt_limit", default.tilt_limit, (0.01, 3.15), "largest angle of the base to the vertical [rad]"),
        number(
            "safety.sensor_timeout",
            default.sensor_timeout,
            seconds,
            "age from which on sensor values are stale [s]; 0: one and a half control periods",
        ),
        Declaration::bool(
            "safety.counts_lag",
            default.counts_lag,
            "with trigger timer, sensor values that arrive later than the quickest are older by that much; false: for drivers whose clock is off, or set right, by more than 0.5 ms in a second",
        )
        .configurable(),
        number("safety.clock_jump", default.clock_jump, (0.01, 3600.0), "jump of stamps that counts as one of a clock [s]"),
        Declaration::integer(
            "safety.overruns",
            i64::from(default.overruns),
            (1, 1_000_000),
            "late control steps in a row that count as an overrun",
        )
        .configurable(),
        number("safety.weight_limit", default.weight_limit, (1e-6, 1e30), "largest |w|"),
        Declaration::choice_of(
            "safety.fallback",
            fallback,
            &["hold", "damp", "last_safe"],
            "what the robot does when it may not walk: keep its pose, let motors only damp, or go back to the last safe pose",
        )
        .configurable(),
        number("safety.recovery_time", default.recovery_time, seconds, "how long all must be well before it walks again [s]"),
        number(
            "safety.fallback_timeout",
            default.fallback_timeout,
            seconds,
            "how long a fallback may last, or a joint come no nearer to the nominal pose, before the robot stays stopped until ~/release is called [s]",
        ),
    ];
    all.extend(CHECKS.map(|(kind, name, what)| {
        let reaction = match default.reactions.to(kind) {
            Reaction::Off => "off",
            Reaction::Warn => "warn",
            Reaction::Stop => "stop",
        };
        Declaration::choice_of(name, reaction, REACTIONS, what).configurable()
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ros::parameters::Parameters;
    use r2r::indexmap::IndexMap;

    #[test]
    fn the_defaults_of_the_parameters_are_those_of_the_supervisor() {
        let parameters = Parameters::new(declarations(), &IndexMap::new()).unwrap();
        let safety: SafetyDescription = parameters.section("safety").unwrap();
        assert_eq!(safety, SafetyDescription::default());
    }

    #[test]
    fn every_check_has_its_parameter() {
        let all = declarations();
        // What follows from these is fixed.
        let is_fixed =
            |kind: &FaultKind| matches!(kind, FaultKind::EmergencyStop | FaultKind::NotFollowing | FaultKind::OutOfRange);
        for kind in FaultKind::ALL.into_iter().filter(|kind| !is_fixed(kind)) {
            let name = format!("safety.reactions.{}", kind.as_str());
            assert!(all.iter().any(|declaration| declaration.name() == name), "{name}");
        }
    }
}
