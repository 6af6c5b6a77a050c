//! The colours and the font of every picture, and what text may hold.

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rgb(pub u8, pub u8, pub u8);

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02X}{:02X}{:02X}", self.0, self.1, self.2)
    }
}

impl Rgb {
    /// A grey, 0 black and 255 white.
    pub(super) const fn grey(value: u8) -> Self {
        Self(value, value, value)
    }

    /// Red, green and blue, as a picture of pixels stores them.
    pub(super) const fn bytes(self) -> [u8; 3] {
        [self.0, self.1, self.2]
    }
}

/// The ground of a picture.
pub(super) const WHITE: Rgb = Rgb::grey(255);

/// Text; axes and what is beside the point; lines of a grid.
pub(super) const INK: Rgb = Rgb(0x24, 0x29, 0x2f);
pub(super) const AXIS: Rgb = Rgb(0x6e, 0x77, 0x81);
pub(super) const GRID: Rgb = Rgb(0xe4, 0xe7, 0xeb);

/// What is in vain.
pub(super) const PALE: Rgb = Rgb(0xf6, 0xd3, 0xbe);

/// The font's families, the first that there is.
pub(super) const FAMILY: &str = "Helvetica, Arial, sans-serif";

/// `text` without the control characters, which XML has no way to write.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c }).collect()
}

/// The palette of Okabe and Ito (*Color Universal Design*, 2008) without its yellow, too pale for a line on white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// #0072B2
    Blue,
    /// #D55E00
    Vermilion,
    /// #009E73
    Green,
    /// #CC79A7
    Purple,
    /// #E69F00
    Orange,
    /// #56B4E9
    SkyBlue,
    /// #000000
    Black,
}

impl Colour {
    /// The order in which series without a colour of their own take theirs.
    pub const ORDER: [Self; 7] =
        [Self::Blue, Self::Vermilion, Self::Green, Self::Purple, Self::Orange, Self::SkyBlue, Self::Black];

    pub(super) const fn rgb(self) -> Rgb {
        match self {
            Self::Blue => Rgb(0x00, 0x72, 0xb2),
            Self::Vermilion => Rgb(0xd5, 0x5e, 0x00),
            Self::Green => Rgb(0x00, 0x9e, 0x73),
            Self::Purple => Rgb(0xcc, 0x79, 0xa7),
            Self::Orange => Rgb(0xe6, 0x9f, 0x00),
            Self::SkyBlue => Rgb(0x56, 0xb4, 0xe9),
            Self::Black => Rgb(0x00, 0x00, 0x00),
        }
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rgb().fmt(f)
    }
}
