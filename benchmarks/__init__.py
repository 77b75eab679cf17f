"""What `make bench` runs; each measurement is a file of its own."""
