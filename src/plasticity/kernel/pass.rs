//! The inner loops, compiled for each set of instructions that may be found at run time.

use super::lanes::{LANES, Lanes, lanes, multiply_add, tanh};

/// The machine instructions that a network uses.
#[derive(Clone, Copy, Debug)]
pub struct Instructions(Option<pulp::Arch>);

impl Instructions {
    /// The widest that this machine has: AVX2 with FMA on x86-64, NEON on aarch64.
    pub fn detect() -> Self {
        match pulp::Arch::new() {
            pulp::Arch::Scalar => Self::portable(),
            arch => Self(Some(arch)),
        }
    }

    /// Those of the build's target, for comparison. Results differ in the last bits: sums and products are rounded apart.
    pub fn portable() -> Self {
        Self(None)
    }
}

impl std::fmt::Display for Instructions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(match self.0 {
            None => "the build's target",
            Some(_) if cfg!(target_arch = "x86_64") => "AVX2 with FMA",
            Some(_) => "NEON",
        })
    }
}

/// What is gathered while weights are updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gather {
    /// Largest |v|.
    Largest,
    /// Nothing; v is clipped to \[-1, 1\].
    Clip,
    /// Sum of v.
    Sum,
    /// Sum of |v|.
    Mass,
}

/// W from what memory holds: W = (v - mean) scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending<'a> {
    /// One mean for the layer.
    pub mean: f32,
    /// One scale per column; 0 in columns that only fill a tile.
    pub scale: &'a [Lanes],
}

/// The update of one layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update {
    /// g.
    pub gate: f32,
    /// What to gather.
    pub gather: Gather,
}

/// A layer's memory, tile after tile; within each, row after row.
pub(super) struct Tiles<'a> {
    pub weights: &'a mut [Lanes],
    /// eta A, eta B, eta C, eta D.
    pub coefficients: &'a [[Lanes; 4]],
    /// What an update gathers, per tile.
    pub gathered: &'a mut [Lanes],
}

/// Forward pass and, if there is an `update`, the update by these very activities.
pub(super) struct Step<'a> {
    pub tiles: Tiles<'a>,
    pub pending: Pending<'a>,
    pub x: &'a [f32],
    pub y: &'a mut [Lanes],
    pub update: Option<Update>,
}

/// The update alone, by other activities.
pub(super) struct UpdateOnly<'a> {
    pub tiles: Tiles<'a>,
    pub x: &'a [f32],
    pub y: &'a [Lanes],
    pub update: Update,
}

/// Sum of (v - mean)^2 per tile, into `gathered`.
pub(super) struct Deviation<'a> {
    pub tiles: Tiles<'a>,
    pub mean: f32,
}

/// Work that is compiled for several sets of instructions.
pub(super) trait Pass: Sized {
    fn run<const FUSED: bool>(self, rows: usize);

    /// Runs with `instructions` on a layer of `rows` inputs.
    fn dispatch(self, rows: usize, instructions: Instructions) {
        match instructions.0 {
            Some(arch) => arch.dispatch(Wide(self, rows)),
            // On aarch64 the build's target has fused instructions anyway.
            None => self.run::<{ cfg!(any(target_arch = "aarch64", target_feature = "fma")) }>(rows),
        }
    }
}

struct Wide<P>(P, usize);

impl<P: Pass> pulp::NullaryFnOnce for Wide<P> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run::<true>(self.1);
    }
}

impl Pass for Step<'_> {
    #[inline(always)]
    fn run<const FUSED: bool>(self, rows: usize) {
        match self.update {
            None => self.forward_only::<FUSED>(rows),
            Some(Update { gather: Gather::Largest, gate }) => self.both::<FUSED, LARGEST>(rows, gate),
            Some(Update { gather: Gather::Clip, gate }) => self.both::<FUSED, CLIP>(rows, gate),
            Some(Update { gather: Gather::Sum, gate }) => self.both::<FUSED, SUM>(rows, gate),
            Some(Update { gather: Gather::Mass, gate }) => self.both::<FUSED, MASS>(rows, gate),
        }
    }
}

impl Step<'_> {
    #[inline(always)]
    fn forward_only<const FUSED: bool>(self, rows: usize) {
        let tiles = self.tiles.weights.chunks_exact_mut(rows).zip(self.pending.scale).zip(self.y);
        for ((weights, scale), y) in tiles {
            *y = forward::<FUSED, true>(self.x, weights, self.pending.mean, scale);
        }
    }

    #[inline(always)]
    fn both<const FUSED: bool, const GATHER: u8>(self, rows: usize, gate: f32) {
        let Tiles { weights, coefficients, gathered } = self.tiles;
        let tiles = weights.chunks_exact_mut(rows).zip(coefficients.chunks_exact(rows)).zip(gathered);
        for (((weights, coefficients), gathered), (scale, y)) in tiles.zip(self.pending.scale.iter().zip(self.y)) {
            // Only standardized weights have a mean to take off, and only those gather a sum.
            *y = match GATHER {
                SUM => forward::<FUSED, true>(self.x, weights, self.pending.mean, scale),
                _ => forward::<FUSED, false>(self.x, weights, 0.0, scale),
            };
            *gathered = update::<FUSED, GATHER>(self.x, weights, coefficients, y, gate);
        }
    }
}

impl Pass for UpdateOnly<'_> {
    #[inline(always)]
    fn run<const FUSED: bool>(self, rows: usize) {
        match self.update.gather {
            Gather::Largest => self.all::<FUSED, LARGEST>(rows),
            Gather::Clip => self.all::<FUSED, CLIP>(rows),
            Gather::Sum => self.all::<FUSED, SUM>(rows),
            Gather::Mass => self.all::<FUSED, MASS>(rows),
        }
    }
}

impl UpdateOnly<'_> {
    #[inline(always)]
    fn all<const FUSED: bool, const GATHER: u8>(self, rows: usize) {
        let Tiles { weights, coefficients, gathered } = self.tiles;
        let tiles = weights.chunks_exact_mut(rows).zip(coefficients.chunks_exact(rows)).zip(gathered);
        for (((weights, coefficients), gathered), y) in tiles.zip(self.y) {
            *gathered = update::<FUSED, GATHER>(self.x, weights, coefficients, y, self.update.gate);
        }
    }
}

impl Pass for Deviation<'_> {
    #[inline(always)]
    fn run<const FUSED: bool>(self, rows: usize) {
        for (weights, gathered) in self.tiles.weights.chunks_exact(rows).zip(self.tiles.gathered) {
            let mut sum = [0.0; LANES];
            for v in weights {
                let apart = lanes!(|k| v[k] - self.mean);
                sum = lanes!(|k| multiply_add::<FUSED>(apart[k], apart[k], sum[k]));
            }
            *gathered = sum;
        }
    }
}

// Gather as constants, because only those make a loop without branches.
const LARGEST: u8 = 0;
const CLIP: u8 = 1;
const SUM: u8 = 2;
const MASS: u8 = 3;

/// Carries the normalisation out, W = (v - mean) scale, and returns y = tanh(x W) for the eight columns of a tile.
///
/// Four running sums, because one would make each addition wait for the one before; rows 0, 4, 8, … go to the first.
#[inline(always)]
fn forward<const FUSED: bool, const CENTRED: bool>(x: &[f32], weights: &mut [Lanes], mean: f32, scale: &Lanes) -> Lanes {
    let mut sums = [[0.0; LANES]; 4];
    let (x_chunks, x_rest) = x.as_chunks::<4>();
    let (weight_chunks, weight_rest) = weights.as_chunks_mut::<4>();
    for (x, rows) in x_chunks.iter().zip(weight_chunks) {
        let mut row = 0;
        while row < 4 {
            let w = normalised::<CENTRED>(&rows[row], mean, scale);
            rows[row] = w;
            sums[row] = lanes!(|k| multiply_add::<FUSED>(x[row], w[k], sums[row][k]));
            row += 1;
        }
    }
    for (x, row) in x_rest.iter().zip(weight_rest) {
        let w = normalised::<CENTRED>(row, mean, scale);
        *row = w;
        sums[0] = lanes!(|k| multiply_add::<FUSED>(*x, w[k], sums[0][k]));
    }
    tanh::<FUSED>(lanes!(|k| (sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k])))
}

#[inline(always)]
fn normalised<const CENTRED: bool>(v: &Lanes, mean: f32, scale: &Lanes) -> Lanes {
    if CENTRED { lanes!(|k| (v[k] - mean) * scale[k]) } else { lanes!(|k| v[k] * scale[k]) }
}

/// v = W + gate (x (a y + b) + (c y + d)) for a tile; returns what is gathered.
#[inline(always)]
fn update<const FUSED: bool, const GATHER: u8>(
    x: &[f32],
    weights: &mut [Lanes],
    coefficients: &[[Lanes; 4]],
    y: &Lanes,
    gate: f32,
) -> Lanes {
    let (mut gathered, mut lowest) = ([0.0; LANES], [0.0; LANES]);
    for ((x, w), [a, b, c, d]) in x.iter().zip(weights).zip(coefficients) {
        let by_input = lanes!(|k| multiply_add::<FUSED>(a[k], y[k], b[k]));
        let alone = lanes!(|k| multiply_add::<FUSED>(c[k], y[k], d[k]));
        let change = lanes!(|k| multiply_add::<FUSED>(*x, by_input[k], alone[k]));
        let mut v = lanes!(|k| multiply_add::<FUSED>(gate, change[k], w[k]));
        if GATHER == CLIP {
            v = lanes!(|k| v[k].clamp(-1.0, 1.0));
        }
        *w = v;
        gathered = match GATHER {
            // Highest and lowest rather than |v|, whose mask would be read from memory each time.
            LARGEST => {
                lowest = lanes!(|k| if v[k] < lowest[k] { v[k] } else { lowest[k] });
                lanes!(|k| if v[k] > gathered[k] { v[k] } else { gathered[k] })
            }
            SUM => lanes!(|k| gathered[k] + v[k]),
            MASS => lanes!(|k| gathered[k] + v[k].abs()),
            _ => gathered,
        };
    }
    if GATHER == LARGEST {
        gathered = lanes!(|k| if -lowest[k] > gathered[k] { -lowest[k] } else { gathered[k] });
    }
    gathered
}
