"""The app in Jupyter: state as traitlets without widgets, and thin views on it."""
