"""What is wanted, what is there, and the decision between them; pure: no I/O, no clock."""
