"""The report page: the content of a folder of runs as one HTML file."""
