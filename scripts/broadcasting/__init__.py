"""What `scripts.script_broadcast_tensorflow` stands on: networks to ship, their preparation, and what is measured."""
