"""Event -> audit record: pure functions, no I/O, no clock, no log."""
