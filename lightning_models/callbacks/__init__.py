"""Pictures, alarms and summaries: what looks at a run and never changes it."""
