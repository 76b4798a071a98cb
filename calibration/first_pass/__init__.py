"""First-pass calibration: `python -m calibration.first_pass`."""
