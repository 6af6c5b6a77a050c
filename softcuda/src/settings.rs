//! What the software device is like, as the environment or the caller sets it.

use std::path::PathBuf;

/// The checks that are made while kernels run; all off unless asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Bounds, alignment, use after free, double free, leaks.
    pub memory: bool,
    /// Reads of memory that nothing wrote.
    pub init: bool,
    /// Data races in shared and global memory, copies read before their wait.
    pub race: bool,
    /// Barriers that not all threads reach.
    pub sync: bool,
}

impl Checks {
    /// Every check.
    pub const ALL: Checks = Checks { memory: true, init: true, race: true, sync: true };
    /// No check.
    pub const NONE: Checks = Checks { memory: false, init: false, race: false, sync: false };

    /// Whether any check is on.
    pub fn any(self) -> bool {
        self != Checks::NONE
    }

    fn parse(text: &str) -> Option<Checks> {
        match text {
            "all" => return Some(Checks::ALL),
            "none" | "" => return Some(Checks::NONE),
            _ => {}
        }
        let mut checks = Checks::NONE;
        for word in text.split(',') {
            match word.trim() {
                "memory" => checks.memory = true,
                "init" => checks.init = true,
                "race" => checks.race = true,
                "sync" => checks.sync = true,
                _ => return None,
            }
        }
        Some(checks)
    }
}

/// Settings of the software device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Compute capability, `$SOFTCUDA_CC`.
    pub compute_capability: (u32, u32),
    /// Device memory in bytes, `$SOFTCUDA_MEMORY`.
    pub memory: u64,
    /// The newest PTX version that is taken, `$SOFTCUDA_PTX`; none takes all.
    pub ptx: Option<(u32, u32)>,
    /// Number of devices, `$SOFTCUDA_DEVICES`: 0 or 1.
    pub devices: u32,
    /// Host threads that run the blocks of a launch, `$SOFTCUDA_THREADS`.
    pub threads: usize,
    /// The checks made, `$SOFTCUDA_CHECK`.
    pub checks: Checks,
    /// Where reports go, a JSON object a line, `$SOFTCUDA_REPORT`.
    pub report: Option<PathBuf>,
    /// Where counts go, a JSON object a line, `$SOFTCUDA_COUNTS`.
    pub counts: Option<PathBuf>,
    /// Warp instructions after which a launch is stopped, `$SOFTCUDA_LIMIT`.
    pub limit: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            compute_capability: (8, 0),
            memory: 8 << 30,
            ptx: None,
            devices: 1,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get()),
            checks: Checks::NONE,
            report: None,
            counts: None,
            limit: None,
        }
    }
}

/// A variable of the environment that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}='{value}' is not {expected}: set it so, or unset it")]
pub struct SettingsError {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub expected: &'static str,
}

impl Settings {
    /// The settings that the environment gives, by the names in [`Settings`].
    ///
    /// # Errors
    /// The first variable whose value cannot be used.
    pub fn from_environment() -> Result<Settings, SettingsError> {
        Settings::from_lookup(|name| std::env::var(name).ok())
    }

    /// As [`Settings::from_environment`], with the variables given by `lookup`.
    ///
    /// # Errors
    /// The first variable whose value cannot be used.
    pub fn from_lookup(lookup: impl Fn(&'static str) -> Option<String>) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        let read = Reader { lookup };
        read.set(
            "SOFTCUDA_CC",
            "a compute capability from 5.0 to 9.0, such as 8.0",
            &mut settings.compute_capability,
            |t| version(t).filter(|v| (5, 0) <= *v && *v <= (9, 0)),
        )?;
        read.set(
            "SOFTCUDA_MEMORY",
            "a size such as 2GiB, 512MiB or a number of bytes, up to 1TiB",
            &mut settings.memory,
            size,
        )?;
        read.set("SOFTCUDA_PTX", "a PTX version such as 8.0", &mut settings.ptx, |t| version(t).map(Some))?;
        read.set("SOFTCUDA_DEVICES", "0 or 1", &mut settings.devices, |t| t.parse().ok().filter(|n| *n <= 1))?;
        read.set("SOFTCUDA_THREADS", "a number of threads from 1 to 256", &mut settings.threads, |t| {
            t.parse().ok().filter(|n| (1..=256).contains(n))
        })?;
        read.set("SOFTCUDA_CHECK", "all, none, or some of memory,init,race,sync", &mut settings.checks, Checks::parse)?;
        read.set("SOFTCUDA_REPORT", "a file", &mut settings.report, |t| Some(Some(t.into())))?;
        read.set("SOFTCUDA_COUNTS", "a file", &mut settings.counts, |t| Some(Some(t.into())))?;
        read.set("SOFTCUDA_LIMIT", "a number of warp instructions", &mut settings.limit, |t| {
            t.parse().ok().filter(|n| *n > 0).map(Some)
        })?;
        Ok(settings)
    }

    /// The variables that give these settings to a child process; unset ones are left out.
    pub fn to_environment(&self) -> Vec<(&'static str, String)> {
        let (major, minor) = self.compute_capability;
        let checks = [
            ("memory", self.checks.memory),
            ("init", self.checks.init),
            ("race", self.checks.race),
            ("sync", self.checks.sync),
        ];
        let checks: Vec<_> = checks.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        let mut variables = vec![
            ("SOFTCUDA_CC", format!("{major}.{minor}")),
            ("SOFTCUDA_MEMORY", self.memory.to_string()),
            ("SOFTCUDA_DEVICES", self.devices.to_string()),
            ("SOFTCUDA_THREADS", self.threads.to_string()),
            ("SOFTCUDA_CHECK", if checks.is_empty() { "none".into() } else { checks.join(",") }),
        ];
        variables.extend(self.ptx.map(|(major, minor)| ("SOFTCUDA_PTX", format!("{major}.{minor}"))));
        variables.extend(self.report.iter().map(|path| ("SOFTCUDA_REPORT", path.display().to_string())));
        variables.extend(self.counts.iter().map(|path| ("SOFTCUDA_COUNTS", path.display().to_string())));
        variables.extend(self.limit.map(|limit| ("SOFTCUDA_LIMIT", limit.to_string())));
        variables
    }
}

struct Reader<F> {
    lookup: F,
}

impl<F: Fn(&'static str) -> Option<String>> Reader<F> {
    fn set<T>(
        &self,
        variable: &'static str,
        expected: &'static str,
        field: &mut T,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<(), SettingsError> {
        let Some(value) = (self.lookup)(variable).filter(|value| !value.is_empty()) else { return Ok(()) };
        match parse(&value) {
            Some(parsed) => *field = parsed,
            None => return Err(SettingsError { variable, value, expected }),
        }
        Ok(())
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| (1..=1 << 40).contains(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variable: &'static str, value: &str) -> Result<Settings, SettingsError> {
        let value = value.to_owned();
        Settings::from_lookup(move |name| (name == variable).then(|| value.clone()))
    }

    #[test]
    fn every_variable_sets_its_field() {
        assert_eq!(with("SOFTCUDA_CC", "8.6").unwrap().compute_capability, (8, 6));
        assert_eq!(with("SOFTCUDA_MEMORY", "2GiB").unwrap().memory, 2 << 30);
        assert_eq!(with("SOFTCUDA_PTX", "8.0").unwrap().ptx, Some((8, 0)));
        assert_eq!(with("SOFTCUDA_DEVICES", "0").unwrap().devices, 0);
        assert_eq!(with("SOFTCUDA_THREADS", "3").unwrap().threads, 3);
        assert_eq!(with("SOFTCUDA_CHECK", "all").unwrap().checks, Checks::ALL);
        assert_eq!(
            with("SOFTCUDA_CHECK", "race,sync").unwrap().checks,
            Checks { race: true, sync: true, ..Checks::NONE }
        );
        assert_eq!(with("SOFTCUDA_LIMIT", "7").unwrap().limit, Some(7));
    }

    #[test]
    fn a_value_that_cannot_be_used_is_named() {
        for (variable, value) in [
            ("SOFTCUDA_CC", "8"),
            ("SOFTCUDA_CC", "10.0"),
            ("SOFTCUDA_MEMORY", "2GB"),
            ("SOFTCUDA_MEMORY", "99999999999999999999GiB"),
            ("SOFTCUDA_THREADS", "0"),
            ("SOFTCUDA_CHECK", "memory,spelling"),
            ("SOFTCUDA_DEVICES", "2"),
        ] {
            let error = with(variable, value).unwrap_err();
            assert!(error.to_string().contains(variable) && error.to_string().contains(value), "{error}");
        }
    }

    #[test]
    fn settings_survive_the_way_through_the_environment() {
        let settings =
            Settings { limit: Some(9), ptx: Some((8, 1)), checks: Checks::ALL, threads: 5, ..Settings::default() };
        let variables = settings.to_environment();
        let read =
            Settings::from_lookup(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()));
        assert_eq!(read, Ok(settings));
    }
}
