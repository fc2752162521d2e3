"""NVIDIA's libraries: which are needed, where they are, and whether they fit."""
