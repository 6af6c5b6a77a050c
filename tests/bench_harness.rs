//! The benchmarks' harness: what it accepts, what it writes, what its tables show.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../benches/harness/mod.rs"]
mod harness;

use harness::setting::date;
use harness::{Clock, Counts, Failure, Options, Quantity, Report, Row, Setting, Spread, Unit, Verified};

#[test]
fn an_error_beyond_its_bound_is_refused_and_so_is_what_is_no_number() {
    assert_eq!(Verified::new("a", &[1e-7, 3e-7, 0.0], 1e-6).unwrap(), Verified { error: 3e-7, bound: 1e-6 });
    assert_eq!(Verified::new("a", &[0.0], 0.0).unwrap(), Verified { error: 0.0, bound: 0.0 });
    for bad in [2e-6, f64::NAN, f64::INFINITY, -1.0] {
        let error = Verified::new("adam", &[1e-7, bad], 1e-6).unwrap_err().to_string();
        assert!(error.starts_with("adam is off by ") && error.contains("allowed 1e-6"), "{error}");
    }
}

#[test]
fn a_spread_is_median_min_and_max_in_microseconds() {
    let spread = Spread::of(vec![5e-6, 1e-6, 2e-6]).unwrap();
    let want = Spread { median: 2.0, min: 1.0, max: 5.0, unit: Unit::Microsecond, repetitions: 3 };
    for (got, want) in [(spread.median, want.median), (spread.min, want.min), (spread.max, want.max)] {
        assert!((got - want).abs() <= 1e-9, "{spread:?}");
    }
    assert_eq!((spread.unit, spread.repetitions), (want.unit, want.repetitions));
    for bad in [vec![], vec![0.0, 1e-6], vec![1e-6, f64::INFINITY], vec![1e-6, f64::NAN]] {
        assert!(Spread::of(bad).is_err());
    }
    let rate = |amount, unit| Quantity::new(amount, unit).rate(&spread);
    for (rate, value, unit) in [
        (rate(4e6, Unit::Flop), 2e3, Unit::GigaFlop),
        (rate(4e3, Unit::Byte), 2.0, Unit::GigaByte),
        (rate(100.0, Unit::Image), 5e7, Unit::ImageRate),
        (rate(100.0, Unit::Element), 50.0, Unit::MegaElement),
    ] {
        assert!((rate.value / value - 1.0).abs() <= 1e-9 && rate.unit == unit, "{rate:?}");
    }
}

#[test]
fn the_clock_repeats_with_and_without_a_walk_and_not_at_all_where_counts_are_asked_for() {
    let mut calls = 0;
    let mut body = || -> Result<(), Failure> {
        calls += 1;
        Ok(())
    };
    let mut clock = Clock::new(&Options { quick: true, ..Options::default() });
    let hot = clock.hot(&mut body).unwrap().unwrap();
    let cold = clock.cold(&mut body).unwrap().unwrap();
    assert!(hot.repetitions >= 3 && cold.repetitions >= 3, "{hot:?} {cold:?}");
    // The warm-up is not among them.
    assert!(calls >= hot.repetitions + cold.repetitions + 2);
    let mut idle = Clock::new(&Options { counts: true, ..Options::default() });
    assert_eq!(idle.hot(&mut || Err("called".into())).unwrap(), None);
    assert!(clock.hot(&mut || Err("a failure".into())).is_err());
}

#[test]
fn a_report_is_read_as_it_was_written_and_its_tables_tell_times_from_counts() {
    let mut report = Report::new("sample", Setting::here(&Options { quick: true, ..Options::default() }));
    let time = |us: f64| Spread { median: us, min: us / 2.0, max: 2.0 * us, unit: Unit::Microsecond, repetitions: 9 };
    let verified = Some(Verified { error: 2.5e-7, bound: 1e-6 });
    let row = Row::new("a product", Quantity::new(62.72e6, Unit::Flop));
    report.rows.push(Row { verified, hot: Some(time(200.0)), cold: Some(time(1500.0)), ..row }.with_rate());
    let counts = Counts { launches: 3, fma_share: 0.5, flop: 2_000_000, bytes: 1 << 20, ..Counts::default() };
    let counts = Counts { widest_load: 32.0, widest_store: 4.0, bank_conflicts: 7, ..counts };
    report.rows.push(Row { counts: Some(counts), ..Row::new("a step", Quantity::new(7.0, Unit::Element)) });
    report.notes.push("something was left out".to_owned());
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("new folder/sample.json");
    report.write(&path).unwrap();
    assert_eq!(Report::read(&path).unwrap(), report);
    let cells: Vec<Vec<String>> = report
        .tables()
        .lines()
        .filter(|line| line.starts_with("| a "))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let times =
        ["a product", "62.7 MFLOP", "2.5e-7", "200.00 µs (100.00 .. 400.00)", "1.50 ms (0.75 .. 3.00)", "314 GFLOP/s"];
    assert_eq!(cells, [&times[..], &["a step", "3", "0", "50.0 %", "2.0", "1.0", "0.00", "32.00", "4.00", "7", "–"]]);
    assert!(report.tables().ends_with("\n- something was left out\n"));
}

#[test]
fn dates_are_those_of_the_calendar() {
    let dates = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_709_251_200, "2024-03-01T00:00:00Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
    ];
    for (seconds, want) in dates {
        assert_eq!(date(seconds), want);
    }
}
