//! The phases of a robot under a supervisor.

/// Where a robot is between lying still and walking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No command is sent.
    Passive,
    /// On the way from wherever it was to the nominal pose.
    Positioning,
    /// From the held pose over to the policy's targets.
    FadeIn,
    /// The policy's targets, within the limits.
    Active,
    /// Something is wrong; it walks on once all has been well for a while.
    Fallback,
    /// As in its fallback, until it is released.
    Stopped,
}

impl Phase {
    /// Whether the robot is held because of something.
    pub(super) fn is_held(self) -> bool {
        matches!(self, Self::Fallback | Self::Stopped)
    }

    /// The word that messages and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passive => "passive",
            Self::Positioning => "positioning",
            Self::FadeIn => "fade_in",
            Self::Active => "active",
            Self::Fallback => "fallback",
            Self::Stopped => "stopped",
        }
    }
}
