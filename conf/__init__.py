"""What both jobs stand on: settings, errors, storage places, table contracts, the Spark session and its jars."""
