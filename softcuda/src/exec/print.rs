//! `printf` of device code.

use super::Fault;
use super::call::parameter;
use super::warp::{Warp, lanes};
use super::worker::{Spot, Worker, space_of};
use crate::program::instruction::{Call, Space};
use crate::program::symbols::LOCAL_WINDOW;
use std::io::Write as _;

/// Bytes of a text that is printed, at most.
const MAX_TEXT: usize = 64 << 10;
/// Characters that one conversion is padded to, at most.
const MAX_WIDTH: i32 = 500;
/// Printed text that is gathered before it goes out.
const BUFFER: usize = 1 << 16;

impl Worker<'_> {
    /// Prints for each lane, by the rules of C's `printf`.
    pub fn printf(&mut self, spot: &mut Spot<'_>, call: &Call, mask: u32) -> Result<(), Fault> {
        let [format, arguments, ..] = call.arguments.as_slice() else { return Err(Fault::LaunchFailed) };
        for lane in lanes(mask) {
            let text = self.read_text(parameter(spot, *format, lane)).ok_or(Fault::IllegalAddress)?;
            let list = parameter(spot, *arguments, lane);
            let line = self.formatted(&text, |offset, bytes| local_number(spot.warp, lane, list + offset, bytes));
            self.printed.extend_from_slice(line.as_bytes());
        }
        if let Some((offset, 4)) = call.results.first() {
            let count = (call.arguments.len() as u32).to_le_bytes();
            let frame = spot.registers_mut();
            for lane in lanes(mask) {
                let at = lane * frame.parameter_stride + offset;
                frame.parameters[at..at + 4].copy_from_slice(&count);
            }
        }
        if self.printed.len() > BUFFER {
            self.print_rest();
        }
        Ok(())
    }

    /// Writes out what was printed.
    pub fn print_rest(&mut self) {
        // Nobody can be told that the output is closed.
        let _ = std::io::stdout().lock().write_all(&self.printed);
        self.printed.clear();
    }

    /// A text in device memory, up to its NUL.
    pub fn read_text(&self, address: u64) -> Option<String> {
        let (_, end) = self.context.ranges.find(address, 1)?;
        let length = usize::try_from(end - address).ok()?.min(MAX_TEXT);
        // SAFETY: the range that holds the address goes on for so many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(self.context.view.host(address), length) };
        let text = &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap_or(length)];
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn formatted(&self, format: &str, number: impl Fn(u64, usize) -> u64) -> String {
        let (mut line, mut rest, mut offset) = (String::new(), format, 0u64);
        while let Some((before, after)) = rest.split_once('%') {
            line.push_str(before);
            let end = after
                .find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'l' | 'h' | 'z') || c == '%')
                .unwrap_or(after.len());
            let (flags, conversion) = (&after[..end], after[end..].chars().next());
            rest = &after[(end + 1).min(after.len())..];
            match conversion {
                Some('%') => line.push('%'),
                Some(conversion) => {
                    let flags = with_widths(flags, || {
                        offset = offset.next_multiple_of(4) + 4;
                        number(offset - 4, 4) as i32
                    });
                    let wide = flags.contains('l')
                        || flags.contains('z')
                        || matches!(conversion, 'p' | 's' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'a');
                    let bytes: usize = if wide { 8 } else { 4 };
                    offset = offset.next_multiple_of(bytes as u64);
                    let value = number(offset, bytes);
                    offset += bytes as u64;
                    let text =
                        if conversion == 's' { self.read_text(value).unwrap_or_default() } else { String::new() };
                    line.push_str(&converted(&flags, conversion, value, wide, &text));
                }
                None => line.push('%'),
            }
        }
        line + rest
    }
}

/// The flags of a conversion, each `*` replaced by the argument that stands for it.
fn with_widths(flags: &str, mut next: impl FnMut() -> i32) -> String {
    let mut filled = String::new();
    for part in flags.split_inclusive('*') {
        match part.strip_suffix('*') {
            // A device's buffer for a line is no longer than this.
            Some(before) => filled += &format!("{before}{}", next().clamp(-MAX_WIDTH, MAX_WIDTH)),
            None => filled += part,
        }
    }
    filled
}

/// A number in the thread's local memory, where the arguments of `vprintf` lie.
fn local_number(warp: &Warp, lane: usize, address: u64, bytes: usize) -> u64 {
    let offset = if space_of(address) == Space::Local { address - LOCAL_WINDOW } else { address } as usize;
    let Some(end) = offset.checked_add(bytes).filter(|end| *end <= warp.local_stride) else { return 0 };
    let start = lane * warp.local_stride;
    let mut number = [0; 8];
    number[..bytes].copy_from_slice(&warp.local[start + offset..start + end]);
    u64::from_le_bytes(number)
}

/// One conversion of `printf`, through C's own.
fn converted(flags: &str, conversion: char, value: u64, wide: bool, text: &str) -> String {
    // Only what takes no further argument: `*` would make `snprintf` read one that is not there.
    let plain: String = flags.chars().filter(|c| matches!(c, '-' | '+' | ' ' | '#' | '.' | '0'..='9')).collect();
    let format = format!(
        "%{plain}{}{conversion}",
        if wide && matches!(conversion, 'd' | 'i' | 'u' | 'x' | 'X' | 'o') { "ll" } else { "" }
    );
    let (Ok(format), Ok(text)) = (std::ffi::CString::new(format), std::ffi::CString::new(text)) else {
        return String::new();
    };
    let mut buffer = [0u8; 512];
    let (target, size) = (buffer.as_mut_ptr().cast::<libc::c_char>(), buffer.len());
    // SAFETY: the format holds one conversion, to which the one argument's type fits; `snprintf` stays within `size`.
    let length = unsafe {
        match conversion {
            's' => libc::snprintf(target, size, format.as_ptr(), text.as_ptr()),
            'f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'a' | 'A' => {
                libc::snprintf(target, size, format.as_ptr(), f64::from_bits(value))
            }
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' if wide => libc::snprintf(target, size, format.as_ptr(), value),
            'd' | 'i' | 'u' | 'x' | 'X' | 'o' | 'c' => libc::snprintf(target, size, format.as_ptr(), value as u32),
            'p' => libc::snprintf(target, size, format.as_ptr(), value as usize as *const u8),
            _ => 0,
        }
    };
    let length = usize::try_from(length).unwrap_or(0).min(size - 1);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{converted, with_widths};

    #[test]
    fn a_star_takes_its_width_from_the_next_argument() {
        let mut widths = [7, 2, -4].into_iter();
        let mut next = || widths.next().unwrap();
        assert_eq!(with_widths("+*.*l", &mut next), "+7.2l");
        assert_eq!(converted(&with_widths("*", &mut next), 'd', 5, false, ""), "5   ");
        assert_eq!(with_widths("08", next), "08");
    }

    #[test]
    fn a_conversion_never_asks_for_a_further_argument() {
        assert_eq!(converted("*", 'd', 5, false, ""), "5");
        assert_eq!(converted("-*.*l", 'd', 5, true, ""), "5");
        assert_eq!(converted("1$", 'u', 5, false, ""), "5");
        assert_eq!(converted("+5", 'd', 5, false, ""), "   +5");
    }
}
