//! Images with their labels, in memory.

use super::Error;

/// Grey images of one size: u8, 0 the background and 255 full ink, [count, rows, columns] in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    rows: usize,
    columns: usize,
    pixels: Vec<u8>,
}

impl Images {
    /// Takes over `pixels`, a whole number of images of `rows` by `columns` pixels.
    ///
    /// # Panics
    /// If a size is 0 or the last image is incomplete.
    pub fn new(rows: usize, columns: usize, pixels: Vec<u8>) -> Self {
        assert!(rows > 0 && columns > 0, "images of {rows}x{columns} pixels");
        assert!(pixels.len().is_multiple_of(rows * columns), "{} pixels are no whole images", pixels.len());
        Self { rows, columns, pixels }
    }

    /// Rounds an array of one's own, whole images of `rows` by `columns` values from 0 to 1, to the 256 steps of a byte: the
    /// form in which a backend keeps images. For rows of features that are no images, `rows` is 1.
    ///
    /// # Errors
    /// [`Error::Value`] for the first value that is not from 0 to 1, [`Error::Ragged`] where a size is 0 or the last image
    /// incomplete.
    pub fn from_values(rows: usize, columns: usize, values: &[f32]) -> Result<Self, Error> {
        let size = rows * columns;
        if size == 0 || !values.len().is_multiple_of(size) {
            return Err(Error::Ragged { values: values.len(), rows, columns });
        }
        if let Some(index) = values.iter().position(|value| !(0.0..=1.0).contains(value)) {
            return Err(Error::Value { value: values[index], image: index / size, pixel: index % size });
        }
        let pixels = values.iter().map(|value| (255.0 * value).round() as u8).collect();
        Ok(Self { rows, columns, pixels })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.pixels_per_image()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Their height in pixels.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Their width in pixels.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// rows * columns.
    pub fn pixels_per_image(&self) -> usize {
        self.rows * self.columns
    }

    /// All pixels, [count, rows, columns].
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All pixels, image after image.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The pixels of image `i`, [rows, columns].
    ///
    /// # Panics
    /// If there is no image `i`.
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.pixels_per_image();
        &self.pixels[i * size..][..size]
    }

    /// The least binary cross-entropy that any reconstruction can reach, in nats per image.
    ///
    /// For a target x the loss -(x ln p + (1 - x) ln(1 - p)) is least at p = x, where it is the entropy of x: not 0 for grey
    /// pixels. This is the sum over the pixels of an image, averaged over the images; 0 where there is no image.
    pub fn bce_floor(&self) -> f64 {
        let entropies = self.value_counts().into_iter().zip(0u8..).map(|(n, value)| n as f64 * binary_entropy(value));
        entropies.sum::<f64>() / self.len().max(1) as f64
    }

    /// How often each value occurs.
    fn value_counts(&self) -> [u64; 256] {
        // Neighbours are often equal, and an increment waits for the last one of the same counter: four sets of counters.
        let mut counts = [[0u64; 256]; 4];
        let (quads, rest) = self.pixels.as_chunks::<4>();
        for quad in quads {
            for (counts, &value) in counts.iter_mut().zip(quad) {
                counts[usize::from(value)] += 1;
            }
        }
        for &value in rest {
            counts[0][usize::from(value)] += 1;
        }
        std::array::from_fn(|value| counts.iter().map(|counts| counts[value]).sum())
    }
}

/// -(x ln x + (1 - x) ln(1 - x)) for x = `value` / 255, in nats, with 0 ln 0 = 0.
fn binary_entropy(value: u8) -> f64 {
    let term = |x: f64| if x > 0.0 { -x * x.ln() } else { 0.0 };
    let x = f64::from(value) / 255.0;
    term(x) + term(1.0 - x)
}

/// Images with their labels, one each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The images.
    pub images: Images,
    /// Their labels, 0 to 9, in the same order.
    pub labels: Vec<u8>,
}

impl Split {
    /// The images of all labels but `label`.
    pub fn without_label(&self, label: u8) -> Self {
        let kept: Vec<usize> = (0..self.labels.len()).filter(|i| self.labels[*i] != label).collect();
        let pixels = kept.iter().flat_map(|i| self.images.image(*i)).copied().collect();
        let images = Images::new(self.images.rows, self.images.columns, pixels);
        Self { images, labels: kept.iter().map(|i| self.labels[*i]).collect() }
    }

    /// Takes away the last `count` images and their labels and returns them: a validation part that is never trained on.
    ///
    /// # Errors
    /// [`Error::HoldOut`] if nothing would remain.
    pub fn split_off(&mut self, count: usize) -> Result<Self, Error> {
        let available = self.images.len();
        if count >= available {
            return Err(Error::HoldOut { asked: count, available });
        }
        let kept = available - count;
        let Images { rows, columns, ref mut pixels } = self.images;
        let pixels = pixels.split_off(kept * rows * columns);
        Ok(Self { images: Images { rows, columns, pixels }, labels: self.labels.split_off(kept) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(count: usize) -> Split {
        let pixels = (0..count * 6).map(|i| (i * 7 % 256) as u8).collect();
        Split { images: Images::new(2, 3, pixels), labels: (0..count).map(|i| (i % 10) as u8).collect() }
    }

    #[test]
    fn bce_floor_is_the_mean_entropy_of_an_image() {
        let images = ramp(43).images;
        let entropy = |&value: &u8| {
            let x = f64::from(value) / 255.0;
            if value == 0 || value == 255 { 0.0 } else { -(x * x.ln() + (1.0 - x) * (1.0 - x).ln()) }
        };
        let want = images.pixels().iter().map(entropy).sum::<f64>() / 43.0;
        assert!((images.bce_floor() - want).abs() <= 1e-12 * want, "{} {want}", images.bce_floor());
    }

    #[test]
    fn values_become_the_nearest_bytes_and_others_are_named() {
        let images = Images::from_values(1, 3, &[0.0, 0.5, 1.0, 1.0 / 255.0, 0.0019, 0.002]).unwrap();
        assert_eq!((images.len(), images.pixels()), (2, &[0, 128, 255, 1, 0, 1][..]));
        for bad in [f32::NAN, 1.001, -0.001, f32::INFINITY] {
            let error = Images::from_values(1, 2, &[0.0, 1.0, 0.5, bad]).unwrap_err();
            assert!(matches!(error, Error::Value { image: 1, pixel: 1, .. }), "{error}");
        }
        for (rows, columns) in [(0, 2), (2, 0), (1, 3)] {
            let error = Images::from_values(rows, columns, &[0.0; 4]).unwrap_err();
            assert!(matches!(error, Error::Ragged { values: 4, .. }), "{error}");
        }
    }

    #[test]
    fn bce_floor_of_black_and_white_is_zero_and_of_nothing_too() {
        assert_eq!(Images::new(1, 3, vec![0, 255, 255]).bce_floor(), 0.0);
        assert_eq!(Images::new(1, 3, Vec::new()).bce_floor(), 0.0);
    }

    #[test]
    fn split_off_parts_images_and_labels_at_the_same_place() {
        let whole = ramp(30);
        for count in [0, 1, 29] {
            let mut kept = whole.clone();
            let held = kept.split_off(count).unwrap();
            assert_eq!((kept.images.len(), held.images.len()), (30 - count, count));
            assert_eq!([kept.images.pixels(), held.images.pixels()].concat(), whole.images.pixels());
            assert_eq!([kept.labels, held.labels].concat(), whole.labels);
        }
    }

    #[test]
    fn without_a_label_the_others_keep_their_order() {
        let whole = ramp(30);
        let others = whole.without_label(4);
        assert_eq!(others.labels.iter().map(|label| usize::from(*label)).sum::<usize>(), 3 * (45 - 4));
        let kept = (0..30).filter(|i| i % 10 != 4).flat_map(|i| whole.images.image(i).to_vec());
        assert!(kept.eq(others.images.pixels().iter().copied()));
        assert_eq!(whole.without_label(77), whole);
    }

    #[test]
    fn split_off_leaves_at_least_one_image() {
        let mut split = ramp(3);
        for asked in [3, 4, usize::MAX] {
            assert!(matches!(split.split_off(asked), Err(Error::HoldOut { available: 3, .. })));
        }
        assert_eq!(split, ramp(3));
    }
}
