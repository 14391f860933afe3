"""What every room shares: errors, random streams, safe files, progress, names of slots."""
