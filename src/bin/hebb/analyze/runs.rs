//! How runs of evolution went.

use hebbian_locomotion::evidence::{RunFigures, RunHistory, RunPlot, runs_page};

use super::{Arguments, write_report};
use crate::Failure;
use crate::report::write_json;

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut runs = arguments.paths.iter().map(|path| RunHistory::load(path)).collect::<Result<Vec<_>, _>>()?;
    let is_shared = |run: &RunHistory| runs.iter().filter(|other| other.name == run.name).count() > 1;
    if runs.iter().any(is_shared) {
        // Folders of the same name differ in where they lie.
        runs.iter_mut().zip(&arguments.paths).for_each(|(run, path)| run.name = path.display().to_string());
    }
    let figures: Vec<RunFigures> = runs.iter().map(RunHistory::figures).collect();
    print(&figures);
    if let Some(folder) = &arguments.out {
        let draw = || RunPlot::ALL.iter().try_for_each(|plot| plot.draw(&runs, folder).map(drop));
        write_report(folder, &runs_page(&runs), draw)?;
    }
    arguments.json.as_ref().map_or(Ok(()), |path| write_json(path, &figures))
}

fn print(figures: &[RunFigures]) {
    let width = figures.iter().map(|run| run.name.chars().count()).max().unwrap_or(0).max("run".len());
    let row = |name: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>12}")).collect();
        println!("{name:<width$}{cells}");
    };
    row("run", &RunFigures::HEADS.map(str::to_owned));
    figures.iter().for_each(|run| row(&run.name, &run.cells()));
}
