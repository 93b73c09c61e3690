//! Plots of weight dynamics as SVG and PNG.

use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::drawing::{Curve, Drawing, Drawn, FONT, Panel, Panels, PlotError, colour, padded, save};
use super::{Components, Dynamics, LeftOut, WeightSeries};

/// What a plot shows.
#[derive(Clone, Copy, Debug)]
pub enum Plot {
    /// Each recording's way through the first three components (fewer: the others are 0).
    Trajectory,
    /// Scores of the first three components over time.
    Scores,
    /// Norm of each layer's weights over time.
    Norms,
    /// Norm of each layer's change from sample to sample.
    Updates,
}

impl Plot {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Trajectory, Self::Scores, Self::Norms, Self::Updates];

    /// Name of its files, without extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trajectory => "trajectory",
            Self::Scores => "scores",
            Self::Norms => "norms",
            Self::Updates => "updates",
        }
    }

    fn caption(self) -> &'static str {
        match self {
            Self::Trajectory => "Weights in their common principal components",
            Self::Scores => "Principal components over time",
            Self::Norms => "Norm of the weights, per layer",
            Self::Updates => "Norm of the change from sample to sample, per layer",
        }
    }
}

/// What the plots of some recordings are made of; series, figures and components in the same order.
#[derive(Clone, Copy, Debug)]
pub struct Recordings<'a> {
    /// The weights.
    pub series: &'a [WeightSeries],
    /// Their figures.
    pub dynamics: &'a [Dynamics],
    /// Their common components.
    pub components: &'a Components,
    /// What is in none of the plots, for the page to name.
    pub left_out: &'a [LeftOut],
}

impl Recordings<'_> {
    /// Draws `plot` to `folder`, as NAME.svg and NAME.png. Returns the two paths.
    ///
    /// # Errors
    /// [`PlotError`] when a file cannot be written.
    pub fn draw(&self, plot: Plot, folder: &Path) -> Result<[PathBuf; 2], PlotError> {
        let panels = match plot {
            Plot::Trajectory => return save(folder, plot.name(), plot.caption(), self),
            Plot::Scores => (0..self.components.subspace().components().min(3)).map(|component| self.scores(component)).collect(),
            Plot::Norms => self.of_layers(|layer| &layer.norms, 0),
            Plot::Updates => self.of_layers(|layer| &layer.updates, 1),
        };
        save(folder, plot.name(), plot.caption(), &Panels { x: "time [s]", panels })
    }

    /// Scores of one component.
    pub(super) fn scores(&self, component: usize) -> Panel {
        let curve = |(series, scores): (&WeightSeries, &super::Scores)| Curve {
            name: series.name.clone(),
            points: series.times.iter().zip(&scores.values).map(|(&time, row)| (time, row[component])).collect(),
        };
        let curves = self.series.iter().zip(&self.components.scores).map(curve).collect();
        Panel { title: format!("PC{}", component + 1), curves }
    }

    /// One panel per layer; values begin with the sample `first`.
    pub(super) fn of_layers(&self, values: impl Fn(&super::LayerDynamics) -> &Vec<f64>, first: usize) -> Vec<Panel> {
        let layers = self.series.first().map_or(0, |series| series.layers.len());
        let curve = |layer: usize, (series, dynamics): (&WeightSeries, &Dynamics)| Curve {
            name: series.name.clone(),
            points: series.times.iter().skip(first).copied().zip(values(&dynamics.layers[layer]).iter().copied()).collect(),
        };
        let panel = |layer: usize| Panel {
            title: format!("layer {layer}"),
            curves: self.series.iter().zip(self.dynamics).map(|recording| curve(layer, recording)).collect(),
        };
        (0..layers).map(panel).collect()
    }
}

/// The trajectory.
impl Drawing for Recordings<'_> {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let scores = &self.components.scores;
        let axis = |component: usize| {
            let values = scores.iter().flat_map(|scores| &scores.values).map(|row| row.get(component).copied().unwrap_or(0.0));
            padded(values)
        };
        let mut chart = ChartBuilder::on(area).margin(20).build_cartesian_3d(axis(0), axis(2), axis(1))?;
        chart.with_projection(|mut projection| {
            (projection.yaw, projection.pitch, projection.scale) = (0.6, 0.3, 0.85);
            projection.into_matrix()
        });
        chart.configure_axes().label_style((FONT, 16)).light_grid_style(BLACK.mix(0.08)).max_light_lines(3).draw()?;
        for (index, (series, scores)) in self.series.iter().zip(scores).enumerate() {
            let colour = colour(index);
            let component = |row: &Vec<f64>, component: usize| row.get(component).copied().unwrap_or(0.0);
            // The chart's second axis is the one that points up: the third component.
            let points = scores.values.iter().map(|row| (component(row, 0), component(row, 2), component(row, 1)));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(series.name.clone())
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(3)));
        }
        chart.configure_series_labels().label_font((FONT, 18)).background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
        let share = |(index, share): (usize, f64)| format!("PC{} {:.1} %", index + 1, 100.0 * share);
        let explained: Vec<String> = self.components.explained(self.series).into_iter().enumerate().map(share).collect();
        let text = format!("{} of the variance; right: PC1, up: PC3, into the page: PC2", explained.join(", "));
        area.draw(&Text::new(text, (20, 10), (FONT, 18)))
    }
}
