"""What is done to the store as a whole: deleting, expiring, examining."""
