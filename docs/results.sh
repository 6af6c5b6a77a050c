#!/usr/bin/env bash
# Trains the models that docs/using.md and README.md show, and makes their pictures and figures anew: about twenty minutes on two
# cores; the picture of the explorer needs Chromium. Takes MNIST from data/, or from the folder given. Then: cargo run --release --example book
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:-data}
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
cargo build --release
latent() { target/release/latent "$@"; }
# What a command prints, without where this machine keeps its runs.
keep() {
  local file=docs/results/$1
  shift
  latent "$@" --data-dir "$data" | sed "s#$runs/##g" > "$file"
}
mkdir -p docs/results

latent both --name full --out "$runs" --data-dir "$data"
cargo run --release --example figures -- "$runs/full" docs
vae=$runs/full/vae ae=$runs/full/ae
latent sample "$vae" --out docs/samples.png
latent reconstruct "$vae" --data-dir "$data" --out docs/reconstructions.png
latent interpolate "$vae" --data-dir "$data" --pairs 6 --out docs/interpolation.png
latent traverse "$vae" --data-dir "$data" --out docs/traversal.png
latent plot latent "$vae" --data-dir "$data" --out docs/latent-pca.svg
latent plot latent "$vae" --data-dir "$data" --method tsne --out docs/latent-tsne.svg
latent plot kl "$vae" --data-dir "$data" --out docs/kl.svg
keep eval.txt eval "$vae" --iwae-k 50 --nll-samples 500
keep probe.txt probe "$vae" --against "$ae"
keep probe-100.txt probe "$vae" --against "$ae" --labels 100

latent export "$vae" --explorer --data-dir "$data" --out "$runs"
chromium --headless --no-sandbox --hide-scrollbars --window-size=1280,1100 --screenshot=docs/explorer.png "$runs/explorer.html"

latent vae --corrupt gaussian:0.3 --name denoiser --out "$runs" --data-dir "$data"
latent denoise "$runs/denoiser" --data-dir "$data" -n 10 --out docs/denoised.png
keep denoise.txt denoise "$runs/denoiser"

latent vae --iwae-k 5 --name weighed --out "$runs" --data-dir "$data"
keep eval-iwae.txt eval "$runs/weighed" --iwae-k 50 --nll-samples 500

latent anomaly --all-classes --latent-dim 32 --name anomaly --out "$runs" --data-dir "$data"
cp "$runs/anomaly/anomaly.md" docs/results/anomaly.txt
