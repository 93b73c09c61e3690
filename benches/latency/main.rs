//! The compiled half of `benches/latency.py`: a node that only echoes, and the clients that measure.
#![allow(missing_docs)]

mod echo;
mod probe;
mod robot;
mod stop;

use clap::Parser;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What a bare node costs, and how long nodes take to answer. Results are JSON on the standard output.
#[derive(Parser)]
enum Arguments {
    /// Answers each set of sensor values with its joint angles as the command.
    Echo {
        /// Namespace of its topics.
        namespace: String,
    },
    /// Sends sensor values to several nodes in turns, and measures when their commands come.
    Probe {
        /// Namespaces of the nodes.
        nodes: Vec<String>,
        /// Sets of sensor values per second.
        #[arg(long)]
        rate: f64,
        /// Time for each node \[s\].
        #[arg(long)]
        seconds: f64,
    },
    /// Lets a policy node walk, stops it again and again, and measures when its first stopped command comes.
    Stop {
        /// Namespace of the node.
        namespace: String,
        /// Control rate of the node \[Hz\].
        #[arg(long)]
        rate: f64,
        /// Emergency stops, half of them by service and half by topic.
        #[arg(long)]
        repeats: usize,
    },
}

fn main() -> Result<()> {
    match Arguments::parse() {
        Arguments::Echo { namespace } => echo::run(&namespace),
        Arguments::Probe { nodes, rate, seconds } => print(&probe::run(&nodes, rate, seconds)?),
        Arguments::Stop { namespace, rate, repeats } => print(&stop::run(&namespace, rate, repeats)?),
    }
}

fn print(figures: &serde_json::Value) -> Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}

/// Count, median, 99th percentile and largest of some durations, which it takes in nanoseconds and gives in microseconds.
fn spread(mut durations: Vec<i64>) -> serde_json::Value {
    durations.sort_unstable();
    let at = |share: f64| {
        let index = (share * durations.len() as f64).ceil() as usize;
        durations.get(index.saturating_sub(1)).map(|&duration| duration as f64 * 1e-3)
    };
    serde_json::json!({"count": durations.len(), "p50_us": at(0.5), "p99_us": at(0.99), "max_us": at(1.0)})
}
