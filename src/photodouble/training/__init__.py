"""One engine, and a task for each thing that it can train."""
