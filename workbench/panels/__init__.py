"""One folder for each question a person asks: study (config to result), figure, view (the page)."""
