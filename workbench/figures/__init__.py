"""Plotly figures: for each a function that gives its data and a function that draws it; none shows it."""
