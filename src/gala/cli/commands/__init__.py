"""One module for each command: its options and help. Nothing heavy is imported here."""
