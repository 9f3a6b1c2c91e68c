"""The report page: what a folder of runs holds, as one HTML file."""
