//! Finds, loads and calls NVRTC, NVIDIA's run-time compiler of CUDA C++.
