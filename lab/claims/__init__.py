"""What a report says of its numbers, and whether runs bear it out."""
