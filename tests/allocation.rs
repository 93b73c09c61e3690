//! A policy step allocates nothing, and a step of the world nothing besides what rapier does.
#![allow(unsafe_code, clippy::unwrap_used)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use common::{beetle, lively_policy, state_of};
use hebbian_locomotion::network::Shape;
use hebbian_locomotion::plasticity::{
    Convention, FootContactSettings, Gate, GateBlock, GateDescription, GateSource, InitialWeights, LayerGates, Normalisation,
    NoveltySettings, PlasticDescription, ScheduleEntry, SettledSettings, Subspace, UpdateSchedule,
};
use hebbian_locomotion::policy::{NetworkDescription, PolicyFile, SnapshotRing};

/// The system's allocator, counting what each thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator unchanged; the counters are plain thread-locals that do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Policies of every network, normalisation, schedule, convention and gate source.
fn variants() -> Vec<PolicyFile> {
    let plain = lively_policy();
    let layers = || Shape::new(vec![27, 64, 32, 18]).unwrap();
    let mut variants = Vec::new();
    for normalisation in Normalisation::ALL {
        for (every, average) in [(1, 1), (4, 10)] {
            for convention in [Convention::Leung2025, Convention::Dittrich2026] {
                let mut file = plain.clone();
                file.metadata.network = NetworkDescription::Plastic(PlasticDescription {
                    normalisation,
                    update: UpdateSchedule { every, average },
                    convention,
                    ..PlasticDescription::new(layers(), InitialWeights::Random(0.1))
                });
                variants.push(file);
            }
        }
    }
    let synapses = layers().synapses();
    let mut gated = plain.clone();
    gated.subspace = Some(Arc::new(Subspace::new(vec![0.0; synapses], basis(synapses), 1.0).unwrap()));
    gated.metadata.gate = GateDescription::new(vec![
        GateBlock::Schedule(vec![ScheduleEntry { from: 20, gate: LayerGates::PerLayer(vec![1.0, 0.5, 0.0]) }]),
        GateBlock::FootContact(FootContactSettings { feet: 1, hold: 3, hold_open: 2, shut: 0.25 }),
        GateBlock::Settled(SettledSettings { early: 5, window: 4, close_below: 0.9, open_above: 1.1, shut: 0.0 }),
        GateBlock::Novelty(NoveltySettings { close_above: 2.0, open_below: 1.5, every: 1, shut: 0.0 }),
    ]);
    variants.push(gated);
    // Numbers that overflow single precision take another way.
    let mut huge = plain.clone();
    huge.genome.iter_mut().for_each(|value| *value *= 1e30);
    variants.push(huge);
    for network in [
        NetworkDescription::FeedForward { layers: layers(), biases: true },
        NetworkDescription::Lstm { layers: Shape::new(vec![27, 18]).unwrap(), hidden: vec![27], initial_state: 0.1 },
        NetworkDescription::History { layers: layers(), steps: 11 },
    ] {
        let genome = plain.genome.iter().copied().cycle().take(network.genome_len()).collect();
        let mut metadata = plain.metadata.clone();
        metadata.network = network;
        variants.push(PolicyFile { metadata, genome, clusters: None, subspace: None });
    }
    variants
}

/// One direction of a subspace of weights.
fn basis(synapses: usize) -> Vec<f32> {
    let mut basis = vec![0.0; synapses];
    basis[0] = 1.0;
    basis
}

#[test]
fn steps_snapshots_and_gate_commands_of_every_variant_allocate_nothing() {
    let state = state_of(&beetle());
    for file in variants() {
        let mut policy = file.policy().unwrap();
        policy.start(1);
        let mut ring = SnapshotRing::new(&policy, 4, 5, 1 << 24).unwrap();
        let mut snapshot = policy.snapshot();
        let before = ALLOCATIONS.get();
        for step in 0..60 {
            policy.step(&state).unwrap();
            ring.push(&policy);
            match step {
                30 => policy.save(&mut snapshot).unwrap(),
                40 => policy.restore(ring.roll_back(policy.steps(), 5).unwrap()).unwrap(),
                45 => policy.set_gate(Gate::new(0.5, GateSource::Topic).unwrap()).unwrap(),
                50 => policy.start(2),
                _ => (),
            }
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{:?} {:?}", file.metadata.network, file.metadata.gate);
    }
    let before = ALLOCATIONS.get();
    let kept = Box::new(7u8);
    assert_eq!((ALLOCATIONS.get() - before, *kept), (1, 7), "the counter counts");
}

#[test]
fn a_snapshot_of_every_variant_takes_the_memory_that_it_says() {
    let state = state_of(&beetle());
    for file in variants() {
        let mut policy = file.policy().unwrap();
        policy.start(1);
        policy.step(&state).unwrap();
        let before = BYTES.get();
        let snapshot = policy.snapshot();
        let on_the_heap = BYTES.get() - before;
        assert_eq!(on_the_heap + size_of_val(&snapshot), snapshot.size(), "{:?}", file.metadata.gate);
        // What a gate's source needs to work is no state: its synapses must not count once more.
        let numbers = snapshot.size() / size_of::<f32>();
        assert!(numbers < policy.network().plastic().map_or(usize::MAX, |network| network.state_len() + 500), "{numbers}");
    }
}

#[test]
fn a_step_of_the_world_allocates_nothing_besides_rapier() {
    use hebbian_locomotion::config::parse_yaml;
    use hebbian_locomotion::simulation::{SimulationSettings, World};

    let damage = "[{sensor_noise: {sensor: joint_position, sd: 0.01}}, {sensor_delay: {sensor: orientation, steps: 3}}, {command_delay: {steps: 2}},
        {weak_motor: {joint: FT1, torque: 0.9}}, {push: {force: [0, 1, 0], duration: 0.2}}]";
    let mut world = World::new(beetle(), SimulationSettings { actuator_delay: 0.02, ..Default::default() }).unwrap();
    world.set_damage(&parse_yaml::<Vec<_>>(damage).unwrap()).unwrap();
    let (mut state, targets) = (state_of(&beetle()), vec![0.0; 18]);
    // The push ends, the robot comes to rest, and scratch memory grows: from then on both do the same.
    for _ in 0..100 {
        world.set_targets(&targets);
        world.control_step();
    }
    let mut settled = world.clone();
    let count = |work: &mut dyn FnMut()| {
        let before = ALLOCATIONS.get();
        work();
        ALLOCATIONS.get() - before
    };
    let drives = world.drives().to_vec();
    settled.bare_step(&drives);
    world.control_step();
    let of_rapier = count(&mut || (0..100).for_each(|_| settled.bare_step(&drives)));
    let of_world = count(&mut || {
        for _ in 0..100 / world.substeps() {
            world.set_targets(&targets);
            world.control_step();
            world.sense(&mut state);
        }
    });
    println!("100 physics steps: rapier alone allocates {of_rapier} times, the world {of_world} times");
    assert_eq!(of_rapier, of_world);
}
