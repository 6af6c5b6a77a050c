//! Lengths. `plotters` draws at whole coordinates, so the drawing is ten times as large as it is shown: lines stay smooth.

/// Units of the drawing to a pixel.
pub(super) const UNITS: i32 = 10;

/// `pixels` in units of the drawing.
pub(super) const fn px(pixels: i32) -> i32 {
    UNITS * pixels
}

/// Size of the text, and of the title.
pub(super) const FONT: i32 = px(13);
pub(super) const TITLE_FONT: i32 = px(16);

/// Width of `text` at [`FONT`], estimated from the widths of Helvetica's letters: no font is at hand when drawing.
pub(super) fn text_width(text: &str) -> i32 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 'f' | 't' | 'r' | 'I' | ' ' | '.' | ',' | ':' | ';' | '\'' | '|' | '(' | ')' | '[' | ']' => {
            0.3
        }
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.9,
        'A'..='Z' => 0.7,
        c if c.is_ascii() => 0.56,
        _ => 1.0,
    };
    // Far beyond the width of any chart the exact number is of no use.
    (f64::from(FONT) * text.chars().take(10_000).map(em).sum::<f64>()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimated_width_is_near_the_width_in_helvetica() {
        // The sums of the advance widths in Adobe's metrics.
        for (text, em) in [("validation", 4.224), ("BCE, train", 4.557), ("12345", 2.780)] {
            let estimate = f64::from(text_width(text)) / f64::from(FONT);
            assert!((0.95..1.2).contains(&(estimate / em)), "{text}: {estimate} em");
        }
    }
}
