//! `hebb inspect`: what is in a policy file.

use std::path::PathBuf;

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
    let network = &metadata.network;
    println!("policy      {}\nsha256      {hash}", metadata.name);
    println!("robot       {}: {} joints, {} feet", metadata.robot.name, metadata.robot.joints.len(), metadata.robot.feet.len());
    println!("joints      {}", metadata.robot.joint_names().collect::<Vec<_>>().join(" "));
    println!("feet        {}", metadata.robot.feet.join(" "));
    println!("rate        {} Hz", metadata.control_rate);
    println!("network     {} {:?}, {} numbers evolved", network.kind(), network.layers().neurons(), file.genome.len());
    if let Some(plastic) = network.plastic() {
        let json = serde_json::to_value(plastic)?;
        for key in ["normalisation", "initial_weights", "rule", "update", "convention"] {
            println!("            {key} {}", json[key]);
        }
    }
    println!("inputs      {}", metadata.observation.names(&metadata.robot).join(" "));
    println!("action      nominal pose + {} rad x output, low-pass {}", metadata.action.scale, metadata.action.low_pass);
    println!(
        "experiment  {} (hash {:.12}…), seed {}, generation {}",
        provenance.experiment, provenance.experiment_hash, provenance.seed, provenance.generation
    );
    println!("fitness     {}", provenance.fitness);
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
