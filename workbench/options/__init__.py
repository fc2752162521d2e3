"""Provider options: the catalogue per release, Settings, ShapeProfile, and what a change does."""
