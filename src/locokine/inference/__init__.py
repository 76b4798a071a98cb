"""What parameters do and which values fit: audit, claims under the prior, calibration."""
