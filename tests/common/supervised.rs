//! A robot under a supervisor, without sensors or a policy of its own.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part of this")]

use hebbian_locomotion::policy::{JointInterface, RobotInterface};
use hebbian_locomotion::robot::RobotState;
use hebbian_locomotion::safety::{MessageFaults, Phase, Proposal, SafetyDescription, Sensors, Supervisor};

/// The control period \[ns\].
pub const PERIOD: i64 = 20_000_000;

/// A robot with two feet.
pub fn robot() -> RobotInterface {
    let joint = |name: &str, lower, upper, nominal| JointInterface { name: name.into(), lower, upper, nominal };
    RobotInterface {
        name: "biped".into(),
        joints: vec![joint("hip", -1.0, 1.0, 0.1), joint("knee", 0.0, 2.0, 0.5), joint("toe", -0.3, 0.3, 0.0)],
        feet: vec!["left".into(), "right".into()],
    }
}

/// A robot whose joints are where they were commanded, and a supervisor that steps it.
pub struct Bench {
    pub supervisor: Supervisor,
    pub state: RobotState,
    pub ages: [Option<i64>; 3],
    pub faults: MessageFaults,
    pub now: i64,
}

impl Bench {
    pub fn new(description: SafetyDescription) -> Self {
        let supervisor = Supervisor::new(&description, &robot(), Some(&[2.0; 3]), 0.02).unwrap();
        let state = RobotState::at_rest(3, 2);
        Self { supervisor, state, ages: [Some(0); 3], faults: MessageFaults::default(), now: 0 }
    }

    /// A robot that walks, and did so in its last step.
    pub fn walking(description: SafetyDescription) -> Self {
        let mut bench = Self::new(description);
        bench.supervisor.activate(0);
        let walks = (0..500).any(|_| {
            bench.step(&[0.2, 0.7, 0.0]);
            bench.supervisor.phase() == Phase::Active
        });
        assert!(walks, "{:?}", bench.supervisor.fault());
        bench.step(&[0.2, 0.7, 0.0]);
        bench
    }

    /// One control step of a policy with these targets. Returns the command.
    pub fn step(&mut self, targets: &[f32]) -> Option<Vec<f32>> {
        self.step_with(Proposal::Targets(targets, 1.0))
    }

    /// One control step of a policy that makes this of it.
    pub fn step_with(&mut self, proposal: Proposal<'_>) -> Option<Vec<f32>> {
        self.now += PERIOD;
        let sensors = Sensors { state: &self.state, ages: self.ages, faults: self.faults };
        let proposal = if self.supervisor.admit(self.now, &sensors) { proposal } else { Proposal::None };
        let command = self.supervisor.command(self.now, &sensors, proposal).map(<[f32]>::to_vec);
        if let Some(command) = &command {
            self.state.joint_position.copy_from_slice(command);
        }
        command
    }
}
