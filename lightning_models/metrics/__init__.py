"""What is measured over a whole data set."""
