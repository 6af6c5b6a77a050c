//! What the loaded library tells beyond the interface: reports, counts, who it is; and how it ends.

use super::abi::{Out, Text, answer_text};
use super::entries;
use super::queue::Ticket;
use super::state::{Driver, configure, configured, lock};
use crate::check::{Check, Report};
use crate::counts::{LaunchCounts, Summary};
use crate::settings::Settings;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Names the sources that a library was built from.
pub const BUILD: &str = concat!("softcuda build ", env!("SOFTCUDA_BUILD"));

const BUILD_TEXT: &CStr =
    match CStr::from_bytes_with_nul(concat!("softcuda build ", env!("SOFTCUDA_BUILD"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    };

/// How long the end of the process waits for work that is still queued.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sees to it that the end of the process leaves reports and counts behind.
pub fn at_exit() {
    // SAFETY: the function takes nothing, returns nothing, does not unwind, and is never unloaded.
    unsafe { libc::atexit(finish) };
}

extern "C" fn finish() {
    let Some(driver) = configured() else { return };
    let deadline = Some(Instant::now() + PATIENCE);
    for context in driver.contexts.all() {
        let tickets: Vec<Ticket> = lock(&context.streams).all().iter().map(|stream| stream.queue.ticket()).collect();
        tickets.iter().for_each(|ticket| ticket.wait_until(deadline));
        let allocations = lock(&context.allocations).clone();
        let host = lock(&driver.host).clone();
        let pinned = host.iter().filter(|(_, memory)| memory.context == context.handle).map(|(start, _)| *start);
        report_leaks(driver, allocations.into_iter().chain(pinned));
    }
    driver.machine.reporter.flush();
    driver.machine.counts.add_calls(calls());
    driver.machine.counts.finish();
}

/// Reports allocations that are alive at the end of their context, if memory is checked.
pub fn report_leaks(driver: &Driver, addresses: impl Iterator<Item = u64>) {
    if !driver.machine.settings.checks.memory {
        return;
    }
    for found in addresses.filter_map(|address| driver.machine.memory.find(address)) {
        let message = format!(
            "allocation {} ({} bytes at {:#x}) was never freed: free it before its context ends",
            found.number, found.bytes, found.start
        );
        driver.machine.reporter.add(Report::of_host(Check::Leak, "", found.start, message));
    }
}

/// Every driver call by name, with how often it was made.
fn calls() -> BTreeMap<String, u64> {
    let made = entries().filter(|entry| entry.count() > 0);
    made.map(|entry| (entry.name.to_owned(), entry.count())).collect()
}

fn counts() -> Summary {
    let kernels = configured().map(|driver| driver.machine.counts.summary().kernels).unwrap_or_default();
    Summary { kernels, calls: calls() }
}

fn launches() -> Vec<Arc<LaunchCounts>> {
    configured().map(|driver| driver.machine.counts.launches()).unwrap_or_default()
}

fn reports() -> Vec<Report> {
    configured().map(|driver| driver.machine.reporter.snapshot()).unwrap_or_default()
}

/// Writes JSON text into a buffer of `capacity` bytes, if it is one; returns the bytes that all of it takes with its
/// final zero.
fn answer(target: Out<u8>, capacity: usize, value: &impl Serialize) -> usize {
    let text = serde_json::to_string(value).unwrap_or_default();
    if capacity > text.len() {
        let _ = answer_text(target, capacity, &text);
    }
    text.len() + 1
}

/// The settings in a JSON object that holds the variables of the environment.
fn read_settings(text: &str) -> Result<Settings, String> {
    let variables: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let lookup = |name: &str| variables.get(name).and_then(Value::as_str).map(str::to_owned);
    Settings::from_lookup(lookup).map_err(|error| error.to_string())
}

/// The identity of the build.
#[unsafe(no_mangle)]
extern "C" fn softcuda_version() -> *const c_char {
    BUILD_TEXT.as_ptr()
}

/// Sets the device up with the settings in a JSON object of environment variables. Returns 0, or 1 with a message in
/// the buffer.
#[unsafe(no_mangle)]
unsafe extern "C" fn softcuda_configure(settings: Text, message: Out<u8>, capacity: usize) -> u32 {
    let text = settings.get().map_err(|_| "the settings are not text".to_owned());
    let set_up = text.and_then(|text| configure(read_settings(&text)?).map_err(|error| error.to_string()));
    match set_up {
        Ok(_) => 0,
        Err(error) => {
            let _ = answer_text(message, capacity, &error);
            1
        }
    }
}

/// The findings so far, as a JSON array.
#[unsafe(no_mangle)]
unsafe extern "C" fn softcuda_reports_json(target: Out<u8>, capacity: usize) -> usize {
    answer(target, capacity, &reports())
}

/// The counts so far, as a JSON object.
#[unsafe(no_mangle)]
unsafe extern "C" fn softcuda_counts_json(target: Out<u8>, capacity: usize) -> usize {
    answer(target, capacity, &counts())
}

/// The counts of each launch so far, as a JSON array.
#[unsafe(no_mangle)]
unsafe extern "C" fn softcuda_launches_json(target: Out<u8>, capacity: usize) -> usize {
    let launches = launches();
    answer(target, capacity, &launches.iter().map(AsRef::as_ref).collect::<Vec<&LaunchCounts>>())
}

/// Forgets the findings.
#[unsafe(no_mangle)]
extern "C" fn softcuda_reset_reports() {
    if let Some(driver) = configured() {
        driver.machine.reporter.clear();
    }
}

/// Begins all counts anew.
#[unsafe(no_mangle)]
extern "C" fn softcuda_reset_counts() {
    entries().for_each(|entry| entry.calls.store(0, Ordering::Relaxed));
    if let Some(driver) = configured() {
        driver.machine.counts.reset();
    }
}
