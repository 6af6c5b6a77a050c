//! Statistics against scikit-learn's, on the inputs of `fixtures/make_statistics.py`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use latent::stats::{LogisticRegression, NearestNeighbours, Pca, Roc, Settings, average_precision, log_mean_exp, tsne};
use serde_json::Value;

fn fixture() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/statistics.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn floats(value: &Value) -> Vec<f32> {
    numbers(value).iter().map(|x| *x as f32).collect()
}

fn labels(value: &Value) -> Vec<u8> {
    value.as_array().unwrap().iter().map(|x| u8::try_from(x.as_u64().unwrap()).unwrap()).collect()
}

#[track_caller]
fn assert_near(what: &str, got: &[f64], want: &[f64], bound: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        // Written so that NaN fails.
        assert!((got - want).abs() <= bound, "{what}[{i}] is {got}, not {want}");
    }
}

#[test]
fn curves_and_areas_are_those_of_scikit_learn() {
    for case in fixture()["scores"].as_array().unwrap() {
        let scores = numbers(&case["scores"]);
        let positive: Vec<bool> = case["positive"].as_array().unwrap().iter().map(|p| p.as_bool().unwrap()).collect();
        let roc = Roc::new(&scores, &positive).unwrap();
        let (fpr, tpr): (Vec<f64>, Vec<f64>) = roc.points.iter().copied().unzip();
        assert_near("false positive rate", &fpr, &numbers(&case["fpr"]), 1e-12);
        assert_near("true positive rate", &tpr, &numbers(&case["tpr"]), 1e-12);
        assert_near("ROC-AUC", &[roc.auc], &[case["roc_auc"].as_f64().unwrap()], 1e-12);
        let precision = average_precision(&scores, &positive).unwrap();
        assert_near("average precision", &[precision], &[case["average_precision"].as_f64().unwrap()], 1e-12);
        // Turned around, the curve is the other side of the diagonal.
        let turned: Vec<f64> = scores.iter().map(|score| -score).collect();
        assert_near("turned", &[Roc::new(&turned, &positive).unwrap().auc], &[1.0 - roc.auc], 1e-12);
    }
}

#[test]
fn principal_components_are_those_of_scikit_learn() {
    let fixture = fixture();
    let (points, columns) = (floats(&fixture["points"]), fixture["columns"].as_u64().unwrap() as usize);
    let pca = Pca::new(&points, columns, 3).unwrap();
    let want = &fixture["pca"];
    assert_near("components", &pca.components, &numbers(&want["components"]), 1e-9);
    assert_near("explained variance", &pca.explained_variance, &numbers(&want["explained_variance"]), 1e-9);
    assert_near("explained share", &pca.explained_share, &numbers(&want["explained_share"]), 1e-9);
    let projected: Vec<f64> = pca.project(&points[..20 * columns]).into_iter().map(f64::from).collect();
    assert_near("projection", &projected, &numbers(&want["projected"]), 1e-5);
}

#[test]
fn nearest_neighbours_vote_as_in_scikit_learn() {
    let fixture = fixture();
    let (points, labels_of) = (floats(&fixture["points"]), labels(&fixture["labels"]));
    let columns = fixture["columns"].as_u64().unwrap() as usize;
    for (k, want) in fixture["neighbours"].as_object().unwrap() {
        let neighbours = NearestNeighbours::new(&points, &labels_of, columns, k.parse().unwrap()).unwrap();
        assert_eq!(neighbours.classify(&floats(&fixture["queries"])).unwrap(), labels(want), "{k} neighbours");
    }
}

/// The product in f32 loses what tells far-away points apart; the exact distances do not.
#[test]
fn rounding_does_not_decide_who_is_nearest() {
    let points: Vec<f32> = (0..16).flat_map(|i| [4096.0 + i as f32 / 64.0, 8192.0]).collect();
    let labels: Vec<u8> = (0..16).collect();
    let neighbours = NearestNeighbours::new(&points, &labels, 2, 1).unwrap();
    for (i, point) in points.chunks_exact(2).enumerate() {
        assert_eq!(usize::from(neighbours.classify(point).unwrap()[0]), i);
    }
}

#[test]
fn logistic_regression_is_that_of_scikit_learn() {
    let fixture = fixture();
    let (points, labels_of) = (floats(&fixture["points"]), labels(&fixture["labels"]));
    let columns = fixture["columns"].as_u64().unwrap() as usize;
    let scaled = standardised(&points, columns);
    for want in fixture["logistic"].as_array().unwrap() {
        let settings = Settings { c: want["c"].as_f64().unwrap(), tolerance: 1e-8, iterations: 1000 };
        let model = LogisticRegression::fit(&scaled, &labels_of, columns, 4, settings).unwrap();
        assert!(model.converged);
        assert_near("coefficients", &model.weights, &numbers(&want["coefficients"]), 2e-5);
        let mean = model.intercepts.iter().sum::<f64>() / 4.0;
        let intercepts: Vec<f64> = model.intercepts.iter().map(|b| b - mean).collect();
        assert_near("intercepts", &intercepts, &numbers(&want["intercepts"]), 2e-5);
        assert_eq!(model.classify(&scaled), labels(&want["predictions"]));
        assert_near("log loss", &[log_loss(&model, &scaled, &labels_of)], &[want["log_loss"].as_f64().unwrap()], 1e-7);
    }
}

/// Each column with mean 0 and deviation 1, as the script of the fixture has it; one that does not vary is only shifted.
fn standardised(points: &[f32], columns: usize) -> Vec<f32> {
    let rows = points.len() / columns;
    let column = |j: usize| (0..rows).map(move |i| f64::from(points[i * columns + j]));
    let moments: Vec<(f64, f64)> = (0..columns)
        .map(|j| {
            let mean = column(j).sum::<f64>() / rows as f64;
            let variance = column(j).map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64;
            (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
        })
        .collect();
    let scaled = points.iter().enumerate().map(|(i, x)| {
        let (mean, deviation) = moments[i % columns];
        ((f64::from(*x) - mean) / deviation) as f32
    });
    scaled.collect()
}

fn log_loss(model: &LogisticRegression, points: &[f32], labels: &[u8]) -> f64 {
    let (classes, columns) = (model.intercepts.len(), model.weights.len() / model.intercepts.len());
    let loss = |(point, label): (&[f32], &u8)| {
        let score = |class: usize| -> f64 {
            let weights = &model.weights[class * columns..][..columns];
            model.intercepts[class] + point.iter().zip(weights).map(|(x, w)| f64::from(*x) * w).sum::<f64>()
        };
        let scores: Vec<f64> = (0..classes).map(score).collect();
        log_mean_exp(&scores) + (classes as f64).ln() - scores[usize::from(*label)]
    };
    points.chunks_exact(columns).zip(labels).map(loss).sum::<f64>() / labels.len() as f64
}

#[test]
fn a_map_keeps_groups_together_and_comes_out_the_same_twice() {
    // Three groups of points far from each other, in five dimensions.
    let (groups, each) = (3, 60);
    let value = |group: usize, i: usize, j: usize| {
        // No two points are the same: neighbours at the same distance could be taken in any order.
        let spread = ((i * 31 + j * 17) % 61) as f32 / 61.0;
        if j == group { 20.0 + spread } else { spread }
    };
    let points: Vec<f32> =
        (0..groups).flat_map(|g| (0..each).flat_map(move |i| (0..5).map(move |j| value(g, i, j)))).collect();
    let map = tsne(&points, 5, 20.0).unwrap();
    assert_eq!(map, tsne(&points, 5, 20.0).unwrap());
    let labels: Vec<u8> = (0..groups as u8).flat_map(|group| [group; 60]).collect();
    // Of each point's five nearest in the map, one is itself.
    assert_eq!(NearestNeighbours::new(&map, &labels, 2, 5).unwrap().classify(&map).unwrap(), labels);
    assert!(tsne(&points[..50], 5, 20.0).unwrap_err().to_string().contains("62 are needed"));
}
