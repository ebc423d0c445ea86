"""What `make bench` runs: casework as it is served, against twins without sealing, policies or journal."""
