"""What surrounds models and data: commands, training runs, studies, report pages."""
