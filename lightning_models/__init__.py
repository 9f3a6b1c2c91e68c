"""One LightningModule per model family; nothing is imported here, so that networks can be used without Lightning."""
