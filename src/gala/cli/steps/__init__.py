"""What the commands do, once their options are read. These modules are imported when a command runs."""
