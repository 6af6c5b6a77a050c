"""One training step of the tutorial's VAE in PyTorch: eager with fused Adam, and as one CUDA graph.

Arguments: batch size, pixels, hidden units, latent units. Prints JSON. The images lie on the device as bytes; a step takes
the next ones of a permutation, as latent's does. Times are those between the ends of steps, by the device's clock.
"""

import json
import statistics
import sys

import torch
from torch import nn
from torch.nn import functional as F

BATCH, PIXELS, HIDDEN, LATENT = map(int, sys.argv[1:5])
IMAGES, WARM_UP, STEPS = 60_000, 100, 500


class Vae(nn.Module):
    """The tutorial's layers, under its names."""

    def __init__(self):
        super().__init__()
        self.FC_input = nn.Linear(PIXELS, HIDDEN)
        self.FC_input2 = nn.Linear(HIDDEN, HIDDEN)
        self.FC_mean = nn.Linear(HIDDEN, LATENT)
        self.FC_var = nn.Linear(HIDDEN, LATENT)
        self.FC_hidden = nn.Linear(LATENT, HIDDEN)
        self.FC_hidden2 = nn.Linear(HIDDEN, HIDDEN)
        self.FC_output = nn.Linear(HIDDEN, PIXELS)

    def forward(self, x):
        h = F.leaky_relu(self.FC_input(x), 0.2)
        h = F.leaky_relu(self.FC_input2(h), 0.2)
        mean, log_var = self.FC_mean(h), self.FC_var(h)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(log_var)
        h = F.leaky_relu(self.FC_hidden(z), 0.2)
        h = F.leaky_relu(self.FC_hidden2(h), 0.2)
        return self.FC_output(h), mean, log_var


class Training:
    """A model, its optimiser, and images that lie on the device."""

    def __init__(self, precision):
        torch.manual_seed(1)
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        self.bf16 = precision == "bf16"
        self.model = Vae().cuda()
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True, capturable=True)
        self.images = torch.randint(0, 256, (IMAGES, PIXELS), dtype=torch.uint8, device="cuda")
        self.order = torch.randperm(IMAGES, device="cuda")
        self.places = torch.arange(BATCH, device="cuda")

    def step(self):
        x = self.images[self.order[self.places]].float() / 255
        # Step by step through the order, the place kept on the device so that a graph can go on as well.
        self.places.add_(BATCH).remainder_(IMAGES)
        self.adam.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=self.bf16, cache_enabled=False):
            logits, mean, log_var = self.model(x)
        logits, mean, log_var = logits.float(), mean.float(), log_var.float()
        bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_var - mean.square() - log_var.exp())
        loss = bce + kl
        loss.backward()
        self.adam.step()
        self.loss = loss.detach()


def graph_of(training):
    """A function that replays one whole step."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(11):
            training.step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        training.step()
    return graph.replay


def spread(step):
    """Median, shortest and longest time of a step in microseconds."""
    for _ in range(WARM_UP):
        step()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(STEPS + 1)]
    torch.cuda.synchronize()
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    times = [1e3 * start.elapsed_time(end) for start, end in zip(marks, marks[1:])]
    return {"median": statistics.median(times), "min": min(times), "max": max(times), "unit": "us", "repetitions": STEPS}


def measure(precision, graphed):
    training = Training(precision)
    step = graph_of(training) if graphed else training.step
    time = spread(step)
    if not torch.isfinite(training.loss):
        raise SystemExit(f"the loss is {training.loss.item()} in {precision}")
    return {"precision": precision, "mode": "CUDA graph" if graphed else "eager", "step": time}


def main():
    modes = ["fp32"] if torch.cuda.get_device_capability() < (8, 0) else ["fp32", "tf32", "bf16"]
    rows = [measure(precision, graphed) for precision in modes for graphed in (False, True)]
    print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "rows": rows}))


main()
