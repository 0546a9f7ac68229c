"""The always-on job: landing zone to features and rejects."""
