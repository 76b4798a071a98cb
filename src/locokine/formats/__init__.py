"""Import and export, one module a format, and the engine as formulas for those formats that want equations."""
