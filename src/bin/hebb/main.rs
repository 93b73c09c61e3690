//! `hebb`: the command line of the suite. Evolves policies, evaluates and examines them.

mod analyze;
mod bag;
mod bench;
mod evaluate;
mod evolve;
mod feed;
mod fit_subspace;
mod import;
mod inspect;
mod numbers;
mod output;
mod replay;
mod report;
mod robot;
mod study;
mod trace;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Evolve and examine walking policies whose networks rewire themselves.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Evolve a policy from an experiment file, on all cores of this machine.
    Evolve(evolve::Arguments),
    /// Run episodes of a policy on seeds that no training used; with --ablate, without parts of its rule.
    Evaluate(evaluate::Arguments),
    /// Evolve many policies and report, with statistics over policies, what they say about published claims.
    Study(study::Arguments),
    /// Run one episode and write its course, step by step, as a safetensors file.
    Trace(trace::Arguments),
    /// Make a policy file from a flat numpy array.
    Import(import::Arguments),
    /// Run the network of a policy alone, on recorded network inputs, and write its outputs as a safetensors file.
    Feed(feed::Arguments),
    /// Feed what a policy saw in a recording to it again, and compare commands and weights bit for bit.
    Replay(replay::Arguments),
    /// Show what is in a recording and whether it is sound; save what is readable of one that was cut short.
    Bag(bag::Arguments),
    /// Show how weights moved in recordings and traces, or how runs of evolution went, in figures and plots.
    Analyze(analyze::Arguments),
    /// Measure how fast the suite is on this machine, beside others.
    Bench(bench::Arguments),
    /// Show what is in a policy file or a checkpoint, and how much each term of the rule does.
    Inspect(inspect::Arguments),
    /// Find the subspace in which a policy's weights move, for a novelty gate.
    FitSubspace(fit_subspace::Arguments),
    /// Describe a robot of your own, check that it stands, and export it.
    Robot(robot::Arguments),
}

/// What a command fails with: a message for people, from a typed error of the library.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if !matches!(command, Command::Bench(_)) {
        // `hebb inspect … | head` ends quietly. Benchmarks write to programs whose end they have to report, and do this before they print.
        sigpipe::reset();
    }
    let result = match command {
        Command::Evolve(arguments) => evolve::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Study(arguments) => study::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Feed(arguments) => feed::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Bag(arguments) => bag::run(&arguments),
        Command::Analyze(arguments) => analyze::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::FitSubspace(arguments) => fit_subspace::run(&arguments),
        Command::Robot(arguments) => robot::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hebb: {failure}");
            ExitCode::FAILURE
        }
    }
}
