"""The bundle `filters`: hand-made convolution kernels and a colour histogram. No weights are learned or downloaded."""
