"""The host as a whole: pharmacokinetics, circulation and its support, fever, blood lymphocytes."""
