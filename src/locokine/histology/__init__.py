"""Virtual histology: slides of what a simulation says, and reading them back.

    state.py      the state of one lesion at one stored time
    section.py    where everything is on the plane that is cut
    counts.py     how many profiles of what lie where      vessels.py, populate.py   putting them down without overlap
    stains.py     colours as optical densities             patterns.py               how tumours of a kind are built
    dye.py        how much stain lies where                paint.py, render.py       painting tiles
    files.py      OME-TIFF, Parquet, GeoJSON               picture.py                views for people
    readback.py   reading a slide                          slide.py, series.py       all of it, for one day or several

A slide is a picture of a model. Research use only.
"""
