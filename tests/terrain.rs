//! What each kind of ground does to the robot that stands on it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;

use common::{beetle, beetle_on, repository, run, sensed};
use hebbian_locomotion::episode::{Episode, EpisodeSettings, Fitness};
use hebbian_locomotion::plasticity::Gate;
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::RobotModel;
use hebbian_locomotion::simulation::{
    Damage, Gaps, GroundForm, Patches, Relief, SimulationSettings, Softness, StartNoise, StartPose, StepOrder, Steps, Terrain,
    Uneven, World,
};

const STILL: StartNoise = StartNoise { position: 0.0, velocity: 0.0 };
const SLOPE: f32 = 0.25;

/// Way along x in three seconds on a slope, after one to settle.
fn slip(terrain: Terrain) -> f32 {
    let mut world = beetle_on(Terrain { slope: SLOPE, ..terrain });
    run(&mut world, 1.0);
    let from = world.base().position[0];
    run(&mut world, 3.0);
    world.base().position[0] - from
}

fn height(world: &World) -> f32 {
    world.base().position[2]
}

#[test]
fn friction_of_a_tenth_slips_on_a_slope_that_friction_of_one_holds() {
    let (held, slipped) = (slip(Terrain::default()), slip(Terrain { friction: Some(0.1), ..Terrain::default() }));
    println!("slope of {SLOPE} rad: {held} m at friction 1, {slipped} m at 0.1");
    assert!(held.abs() < 0.005, "{held} m at friction 1");
    // Without friction it would be 0.5 g sin(slope) t^2 and more.
    assert!(slipped < -1.0, "{slipped} m at friction 0.1");
}

#[test]
fn slippery_spots_slip_and_only_where_they_are() {
    let patches = |share| Terrain { patches: Some(Patches { friction: 0.1, share, size: 0.2 }), ..Terrain::default() };
    assert!(slip(patches(0.0)).abs() < 0.005);
    let (whole, everywhere) = (slip(Terrain { friction: Some(0.1), ..Terrain::default() }), slip(patches(1.0)));
    assert!((whole - everywhere).abs() < 0.05 * whole.abs(), "{whole} m with friction 0.1, {everywhere} m with spots everywhere");
}

#[test]
fn slippery_spots_lie_elsewhere_in_every_episode() {
    let patches = Patches { friction: 0.1, share: 0.3, size: 0.2 };
    let start = beetle_on(Terrain { slope: SLOPE, patches: Some(patches), ..Terrain::default() });
    let slipped = |seed| {
        let mut world = start.start_of_episode(seed, STILL);
        run(&mut world, 2.0);
        world.base().position[0]
    };
    let slips: Vec<f32> = (0..6).map(slipped).collect();
    assert!((1..6).any(|seed| slips[seed] != slips[0]), "{slips:?}");
    assert_eq!(slipped(3).to_bits(), slips[3].to_bits());
}

#[test]
fn a_robot_on_a_slope_starts_and_stands_level_with_it() {
    let mut world = beetle_on(Terrain { slope: SLOPE, ..Terrain::default() });
    run(&mut world, 1.0);
    let state = sensed(&world);
    // Nose up is about -y.
    let pitch = -state.orientation.roll_pitch_yaw()[1];
    assert!((pitch - SLOPE).abs() < 0.03, "{pitch}");
    assert!((state.linear_acceleration[0] - 9.81 * SLOPE.sin()).abs() < 0.3, "{:?}", state.linear_acceleration);
    let feet = world.start_at(1, STILL, &StartPose { position: [40.0, 0.0], ..StartPose::default() });
    assert!((feet.base().position[2] - world.base().position[2] - 40.0 * SLOPE.tan()).abs() < 0.1);
}

#[test]
fn soft_ground_gives_way_the_more_the_softer_it_is_and_still_carries() {
    let stand = |frequency: Option<f32>| {
        let soft = frequency.map(|frequency| Softness { frequency, damping_ratio: 1.0 });
        let mut world = beetle_on(Terrain { soft, ..Terrain::default() });
        run(&mut world, 3.0);
        let speed = world.base().linear_velocity.iter().fold(0.0f32, |most, speed| most.max(speed.abs()));
        assert!(speed < 0.01, "{frequency:?} Hz: still moves at {speed} m/s");
        let carried: f32 = sensed(&world).foot_force.iter().sum();
        assert!(carried > 0.9 * world.robot().mass() * 9.81, "{frequency:?} Hz: feet carry {carried} N");
        height(&world)
    };
    let [rigid, firm, soft] = [None, Some(20.0), Some(8.0)].map(stand);
    println!("base at {rigid} m on rigid ground, {firm} m at 20 Hz, {soft} m at 8 Hz");
    assert!(rigid - firm > 0.0005 && firm - soft > 0.003, "{rigid} {firm} {soft}");
}

#[test]
fn uneven_ground_tilts_the_robot_and_is_another_place_in_every_episode() {
    let terrain = Terrain { relief: Relief::Uneven(Uneven { height: 0.05, ..Uneven::default() }), ..Terrain::default() };
    let start = beetle_on(terrain);
    let mut tilts = Vec::new();
    for seed in 0..6 {
        let mut world = start.start_of_episode(seed, STILL);
        let at_start = height(&world);
        run(&mut world, 1.5);
        assert!(
            height(&world) < at_start + 0.02,
            "seed {seed}: thrown up from {at_start} m to {} m, so it began inside the ground",
            height(&world)
        );
        let up = world.base().orientation.up_projection();
        assert!(up > 0.7, "seed {seed}: fell over");
        tilts.push(up.acos());
    }
    let (least, most) = tilts.iter().fold((f32::INFINITY, 0.0f32), |(least, most), &tilt| (least.min(tilt), most.max(tilt)));
    assert!(most > 0.05 && most - least > 0.02, "{tilts:?}");
    let again = |seed| height(&start.start_of_episode(seed, STILL));
    assert_eq!(again(3).to_bits(), again(3).to_bits());
    assert_ne!(again(3).to_bits(), again(4).to_bits());
}

#[test]
fn ground_of_every_relief_never_ends() {
    let reliefs = [
        Relief::Flat,
        Relief::Uneven(Uneven { height: 0.02, step: 0.005, ..Uneven::default() }),
        Relief::Steps(Steps { height: 0.02, order: StepOrder::Random, ..Steps::default() }),
        Relief::Gaps(Gaps { width: 0.02, ..Gaps::default() }),
    ];
    for relief in reliefs {
        let start = beetle_on(Terrain { relief, friction: Some(0.05), ..Terrain::default() });
        // At a kilometre: a day's walk at the beetle's speed is 26 km, an episode's far less.
        let mut world = start.start_at(1, STILL, &StartPose { position: [1000.0, -700.0], ..StartPose::default() });
        let from = height(&world);
        run(&mut world, 1.0);
        assert!((height(&world) - from).abs() < 0.1, "{relief:?}: fell from {from} m to {} m", height(&world));
        // Blown out of the middle of the height field, and over many times the blocks, at speed.
        let mut world = start.start_of_episode(1, STILL);
        world.push(&Damage::Push { force: [12.0, 7.0, 0.0], duration: 3.0, link: None, point: None, from: 0.0 }).unwrap();
        let mut lowest = f32::INFINITY;
        for _ in 0..200 {
            world.control_step();
            lowest = lowest.min(height(&world));
        }
        let [x, y, _] = world.base().position;
        assert!(x > 9.0 && y > 6.0, "{relief:?}: only at ({x}, {y}) m");
        assert!(lowest > -0.1, "{relief:?}: fell to {lowest} m");
    }
}

#[test]
fn a_robot_stands_on_the_step_where_it_is() {
    let steps = Steps { height: 0.1, length: 2.0, order: StepOrder::Up, start: 1.0 };
    let start = beetle_on(Terrain { relief: Relief::Steps(steps), ..Terrain::default() });
    let stands_at = |x: f32| {
        let mut world = start.start_at(1, STILL, &StartPose { position: [x, 0.0], ..StartPose::default() });
        run(&mut world, 1.0);
        height(&world)
    };
    let level = stands_at(0.0);
    for (x, expected) in [(2.0, 0.1), (-2.0, 0.1), (4.0, 0.2), (1.0 + 2.0 * 20.5, 2.1)] {
        let over = stands_at(x) - level;
        assert!((over - expected).abs() < 0.003, "{over} m instead of {expected} m at x = {x} m");
    }
}

#[test]
fn a_robot_in_a_gap_is_at_its_bottom_and_beside_it_on_top() {
    let gaps = Gaps { width: 2.0, length: 2.0, depth: 0.5, start: 1.0 };
    let start = beetle_on(Terrain { relief: Relief::Gaps(gaps), ..Terrain::default() });
    let stands_at = |x: f32| {
        let mut world = start.start_at(1, STILL, &StartPose { position: [x, 0.0], ..StartPose::default() });
        run(&mut world, 1.0);
        height(&world)
    };
    let level = stands_at(0.0);
    assert!((stands_at(2.0) - level + 0.5).abs() < 0.003, "in the gap");
    assert!((stands_at(4.0) - level).abs() < 0.003, "behind the gap");
}

#[test]
fn who_is_far_down_a_slope_or_on_a_step_is_as_high_over_the_ground_as_at_home() {
    let at_home = beetle_on(Terrain::default()).base_height();
    let stairs = |order| Relief::Steps(Steps { order, ..Steps::default() });
    let slope = |slope| Terrain { slope, ..Terrain::default() };
    let on = |relief| Terrain { relief, ..Terrain::default() };
    for terrain in [slope(-0.1), slope(0.1), on(stairs(StepOrder::Up)), on(stairs(StepOrder::Down))] {
        let start = StartPose { position: [8.15, 0.0], ..StartPose::default() };
        let mut world = beetle_on(terrain).start_at(1, STILL, &start);
        run(&mut world, 1.0);
        let (height, away) = (world.base_height(), (self::height(&world) - at_home).abs());
        assert!(away > 0.3, "{terrain:?}: {away} m up or down");
        assert!((height - at_home).abs() < 0.35 * at_home, "{terrain:?}: {height} m, at home {at_home}");
    }
}

#[test]
fn a_beetle_that_walks_down_a_slope_has_not_fallen() {
    let (file, _) = PolicyFile::load(&repository("config/policies/beetle.safetensors")).unwrap();
    let terrain = Terrain { slope: -0.1, ..Terrain::default() };
    let simulation = SimulationSettings { terrain, ..SimulationSettings::default() };
    let settings = EpisodeSettings { duration: 6.0, start_noise: STILL, simulation, damage: Vec::new() };
    let mut episode = Episode::new(beetle(), settings).unwrap();
    let result = episode.run(&mut file.policy().unwrap(), 1, &Fitness::default(), |_| Gate::OPEN, |_| ());
    assert!(result.distance > 1.0 && !result.fell, "{result:?}");
}

/// Its standing height was once measured over the bump that the ground of seed 0 has under it, and its height over a level that no place has.
#[test]
fn a_gecko_that_stands_on_uneven_ground_has_not_fallen() {
    let (file, _) = PolicyFile::load(&repository("config/policies/study/gecko_feed_forward_11.safetensors")).unwrap();
    let still = PolicyFile { genome: vec![0.0; file.genome.len()], ..file };
    let robot = Arc::new(RobotModel::load(&repository("config/robots/gecko.yaml")).unwrap());
    for terrain_seed in [0, 1] {
        let relief = Relief::Uneven(Uneven::default());
        let terrain = Terrain { relief, seed: terrain_seed, ..Terrain::default() };
        let simulation = SimulationSettings { terrain, ..SimulationSettings::default() };
        let settings = EpisodeSettings { duration: 2.0, start_noise: STILL, simulation, damage: Vec::new() };
        let mut episode = Episode::new(robot.clone(), settings).unwrap();
        let mut policy = still.policy().unwrap();
        for seed in 0..50 {
            let result = episode.run(&mut policy, seed, &Fitness::default(), |_| Gate::OPEN, |_| ());
            assert!(!result.fell, "ground {terrain_seed}, seed {seed}");
        }
    }
}

#[test]
fn the_ground_can_be_looked_at() {
    let shapes = |relief| beetle_on(Terrain { relief, ..Terrain::default() }).ground_shapes();
    assert!(matches!(shapes(Relief::Flat)[0].form, GroundForm::Box { .. }));
    let GroundForm::Triangles(corners) = &shapes(Relief::Uneven(Uneven::default()))[0].form else {
        panic!("no triangles");
    };
    assert!(corners.len() % 3 == 0 && corners.iter().any(|corner| corner[2] > 0.05));
    assert!(shapes(Relief::Gaps(Gaps::default())).len() > 3);
}

#[test]
fn numbers_out_of_range_are_refused_before_a_world_is_made() {
    let settings = SimulationSettings { terrain: Terrain { slope: 2.0, ..Terrain::default() }, ..Default::default() };
    let error = World::new(beetle(), settings).err().expect("a slope of 115 degrees").to_string();
    assert!(error.contains("slope") && error.contains('2'), "{error}");
    let settings = SimulationSettings { actuator_delay: f32::NAN, ..Default::default() };
    assert!(World::new(beetle(), settings).is_err());
}
