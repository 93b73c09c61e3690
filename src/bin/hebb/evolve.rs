//! `hebb evolve`: an experiment from its first generation, or from its checkpoint, to a policy file.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hebbian_locomotion::durable::write_durably;
use hebbian_locomotion::evidence::{Trial, ablate};
use hebbian_locomotion::evolution::{Checkpoint, Evaluator, Experiment, Generation, Search, evaluate_generation};
use hebbian_locomotion::policy::PolicyFile;
use hebbian_locomotion::robot::RobotModel;

use crate::Failure;
use crate::report::{duration, print_ablation, progress_bar};

#[derive(clap::Args)]
pub struct Arguments {
    /// Experiment file (YAML).
    experiment: PathBuf,
    /// Folder for checkpoint, history and policy [default: runs/NAME].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in the folder.
    #[arg(long)]
    resume: bool,
    /// Seed instead of the experiment's.
    #[arg(long)]
    seed: Option<u64>,
    /// Generations instead of the experiment's; a finished run can be prolonged with --resume.
    #[arg(long)]
    generations: Option<u64>,
    /// Threads [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
    /// Forward speed [m/s] at which to report the time that evolution took.
    #[arg(long, default_value_t = 0.15)]
    milestone: f32,
    /// Held-out episodes per row of the ablation that the policy gets.
    #[arg(long, value_name = "EPISODES", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    ablation: u32,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (mut experiment, robot) = Experiment::load(&arguments.experiment)?;
    experiment.seed = arguments.seed.unwrap_or(experiment.seed);
    experiment.evolution.generations = arguments.generations.unwrap_or(experiment.evolution.generations);
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    }
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(&experiment.name));
    std::fs::create_dir_all(&out).map_err(|error| format!("cannot make the folder {}: {error}", out.display()))?;

    let mut run = Run::start(experiment, robot, &out, arguments.resume)?;
    run.evolve(arguments.milestone)?;
    let path = out.join("policy.safetensors");
    let hash = run.policy(arguments.ablation)?.save(&path)?;
    println!("policy {}\nsha256 {hash}", path.display());
    Ok(())
}

/// A run of evolution and the folder where it leaves its files.
struct Run {
    robot: Arc<RobotModel>,
    hash: String,
    search: Search,
    history: Vec<Generation>,
    folder: PathBuf,
}

impl Run {
    fn start(experiment: Experiment, robot: Arc<RobotModel>, folder: &Path, resume: bool) -> Result<Self, Failure> {
        let hash = experiment.hash(&robot);
        let path = folder.join("checkpoint.safetensors");
        let experiment = Arc::new(experiment);
        let (search, history) = match (path.exists(), resume) {
            (true, false) => {
                let folder = folder.display();
                return Err(
                    format!("{folder} holds a run already; go on with it by --resume, or name another folder by --out").into()
                );
            }
            (false, true) => return Err(format!("there is no checkpoint {} to resume", path.display()).into()),
            (false, false) => (Search::new(experiment, &robot)?, Vec::new()),
            (true, true) => {
                let checkpoint = Checkpoint::load(&path)?;
                if checkpoint.experiment_hash != hash {
                    let problem = format!(
                        "{} is of another experiment, robot or seed (hash {:.12}…, now {hash:.12}…); give the same ones, or name another folder by --out",
                        path.display(),
                        checkpoint.experiment_hash
                    );
                    return Err(problem.into());
                }
                (Search::resume(experiment, &robot, &checkpoint)?, checkpoint.history)
            }
        };
        Ok(Self { robot, hash, search, history, folder: folder.to_owned() })
    }

    fn evolve(&mut self, milestone: f32) -> Result<(), Failure> {
        let experiment = self.search.experiment().clone();
        let mut evaluator = Evaluator::new(&self.search, self.robot.clone())?;
        let settings = &experiment.evolution;
        let first = self.search.strategy().generation();
        let left = settings.generations.saturating_sub(first);
        let episodes = settings.population as u64 * u64::from(settings.episodes);
        println!(
            "{}: {} numbers, population {}, {} episodes a generation, generation {first} of {}, {} threads",
            experiment.name,
            self.search.strategy().state().mean.len(),
            settings.population,
            episodes,
            settings.generations,
            rayon::current_num_threads()
        );
        let bar = progress_bar(left * settings.population as u64, "{bar:30.cyan} {percent:>3}%  {msg}  {eta} left");
        let start = Instant::now();
        let mut reached = None;
        while self.search.strategy().generation() < settings.generations {
            if let Some(rules) = self.search.merge_if_due()? {
                evaluator = Evaluator::new(&self.search, self.robot.clone())?;
                bar.suspend(|| println!("generation {:>4}  rules merged to {rules}", self.search.strategy().generation()));
            }
            let generation = evaluate_generation(&mut self.search, &evaluator, || bar.inc(1))?;
            self.history.push(generation);
            self.keep()?;
            let done = self.search.strategy().generation() - first;
            let line = line(&generation, (done * episodes) as f64 / start.elapsed().as_secs_f64());
            if std::io::stderr().is_terminal() {
                bar.set_message(line);
            } else {
                let per_generation = start.elapsed().as_secs_f64() / done as f64;
                println!("{line}  {} left", duration(Duration::from_secs_f64(per_generation * (left - done) as f64)));
            }
            if reached.is_none() && generation.mean_speed >= milestone {
                reached = Some((generation.generation, start.elapsed()));
            }
        }
        bar.finish_and_clear();
        self.print_summary(first, start.elapsed(), episodes);
        if let Some((generation, time)) = reached {
            println!("mean speed of the population reached {milestone} m/s in generation {generation}, after {}", duration(time));
        }
        Ok(())
    }

    fn print_summary(&self, first: u64, time: Duration, episodes: u64) {
        let generations = self.search.strategy().generation() - first;
        if generations == 0 {
            return;
        }
        let simulation = &self.search.experiment().episode;
        let steps = (generations * episodes) as f64 * f64::from(simulation.duration * simulation.simulation.physics_rate);
        println!("{generations} generations in {}, {:.0} physics steps/s", duration(time), steps / time.as_secs_f64());
    }

    /// Writes checkpoint and history. The checkpoint of the generation before stays beside it.
    fn keep(&self) -> Result<(), Failure> {
        let path = self.folder.join("checkpoint.safetensors");
        if path.exists() {
            let older = self.folder.join("checkpoint.previous.safetensors");
            let _ = std::fs::remove_file(&older);
            // A link, so that at no moment there is no checkpoint. Without links (some file systems) only the newest is kept.
            let _ = std::fs::hard_link(&path, &older);
        }
        let checkpoint = Checkpoint {
            experiment: (**self.search.experiment()).clone(),
            experiment_hash: self.hash.clone(),
            state: self.search.strategy().state().clone(),
            clusters: self.search.clusters().cloned(),
            history: self.history.clone(),
        };
        checkpoint.save(&path)?;
        let mut table = "generation,best,mean,spread,best_speed,mean_speed,falls,failed,sigma,learning_rate\n".to_owned();
        for g in &self.history {
            table += &format!(
                "{},{},{},{},{},{},{},{},{},{}\n",
                g.generation, g.best, g.mean, g.spread, g.best_speed, g.mean_speed, g.falls, g.failed, g.sigma, g.learning_rate
            );
        }
        Ok(write_durably(&self.folder.join("history.csv"), table.as_bytes())?)
    }

    /// The policy at the mean of the search distribution, with its ablation.
    fn policy(&self, ablation_episodes: u32) -> Result<PolicyFile, Failure> {
        let experiment = self.search.experiment();
        let mut file = self.search.policy();
        let trial = Trial::new(self.robot.clone(), experiment.episode, experiment.fitness.clone())?;
        let (ablation, intact) = ablate(&file, &trial, experiment.seed, ablation_episodes, || ())?;
        print_ablation(&ablation);
        let provenance = &mut file.metadata.provenance;
        provenance.generation = self.search.strategy().generation();
        provenance.fitness = intact.fitness_mean;
        provenance.ablation = Some(ablation);
        Ok(file)
    }
}

fn line(g: &Generation, rate: f64) -> String {
    format!(
        "generation {:>4}  fitness {:>7.1} best {:>7.1}  speed {:>6.3} best {:>6.3} m/s  falls {:>3.0}%  {rate:.1} episodes/s",
        g.generation,
        g.mean,
        g.best,
        g.mean_speed,
        g.best_speed,
        100.0 * g.falls
    )
}
