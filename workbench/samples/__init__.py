"""Sample models that come with the workbench."""
