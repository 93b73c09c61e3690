//! The inner loops, compiled for each set of instructions that may be found at run time.

use super::lanes::{Aligned, LANES, Lanes, Row, lanes, multiply_add, tanh};

/// The machine instructions that a network uses.
#[derive(Clone, Copy, Debug)]
pub struct Instructions(Option<pulp::Arch>);

/// Whether the instructions of the build's target are fused: on aarch64 anyway.
const TARGET_IS_FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

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

    /// Whether they multiply and add in one, rounded once (fused multiply-add). With others, results differ in the last bits.
    pub fn is_fused(self) -> bool {
        self.0.is_some() || TARGET_IS_FUSED
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
    pub weights: &'a mut [Row],
    /// eta A, eta B, eta C, eta D.
    pub coefficients: &'a [Aligned<[Lanes; 4]>],
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
            None => self.run::<TARGET_IS_FUSED>(rows),
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
        let Pending { mean, scale } = self.pending;
        for ((weights, &scale), y) in self.tiles.weights.chunks_exact_mut(rows).zip(scale).zip(self.y) {
            for v in &mut *weights {
                v.0 = normalised::<true>(v, mean, scale);
            }
            *y = forward::<FUSED, false>(self.x, weights, 0.0, [1.0; LANES]);
        }
    }

    #[inline(always)]
    fn both<const FUSED: bool, const GATHER: u8>(self, rows: usize, gate: f32) {
        // Only standardized weights have a mean to take off, and only those gather a sum.
        match GATHER {
            SUM => self.interleaved::<FUSED, GATHER, true>(rows, gate),
            _ => self.interleaved::<FUSED, GATHER, false>(rows, gate),
        }
    }

    /// Each tile's update together with the next tile's forward pass: one waits for memory while the other computes.
    #[inline(always)]
    fn interleaved<const FUSED: bool, const GATHER: u8, const CENTRED: bool>(self, rows: usize, gate: f32) {
        let Self { tiles: Tiles { mut weights, coefficients, gathered }, pending: Pending { mean, scale }, x, y, .. } = self;
        let Some(first) = scale.first() else { return };
        let mut out = forward::<FUSED, CENTRED>(x, &weights[..rows], mean, *first);
        let tiles = coefficients.chunks_exact(rows).zip(gathered).zip(scale.iter().zip(y));
        for (tile, ((coefficients, gathered), (&old, y))) in tiles.enumerate() {
            let (own, rest) = weights.split_at_mut(rows);
            weights = rest;
            *y = out;
            let change = Change { y: out, mean, scale: old, gate };
            (*gathered, out) = match scale.get(tile + 1) {
                Some(&scale) => {
                    update_and_forward::<FUSED, GATHER, CENTRED>(x, own, coefficients, change, &weights[..rows], scale)
                }
                None => (update::<FUSED, GATHER, CENTRED>(x, own, coefficients, change), out),
            };
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
            let change = Change { y: *y, mean: 0.0, scale: [1.0; LANES], gate: self.update.gate };
            *gathered = update::<FUSED, GATHER, false>(self.x, weights, coefficients, change);
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

#[inline(always)]
fn normalised<const CENTRED: bool>(v: &Lanes, mean: f32, scale: Lanes) -> Lanes {
    if CENTRED { lanes!(|k| (v[k] - mean) * scale[k]) } else { lanes!(|k| v[k] * scale[k]) }
}

/// Adds x W of one row to `sum`, W = (v - mean) scale.
#[inline(always)]
fn add<const FUSED: bool, const CENTRED: bool>(sum: &mut Lanes, x: f32, v: &Lanes, mean: f32, scale: Lanes) {
    let w = normalised::<CENTRED>(v, mean, scale);
    *sum = lanes!(|k| multiply_add::<FUSED>(x, w[k], sum[k]));
}

/// Four running sums, because one would make each addition wait for the one before; rows 0, 4, 8, … go to the first, as do those
/// that make no four.
type Sums = [Lanes; 4];

#[inline(always)]
fn output<const FUSED: bool>(sums: &Sums) -> Lanes {
    tanh::<FUSED>(lanes!(|k| (sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k])))
}

/// y = tanh(x W) for the eight columns of a tile, W = (v - mean) scale.
#[inline(always)]
fn forward<const FUSED: bool, const CENTRED: bool>(x: &[f32], weights: &[Row], mean: f32, scale: Lanes) -> Lanes {
    let mut sums = [[0.0; LANES]; 4];
    let (x_chunks, x_rest) = x.as_chunks::<4>();
    let (chunks, rest) = weights.as_chunks::<4>();
    for (x, rows) in x_chunks.iter().zip(chunks) {
        let mut row = 0;
        while row < 4 {
            add::<FUSED, CENTRED>(&mut sums[row], x[row], &rows[row], mean, scale);
            row += 1;
        }
    }
    for (x, row) in x_rest.iter().zip(rest) {
        add::<FUSED, CENTRED>(&mut sums[0], *x, row, mean, scale);
    }
    output::<FUSED>(&sums)
}

/// What all synapses of a tile have in common while they change.
#[derive(Clone, Copy)]
struct Change {
    y: Lanes,
    mean: f32,
    scale: Lanes,
    gate: f32,
}

impl Change {
    /// v = W + gate (x (a y + b) + (c y + d)) for one row.
    #[inline(always)]
    fn carry_out<const FUSED: bool, const GATHER: u8, const CENTRED: bool>(
        &self,
        x: f32,
        w: &mut Lanes,
        Aligned([a, b, c, d]): &Aligned<[Lanes; 4]>,
        gathered: &mut Gathered,
    ) {
        let y = self.y;
        let by_input = lanes!(|k| multiply_add::<FUSED>(a[k], y[k], b[k]));
        let alone = lanes!(|k| multiply_add::<FUSED>(c[k], y[k], d[k]));
        let change = lanes!(|k| multiply_add::<FUSED>(x, by_input[k], alone[k]));
        let old = normalised::<CENTRED>(w, self.mean, self.scale);
        let mut v = lanes!(|k| multiply_add::<FUSED>(self.gate, change[k], old[k]));
        if GATHER == CLIP {
            v = lanes!(|k| v[k].clamp(-1.0, 1.0));
        }
        *w = v;
        let Gathered { first, lowest } = *gathered;
        gathered.first = match GATHER {
            // Highest and lowest rather than |v|, whose mask would be read from memory each time.
            LARGEST => {
                gathered.lowest = lanes!(|k| if v[k] < lowest[k] { v[k] } else { lowest[k] });
                lanes!(|k| if v[k] > first[k] { v[k] } else { first[k] })
            }
            SUM => lanes!(|k| first[k] + v[k]),
            MASS => lanes!(|k| first[k] + v[k].abs()),
            _ => first,
        };
    }
}

/// What is gathered from the rows of a tile.
#[derive(Clone, Copy, Default)]
struct Gathered {
    /// Sum, or highest v above 0.
    first: Lanes,
    /// Lowest v below 0.
    lowest: Lanes,
}

impl Gathered {
    #[inline(always)]
    fn result<const GATHER: u8>(&self) -> Lanes {
        let Self { first, lowest } = self;
        match GATHER {
            LARGEST => lanes!(|k| if -lowest[k] > first[k] { -lowest[k] } else { first[k] }),
            _ => *first,
        }
    }
}

/// Changes a tile; returns what is gathered.
#[inline(always)]
fn update<const FUSED: bool, const GATHER: u8, const CENTRED: bool>(
    x: &[f32],
    weights: &mut [Row],
    coefficients: &[Aligned<[Lanes; 4]>],
    change: Change,
) -> Lanes {
    let mut gathered = Gathered::default();
    for ((x, w), coefficients) in x.iter().zip(weights).zip(coefficients) {
        change.carry_out::<FUSED, GATHER, CENTRED>(*x, w, coefficients, &mut gathered);
    }
    gathered.result::<GATHER>()
}

/// [`update`] of one tile and [`forward`] of the `next`, row by row.
#[inline(always)]
fn update_and_forward<const FUSED: bool, const GATHER: u8, const CENTRED: bool>(
    x: &[f32],
    weights: &mut [Row],
    coefficients: &[Aligned<[Lanes; 4]>],
    change: Change,
    next: &[Row],
    scale: Lanes,
) -> (Lanes, Lanes) {
    let mean = change.mean;
    let (mut gathered, mut sums) = (Gathered::default(), [[0.0; LANES]; 4]);
    let (x_chunks, x_rest) = x.as_chunks::<4>();
    let (weight_chunks, weight_rest) = weights.as_chunks_mut::<4>();
    let (coefficient_chunks, coefficient_rest) = coefficients.as_chunks::<4>();
    let (next_chunks, next_rest) = next.as_chunks::<4>();
    for (((x, weights), coefficients), next) in x_chunks.iter().zip(weight_chunks).zip(coefficient_chunks).zip(next_chunks) {
        let mut row = 0;
        while row < 4 {
            add::<FUSED, CENTRED>(&mut sums[row], x[row], &next[row], mean, scale);
            change.carry_out::<FUSED, GATHER, CENTRED>(x[row], &mut weights[row], &coefficients[row], &mut gathered);
            row += 1;
        }
    }
    for (((x, w), coefficients), next) in x_rest.iter().zip(weight_rest).zip(coefficient_rest).zip(next_rest) {
        add::<FUSED, CENTRED>(&mut sums[0], *x, next, mean, scale);
        change.carry_out::<FUSED, GATHER, CENTRED>(*x, w, coefficients, &mut gathered);
    }
    (gathered.result::<GATHER>(), output::<FUSED>(&sums))
}
