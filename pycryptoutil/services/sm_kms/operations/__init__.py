"""What is done with keys, one by one and in batches."""
