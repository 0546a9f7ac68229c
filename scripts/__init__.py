"""What people type: the `fruits` command, one module a command, and set-up."""
