//! Timing of the control loop, summed up over a second.

/// Shortest span that is summed up \[ns\].
const SPAN: i64 = 1_000_000_000;

/// Mean and extremes of a duration \[s\].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Mean.
    pub mean: f32,
    /// Standard deviation.
    pub deviation: f32,
    /// Smallest.
    pub min: f32,
    /// Largest.
    pub max: f32,
}

/// Timing of the control steps of one span.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoopTiming {
    /// Control steps in it.
    pub steps: u32,
    /// Between the beginnings of two steps.
    pub period: Spread,
    /// From deadline or sensor message to the beginning of a step.
    pub wake_up: Spread,
    /// Duration of a step.
    pub compute: Spread,
    /// Age of the oldest sensor value at the beginning of a step.
    pub sensor_age: Spread,
}

/// Running sums of one duration \[ns\].
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: u32,
    sum: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Sums {
    fn add(&mut self, nanoseconds: i64) {
        let value = nanoseconds as f64 * 1e-9;
        (self.min, self.max) = if self.count == 0 { (value, value) } else { (self.min.min(value), self.max.max(value)) };
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    fn spread(&self) -> Spread {
        if self.count == 0 {
            return Spread::default();
        }
        let count = f64::from(self.count);
        let mean = self.sum / count;
        let deviation = (self.squares / count - mean * mean).max(0.0).sqrt();
        Spread { mean: mean as f32, deviation: deviation as f32, min: self.min as f32, max: self.max as f32 }
    }
}

/// Sums up the control steps.
#[derive(Clone, Debug, Default)]
pub struct TimingSums {
    since: Option<i64>,
    last_begin: Option<i64>,
    period: Sums,
    wake_up: Sums,
    compute: Sums,
    sensor_age: Sums,
}

impl TimingSums {
    /// Notes a step that was due at `due`, began at `begin` and ended at `end` with sensor values of `oldest` \[ns, steady clock\].
    pub fn note(&mut self, due: i64, begin: i64, end: i64, oldest: i64) {
        if let Some(last) = self.last_begin.replace(begin) {
            self.period.add(begin - last);
        }
        self.wake_up.add((begin - due).max(0));
        self.compute.add(end - begin);
        self.sensor_age.add(begin - oldest);
    }

    /// The timing since the last call that gave one, once a span is over.
    pub fn take(&mut self, now: i64) -> Option<LoopTiming> {
        if now - *self.since.get_or_insert(now) < SPAN {
            return None;
        }
        let timing = LoopTiming {
            steps: self.compute.count,
            period: self.period.spread(),
            wake_up: self.wake_up.spread(),
            compute: self.compute.spread(),
            sensor_age: self.sensor_age.spread(),
        };
        // The first period of the next span begins in this one.
        let last_begin = if timing.steps > 0 { self.last_begin } else { None };
        *self = Self { since: Some(now), last_begin, ..Self::default() };
        Some(timing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_steps_is_summed_up_once() {
        let (mut sums, ms) = (TimingSums::default(), 1_000_000);
        assert_eq!(sums.take(0), None);
        for step in 0..50 {
            let begin = step * 20 * ms + (step % 2) * 2 * ms;
            sums.note(step * 20 * ms, begin, begin + ms, begin - 5 * ms);
            assert_eq!(sums.take(begin), None);
        }
        let timing = sums.take(1_000 * ms).unwrap();
        assert_eq!(timing.steps, 50);
        assert!((timing.period.min - 0.018).abs() < 1e-6 && (timing.period.max - 0.022).abs() < 1e-6, "{timing:?}");
        assert!((timing.period.deviation - 0.002).abs() < 1e-4);
        assert!((timing.wake_up.max - 0.002).abs() < 1e-6 && (timing.compute.mean - 0.001).abs() < 1e-6);
        assert!((timing.sensor_age.mean - 0.005).abs() < 1e-6);
        assert_eq!(sums.take(1_500 * ms), None);
        assert_eq!(sums.take(2_000 * ms).unwrap(), LoopTiming::default());
    }
}
