//! Plots as SVG and PNG: what those of weights and those of runs have in common.

use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

/// Size of a picture \[pixels\].
const SIZE: (u32, u32) = (1200, 800);
pub(super) const FONT: &str = "sans-serif";

/// A plot that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {}: {reason}", path.display())]
pub struct PlotError {
    path: PathBuf,
    reason: String,
}

/// What drawing on a backend comes to.
pub(super) type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// What can be drawn on any backend.
pub(super) trait Drawing {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B>;
}

/// One line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Lines on the same axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Panel {
    /// What goes up.
    pub title: String,
    /// One per recording or run.
    pub curves: Vec<Curve>,
}

/// Panels below each other.
pub(super) struct Panels {
    /// What goes to the right, in all of them.
    pub x: &'static str,
    pub panels: Vec<Panel>,
}

/// Draws `drawing` under `caption` to `folder`, as NAME.svg and NAME.png. Returns the two paths.
pub(super) fn save(folder: &Path, name: &str, caption: &str, drawing: &impl Drawing) -> Result<[PathBuf; 2], PlotError> {
    let paths = ["svg", "png"].map(|extension| folder.join(name).with_extension(extension));
    let [svg, png] = &paths;
    let failed = |path: &Path, reason: String| PlotError { path: path.to_owned(), reason };
    // The same letters on every machine, installed fonts or not.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| failed(svg, "its font is not readable".to_owned()))?;
    on(&SVGBackend::new(svg, SIZE).into_drawing_area(), caption, drawing).map_err(|error| failed(svg, error.to_string()))?;
    on(&BitMapBackend::new(png, SIZE).into_drawing_area(), caption, drawing).map_err(|error| failed(png, error.to_string()))?;
    Ok(paths)
}

fn on<B: DrawingBackend>(area: &DrawingArea<B, Shift>, caption: &str, drawing: &impl Drawing) -> Drawn<B> {
    area.fill(&WHITE)?;
    drawing.draw(&area.titled(caption, (FONT, 28))?)?;
    area.present()
}

impl Drawing for Panels {
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        for (number, (area, panel)) in area.split_evenly((self.panels.len().max(1), 1)).iter().zip(&self.panels).enumerate() {
            let points = || panel.curves.iter().flat_map(|curve| &curve.points);
            let mut chart = ChartBuilder::on(area)
                .margin(10)
                .x_label_area_size(35)
                .y_label_area_size(80)
                .build_cartesian_2d(padded(points().map(|point| point.0)), padded(points().map(|point| point.1)))?;
            chart
                .configure_mesh()
                .x_desc(self.x)
                .y_desc(panel.title.as_str())
                .label_style((FONT, 16))
                .light_line_style(BLACK.mix(0.05))
                .draw()?;
            for (index, curve) in panel.curves.iter().enumerate() {
                let colour = colour(index);
                chart
                    .draw_series(LineSeries::new(curve.points.iter().copied(), colour.stroke_width(1)))?
                    .label(curve.name.clone())
                    .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], colour.stroke_width(3)));
            }
            if number == 0 {
                chart
                    .configure_series_labels()
                    .label_font((FONT, 16))
                    .background_style(WHITE.mix(0.8))
                    .border_style(BLACK)
                    .draw()?;
            }
        }
        Ok(())
    }
}

/// The range of `values` with a margin; a range of no size would have no axis.
pub(super) fn padded(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (min, max) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)));
    match max - min {
        span if span > 0.0 && span.is_finite() => min - 0.03 * span..max + 0.03 * span,
        _ if min.is_finite() => min - 0.5..min + 0.5,
        _ => 0.0..1.0,
    }
}

/// Colour of the line with this number.
pub(super) fn colour(index: usize) -> RGBColor {
    let (red, green, blue) = Palette99::COLORS[index % Palette99::COLORS.len()];
    RGBColor(red, green, blue)
}
