"""Many Runs: how one is made, where they are kept, how they compare."""
