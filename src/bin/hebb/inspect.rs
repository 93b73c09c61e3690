//! `hebb inspect`: what is in a policy file.

use std::path::PathBuf;

use hebbian_locomotion::plasticity::{Rule, Term};
use hebbian_locomotion::policy::PolicyFile;

use crate::Failure;
use crate::report::{print_ablation, write_json};

#[derive(clap::Args)]
pub struct Arguments {
    /// Policy file.
    policy: PathBuf,
    /// Write the metadata as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (file, hash) = PolicyFile::load(&arguments.policy)?;
    let metadata = &file.metadata;
    let provenance = &metadata.provenance;
    let rule = Rule::new(metadata.network.layers.clone(), file.genome.clone())?;
    let layers = rule.shape();
    println!("policy      {}\nsha256      {hash}", metadata.name);
    println!("robot       {}: {} joints, {} feet", metadata.robot.name, metadata.robot.joints.len(), metadata.robot.feet.len());
    println!("joints      {}", metadata.robot.joint_names().collect::<Vec<_>>().join(" "));
    println!("feet        {}", metadata.robot.feet.join(" "));
    println!("rate        {} Hz", metadata.control_rate);
    let normalisation = serde_json::to_value(metadata.network.normalisation)?;
    println!("network     {:?}, {} synapses, {} coefficients", layers.neurons(), layers.synapses(), file.genome.len());
    println!("weights     U(-{w}, {w}) at the start, normalisation {normalisation}", w = metadata.network.initial_weights);
    println!("inputs      {}", metadata.observation.names(&metadata.robot).join(" "));
    println!("action      nominal pose + {} rad x output, low-pass {}", metadata.action.scale, metadata.action.low_pass);
    println!(
        "experiment  {} (hash {:.12}…), seed {}, generation {}",
        provenance.experiment, provenance.experiment_hash, provenance.seed, provenance.generation
    );
    println!("fitness     {}", provenance.fitness);
    println!("\n{:<12} {:>10} {:>10} {:>10}", "coefficient", "mean", "sd", "max |.|");
    for term in Term::ALL {
        let values = rule.term(term);
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let sd = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        println!("{:<12} {mean:>10.4} {sd:>10.4} {largest:>10.4}", term.name());
    }
    println!();
    match &provenance.ablation {
        Some(ablation) => print_ablation(ablation),
        None => println!("no ablation recorded; run `hebb evaluate --ablate --save` on the file"),
    }
    match &arguments.json {
        Some(path) => write_json(path, metadata),
        None => Ok(()),
    }
}
