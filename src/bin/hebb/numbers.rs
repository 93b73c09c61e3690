//! Genomes as tables and histograms.

use hebbian_locomotion::evidence::{BINS, GenomeNumbers, NumbersOf};

/// Rows of a histogram; each is eight steps high.
const ROWS: usize = 4;
/// Histograms side by side: three of 32 columns, with two between them, fit into 100.
const ABREAST: usize = 3;
const WIDTH: usize = 2 * BINS;

/// Prints a table of all blocks, then a histogram of each group.
pub fn print_genome(genome: &GenomeNumbers) {
    let header = ["numbers", "mean", "sd", "min", "max", "max|.|"];
    let [count, rest @ ..] = header;
    println!("{:<20} {count:>9}{}", "block", rest.map(|name| format!(" {name:>10}")).concat());
    // The only block of its group is the group.
    let several = |group: &&NumbersOf| {
        !genome.blocks.iter().any(|block| block.numbers.count == group.numbers.count && block.name == group.name)
    };
    for part in genome.blocks.iter().chain(genome.groups.iter().filter(several)) {
        println!("{}", row(part));
    }
    for band in genome.groups.chunks(ABREAST) {
        println!();
        let drawn: Vec<Vec<String>> = band.iter().map(histogram).collect();
        for line in 0..ROWS + 2 {
            let line: Vec<&str> = drawn.iter().map(|histogram| histogram[line].as_str()).collect();
            println!("{}", line.join("  ").trim_end());
        }
    }
}

fn row(part: &NumbersOf) -> String {
    let numbers = &part.numbers;
    let [min, max, max_abs] = [numbers.min, numbers.max, numbers.max_abs].map(f64::from);
    let figures = [numbers.mean, numbers.sd, min, max, max_abs].map(|value| format!(" {:>10}", short(value))).concat();
    format!("{:<20} {:>9}{figures}", part.name, numbers.count)
}

/// Title, bars from top to bottom, range: lines of [`WIDTH`] columns.
fn histogram(group: &NumbersOf) -> Vec<String> {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let numbers = &group.numbers;
    let most = numbers.histogram.iter().copied().max().unwrap_or(0).max(1);
    // Upwards, so that a bin with one number among thousands is seen.
    let heights = numbers.histogram.map(|count| (count * 8 * ROWS).div_ceil(most));
    let bars = |row: usize| -> String {
        let bar = |height: &usize| BARS[height.saturating_sub(8 * row).min(8)];
        heights.iter().flat_map(|height| [bar(height); 2]).collect()
    };
    let (min, max) = (short(numbers.min.into()), short(numbers.max.into()));
    let range = format!("{min}{max:>width$}", width = WIDTH - min.len());
    let title = format!("{:<WIDTH$}", format!("{}, at most {most} in a bin", group.name));
    std::iter::once(title).chain((0..ROWS).rev().map(bars)).chain([range]).collect()
}

/// Four significant digits in at most ten columns.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-3..1e4).contains(&size) => format!("{value:.*}", (3.0 - size.log10().floor()).clamp(0.0, 6.0) as usize),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hebbian_locomotion::evidence::Distribution;

    #[test]
    fn histograms_have_their_width_whatever_the_numbers() {
        for values in [&[][..], &[0.0], &[-1.234e-30, 1.0, 5.0], &[f32::MIN, f32::MAX]] {
            let group = NumbersOf { name: "recurrent".into(), shape: Vec::new(), numbers: Distribution::of(values) };
            let lines = histogram(&group);
            assert_eq!(lines.len(), ROWS + 2);
            assert!(lines.iter().all(|line| line.chars().count() == WIDTH), "{lines:?}");
            assert!(row(&group).chars().count() <= 100);
        }
    }

    #[test]
    fn the_highest_bar_fills_all_rows_and_a_single_number_is_seen() {
        let mut values = vec![0.0; 1000];
        values.push(1.0);
        let group = NumbersOf { name: "A".into(), shape: Vec::new(), numbers: Distribution::of(&values) };
        let lines = histogram(&group);
        assert!(lines[1..=ROWS].iter().all(|line| line.starts_with("██")));
        assert!(lines[ROWS].ends_with("▁▁"));
    }

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(
            [0.0, 1.0, -12.345678, 0.001234567, 4352.0, 1e-9].map(short),
            ["0", "1.000", "-12.35", "0.001235", "4352", "1.000e-9"]
        );
    }
}
