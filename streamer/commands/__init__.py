"""One file for each command; the only place that draws on a terminal."""
