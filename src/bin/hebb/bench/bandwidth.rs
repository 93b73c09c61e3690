//! How fast the machine moves the bytes that a step must move.

use std::hint::black_box;

/// What a step must read, per synapse: the weight and four coefficients.
pub const BYTES_READ: usize = 20;
/// What a step must move, per synapse: the same, and the weight back.
pub const BYTES_MOVED: usize = 24;

/// One cache line, so that no access straddles two.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Memory like that of a network, with next to no arithmetic: five arrays, one of which is written too.
///
/// As large as the network, so that it lives in the same cache.
pub struct Traffic {
    written: Vec<Line>,
    read: [Vec<Line>; 4],
}

impl Traffic {
    /// As much as `synapses` have.
    pub fn new(synapses: usize) -> Self {
        let array = |value| vec![Line([value; LINE]); synapses.div_ceil(LINE)];
        Self { written: array(1.0), read: [array(0.1), array(0.2), array(0.3), array(0.4)] }
    }

    /// Reads all five arrays and writes one back.
    pub fn read_and_write(&mut self) {
        pulp::Arch::new().dispatch(ReadAndWrite(self));
        black_box(&self.written);
    }

    /// Reads all five arrays.
    pub fn read(&self) {
        black_box(pulp::Arch::new().dispatch(Read(self)));
    }
}

struct ReadAndWrite<'a>(&'a mut Traffic);

impl pulp::NullaryFnOnce for ReadAndWrite<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Traffic { written, read: [a, b, c, d] } = self.0;
        for ((((w, a), b), c), d) in written.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *w = line(|k| (a.0[k] + b.0[k]) + (c.0[k] + d.0[k]) - w.0[k]);
        }
    }
}

struct Read<'a>(&'a Traffic);

impl pulp::NullaryFnOnce for Read<'_> {
    type Output = Line;

    #[inline(always)]
    fn call(self) -> Line {
        let Traffic { written, read: [a, b, c, d] } = self.0;
        let mut sum = Line([0.0; LINE]);
        for ((((w, a), b), c), d) in written.iter().zip(a).zip(b).zip(c).zip(d) {
            sum = line(|k| (a.0[k] + b.0[k]) + (c.0[k] + d.0[k]) + w.0[k] + sum.0[k]);
        }
        sum
    }
}

#[inline(always)]
fn line(value: impl Fn(usize) -> f32) -> Line {
    let mut line = Line([0.0; LINE]);
    let mut k = 0;
    while k < LINE {
        line.0[k] = value(k);
        k += 1;
    }
    line
}
