"""Which provider runs each node: observed, predicted and explained."""
